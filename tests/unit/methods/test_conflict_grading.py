import pyarrow as pa

from chengshu.methods.conflicts import CONFLICT_SCHEMA, grade

EMPTY = dict.fromkeys(CONFLICT_SCHEMA.names)


def conflicts(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist([EMPTY | row for row in rows], schema=CONFLICT_SCHEMA)


def truth(*rows: dict[str, object]) -> pa.Table:
    return conflicts(*rows).rename_columns(["ego", "foe", *CONFLICT_SCHEMA.names[2:]])


def one(a: int, b: int, begin: int, end: int, **measures: object) -> dict[str, object]:
    ids = {"track_a": a, "track_b": b, "begin_ms": begin, "end_ms": end}
    return ids | {"encounter": measures.pop("encounter", "following")} | measures


def row_of(table: pa.Table, encounter: str, measure: str) -> dict[str, object]:
    (row,) = [row for row in table.to_pylist() if (row["encounter"], row["measure"]) == (encounter, measure)]
    return row


def test_pairs_match_in_either_order_if_their_times_are_near() -> None:
    found = conflicts(one(2, 1, 0, 1000, min_ttc_s=1.5), one(3, 4, 0, 1000, min_ttc_s=2.0))
    known = truth(one(1, 2, 2900, 4000, min_ttc_s=1.0), one(3, 4, 3100, 4000, min_ttc_s=1.0))
    row = row_of(grade(found, known), "following", "ttc")
    assert (row["n_truth"], row["n_found"], row["n_matched"]) == (2, 2, 1)
    assert (row["recall"], row["precision"], row["error_median"]) == (0.5, 0.5, 0.5)


def test_only_values_past_the_threshold_count() -> None:
    found = conflicts(one(1, 2, 0, 1000, min_ttc_s=3.5, max_drac_mps2=3.2))
    known = truth(one(1, 2, 0, 1000, min_ttc_s=2.9, max_drac_mps2=3.0))
    table = grade(found, known)
    assert (row_of(table, "following", "ttc")["n_found"], row_of(table, "following", "ttc")["recall"]) == (0, 0.0)
    assert (row_of(table, "all", "drac")["n_found"], row_of(table, "all", "drac")["recall"]) == (1, 1.0)


def test_nothing_to_find_has_no_recall() -> None:
    row = row_of(grade(conflicts(), truth()), "crossing", "ttc")
    assert (row["n_truth"], row["recall"], row["precision"], row["error_p90"]) == (0, None, None, None)


def test_names_need_be_equal_only_if_asked() -> None:
    found = conflicts(one(1, 2, 0, 1000, min_ttc_s=1.5, encounter="following"))
    known = truth(one(1, 2, 0, 1000, min_ttc_s=1.5, encounter="merging"))
    assert row_of(grade(found, known), "merging", "ttc")["recall"] == 1.0
    assert row_of(grade(found, known, names="same"), "merging", "ttc")["recall"] == 0.0
