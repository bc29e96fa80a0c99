"""The regulator's sealed method: the permit held against what the vehicles did, in counts of vehicles and never in tracks."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.methods.pilot.compliance import evaluate
from chengshu.methods.pilot.context import PilotContext
from chengshu.methods.pilot.directive import Directive
from chengshu.methods.pilot.permit import Permit
from chengshu.methods.pilot.rules import RULES
from chengshu.methods.sealed import Tables

_RECORDS = {
    "vehicles": pa.schema([("veh_pid", pa.string()), ("vehicle_type", pa.string()), ("operator", pa.string())]),
    "weather": pa.schema([("t_ms", pa.int64()), ("rain_mm_h", pa.float64()), ("wind_mps", pa.float64()), ("visibility_m", pa.float64())]),
    "officers": pa.schema(
        [("officer_id", pa.string()), ("mode", pa.string()), ("veh_pid", pa.string()), ("begin_ms", pa.int64()), ("end_ms", pa.int64())]
    ),
    "insurance": pa.schema([("veh_pid", pa.string()), ("begin_ms", pa.int64()), ("end_ms", pa.int64()), ("cover_fen", pa.int64())]),
    "cargo": pa.schema([("veh_pid", pa.string()), ("begin_ms", pa.int64()), ("end_ms", pa.int64()), ("dangerous", pa.bool_())]),
    "stop_events": pa.schema([("veh_pid", pa.string()), ("begin_ms", pa.int64()), ("end_ms", pa.int64())]),
}


def supervise(tables: Tables, parameters: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Return ``rules``: for each of R01 to R15 how many vehicles were looked at, and how many are COMPLIANT, in VIOLATION or UNKNOWN.

    A vehicle is in VIOLATION of a rule when one episode is, else UNKNOWN when one episode is, else COMPLIANT. ``missing_from`` lists whose
    data would have decided what is UNKNOWN. Inputs: av_state, permit (a document), pilot_register (a document, optional).
    """
    del parameters
    permit = Permit.parse(_document(tables["permit"], "permit"))
    register = _document(tables["pilot_register"], "pilot_register") if "pilot_register" in tables else {}
    episodes = evaluate(tables["av_state"], permit=permit, context=context_of(register))
    vehicles = len(set(tables["av_state"]["veh_pid"].to_pylist()))
    rows = []
    for rule in RULES:
        worst, missing = _worst(episodes, rule.rule_id)
        counts = {state: sum(1 for one in worst.values() if one == state) for state in ("COMPLIANT", "VIOLATION", "UNKNOWN")}
        rows.append(
            {
                "rule": rule.rule_id,
                "title_en": rule.title.en,
                "title_zh": rule.title.zh,
                "source": rule.source,
                "n": vehicles,
                "compliant": counts["COMPLIANT"],
                "violation": counts["VIOLATION"],
                "unknown": counts["UNKNOWN"],
                "missing_from": ", ".join(sorted(missing)),
            }
        )
    return {"rules": pa.Table.from_pylist(rows)}


def context_of(register: Mapping[str, Any]) -> PilotContext:
    """Return what a register says as the rules take it; a part that is not in it stays unknown."""
    tables = {name: pa.Table.from_pylist(register[name], schema=schema) for name, schema in _RECORDS.items() if name in register}
    directives = tuple(Directive.parse(one) for one in register["directives"]) if "directives" in register else None
    return PilotContext(**tables, directives=directives)


def _worst(episodes: pa.Table, rule: str) -> tuple[dict[str, str], set[str]]:
    order = {"COMPLIANT": 0, "UNKNOWN": 1, "VIOLATION": 2}
    worst: dict[str, str] = {}
    missing: set[str] = set()
    columns = (episodes[name].to_pylist() for name in ("rule", "veh_pid", "result", "missing_from"))
    for name, pid, result, absent in zip(*columns, strict=True):
        if name != rule:
            continue
        if order[result] >= order.get(worst.get(pid, "COMPLIANT"), 0):
            worst[pid] = result
        if absent:
            missing.add(absent)
    return worst, missing


def _document(table: pa.Table, name: str) -> dict[str, Any]:
    try:
        document = json.loads(table["document"][0].as_py())
    except (KeyError, IndexError, TypeError, ValueError):
        document = None
    if not isinstance(document, dict):
        raise Invalid(
            "pilot.document",
            f"{name}: expected one row with a JSON object in the column document, got something else",
            hint=Text("Publish the document as a .json file.", "请以 .json 文件发布该文档。"),
        )
    return document
