"""One question of the rows of two owners, on real nodes: each judges it, counts it and is told of it as if it had been asked alone."""

from small_space import PURPOSE, Town, counts, until

from chengshu.cleanroom.planning.service import Asked
from chengshu.client.following import follow
from chengshu.kernel.refusal import Refused

BOTH = "(SELECT road, speed FROM road.counts UNION ALL SELECT road, speed FROM fleet.trips) AS d"
BY_ROAD = f"SELECT road, COUNT(*) AS n, SUM(speed) AS speed FROM {BOTH} GROUP BY road ORDER BY road"  # noqa: S608  # of this file
SHARED = BY_ROAD.replace("COUNT(*)", "COUNT(DISTINCT road)")


def test_two_owners_rows_are_one_answer_and_two_uses(town: Town) -> None:
    one = town.firm.queries.ask(BY_ROAD, purpose=PURPOSE)
    assert isinstance(one, Asked), one
    standing = follow(lambda: town.firm.asker.standing(one.job), timeout_s=120.0)
    assert standing.outcome is not None
    rows = [*counts().to_pylist(), *counts(vehicles=range(30, 60)).to_pylist()]
    expected = [(road, [row["speed"] for row in rows if row["road"] == road]) for road in ("gate", "ring")]
    answer = [tuple(row.values()) for row in standing.outcome.tables["answer"].to_pylist()]
    assert answer == [(road, len(speeds), float(f"{sum(speeds):.6g}")) for road, speeds in expected]
    for node, product in ((town.road, "counts"), (town.fleet, "trips")):
        until(lambda node=node: any(row["job"] == one.job for row in node.receipts.every()))  # type: ignore[misc]  # bound at once
        assert [row["leakage"] for row in node.receipts.show(one.job, product=product)] == [one.candidate.job.leakage]
    assert one.candidate.statement is not None
    shown = {output["column"]: [each["of"] for each in output["shows"]] for output in one.candidate.statement["released"]}
    assert shown == {"road": ["fleet.trips.road", "road.counts.road"], "n": [None], "speed": ["fleet.trips.speed", "road.counts.speed"]}


def test_what_two_owners_share_is_refused_before_anything_is_signed(town: Town) -> None:
    refusal = town.firm.queries.ask(SHARED, purpose=PURPOSE)
    assert isinstance(refusal, Refused)
    assert refusal.rule == "union-column"
