"""Agreements about a part of a product, on real nodes: no other column or row leaves its holder, whoever asks, by whatever means."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_space import BY_ROAD, PURPOSE, agree, ask, contract_for, counts, hang_up, publish, pull, sign, signed_job, until, wire

from chengshu.catalog.model import Product
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import MethodQuestion, SqlQuestion
from chengshu.cleanroom.planning.choosing import Choice
from chengshu.cleanroom.planning.explaining import explained
from chengshu.cleanroom.planning.service import Asked
from chengshu.cli import publishing
from chengshu.client.following import follow
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.node import Node
from chengshu.policy.constraint import Constraint
from chengshu.policy.model import Columns, Environment, Form, Methods, OutputForm, Policy, Purpose, RowFilter
from chengshu.policy.odrl import to_odrl
from chengshu.policy.parameters import read_test
from chengshu.policy.terms import Operand, Operator
from chengshu.testing import Space

RING = "SELECT road, COUNT(DISTINCT vehicle) AS vehicles FROM road.counts GROUP BY road ORDER BY road"
ALL = "SELECT COUNT(DISTINCT vehicle) AS vehicles, SUM(speed) AS total FROM road.{}"


@dataclass(frozen=True)
class Parts:
    """A road operator whose products are offered in part, a firm that asks, and a clean room."""

    space: Space
    road: Node
    firm: Node
    room: Node

    def offer(self, name: str, *, version: str = "1.0.0", **part: Any) -> InputChoice:
        """Publish a product, offered in part, and agree on it."""
        terms = publishing.Terms(self.room.identity.did, [PURPOSE], **part)
        publish(self.road, name, policy=publishing.offer_of(terms), version=version)
        return InputChoice(self.road.identity.did, name, agree(self.firm, self.road, name))

    def outcome(self, choice: InputChoice, sql: str) -> Standing:
        return ask(self.firm, self.room, [choice], question=SqlQuestion(sql))

    def granted(self, document: dict[str, Any], *, product: str) -> dict[str, Any]:
        """What the holder answers to a room that hands a job on without having looked at it."""
        message = {"job": document, "signature": sign(self.firm, document), "product": product}
        return wire(self.room).post(self.road.identity.did, "/room/inputs", message)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with Space(tmp_path_factory.mktemp("parts")) as space:
        road, firm = space.add("road"), space.add("firm")
        yield Parts(space, road, firm, space.add("room", clean_room=True))
    hang_up(*space.nodes.values())


@pytest.fixture(scope="module")
def ring(parts: Parts) -> InputChoice:
    """The ring's vehicles alone, and not their speeds."""
    return parts.offer("counts", columns=("road", "vehicle"), rows="road = 'ring'")


def rows_of(standing: Standing) -> list[tuple[Any, ...]]:
    assert standing.outcome is not None
    assert standing.outcome.state == "RELEASED", standing.outcome.refusal
    return [tuple(row.values()) for row in standing.outcome.tables["answer"].to_pylist()]


def read(file: Path) -> pa.Table:
    with file.open("rb") as source:
        return pa.ipc.open_file(source).read_all()


def rule_of(standing: Standing) -> str:
    assert standing.outcome is not None
    assert standing.outcome.refusal is not None
    return standing.outcome.refusal.rule


def test_an_answer_is_of_the_agreed_rows_and_so_is_what_is_metered(parts: Parts, ring: InputChoice) -> None:
    asked = parts.firm.queries.ask(RING, purpose=PURPOSE)
    assert isinstance(asked, Asked), asked
    standing = follow(lambda: parts.firm.asker.standing(asked.job), timeout_s=120.0)
    assert rows_of(standing) == [("ring", 20)]
    until(lambda: any(row["job"] == asked.job for row in parts.road.receipts.every()))
    (receipt,) = parts.road.receipts.show(asked.job, product="counts")
    assert receipt["receipt"]["rows"] == 20 * 5


def test_the_plan_says_which_rows_and_columns_beforehand(parts: Parts, ring: InputChoice) -> None:
    found = parts.firm.queries.plan(RING, purpose=PURPOSE)
    assert isinstance(found, Choice), found
    told = explained(found)
    rows = [{"column": "road", "predicate": "among", "values": ["ring"]}]
    assert told["terms"][0]["rows"] == rows
    assert told["statement"]["products"][0]["rows"] == rows
    handed = [one["columns"] for party in told["statement"]["parties"] for one in party["learns"] if one["what"] == "rows"]
    assert handed == [["road", "vehicle"]]


