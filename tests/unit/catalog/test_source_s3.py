"""Products in objects of a real S3-compatible store: what is handed out is what was published, or it says why not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import DIGESTS, POLICY, Shop, contract

from certificates import papers
from chengshu.catalog.model import Kind
from chengshu.catalog.odcs import contract_of, document_of
from chengshu.catalog.place import ObjectFormat, ObjectPlace
from chengshu.catalog.service import Catalog
from chengshu.catalog.sources import s3 as adapter
from chengshu.catalog.sources.local import file_digest
from chengshu.kernel.errors import Conflict, Denied, Invalid, Unavailable
from s3 import BUCKET, Store
from s3 import store as running

ROWS = {"id": [1, 2, 3], "name": ["a", "名😀", None]}
WANTED = {"id": "int64", "name": "string"}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with running() as store:
        yield store


def place(store: Store, key: str = "o.parquet", kind: ObjectFormat = ObjectFormat.PARQUET) -> ObjectPlace:
    return ObjectPlace("lake", store.endpoint, BUCKET, key, kind)


def entry(store: Store, **options: object) -> dict[str, object]:
    return {"type": "s3", "endpoint": store.endpoint, "bucket": BUCKET, "access_key": "reader", "secret_key": "s3cret", **options}


def parquet(folder: Path, **columns: object) -> Path:
    path = folder / "o.parquet"
    pq.write_table(pa.table(columns or ROWS), path)
    return path


@pytest.fixture
def shop(tmp_path, store) -> Shop:
    store.put("o.parquet", parquet(tmp_path))
    return Shop(tmp_path, {"lake": entry(store)})


def test_a_parquet_object_is_published_by_the_digest_of_its_bytes_and_handed_out(shop, store, tmp_path):
    product = shop.publish(contract(place(store), **WANTED))
    assert (product.rows, product.path, product.data_digest) == (3, None, file_digest(tmp_path / "o.parquet", DIGESTS))
    assert shop.catalog.open("orders").to_pydict() == ROWS
    assert list(shop.spool.iterdir()) == []


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8", "utf-8-sig"])
def test_a_csv_object_is_read_in_its_encoding(shop, store, tmp_path, encoding):
    file = tmp_path / "o.csv"
    file.write_bytes("id;name\n1;名\n2;\n".encode(encoding))
    store.put("in/o.csv", file)
    wanted = replace(contract(place(store, "in/o.csv", ObjectFormat.CSV), **WANTED), encoding=encoding, delimiter=";")
    assert contract_of(document_of(wanted), file="t") == wanted
    shop.publish(wanted)
    assert shop.catalog.open("orders").to_pydict() == {"id": [1, 2], "name": ["名", None]}


def test_a_json_document_is_read(shop, store, tmp_path):
    file = tmp_path / "o.json"
    file.write_text('{"zone": 1}')
    store.put("o.json", file)
    wanted = replace(contract(place(store, "o.json", ObjectFormat.JSON), document="string"), kind=Kind.DOCUMENT)
    assert shop.read(wanted).table.to_pydict() == {"document": ['{"zone": 1}']}


def test_an_object_that_was_replaced_is_not_handed_out(shop, store, tmp_path):
    shop.publish(contract(place(store), **WANTED))
    before = (tmp_path / "o.parquet").read_bytes()
    store.put("o.parquet", parquet(tmp_path, id=[1, 2], name=["a", "b"]))
    with pytest.raises(Conflict) as caught:
        shop.catalog.open("orders")
    assert caught.value.code == "product.changed"
    (tmp_path / "o.parquet").write_bytes(before)
    store.put("o.parquet", tmp_path / "o.parquet")
    assert shop.catalog.open("orders").num_rows == 3


def test_an_object_that_is_replaced_while_it_is_read_is_noticed(shop, store, tmp_path, monkeypatch):
    other = parquet(tmp_path, id=[9], name=["z"])

    def meddling(stream: object, file: object) -> Iterator[bytes]:
        yield from kept(stream, file)
        store.put("o.parquet", other)

    kept = adapter._kept
    monkeypatch.setattr(adapter, "_kept", meddling)
    with pytest.raises(Conflict, match="got one that was replaced") as caught:
        shop.publish(contract(place(store), **WANTED))
    assert (caught.value.code, shop.catalog.products()) == ("product.changed", [])


def test_an_object_that_is_gone_is_schema_drift_for_a_job_and_named_at_publication(shop, store):
    shop.publish(contract(place(store), **WANTED))
    store.client().delete_file(f"{BUCKET}/o.parquet")
    with pytest.raises(Conflict) as caught:
        shop.catalog.open("orders")
    assert caught.value.code == "product.schema-drift"
    with pytest.raises(Invalid, match=r"products/o.parquet at lake: expected an object of that name, got none"):
        shop.publish(contract(place(store), **WANTED))


def test_a_column_that_is_not_there_and_another_format_are_named(shop, store):
    with pytest.raises(Invalid, match="column price: expected the column"):
        shop.publish(contract(place(store), **WANTED, price="float64"))
    with pytest.raises(Invalid, match="expected csv, got content of another format"):
        shop.publish(contract(place(store, kind=ObjectFormat.CSV), **WANTED))


def test_an_empty_object_is_not_published(shop, store, tmp_path):
    store.put("o.parquet", parquet(tmp_path, id=pa.array([], pa.int64()), name=pa.array([], pa.string())))
    with pytest.raises(Invalid, match="expected at least one row"):
        shop.publish(contract(place(store), **WANTED))


def test_a_place_that_the_operator_has_not_named_is_not_called(shop, store, tmp_path):
    named = place(store)
    for other in (replace(named, server="else"), replace(named, bucket="other"), replace(named, endpoint="http://localhost:1")):
        with pytest.raises(Denied) as caught:
            shop.publish(contract(other, **WANTED))
        assert caught.value.code == "source.not-named"
    metadata = "http://169.254.169.254"
    near = Shop(tmp_path / "near", {"lake": entry(store, endpoint=metadata)})
    with pytest.raises(Invalid, match="expected https"):
        near.publish(contract(replace(named, endpoint=metadata), **WANTED))
    plain = Shop(tmp_path / "plain", {"lake": entry(store, endpoint=metadata, tls="disable")})
    with pytest.raises(Denied, match="outside of this machine"):
        plain.publish(contract(replace(named, endpoint=metadata), **WANTED))


def test_wrong_keys_are_told_without_them(tmp_path):
    with running() as guarded:
        guarded.put("o.parquet", parquet(tmp_path))
        guarded.check_keys()
        shop = Shop(tmp_path / "shop", {"lake": entry(guarded)})
        with pytest.raises(Denied, match=r"products/o.parquet at lake: expected to be let in and to read it, got a refusal") as caught:
            shop.publish(contract(place(guarded), **WANTED))
        assert (caught.value.code, "s3cret" in str(caught.value.as_dict())) == ("source.rights", False)


def test_tls_is_checked(tmp_path):
    own, other = papers(tmp_path / "own"), papers(tmp_path / "other")
    with running(papers=own) as secured:
        secured.put("o.parquet", parquet(tmp_path))
        good = Shop(tmp_path / "good", {"lake": entry(secured, certificates=str(own.authority))})
        assert good.read(contract(place(secured), **WANTED)).table.num_rows == 3
        bad = Shop(tmp_path / "bad", {"lake": entry(secured, certificates=str(other.authority))})
        with pytest.raises(Unavailable) as caught:
            bad.read(contract(place(secured), **WANTED))
        assert caught.value.code == "source.certificate"


def test_a_store_that_vanishes_in_the_middle_is_unavailable_and_leaves_nothing(tmp_path, monkeypatch):
    with running() as mortal:
        file = tmp_path / "o.parquet"
        pq.write_table(pa.table({"id": list(range(300_000)), "name": ["x" * 40] * 300_000}), file, compression="none", use_dictionary=False)
        mortal.put("o.parquet", file)
        doomed = Shop(tmp_path / "doomed", {"lake": entry(mortal)})
        pieces: list[int] = []

        def counted(stream: object, kept: object) -> Iterator[bytes]:
            for piece in original(stream, kept):
                pieces.append(len(piece))
                mortal.kill()
                yield piece

        original = adapter._kept
        with monkeypatch.context() as watched:
            watched.setattr(adapter, "_kept", counted)
            with pytest.raises(Unavailable, match=r"products/o.parquet at lake: expected it to answer to the end"):
                doomed.publish(contract(place(mortal), **WANTED))
        assert 0 < sum(pieces) < file.stat().st_size
        assert (doomed.catalog.products(), list(doomed.spool.iterdir())) == ([], [])
        mortal.start()
        mortal.put("o.parquet", file)
        assert doomed.publish(contract(place(mortal), **WANTED)).rows == 300_000


def test_publishing_needs_exactly_one_of_file_and_place(shop, store, tmp_path):
    catalog: Catalog = shop.catalog
    for document, source in (
        (document_of(contract(place(store), **WANTED)), tmp_path / "o.parquet"),
        (document_of(contract(None, **WANTED)), None),
    ):
        with pytest.raises(Invalid, match="expected a file or a contract that names a place"):
            catalog.publish(document, source=source, policy=POLICY)


def test_a_contract_is_inferred_and_can_be_published_as_it_is(shop, store, tmp_path):
    file = tmp_path / "o.csv"
    file.write_text("id,share,word\n1,0.5,a\n2,1,b\n")
    store.put("in/o.csv", file)
    inferred = shop.catalog.infer("lake", "in/o.csv", owner="me")
    assert [(one.name, one.physical_type) for one in inferred.columns] == [("id", "int64"), ("share", "float64"), ("word", "string")]
    assert inferred.place == place(store, "in/o.csv", ObjectFormat.CSV)
    assert shop.publish(inferred).rows == 2
    assert shop.catalog.infer("lake", "o.parquet", owner="me").place == place(store)


def test_a_contract_is_held_against_an_object_without_reading_its_rows(shop, store):
    found = shop.catalog.fit(contract(place(store), id="int64", name="int32", gone="bool"))
    assert [(one.column, one.verdict) for one in found.columns] == [("id", "fits"), ("name", "fits"), ("gone", "missing")]
    assert found.holds is False
