"""A data contract for a bare file or place: types as found, nothing claimed that is not there to be seen."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from chengshu.catalog.model import Column, DataContract, Kind, LogicalType, Role
from chengshu.catalog.odcs import PHYSICAL
from chengshu.catalog.place import TablePlace
from chengshu.catalog.ports import Found
from chengshu.catalog.sources.cells import Misfit, cast_column
from chengshu.catalog.sources.faults import LOOK, fault
from chengshu.catalog.sources.files import FileSource
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

FIRST_VERSION = "1.0.0"
GUESSES = ("int64", "float64", "bool", "string")
"""What a CSV column may turn out to be, the strictest first; dates stay text until a contract says what they are."""

PREFERRED = ("int64", "float64", "timestamp_ms", "date32", "bool", "string", "list<int64>", "list<float64>", "list<string>")
"""What a column of a database becomes, the first that it may; a contract may say otherwise."""

MEASURE_AGGREGATES = ("count", "sum", "avg")


def infer_contract(path: Path, *, owner: str, name: str | None = None) -> DataContract:
    """Return a contract for one Parquet, CSV or JSON file, so that it can be published alone.

    Numbers get the role measure, everything else is hidden; no unit, no semantics and no coordinate system are assumed, so the
    rules that need them are reported as not checked. A CSV is read whole to find types that hold for every row. ``name`` is the file's,
    where that of its path is not. Raises Invalid as :class:`FileSource` does, and for a Parquet column whose type no contract can state.
    """
    called = Path(path.name if name is None else name)
    document = called.suffix.lower() in (".json", ".geojson")
    blank = replace(_blank(called.stem, owner=owner), kind=Kind.DOCUMENT if document else Kind.TABLE)
    source = FileSource(path, blank, name=called.name)
    source.check_file()
    if document:
        return blank
    return replace(blank, columns=_parquet_columns(path) if source.is_parquet() else _csv_columns(path, blank))


def infer_table(place: TablePlace, found: Sequence[Found], *, key: Sequence[str], owner: str) -> DataContract:
    """Return a contract for one table or view of a database, with the same caution; its description names the columns that were left out.

    Each column gets the first of ``PREFERRED`` that its type becomes; ``key`` are the columns of its primary key. Raises Invalid where no
    column becomes anything.
    """
    taken = [one for one in found if one.becomes]
    if not taken:
        raise fault(str(place), "column-type", expected="a column of a type that is taken", got="none", hint=LOOK)
    columns = (_column(one.name, next(name for name in PREFERRED if name in (one.becomes or ()))) for one in taken)
    left_out = ", ".join(f"{one.name} ({one.type})" for one in found if not one.becomes)
    return replace(
        _blank(place.table, owner=owner),
        columns=tuple(replace(column, primary_key=column.name in key) for column in columns),
        description=f"left out: {left_out}" if left_out else "",
        place=place,
    )


def _blank(stem: str, *, owner: str) -> DataContract:
    """A contract that names its product and says nothing yet."""
    plain = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "table"
    return DataContract(
        id=plain,
        version=FIRST_VERSION,
        table=plain if plain[0].isalpha() else f"t_{plain}",
        name=Text(stem, stem),
        owner=owner,
        description="",
        columns=(Column("document", LogicalType.STRING, "string", required=True),),
    )


def _parquet_columns(path: Path) -> tuple[Column, ...]:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise Invalid(
            "source.unreadable",
            f"{path.name}: expected a whole Parquet file, got one that cannot be read as such",
            hint=Text("Write the file again and publish it again.", "请重新生成文件后再发布。"),
            facts={"file": path.name},
        ) from error
    return tuple(_column(field.name, _physical(path, field)) for field in schema)


def _physical(path: Path, field: pa.Field) -> str:
    kind = field.type.value_type if pt.is_dictionary(field.type) else field.type
    simple = {
        pt.is_string: "string",
        pt.is_large_string: "string",
        pt.is_boolean: "bool",
        pt.is_signed_integer: "int64",
        pt.is_unsigned_integer: "int64",
        pt.is_floating: "float64",
        pt.is_decimal: "float64",
        pt.is_date: "date32",
        lambda kind: pt.is_timestamp(kind) and kind.tz is not None: "timestamp_ms",
        lambda kind: pt.is_list(kind) and pt.is_floating(kind.value_type): "list<float64>",
        lambda kind: pt.is_list(kind) and pt.is_integer(kind.value_type): "list<int64>",
        lambda kind: pt.is_list(kind) and pt.is_string(kind.value_type): "list<string>",
    }
    found = next((name for test, name in simple.items() if test(kind)), None)
    if found is None:
        raise Invalid(
            "source.column-type",
            f"{path.name}, column {field.name}: expected text, numbers, truth values, dates, zoned timestamps or lists of them, got {kind}",
            hint=Text("Convert the column, or leave it out of the file.", "请转换该列，或将其从文件中去除。"),
            facts={"file": path.name, "column": field.name},
        )
    return found


def _csv_columns(path: Path, blank: DataContract) -> tuple[Column, ...]:
    names = FileSource(path, blank).names()
    text = FileSource(path, replace(blank, columns=tuple(_column(name, "string") for name in names)))
    guess = dict.fromkeys(names, 0)
    for batch in text.batches():
        for name in names:
            while isinstance(cast_column(batch.column(name), _column(name, GUESSES[guess[name]])), Misfit):
                guess[name] += 1
    return tuple(_column(name, GUESSES[place]) for name, place in guess.items())


def _column(name: str, physical: str) -> Column:
    logical = PHYSICAL[physical]
    numeric = logical in (LogicalType.INTEGER, LogicalType.NUMBER)
    role = Role.MEASURE if numeric else Role.HIDDEN
    return Column(name, logical, physical, role=role, aggregates=MEASURE_AGGREGATES if numeric else ())
