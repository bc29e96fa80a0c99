"""What is known beside the telemetry: who supplied it, and that nobody supplied it."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.methods.pilot.directive import Directive

CAR_MAKER = "car maker"
FLEET = "fleet operator"
REGULATOR = "regulator"
WEATHER = "weather service"
INSURER = "insurer"

_COLUMNS: dict[str, tuple[str, ...]] = {
    "vehicles": ("veh_pid", "vehicle_type", "operator"),
    "weather": ("t_ms", "rain_mm_h", "wind_mps", "visibility_m"),
    "officers": ("officer_id", "mode", "veh_pid", "begin_ms", "end_ms"),
    "insurance": ("veh_pid", "begin_ms", "end_ms", "cover_fen"),
    "cargo": ("veh_pid", "begin_ms", "end_ms", "dangerous"),
    "stop_events": ("veh_pid", "begin_ms", "end_ms"),
}
_NEVER_NULL = ("veh_pid", "officer_id", "mode", "t_ms", "begin_ms", "end_ms", "cover_fen")


@dataclass(frozen=True, slots=True)
class PilotContext:
    """The other parties' records for the same time; None = not supplied, and then no rule that needs it says COMPLIANT.

    - ``vehicles``: veh_pid, vehicle_type, operator. A vehicle without a row, or a null cell, is unknown, not unpermitted.
    - ``weather``: t_ms, rain_mm_h, wind_mps, visibility_m. A record holds for 15 minutes; a null cell is unknown.
    - ``officers``: officer_id, mode (onboard | remote), veh_pid, begin_ms, end_ms. The whole roster: who is not on it was not there.
    - ``insurance``: veh_pid, begin_ms, end_ms, cover_fen int64. The whole register: what is not in it is not insured.
    - ``cargo``: veh_pid, begin_ms, end_ms, dangerous (bool). Declarations: undeclared is unknown.
    - ``stop_events``: veh_pid, begin_ms, end_ms. Every taking up and setting down.
    - ``directives``: temporary directives in force; an empty tuple says that there are none.

    Intervals are [begin_ms, end_ms) in UTC epoch milliseconds. Raises Invalid naming table, row and column.
    """

    vehicles: pa.Table | None = None
    weather: pa.Table | None = None
    officers: pa.Table | None = None
    insurance: pa.Table | None = None
    cargo: pa.Table | None = None
    stop_events: pa.Table | None = None
    directives: tuple[Directive, ...] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            table = getattr(self, field.name)
            if field.name in _COLUMNS and table is not None:
                _check(table, field.name)


def column(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column as an array (nulls: NaN in numbers, None in texts)."""
    array: NDArray[Any] = table.column(name).to_numpy()
    return array


def _check(table: pa.Table, name: str) -> None:
    missing = [wanted for wanted in _COLUMNS[name] if wanted not in table.column_names]
    if missing:
        raise _invalid(f"table {name}: expected the columns {', '.join(_COLUMNS[name])}, got a table without {', '.join(missing)}")
    for wanted in _COLUMNS[name]:
        if wanted in _NEVER_NULL and table.column(wanted).null_count:
            row = pc.index(table.column(wanted).is_null(), True).as_py()
            raise _invalid(f"table {name}, row {row}, column {wanted}: expected a value, got null")
    if "begin_ms" in table.column_names:
        reversed_rows = np.flatnonzero(column(table, "end_ms") < column(table, "begin_ms"))
        if len(reversed_rows):
            raise _invalid(f"table {name}, row {reversed_rows[0]}, column end_ms: expected a time not before begin_ms, got an earlier one")
    if name == "officers" and not set(pc.unique(table.column("mode")).to_pylist()) <= {"onboard", "remote"}:
        raise _invalid("table officers, column mode: expected onboard or remote, got another word")


def _invalid(message: str) -> Invalid:
    return Invalid("pilot.context", message, hint=Text("Correct the record and evaluate again.", "请更正该记录后重新评估。"))