def test_a_column_beyond_the_agreement_is_refused_before_anything_is_asked(parts: Parts, ring: InputChoice) -> None:
    found = parts.firm.queries.ask(BY_ROAD, purpose=PURPOSE)
    assert isinstance(found, Refused)
    assert (found.rule, found.facts["column"]) == ("hidden-column", "speed")
    assert "agreement" in found.message


def test_the_room_is_handed_nothing_else(parts: Parts, ring: InputChoice, tmp_path: Path) -> None:
    document, _ = signed_job(parts.firm, parts.room, [ring], question=SqlQuestion(RING))
    token = parts.granted(document, product="counts")["token"]
    pull(parts.room, parts.road, token, tmp_path / "handed.arrow", job=document["id"])
    table = read(tmp_path / "handed.arrow")
    assert set(table.column_names) == {"road", "vehicle"}
    assert table.column("road").unique().to_pylist() == ["ring"]


@pytest.mark.parametrize("lie", ["whole schema", "all rows", "other rows", "a column more"])
def test_a_job_that_states_more_than_was_agreed_is_refused_by_the_holder(parts: Parts, ring: InputChoice, lie: str) -> None:
    document, _ = signed_job(parts.firm, parts.room, [ring], question=SqlQuestion(RING))
    schema = document["inputs"][0]["schema"]
    honest = deepcopy(schema)
    match lie:
        case "whole schema":
            document["inputs"][0]["schema"] = parts.firm.asker.schema(ring.holder, "counts").as_document()
        case "all rows":
            del schema["rows"]
        case "other rows":
            schema["rows"][0]["values"].append("gate")
        case _:
            schema["columns"][2] = {"name": "speed", "type": "double", "role": "filter"}
    assert schema != honest or lie == "whole schema"
    assert parts.granted(document, product="counts")["refused"]["rule"] == "schema-changed"


def test_a_column_that_may_not_be_shown_is_counted_and_filtered_and_names_no_group(parts: Parts) -> None:
    choice = parts.offer("shown", shown=("vehicle",))
    assert rows_of(parts.outcome(choice, "SELECT COUNT(DISTINCT vehicle) AS n FROM road.shown WHERE road = 'ring'")) == [(20,)]
    assert rule_of(parts.outcome(choice, RING.replace("counts", "shown"))) == "group-column"


def test_two_agreements_on_parts_are_not_subtracted(parts: Parts) -> None:
    """All but one vehicle under the one, every vehicle under the other: the difference is the one."""
    whole = parts.offer("twice")
    least = parts.offer("twice", version="1.0.1", rows="vehicle <> 'v007'")
    half = parts.offer("twice", version="1.0.2", rows="road = 'ring'")
    assert rows_of(parts.outcome(least, ALL.format("twice")))[0][0] == 39
    assert rule_of(parts.outcome(whole, ALL.format("twice"))) == "differencing"
    assert rule_of(parts.outcome(half, ALL.format("twice"))) == "differencing"  # the room does not see by how many the ring is less


def test_the_agreement_about_most_of_a_product_is_chosen(parts: Parts) -> None:
    parts.offer("chosen", rows="road = 'ring'")
    whole = parts.offer("chosen", version="1.0.1")
    parts.offer("chosen", version="1.0.2", columns=("road", "vehicle"))
    found = parts.firm.queries.plan(ALL.format("chosen"), purpose=PURPOSE)
    assert isinstance(found, Choice), found
    assert [one.part.agreement for one in found.candidates[0].terms] == [whole.agreement]


def test_a_sealed_method_is_handed_the_part_too(parts: Parts, tmp_path: Path) -> None:
    did = parts.room.identity.did
    rules = (Purpose(frozenset({PURPOSE})), Environment(did), Methods(frozenset({"small.worth"})), OutputForm(Form.AGGREGATE))
    policy = Policy((*rules, Columns(frozenset({"speed", "ROAD"})), RowFilter("vehicle IN ('v001', 'v002')")))
    publish(parts.road, "sealed", policy=to_odrl(policy))
    choice = InputChoice(parts.road.identity.did, "sealed", agree(parts.firm, parts.road, "sealed"))
    document, _ = signed_job(parts.firm, parts.room, [choice], question=MethodQuestion("small.worth", {}))
    token = parts.granted(document, product="sealed")["token"]
    pull(parts.room, parts.road, token, tmp_path / "handed.arrow", job=document["id"], product="sealed")
    table = read(tmp_path / "handed.arrow")
    whole = counts()
    expected = [row for row in whole.to_pylist() if row["vehicle"] in {"v001", "v002"}]
    assert table.to_pylist() == [{"road": row["road"], "speed": row["speed"]} for row in expected]


