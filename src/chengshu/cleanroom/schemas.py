"""A data contract as the clean room sees it: the schema a holder publishes, and the terms an agreement makes of it."""

from decimal import Decimal

from chengshu.catalog.model import Column as ContractColumn
from chengshu.catalog.model import DataContract, LogicalType
from chengshu.cleanroom.model import (
    EVERY_OPERATOR,
    MEASURE_AGGREGATES,
    Aggregate,
    Column,
    ColumnType,
    Operators,
    Privacy,
    ProductTerms,
    Role,
    Schema,
)
from chengshu.policy.model import Policy

_TYPES = {
    LogicalType.STRING: ColumnType.TEXT,
    LogicalType.INTEGER: ColumnType.INTEGER,
    LogicalType.NUMBER: ColumnType.DOUBLE,
    LogicalType.BOOLEAN: ColumnType.BOOLEAN,
    LogicalType.TIMESTAMP: ColumnType.TIMESTAMP,
    LogicalType.DATE: ColumnType.DATE,
}


def schema_of(contract: DataContract, *, handle: str, policy: Policy) -> Schema:
    """Return the public schema of a product as ``handle.table``; list columns are for sealed methods only and are left out.

    The minimum group is the strictest of the contract's and the offered policy's; a contract that names none gets 1 where it names
    nobody to protect, and 5 where it does.
    """
    fallback = 1 if contract.privacy_unit is None else 5
    return Schema(
        product=f"{handle}.{contract.table}",
        columns=tuple(_column(column) for column in contract.columns if column.logical_type in _TYPES),
        privacy_unit=contract.privacy_unit,
        minimum_group=max(contract.minimum_group or fallback, policy.least_group),
        dominance_percent=contract.dominance_percent,
    )


def terms_of(schema: Schema, policy: Policy | None, *, privacy: Privacy | None = None) -> ProductTerms:
    """Return what a policy makes of a schema; None is the owner's own use, which the schema alone governs.

    ``privacy`` is the noise that a job states for the product.
    """
    return ProductTerms(schema=schema, minimum_group=1 if policy is None else policy.least_group, privacy=privacy)


def privacy_of(policy: Policy) -> Privacy | None:
    """Return the noise that a policy asks for: as little of it, and as many records of a unit, as the owner allows."""
    wanted = policy.privacy
    return None if wanted is None or wanted.loss is None else Privacy(wanted.loss, wanted.most_records)


def _column(column: ContractColumn) -> Column:
    type_ = _TYPES[column.logical_type]
    measured = column.role.value == Role.MEASURE and type_.is_number
    listed = frozenset(Aggregate(name) for name in column.aggregates) or MEASURE_AGGREGATES
    return Column(
        name=column.name,
        type=type_,
        role=Role(column.role.value),
        aggregates=listed if measured else MEASURE_AGGREGATES,
        lower=_bound(column.minimum, type_) if measured else None,
        upper=_bound(column.maximum, type_) if measured else None,
        operators=frozenset(Operators(name) for name in column.operators) or EVERY_OPERATOR,
        partners=frozenset(column.partners) if column.partners else None,
    )


def _bound(value: float | None, type_: ColumnType) -> Decimal | None:
    if value is None:
        return None
    return Decimal(int(value)) if type_ is ColumnType.INTEGER else Decimal(str(value))
