"""The commands about places, as a person and as a program run them, over a real PostgreSQL server."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pg8000.native as driver
import pytest
from small_space import born
from typer.testing import CliRunner

from chengshu.catalog.sources.access import FILE_NAME
from chengshu.cli.doctor import examine
from chengshu.cli.main import app
from chengshu.kernel.secret_files import put_secret
from chengshu.node import KEYS, Node
from databases import USER, Cluster, cluster

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command leaves closing its connections to its process's end


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as server:
        yield server


@pytest.fixture
def node(server: Cluster, tmp_path: Path) -> Node:
    node = born(tmp_path / "shop", "shop")
    entry = f'[sales]\ntype = "postgresql"\nhost = "127.0.0.1"\nport = {server.port}\ndatabase = "{USER}"\nuser = "{USER}"\n'
    put_secret(node.folder / KEYS / FILE_NAME, entry.encode())
    return node


def run(server: Cluster, *statements: str) -> None:
    with closing(driver.Connection(USER, host="127.0.0.1", port=server.port)) as connection:
        for statement in statements:
            connection.run(statement)


def command(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.stdout


def test_a_table_is_inferred_checked_published_and_watched_by_the_doctor(server: Cluster, node: Node, tmp_path: Path) -> None:
    run(
        server,
        "CREATE TABLE sold (id int PRIMARY KEY, amount numeric(10,2), raw json)",
        "INSERT INTO sold VALUES (1, 2.50, '{}'), (2, 3, '{}')",
    )
    contract = tmp_path / "sold.yaml"
    contract.write_text(command("source", "infer", "sales", "public.sold", "--node", node.folder), encoding="utf-8")
    assert "left out: raw (json)" in contract.read_text(encoding="utf-8")
    assert json.loads(command("source", "infer", "sales", "public.sold", "--node", node.folder, "--json"))["id"] == "sold"
    assert command("source", "check", contract, "--node", node.folder, "--lang", "en").splitlines() == [
        "id: integer → int64: fits",
        "amount: numeric(10,2) → float64: fits",
        "raw: not in the contract: kept out",
        "public.sold at sales: the contract fits",
    ]
    published = json.loads(
        command("product", "publish", "--contract", contract, "--rows", "--to", node.identity.did, "--node", node.folder, "--json")
    )
    assert (published["product"], published["rows"]) == ("sold", 2)
    assert _doctor(node, "sold") == ("2 rows as published, its place answers", False)
    run(server, "ALTER TABLE sold DROP COLUMN amount")
    told = json.loads(command("source", "check", contract, "--node", node.folder, "--json", code=1))
    assert [one["verdict"] for one in told["columns"]] == ["fits", "missing"]
    assert "amount: 无 → float64: 不存在" in command("source", "check", contract, "--node", node.folder, "--lang", "zh", code=1)
    assert _doctor(node, "sold") == ("public.sold at sales has other columns than were published", True)


def _doctor(node: Node, product: str) -> tuple[str, bool]:
    """What the doctor says of one product, and whether that is bad."""
    (found,) = [one for one in examine(node.folder) if one.about.en == f"product {product}"]
    return found.found.en, found.bad


def test_publishing_nothing_says_what_is_wanted(node: Node) -> None:
    result = CliRunner().invoke(app, ["product", "publish", "--node", str(node.folder), "--rows", "--to", node.identity.did, "--json"])
    assert (result.exit_code, json.loads(result.stdout)["error"]["code"]) == (1, "source.which")
