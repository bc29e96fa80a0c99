"""What places have in common: the digest of rows, servers in contracts, the operator's file, and how a contract fits."""

from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import DIGESTS, Shop, contract, write_access

from chengshu.catalog.fit import fit
from chengshu.catalog.inference import infer_contract
from chengshu.catalog.odcs import contract_of, document_of
from chengshu.catalog.place import ObjectFormat, ObjectPlace, Place, TablePlace, Technology
from chengshu.catalog.ports import Found
from chengshu.catalog.sources.access import Accesses
from chengshu.catalog.sources.content import ContentDigest
from chengshu.catalog.sources.files import FileSource
from chengshu.kernel.errors import Denied, Invalid

TABLE = TablePlace("sales", Technology.POSTGRESQL, "db.example", 5433, "shop", "s", "t")
OBJECT = ObjectPlace("lake", "https://store.example:9000", "products", "a/b.csv", ObjectFormat.CSV)
SCHEMA = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("w", pa.string()), ("b", pa.bool_()), ("l", pa.list_(pa.string()))])
ROW = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "x": st.none() | st.floats(),
        "w": st.none() | st.text(max_size=3),
        "b": st.none() | st.booleans(),
        "l": st.none() | st.lists(st.none() | st.text(max_size=2), max_size=2),
    }
)


def digest_of(rows, *cuts):
    table, content = pa.Table.from_pylist(rows, SCHEMA), ContentDigest(DIGESTS, SCHEMA)
    places = sorted({0, *(cut % (len(rows) + 1) for cut in cuts), len(rows)})
    for start, end in pairwise(places):
        for _ in content.over(table.slice(start, end - start).combine_chunks().to_batches()):
            pass
    return content.digest()


@given(st.lists(ROW, max_size=8), st.lists(st.integers(0, 8), max_size=3))
def test_however_rows_are_cut_their_digest_is_the_same(rows, cuts):
    assert digest_of(rows, *cuts) == digest_of(rows)


@given(st.lists(ROW, max_size=4), st.lists(ROW, max_size=4))
def test_rows_have_one_digest_exactly_where_they_are_the_same(some, others):
    same = [[repr(row[name]) for name in SCHEMA.names] for row in some] == [[repr(row[name]) for name in SCHEMA.names] for row in others]
    assert (digest_of(some) == digest_of(others)) == same


def test_none_is_not_the_empty_and_no_boundary_shifts():
    rows = [[{"w": one} for one in words] for words in (["ab", "c"], ["a", "bc"], [None, "abc"], ["", "abc"], ["abc", ""])]
    assert len({digest_of(one) for one in rows}) == len(rows)


@pytest.mark.parametrize("place", [TABLE, replace(TABLE, technology=Technology.MARIADB, schema=None), OBJECT])
def test_a_place_is_written_into_a_contract_and_read_back(place: Place):
    wanted = contract(place, id="int64")
    assert contract_of(document_of(wanted), file="t") == wanted


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"host": "db/../etc"}, "host"),
        ({"host": None}, "host"),
        ({"port": 0}, "port"),
        ({"port": "x"}, "port"),
        ({"database": None}, "database"),
        ({"server": "Sales DB"}, "server"),
        ({"type": "s3"}, "location"),
        ({"type": "s3", "location": "s3://products/*.csv"}, "location"),
        ({"type": "s3", "location": "s3://products/a", "endpointUrl": "ftp://x"}, "endpointUrl"),
        ({"type": "s3", "location": "s3://products/a", "format": "xlsx"}, "format"),
        ({"type": "mysql"}, "schema"),
    ],
)
def test_a_server_that_names_no_place_is_refused_by_its_path(change, at):
    document = document_of(contract(TABLE, id="int64"))
    server = {key: value for key, value in {**document["servers"][0], **change}.items() if value is not None}
    with pytest.raises(Invalid) as caught:
        contract_of({**document, "servers": [server]}, file="c.yaml")
    assert caught.value.facts["path"] == f"servers[0].{at}"


@pytest.mark.parametrize("secret", ["password", "user"])
def test_a_contract_holds_no_secret(secret):
    document = document_of(contract(TABLE, id="int64"))
    with pytest.raises(Invalid, match=rf"servers\[0\].{secret}: expected a field of ODCS"):
        contract_of({**document, "servers": [{**document["servers"][0], secret: "x"}]}, file="c.yaml")


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ('[sales]\ntype = "postgresql"\nhost = "h"\ndatabase = "d"\npasword = "s3cret"', "missing at sales"),
        ('[sales]\ntype = "oracle"\npassword = "s3cret"', "union_tag_invalid at sales"),
        ('password = "s3cret', "another text"),
    ],
)
def test_an_operators_file_that_is_wrong_is_named_without_its_content(tmp_path, text, got):
    path = write_access(tmp_path, {})
    path.write_text(text)
    with pytest.raises(Invalid) as caught:
        Accesses(path).table(TABLE)
    assert got in caught.value.message
    assert "s3cret" not in str(caught.value.as_dict())


def test_without_an_operators_file_nothing_is_called(tmp_path):
    for accesses in (Accesses(None), Accesses(tmp_path / "none.toml")):
        with pytest.raises(Denied):
            accesses.table(TABLE)


def test_a_fit_is_said_column_by_column_in_both_languages():
    wanted = contract(TABLE, id="int64", word="string", gone="bool", cells="int64")
    there = (
        Found("id", "integer", frozenset({"int64"})),
        Found("word", "json", frozenset()),
        Found("cells", "text", None),
        Found("more", "x", None),
    )
    found = fit(wanted, there, source="t at sales")
    assert found.holds is False
    assert [one["verdict"] for one in found.as_dict("en")["columns"]] == ["fits", "other-type", "missing", "cells"]
    assert found.as_dict("en")["extra"] == ["more"]
    assert list(found.words("en"))[-1] == "t at sales: the contract does not fit"
    assert list(found.words("zh"))[-1] == "t at sales: 合同不相符"
    assert len(found.words("en")) == 6


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "cp1252"])
def test_bytes_in_another_encoding_are_told_by_row_and_column(tmp_path, encoding):
    path = tmp_path / "t.csv"
    good = "é" if encoding == "cp1252" else "名"
    path.write_bytes(b"id,name,note\n" + f'1,{good},"a\nb"\n2,{good},'.encode(encoding) + b"\x81\n3,x,y\n")
    with pytest.raises(Invalid) as caught:
        FileSource(path, replace(contract(None, id="int64", name="string", note="string"), encoding=encoding)).read()
    assert caught.value.message == f"t.csv, row 2, column note: expected text in {encoding}, got bytes that are not"


def test_an_undecodable_header_is_row_nought(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"id,\xff\xff\n1,2\n")
    with pytest.raises(Invalid) as caught:
        FileSource(path, replace(contract(None, id="int64"), encoding="gbk")).read()
    assert (caught.value.facts["row"], caught.value.facts["column"]) == (0, "2")


def test_a_contract_that_names_no_place_needs_a_file(tmp_path):
    (tmp_path / "t.csv").write_text("a\n1\n")
    shop = Shop(tmp_path, {})
    inferred = infer_contract(tmp_path / "t.csv", owner="me")
    assert shop.catalog.fit(inferred, source=tmp_path / "t.csv").holds
    with pytest.raises(Invalid, match="got neither"):
        shop.catalog.fit(inferred)
