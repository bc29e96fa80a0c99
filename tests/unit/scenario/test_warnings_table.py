"""What was really warned of stands beside what could be seen."""

from chengshu.kernel.text import Text
from chengshu.scenario.report import worth
from chengshu.scenario.report.reading import cast_of

ROW = {"view": "all", "n": 27, "warned": 21, "in_time": 0, "warnings": 41, "true_warnings": 28, "recall": 21 / 27, "precision": 28 / 41}


def test_the_warnings_of_all_parties_and_of_one_are_told_by_name(play, pack):
    job = next(job for job in play["jobs"] if job["part"] == "hazards")
    job["tables"]["warnings"] = [{**ROW, "view": "car_maker", "warned": 20}, ROW]
    table = worth.warnings(play, cast_of(play, pack))
    assert table is not None
    assert [row[0] for row in table.rows] == [Text("Car maker", "车企"), worth.TOGETHER]
    assert [row[2] for row in table.rows] == ["20", "21"]


def test_without_graded_warnings_there_is_no_table(play, pack):
    assert worth.warnings(play, cast_of(play, pack)) is None
