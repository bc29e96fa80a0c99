"""How well conflicts agree with a reference list: recall and precision for each encounter and measure, and the error of the minimum TTC."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chengshu.methods.conflicts.lanes import Floats, Ints
from chengshu.methods.conflicts.parameters import DEFAULTS, ConflictParameters
from chengshu.methods.conflicts.tables import ENCOUNTERS

Names = Literal["any", "same"]

SLACK_MS = 2000
"""Two conflicts of one pair are the same if their times overlap when each is widened by this."""

GRADE_SCHEMA = pa.schema(
    [
        ("encounter", pa.string()),
        ("measure", pa.string()),
        ("n_truth", pa.int64()),
        ("n_found", pa.int64()),
        ("n_matched", pa.int64()),
        ("recall", pa.float64()),
        ("precision", pa.float64()),
        ("error_median", pa.float64()),
        ("error_p90", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class _Listed:
    """Conflicts that pass one measure's threshold, with pairs as unordered numbers, sorted by (pair, begin)."""

    pair: NDArray[np.int64]
    begin: Ints
    end: Ints
    value: Floats
    encounter: NDArray[np.str_]


def grade(conflicts: pa.Table, truth: pa.Table, *, parameters: ConflictParameters = DEFAULTS, names: Names = "any") -> pa.Table:
    """Return :data:`GRADE_SCHEMA`: a row for each encounter by TTC, one for DRAC and one for PET over all encounters.

    ``conflicts`` as :func:`detect_conflicts` returns them; ``truth`` with columns ego, foe, encounter, begin_ms, end_ms, min_ttc_s,
    max_drac_mps2, pet_s. Matched are conflicts of one unordered pair whose times overlap within two seconds and that both
    pass the threshold of the measure. An encounter changes its name while it lasts (merging becomes following), so names need be equal only
    if ``names`` is "same".
    ``n_matched`` counts known conflicts, so recall is ``n_matched / n_truth``; precision is the share of found ones that match any.
    Errors are absolute, of the matched truth's value (s, or m/s²). Recall and precision are null where there is nothing to divide by.
    """
    rows = []
    for measure, column, limit in (
        ("ttc", "min_ttc_s", parameters.ttc_s),
        ("drac", "max_drac_mps2", parameters.drac_mps2),
        ("pet", "pet_s", parameters.pet_s),
    ):
        found = _listed(conflicts, "track_a", "track_b", column=column, limit=limit, at_least=measure == "drac")
        known = _listed(truth, "ego", "foe", column=column, limit=limit, at_least=measure == "drac")
        known_hit, error = _matches(known, found, names=names)
        found_hit, _ = _matches(found, known, names=names)
        for encounter in ENCOUNTERS if measure == "ttc" else ("all",):
            of_known = (known.encounter == encounter) | (encounter == "all")
            of_found = (found.encounter == encounter) | (encounter == "all")
            rows.append(_row(encounter, measure, known_hit[of_known], found_hit[of_found], errors=error[of_known]))
    return pa.Table.from_pylist(rows, schema=GRADE_SCHEMA)


def _row(encounter: str, measure: str, known_hit: NDArray[np.bool_], found_hit: NDArray[np.bool_], *, errors: Floats) -> dict[str, object]:
    errors = errors[known_hit]
    return {
        "encounter": encounter,
        "measure": measure,
        "n_truth": len(known_hit),
        "n_found": len(found_hit),
        "n_matched": int(known_hit.sum()),
        "recall": float(known_hit.mean()) if len(known_hit) else None,
        "precision": float(found_hit.mean()) if len(found_hit) else None,
        "error_median": float(np.median(errors)) if len(errors) else None,
        "error_p90": float(np.quantile(errors, 0.9)) if len(errors) else None,
    }


def _listed(table: pa.Table, one: str, other: str, *, column: str, limit: float, at_least: bool) -> _Listed:
    value = table[column].to_numpy(zero_copy_only=False).astype(np.float64)
    passes = value >= limit if at_least else value <= limit
    a, b = table[one].to_numpy()[passes].astype(np.int64), table[other].to_numpy()[passes].astype(np.int64)
    begin, end = table["begin_ms"].to_numpy()[passes], table["end_ms"].to_numpy()[passes]
    names = np.array(table["encounter"].to_pylist(), dtype=np.str_)[passes]
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((begin, high, low))
    pair = np.stack((low, high))[:, order]
    return _Listed(pair, begin[order].astype(np.int64), end[order].astype(np.int64), value[passes][order], names[order])


def _matches(rows: _Listed, others: _Listed, *, names: Names) -> tuple[NDArray[np.bool_], Floats]:
    """Return which rows have a partner among the others, and how far the nearest partner's value is off (NaN without one)."""
    partners: dict[tuple[int, int], list[int]] = {}
    for at, (low, high) in enumerate(others.pair.T.tolist()):
        partners.setdefault((low, high), []).append(at)
    hit, error = np.zeros(len(rows.begin), dtype=np.bool_), np.full(len(rows.begin), np.nan)
    for at, (low, high) in enumerate(rows.pair.T.tolist()):
        near = [
            k
            for k in partners.get((low, high), ())
            if others.begin[k] - SLACK_MS <= rows.end[at]
            and others.end[k] + SLACK_MS >= rows.begin[at]
            and (names == "any" or others.encounter[k] == rows.encounter[at])
        ]
        if near:
            hit[at] = True
            error[at] = min(abs(others.value[k] - rows.value[at]) for k in near)
    return hit, error
