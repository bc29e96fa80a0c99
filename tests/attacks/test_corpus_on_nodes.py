"""Attacks of the corpus on real nodes, from the entry of ``chengshu query`` to the end in every log: the same verdicts as in the corpus."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from attack_files import CORPUS, Answer, Attack, read
from attacked_rooms import schemas, tables
from small_space import PURPOSE, WAIT_S, agree, hang_up, kinds, until

from chengshu.catalog.model import Column, DataContract, LogicalType, Product, Role
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.model import ColumnType, Schema
from chengshu.cli import publishing
from chengshu.client.following import follow
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.node import Node
from chengshu.testing import Space

TRIED = (
    "trackers/individual_tracker",
    "trackers/general_tracker_the_other_way_round",
    "trackers/differencing_through_a_common_table",
    "membership/by_an_empty_answer",
    "group_size/by_doubled_records",
    "group_size/by_having_as_an_oracle",
    "singling_out/by_a_hidden_column_through_an_alias",
    "statements/a_second_statement",
)
_TYPES = {
    ColumnType.TEXT: (LogicalType.STRING, "string"),
    ColumnType.INTEGER: (LogicalType.INTEGER, "int64"),
    ColumnType.DOUBLE: (LogicalType.NUMBER, "float64"),
}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node, Node]]:
    with Space(tmp_path_factory.mktemp("attacked")) as space:
        fleet, asker = (space.add(name) for name in ("fleet", "asker"))
        yield fleet, asker, space.add("room", clean_room=True)
    hang_up(*space.nodes.values())


def _contract(schema: Schema, name: str) -> DataContract:
    columns = tuple(
        Column(
            one.name,
            *_TYPES[one.type],
            role=Role(one.role.value),
            aggregates=tuple(sorted(aggregate.value for aggregate in one.aggregates)),
            minimum=None if one.lower is None else float(one.lower),
            maximum=None if one.upper is None else float(one.upper),
        )
        for one in schema.columns
    )
    title = Text("Jobs of a fleet", "车队作业")
    return DataContract(
        name, "1.0.0", name, title, "fleet", "attacked", columns, privacy_unit=schema.privacy_unit, minimum_group=schema.minimum_group
    )


def _publish(fleet: Node, room: Node, name: str) -> None:
    (schema,) = [one for one in schemas() if one.product == "fleet.jobs"]
    file = fleet.folder / "files" / f"{name}.parquet"
    file.parent.mkdir(exist_ok=True)
    pq.write_table(tables(None)["fleet.jobs"], file)
    policy = publishing.offer_of(publishing.Terms(room.identity.did, [PURPOSE]))
    assert isinstance(fleet.catalog.publish(document_of(_contract(schema, name)), source=file, policy=policy), Product)


def _asked(asker: Node, sql: str) -> tuple[Answer, str]:
    found = asker.queries.ask(sql, purpose=PURPOSE)
    if isinstance(found, Refused):
        return Answer(found.rule), ""
    ended = follow(lambda: asker.asker.standing(found.job), timeout_s=WAIT_S)
    assert ended.outcome is not None
    if ended.outcome.refusal is not None:
        return Answer(ended.outcome.refusal.rule), found.job
    return Answer("answered", tuple(tuple(row.values()) for row in ended.outcome.tables["answer"].to_pylist())), found.job


@pytest.mark.parametrize("attack", [read(CORPUS / f"{one}.sql") for one in TRIED], ids=TRIED)
def test_an_attack_fails_on_real_nodes_by_the_same_rule(attack: Attack, nodes: tuple[Node, Node, Node], tmp_path: Path) -> None:
    fleet, asker, room = nodes
    name = f"jobs{TRIED.index(f'{attack.path.parent.name}/{attack.path.stem}')}"  # of its own, so that no attack is held against another
    _publish(fleet, room, name)
    agree(asker, fleet, name)
    told = [_asked(asker, sql.replace("fleet.jobs", f"fleet.{name}")) for sql in attack.questions]
    answers = [answer for answer, _ in told]
    assert [one.verdict for one, expected in zip(answers, attack.stopped_by, strict=True) if one.verdict not in expected] == []
    assert attack.criterion.string.startswith("differs") or not attack.succeeds(answers, answers, tmp_path)
    for answer, job in told:
        end = "job.released" if answer.verdict == "answered" else "job.refused"
        for node in (fleet, room, asker) if job else ():
            until(lambda node=node, job=job, end=end: end in kinds(node, job))  # type: ignore[misc]  # bound at once
