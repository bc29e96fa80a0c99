"""Rules about who and with what: vehicle and software (R03), operator (R04), insurance (R12), dangerous goods (R13)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.methods.pilot.context import CAR_MAKER, FLEET, INSURER, REGULATOR
from chengshu.methods.pilot.permit import Permit, sw_version
from chengshu.methods.pilot.rules.states import idle
from chengshu.methods.pilot.scene import Scene
from chengshu.methods.pilot.verdict import Verdict, compliant, first_of, unknown, violation

_TYPE_OK, _TYPE_WRONG, _PID_WRONG, _SW_WRONG, _SW_UNREADABLE, _SW_MISSING = range(6)


def vehicle(scene: Scene) -> Verdict:
    """R03: the vehicle is of a permitted type and one of the permitted set, and runs permitted software."""
    register = scene.context.vehicles
    if register is None:
        return first_of(scene.n, idle(scene), otherwise=unknown("vehicle-register-not-supplied", REGULATOR))
    types = _registered(scene, register, "vehicle_type")
    found = np.full(scene.n, -1, dtype=np.int8)
    versions = _versions(scene)
    names, version_of = versions.dictionary.to_pylist(), pc.fill_null(versions.indices, -1).to_numpy()
    pairs = scene.veh.astype(np.int64) * (len(names) + 1) + version_of + 1
    for pair in np.unique(pairs):
        code, version = divmod(int(pair), len(names) + 1)
        type_code = types[code]
        if type_code is not None:
            found[pairs == pair] = _judge(scene.permit, type_code, scene.pids[code], names[version - 1] if version else None)
    branches = [
        *idle(scene),
        (found == -1, unknown("vehicle-type-not-registered", REGULATOR)),
        (found == _TYPE_WRONG, violation("vehicle-type-not-permitted")),
        (found == _PID_WRONG, violation("vehicle-not-in-permit")),
        (found == _SW_MISSING, unknown("software-version-missing", CAR_MAKER)),
        (found == _SW_UNREADABLE, unknown("software-version-unreadable", CAR_MAKER)),
        (found == _SW_WRONG, violation("software-not-permitted")),
    ]
    return first_of(scene.n, branches, otherwise=compliant("vehicle-permitted"))


def operator(scene: Scene) -> Verdict:
    """R04: the vehicle is run by an operator (use entity) that the permit names."""
    register = scene.context.vehicles
    if register is None:
        return first_of(scene.n, idle(scene), otherwise=unknown("vehicle-register-not-supplied", REGULATOR))
    names = _registered(scene, register, "operator")
    nobody = np.array([name is None for name in names], dtype=np.bool_)[scene.veh]
    stranger = np.array([name not in scene.permit.operators for name in names], dtype=np.bool_)[scene.veh]
    branches = [
        *idle(scene),
        (nobody, unknown("operator-not-registered", REGULATOR)),
        (stranger, violation("operator-not-permitted")),
    ]
    return first_of(scene.n, branches, otherwise=compliant("operator-permitted"))


def insurance(scene: Scene) -> Verdict:
    """R12: while in operation the vehicle is insured for at least the permit's sum."""
    least = scene.permit.insurance_min_fen
    if least is None:
        return first_of(scene.n, [], otherwise=compliant("insurance-not-required"))
    register = scene.context.insurance
    if register is None:
        return first_of(scene.n, idle(scene), otherwise=unknown("insurance-register-not-supplied", INSURER))
    enough = scene.covered(register.filter(pc.greater_equal(register.column("cover_fen"), least)))
    branches = [
        *idle(scene),
        (enough, compliant("insured")),
        (scene.covered(register), violation("cover-below-minimum")),
    ]
    return first_of(scene.n, branches, otherwise=violation("not-insured"))


def cargo(scene: Scene) -> Verdict:
    """R13: no dangerous goods on board."""
    if not scene.permit.bans_dangerous_goods:
        return first_of(scene.n, [], otherwise=compliant("cargo-not-limited"))
    declared = scene.context.cargo
    if declared is None:
        return first_of(scene.n, idle(scene), otherwise=unknown("cargo-record-not-supplied", FLEET))
    dangerous = declared.column("dangerous")
    branches = [
        *idle(scene),
        (scene.covered(declared.filter(pc.fill_null(dangerous, False))), violation("dangerous-goods")),
        (scene.covered(declared.filter(dangerous.is_null())), unknown("cargo-kind-missing", FLEET)),
        (~scene.covered(declared), unknown("cargo-not-declared", FLEET)),
    ]
    return first_of(scene.n, branches, otherwise=compliant("no-dangerous-goods"))


def _registered(scene: Scene, register: pa.Table, name: str) -> list[str | None]:
    """Return a register column for each vehicle of the scene, None where there is no row or no value."""
    rows = dict(zip(register.column("veh_pid").to_pylist(), register.column(name).to_pylist(), strict=True))
    return [rows.get(pid) for pid in scene.pids]


def _versions(scene: Scene) -> pa.DictionaryArray:
    if "sw_version" not in scene.table.column_names:
        return pa.nulls(scene.n, pa.string()).dictionary_encode()
    return scene.table.column("sw_version").cast(pa.string()).combine_chunks().dictionary_encode()


def _judge(permit: Permit, type_code: str, pid: str, version: str | None) -> int:
    """Judge one vehicle with one software version against every class of the permit; the nearest miss is the reason."""
    classes = [each for each in permit.vehicles if each.type_code == type_code]
    if not classes:
        return _TYPE_WRONG
    classes = [each for each in classes if each.pids is None or pid in each.pids]
    if not classes:
        return _PID_WRONG
    if version is None:
        return _SW_MISSING
    numbers = sw_version(version)
    if numbers is None:
        return _SW_UNREADABLE
    return _TYPE_OK if any(each.sw_min <= numbers <= each.sw_max for each in classes) else _SW_WRONG
