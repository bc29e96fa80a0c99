"""The documents' data contracts and operator's files are read by the programs that they are written for."""

import re
from pathlib import Path

import pytest
import yaml

from chengshu.catalog.odcs import contract_of
from chengshu.catalog.place import ObjectPlace, TablePlace
from chengshu.catalog.servers import TYPES
from chengshu.catalog.sources.access import Accesses
from chengshu.kernel.secret_files import put_secret

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(toml|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [DOCS / "reference" / "data-contract.md", DOCS / "how-to" / "rows-in-place.md"]


def blocks(language: str) -> list[str]:
    return [text for page in PAGES for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_operators_file_is_read(text: str, tmp_path: Path) -> None:
    put_secret(tmp_path / "sources.toml", text.encode())
    place = TablePlace("nobody", "postgresql", "h", 1, "d", None, "t")
    with pytest.raises(Exception, match="expected the server that this node's operator names as nobody"):
        Accesses(tmp_path / "sources.toml").table(place)


def test_every_type_of_server_is_in_the_reference() -> None:
    table = (DOCS / "reference" / "data-contract.md").read_text(encoding="utf-8").partition("## Rows in place")[2]
    assert [name for name in TYPES if f"`{name}`" not in table] == []


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_contract_is_read_and_names_a_place(text: str) -> None:
    assert isinstance(contract_of(yaml.safe_load(text), file="example").place, TablePlace | ObjectPlace)
