"""What is wrong with a source, said in one way: the source, row and column by name, what was expected, what kind came; never a cell."""

import pyarrow as pa

from chengshu.catalog.model import DataContract, Product
from chengshu.catalog.sources.cells import Misfit, arrow_schema, cast_column
from chengshu.kernel.errors import Conflict, Invalid
from chengshu.kernel.text import Text

MEND = Text(
    "Correct the cell in the source, or the column's type in the data contract.", "请更正源文件中的单元格，或数据合同中该列的类型。"
)
LOOK = Text("Check the path and the file, then publish it again.", "请检查路径与文件，然后重新发布。")
SAY_ENCODING = Text(
    "State the file's encoding in the data contract (servers[0].encoding, for example gbk or cp1252), or save it as UTF-8.",
    "请在数据合同中写明文件编码（servers[0].encoding，如 gbk 或 cp1252），或另存为 UTF-8。",
)
ADD_COLUMN = Text("Add the column to the source, or remove it from the data contract.", "请在数据源中补上该列，或将其从数据合同中删除。")

GRANT = Text("Have the database's administrator grant SELECT on it to that user.", "请数据库管理员将该对象的 SELECT 权限授予该用户。")
NAME_TABLE = Text(
    "Name an existing table or view: schema[0].physicalName, and servers[0].schema, in the data contract.",
    "请在数据合同的 schema[0].physicalName 与 servers[0].schema 中写明已有的表或视图。",
)
TRY_THERE = Text("Read it as that user and mend what the server says.", "请以该用户读取，并按服务器提示修正。")

NEW_VERSION = Text(
    "Publish what is there now as a new version of the product; contracts name the version they are about.",
    "请将当前数据作为该产品的新版本发布；合同以版本为准。",
)

SCHEMA_FAULTS = ("source.missing-table", "source.missing-column", "source.column-type")
"""What a source in place is accused of where it has another form than its contract says."""


def fault(name: str, code: str, *, expected: str, got: str, hint: Text, row: int | None = None, column: str | None = None) -> Invalid:
    """Return the error of a source called ``name``; rows are counted from 1."""
    where = [name, *([f"row {row}"] if row is not None else []), *([f"column {column}"] if column is not None else [])]
    facts: dict[str, str | int] = {"file": name, "expected": expected, "got": got}
    facts.update({key: value for key, value in (("row", row), ("column", column)) if value is not None})
    return Invalid(f"source.{code}", f"{', '.join(where)}: expected {expected}, got {got}", hint=hint, facts=facts)


def cast_batch(raw: pa.RecordBatch, contract: DataContract, *, first_row: int, name: str) -> pa.RecordBatch:
    """Return rows in the contract's types and order; raise Invalid, naming row and column, for the first cell that does not fit."""
    done = []
    for column in contract.columns:
        cells = cast_column(raw.column(column.name), column)
        if isinstance(cells, Misfit):
            wrong_text = cells.got == "bytes that are not UTF-8"
            raise fault(
                name,
                "encoding" if wrong_text else "cell",
                row=first_row + cells.row,
                column=column.name,
                expected=cells.expected,
                got=cells.got,
                hint=SAY_ENCODING if wrong_text else MEND,
            )
        done.append(cells)
    return pa.RecordBatch.from_arrays(done, schema=arrow_schema(contract))


def differs(product: Product, code: str, message: str) -> Conflict:
    """Say that a place holds something else than was published: another form, or other rows."""
    what = "product.schema-drift" if code in SCHEMA_FAULTS else "product.changed"
    return Conflict(what, message, hint=NEW_VERSION, facts={"product": product.id, "version": product.version})
