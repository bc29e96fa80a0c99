"""A product in a holder's database, asked about through a room: what its agreement was about, or the reason why not, on every side."""

# ruff: noqa: S608  # statements for servers of the tests' own

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pg8000.native as driver
import pytest
from small_space import PURPOSE, agree, ask, contract_for, counts, hang_up, kinds, signed_job, until, wire

from chengshu.catalog.model import Product
from chengshu.catalog.odcs import document_of
from chengshu.catalog.place import TablePlace, Technology
from chengshu.catalog.sources.access import FILE_NAME
from chengshu.cleanroom.asker import InputChoice
from chengshu.cli import publishing
from chengshu.kernel.secret_files import put_secret
from chengshu.node import KEYS, Node
from chengshu.testing import Space
from databases import USER, Cluster, cluster


@dataclass
class Shop:
    """A space whose road operator's sightings are in a PostgreSQL server of its own."""

    road: Node
    firm: Node
    room: Node
    server: Cluster

    def run(self, *statements: str) -> None:
        with closing(driver.Connection(USER, host="127.0.0.1", port=self.server.port)) as connection:
            for statement in statements:
                connection.run(statement)

    def publish(self, name: str) -> InputChoice:
        """A table of sightings as a product of that name, and the firm's agreement on it."""
        self.run(f"CREATE TABLE {name} (n serial PRIMARY KEY, road text, vehicle text, speed float8)")
        rows = ", ".join(f"('{row['road']}', '{row['vehicle']}', {row['speed']})" for row in counts().to_pylist())
        self.run(f"INSERT INTO {name} (road, vehicle, speed) VALUES {rows}")
        place = TablePlace("traffic", Technology.POSTGRESQL, "127.0.0.1", self.server.port, USER, "public", name)
        wanted = replace(contract_for(name, owner="road"), place=place, table="counts")
        policy = publishing.offer_of(publishing.Terms(self.room.identity.did, [PURPOSE]))
        assert isinstance(self.road.catalog.publish(document_of(wanted), policy=policy), Product)
        return InputChoice(self.road.identity.did, name, agree(self.firm, self.road, name))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("in-place")
    with cluster() as server, Space(folder) as space:
        road, firm = space.add("road"), space.add("firm")
        room = space.add("room", clean_room=True)
        entry = f'[traffic]\ntype = "postgresql"\nhost = "127.0.0.1"\nport = {server.port}\ndatabase = "{USER}"\nuser = "{USER}"\n'
        put_secret(road.folder / KEYS / FILE_NAME, entry.encode())
        yield Shop(road, firm, room, server)
        hang_up(*space.nodes.values())


def test_a_job_is_answered_from_the_table(shop: Shop) -> None:
    standing = ask(shop.firm, shop.room, [shop.publish("asked")])
    assert standing.outcome is not None
    assert standing.state == "RELEASED"
    assert standing.outcome.tables["answer"].column("vehicles").to_pylist() == [20, 20]


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("moved", "UPDATE moved SET speed = speed + 1 WHERE n = 1", "product-changed"),
        ("grown", "INSERT INTO grown (road, vehicle, speed) VALUES ('ring', 'v999', 1)", "product-changed"),
        ("emptied", "DELETE FROM emptied", "product-changed"),
        ("cut", "ALTER TABLE cut DROP COLUMN speed", "schema-drift"),
        ("retyped", "ALTER TABLE retyped ALTER COLUMN speed TYPE text", "schema-drift"),
        ("renamed", "ALTER TABLE renamed RENAME TO other_name", "schema-drift"),
    ],
)
def test_a_job_over_something_else_than_was_published_is_refused_by_its_rule(shop: Shop, name: str, change: str, rule: str) -> None:
    choice = shop.publish(name)
    shop.run(change)
    before = len(kinds(shop.road))
    standing = ask(shop.firm, shop.room, [choice])
    assert standing.outcome is not None
    assert standing.outcome.refusal is not None
    assert (standing.state, standing.outcome.refusal.rule) == ("REFUSED", rule)
    assert standing.outcome.tables == {}
    left = kinds(shop.road)[before:]
    assert [kind for kind in left if kind.startswith("transfer.")] == ["transfer.started", "transfer.stopped"]
    assert "use.metered" not in left


def test_a_server_that_is_away_is_waited_for_by_name_and_the_job_goes_on_once_it_is_back(shop: Shop) -> None:
    document, signature = signed_job(shop.firm, shop.room, [shop.publish("slow")])
    shop.server.stop()
    back = threading.Timer(3.0, shop.server.start)
    back.start()
    wire(shop.firm).post(shop.room.identity.did, "/room/jobs", {"job": document, "signature": signature})

    def standing() -> dict[str, object]:
        return wire(shop.firm).post(shop.room.identity.did, "/room/jobs/standing", {"job": document["id"]})

    until(lambda: standing()["waits_for"] == "road.counts from its holder (source.unavailable)")
    until(lambda: standing()["outcome"] is not None)
    back.join()
    assert standing()["state"] == "RELEASED"
    assert kinds(shop.road, document["id"]).count("use.metered") == 1
