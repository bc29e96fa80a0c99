import pyarrow as pa
import pytest

from chengshu.kernel.errors import Invalid
from chengshu.methods.ssm import TRUTH, Truth, read_ssm

NUMBERS = {"a": 1, "b": 2, "c": 3}
NONE = '"NA" position="NA" type="NA" value="NA"'


def measure(tag: str, value: str, *, code: int, time: float = 20.0, at: str = "5.00,6.00") -> str:
    return f'<{tag} time="{time:.2f}" position="{at}" type="{code}" value="{value}" speed="3.00"/>'


def conflict(*measures: str, ego: str = "a", foe: str = "b", begin: float = 18.0, end: float = 26.0) -> str:
    absent = "".join(f"<{tag} time={NONE}/>" for tag in ("minTTC", "maxDRAC", "PET") if not any(f"<{tag} " in m for m in measures))
    return f'<conflict begin="{begin:.2f}" end="{end:.2f}" ego="{ego}" foe="{foe}">{"".join(measures)}{absent}</conflict>'


def read(*conflicts: str) -> Truth:
    return read_ssm(f"<SSMLog>{''.join(conflicts)}</SSMLog>".encode(), numbers=NUMBERS, start_ms=10_000, duration_ms=60_000)


def test_a_pair_logged_from_both_sides_is_one_row_with_the_worst_of_both() -> None:
    truth = read(
        conflict(measure("minTTC", "2.10", code=2), measure("maxDRAC", "1.00", code=2)),
        conflict(
            measure("minTTC", "2.00", code=3, time=20.1, at="7.00,8.00"),
            measure("maxDRAC", "1.50", code=3, time=20.3),
            ego="b",
            foe="a",
            begin=18.1,
            end=26.2,
        ),
    )
    assert truth.table.to_pylist() == [
        {
            "ego": 1,
            "foe": 2,
            "encounter": "following",
            "begin_ms": 8000,
            "end_ms": 16200,
            "min_ttc_s": 2.0,
            "min_ttc_ms": 10100,
            "max_drac_mps2": 1.5,
            "max_drac_ms": 10300,
            "pet_s": None,
            "pet_ms": None,
            "x_m": 7.0,
            "y_m": 8.0,
        }
    ]
    assert truth.dropped.merged == 1


def test_two_episodes_of_one_pair_stay_two_rows() -> None:
    ttc = measure("minTTC", "2.10", code=2)
    later = measure("minTTC", "1.10", code=2, time=40.0)
    truth = read(conflict(later, begin=35.0, end=45.0), conflict(ttc, begin=18.0, end=26.0))
    assert truth.table["min_ttc_s"].to_pylist() == [2.1, 1.1]


@pytest.mark.parametrize(("code", "follower"), [(2, 1), (3, 2), (6, 2), (7, 1), (10, 2), (11, 1), (12, 2), (13, 1)])
def test_the_follower_comes_first(code: int, follower: int) -> None:
    assert read(conflict(measure("minTTC", "2.00", code=code))).table["ego"].to_pylist() == [follower]


def test_the_lower_number_comes_first_where_the_log_does_not_say_who_followed() -> None:
    truth = read(conflict(measure("PET", "1.20", code=17), ego="c", foe="b"))
    assert (truth.table["ego"].to_pylist(), truth.table["foe"].to_pylist()) == ([2], [3])


@pytest.mark.parametrize(
    ("code", "encounter"), [(2, "following"), (3, "following"), (6, "merging"), (7, "merging"), (10, "crossing"), (13, "crossing")]
)
def test_codes_become_the_three_kinds(code: int, encounter: str) -> None:
    assert read(conflict(measure("minTTC", "2.00", code=code))).table["encounter"].to_pylist() == [encounter]


def test_the_sentinel_is_no_post_encroachment_time() -> None:
    sentinel = measure("PET", "-179769313486231570814527423731704356798070567525844996598917.00e248", code=17)
    truth = read(conflict(measure("minTTC", "2.00", code=10), sentinel), conflict(sentinel, ego="a", foe="c"))
    assert truth.table["pet_s"].to_pylist() == [None]
    assert (truth.dropped.sentinel, truth.dropped.harmless) == (2, 0)


def test_a_collision_that_was_none_leaves_only_the_other_measures() -> None:
    truth = read(
        conflict(measure("minTTC", "0.00", code=111), measure("maxDRAC", "4.00", code=7), measure("PET", "0.00", code=111)),
        conflict(measure("minTTC", "0.00", code=111), ego="a", foe="c"),
    )
    rows = truth.table.select(["encounter", "min_ttc_s", "max_drac_mps2", "pet_s"]).to_pylist()
    assert rows == [{"encounter": "merging", "min_ttc_s": None, "max_drac_mps2": 4.0, "pet_s": None}]
    assert truth.dropped.collision_class == 3


def test_measures_of_different_kinds_become_rows_of_their_own() -> None:
    truth = read(conflict(measure("minTTC", "1.00", code=2), measure("maxDRAC", "3.50", code=2), measure("PET", "0.80", code=17)))
    rows = truth.table.select(["encounter", "min_ttc_s", "pet_s"]).to_pylist()
    assert rows == [
        {"encounter": "crossing", "min_ttc_s": None, "pet_s": 0.8},
        {"encounter": "following", "min_ttc_s": 1.0, "pet_s": None},
    ]


def test_a_value_on_the_safe_side_of_its_threshold_makes_no_conflict_of_its_own() -> None:
    truth = read(conflict(measure("minTTC", "9.00", code=2), measure("PET", "0.80", code=17)))
    assert truth.table["encounter"].to_pylist() == ["crossing"]
    assert truth.dropped.harmless == 1


def test_what_happened_before_the_recording_is_left_out() -> None:
    truth = read(
        conflict(measure("minTTC", "1.00", code=2, time=9.0), begin=8.0, end=15.0),
        conflict(measure("minTTC", "1.00", code=2, time=11.0), ego="a", foe="c", begin=8.0, end=15.0),
    )
    assert truth.table.select(["foe", "begin_ms", "min_ttc_ms"]).to_pylist() == [{"foe": 3, "begin_ms": 0, "min_ttc_ms": 1000}]
    assert truth.dropped.outside_time == 1


def test_a_vehicle_that_is_not_in_the_recording_is_counted_and_left_out() -> None:
    truth = read(conflict(measure("minTTC", "1.00", code=2), foe="stranger"))
    assert (truth.table.num_rows, truth.dropped.unknown_vehicle) == (0, 1)


def test_adjacent_lanes_carry_no_conflict() -> None:
    truth = read(conflict(measure("minTTC", "1.00", code=4)))
    assert (truth.table.num_rows, truth.dropped.other_class) == (0, 1)


def test_an_empty_log_is_an_empty_table_of_the_right_columns() -> None:
    assert read().table.schema.equals(TRUTH)
    assert isinstance(read().table, pa.Table)


@pytest.mark.parametrize(
    "content",
    [b"", b"<other/>", b'<SSMLog><conflict begin="x" end="1" ego="a" foe="b"/></SSMLog>'],
)
def test_another_file_is_invalid(content: bytes) -> None:
    with pytest.raises(Invalid):
        read_ssm(content, numbers=NUMBERS, start_ms=0, duration_ms=1000)