def test_a_sealed_method_runs_with_the_agreed_parameters_alone(parts: Parts) -> None:
    rules = (
        Purpose(frozenset({PURPOSE})),
        Environment(parts.room.identity.did),
        Methods(frozenset({"small.worth"})),
        OutputForm(Form.AGGREGATE),
    )
    agreed = Constraint(Operand.PARAMETERS, Operator.IS_ALL_OF, frozenset({read_test("n >= 100")}))
    publish(parts.road, "tuned", policy=to_odrl(Policy((*rules, agreed))))
    choice = InputChoice(parts.road.identity.did, "tuned", agree(parts.firm, parts.road, "tuned"))
    for parameters, expected in (({"n": 99}, "parameters"), ({}, "parameters"), ({"n": 100}, None)):
        document, _ = signed_job(parts.firm, parts.room, [choice], question=MethodQuestion("small.worth", parameters))
        answer = parts.granted(document, product="tuned")
        assert answer.get("refused", {}).get("rule") == expected


def test_an_offer_of_columns_or_rows_that_there_are_not_is_not_made(parts: Parts, tmp_path: Path) -> None:
    file = tmp_path / "more.parquet"
    pq.write_table(counts(), file)
    for part in ({"columns": ("lane",)}, {"rows": "lane = 3"}, {"rows": "road LIKE 'r%'"}, {"shown": ("roads",)}):
        offer = publishing.offer_of(publishing.Terms(parts.room.identity.did, [PURPOSE], **part))  # type: ignore[arg-type]  # by name
        with pytest.raises(Invalid) as caught:
            publishing.publish(parts.road, file, contract=None, policy=offer, acceptance=publishing.Acceptance.CLEAN)
        assert caught.value.code == "policy.extent"
    assert "more" not in [one.id for one in parts.road.catalog.products()]


def test_a_product_that_is_published_again_without_a_column_of_the_agreement_says_so_on_both_sides(parts: Parts, tmp_path: Path) -> None:
    choice = parts.offer("again", rows="road = 'ring'")
    document, _ = signed_job(parts.firm, parts.room, [choice], question=SqlQuestion("SELECT COUNT(*) AS n FROM road.again"))
    file = tmp_path / "again.parquet"
    pq.write_table(counts().drop_columns(["road"]), file)
    contract = contract_for("again", owner="road", version="2.0.0")
    contract = replace(contract, columns=tuple(one for one in contract.columns if one.name != "road"))
    offer = publishing.offer_of(publishing.Terms(parts.room.identity.did, [PURPOSE]))
    assert isinstance(parts.road.catalog.publish(document_of(contract), source=file, policy=offer), Product)
    assert parts.granted(document, product="again")["refused"]["rule"] == "row-filter"
    found = parts.firm.queries.plan("SELECT COUNT(*) AS n FROM road.again", purpose=PURPOSE)
    assert isinstance(found, Refused)
    assert (found.rule, "road" in found.message) == ("row-filter", True)


def test_holders_that_add_up_their_own_rows_add_up_the_agreed_ones(tmp_path: Path) -> None:
    with Space(tmp_path) as space:
        holders = [space.add(name) for name in ("north", "south", "east")]
        firm, _ = space.add("firm"), space.add("room", clean_room=True)
        for node in holders:
            rows = "vehicle <> 'v000' AND road IS NOT NULL" if node is holders[0] else None
            publish(node, "counts", policy=publishing.offer_of(publishing.Terms(node.identity.did, [PURPOSE], rows=rows)))
            agree(firm, node, "counts")
        union = " UNION ALL ".join(f"SELECT road, speed FROM {node.settings.node.handle}.counts" for node in holders)  # noqa: S608  # names of this test
        asked = firm.queries.ask(f"SELECT road, COUNT(*) AS n FROM ({union}) AS d GROUP BY road ORDER BY road", purpose=PURPOSE)  # noqa: S608  # as above
        assert isinstance(asked, Asked), asked
        assert asked.candidate.plan.placement == "secure-aggregation"
        assert rows_of(follow(lambda: firm.asker.standing(asked.job), timeout_s=120.0)) == [("gate", 300), ("ring", 295)]
    hang_up(*space.nodes.values())
