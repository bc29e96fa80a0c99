"""What a clean room is asked and under which terms: frozen values that can be written as JSON, signed and read again.

A :class:`Schema` is public: names, types and roles of a product's columns, never rows. :class:`ProductTerms` are what an
agreement makes of it. A :class:`Job` is one question, complete enough that every holder can judge it alone.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from chengshu.catalog.restriction import Restriction
from chengshu.cleanroom.reading import choice, decimal, kind, mapping, sequence, text, truth, whole, wrong
from chengshu.cleanroom.restrictions import check_restriction, parse_restriction
from chengshu.kernel.errors import Invalid
from chengshu.kernel.money import Fen
from chengshu.kernel.text import Text

_PRODUCT = r"[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}"
_ID = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"
_DID = r"did:[a-z0-9]+:\S+"
_DIGEST = r"[a-z0-9]+:[0-9a-f]{64}"
SECURE_AGGREGATION = "secure-aggregation"
"""The placement of a job in which no row leaves its holder, and no holder's sum either: only the masked ones, which add up to the total."""


class Role(StrEnum):
    """What an owner lets be done with a column; what is not listed for a role is refused."""

    KEY = "key"
    """Joined by equality and counted; never shown, never filtered."""
    GROUP = "group"
    """Grouped by (and so shown for groups that are large enough), filtered, counted."""
    FILTER = "filter"
    """Compared with constants in WHERE, and counted; never shown."""
    MEASURE = "measure"
    """Aggregated by the listed aggregates; never shown singly, never filtered."""
    FREE = "free"
    """Public reference data: joined, grouped, filtered and aggregated."""
    HIDDEN = "hidden"
    """In no clause at all."""


class ColumnType(StrEnum):
    """The kinds of values that a vetted question may touch; a timestamp is UTC without a zone."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    TEXT = "text"
    DATE = "date"
    TIMESTAMP = "timestamp"

    @property
    def is_number(self) -> bool:
        """Whether sums and averages have a meaning."""
        return self in {ColumnType.INTEGER, ColumnType.DECIMAL, ColumnType.DOUBLE}


class Aggregate(StrEnum):
    """The aggregates there are; ``min`` and ``max`` show one record's value and are each a permission of their own."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


class Operators(StrEnum):
    """The families of comparisons that a condition may make with a column; each has its own contrary in it, so NOT leads to no other."""

    EQUAL = "equal"
    """``=``, ``<>``, ``IN``, and a boolean column by itself."""
    ORDER = "order"
    """``<``, ``<=``, ``>``, ``>=``, ``BETWEEN``."""
    MISSING = "missing"
    """``IS NULL``."""


EVERY_OPERATOR = frozenset(Operators)
MEASURE_AGGREGATES = frozenset({Aggregate.COUNT, Aggregate.SUM, Aggregate.AVG})


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a product as its owner declares it.

    ``aggregates`` counts for measures only. ``lower`` and ``upper`` are the range to which a measure is clipped before
    anything is computed with it, in the column's own unit. ``operators`` counts where conditions are allowed. ``partners`` are the parties
    with whose products alone a key may join its own, None where there is no such list. ``narrowed`` says that an agreement allows less
    with it than its owner allows others.
    """

    name: str
    type: ColumnType
    role: Role
    aggregates: frozenset[Aggregate] = MEASURE_AGGREGATES
    lower: Decimal | None = None
    upper: Decimal | None = None
    operators: frozenset[Operators] = EVERY_OPERATOR
    partners: frozenset[str] | None = None
    narrowed: bool = False

    def __post_init__(self) -> None:
        if self.partners is not None and self.role is not Role.KEY:
            raise wrong("column.partners", expected="a list of partners of a key", got="one of a column of another role")
        if not self.name.isidentifier() or self.name.startswith("__") or len(self.name) > 63:
            raise wrong("column.name", expected="an identifier of at most 63 characters that does not start with __", got="another text")
        _check_bounds(self)

    @property
    def permitted(self) -> frozenset[Aggregate]:
        """The aggregates that this column's role and type allow."""
        match self.role:
            case Role.MEASURE:
                allowed = self.aggregates
            case Role.FREE:
                allowed = frozenset(Aggregate)
            case Role.HIDDEN:
                allowed = frozenset()
            case _:
                allowed = frozenset({Aggregate.COUNT})
        return allowed if self.type.is_number else allowed - {Aggregate.SUM, Aggregate.AVG}

    def as_document(self) -> dict[str, Any]:
        """Return the column as JSON values; decimals are texts."""
        document: dict[str, Any] = {"name": self.name, "type": self.type.value, "role": self.role.value}
        if self.role is Role.MEASURE:
            document["aggregates"] = sorted(self.aggregates)
        if self.operators != EVERY_OPERATOR:
            document["operators"] = sorted(self.operators)
        if self.partners is not None:
            document["partners"] = sorted(self.partners)
        if self.lower is not None:
            document["lower"] = format(self.lower, "f")
        if self.upper is not None:
            document["upper"] = format(self.upper, "f")
        if self.narrowed:
            document["narrowed"] = True
        return document

    @classmethod
    def parse(cls, document: object, path: str = "column") -> "Column":
        """Return the column that ``document`` describes; raise Invalid naming the field."""
        optional = ("aggregates", "lower", "narrowed", "operators", "partners", "upper")
        found = mapping(document, path, required=("name", "type", "role"), optional=optional)
        listed = MEASURE_AGGREGATES
        if "aggregates" in found:
            listed = frozenset(choice(one, f"{path}.aggregates", among=Aggregate) for one in sequence(found["aggregates"], path))
        operators = EVERY_OPERATOR
        if "operators" in found:
            operators = frozenset(choice(one, f"{path}.operators", among=Operators) for one in sequence(found["operators"], path))
        return cls(
            text(found["name"], f"{path}.name"),
            choice(found["type"], f"{path}.type", among=ColumnType),
            choice(found["role"], f"{path}.role", among=Role),
            listed,
            decimal(found["lower"], f"{path}.lower") if "lower" in found else None,
            decimal(found["upper"], f"{path}.upper") if "upper" in found else None,
            operators,
            frozenset(
                text(one, f"{path}.partners", pattern=_DID, expected="a DID") for one in sequence(found["partners"], f"{path}.partners")
            )
            if "partners" in found
            else None,
            truth(found.get("narrowed", False), f"{path}.narrowed"),
        )


@dataclass(frozen=True, slots=True)
class Schema:
    """A product's public face: its columns, whom it protects, and the smallest group that may leave.

    ``product`` is the name in SQL, ``party.product``. ``privacy_unit`` is the column whose distinct values are the people
    or vehicles protected; without one, each row counts as one. ``minimum_group`` is the least number of units a released
    group holds; 1 marks public reference data. ``dominance_percent`` is the p of the p%-rule: a group is held back when the second
    largest contributor to a sum could tell the largest one's contribution to within p percent; None where there is no such rule. ``rows``
    restricts which rows there are: what an agreement leaves of a product is a schema too.
    """

    product: str
    columns: tuple[Column, ...]
    privacy_unit: str | None
    minimum_group: int
    dominance_percent: int | None = None
    rows: tuple[Restriction, ...] = ()

    def __post_init__(self) -> None:
        text(self.product, "schema.product", pattern=_PRODUCT, expected="party.product in lower case")
        whole(self.minimum_group, "schema.minimum_group", least=1)
        if self.dominance_percent is not None and whole(self.dominance_percent, "schema.dominance_percent", least=1) > 100:
            raise wrong("schema.dominance_percent", expected="a whole number from 1 to 100", got="a larger one")
        names = [column.name.lower() for column in self.columns]
        if not names or len(set(names)) != len(names):
            raise wrong("schema.columns", expected="at least one column, each name once whatever its case", got="none, or a name twice")
        if self.privacy_unit is not None and self.privacy_unit not in {column.name for column in self.columns}:
            raise wrong("schema.privacy_unit", expected="the name of a declared column", got="another name")
        for one in self.rows:
            check_restriction(one, {column.name: column.type for column in self.columns})

    @property
    def askable(self) -> tuple[str, ...]:
        """The columns that a question can need: what is not hidden, and what tells units and rows apart; some column where that is none."""
        needed = {self.privacy_unit, *(one.column for one in self.rows)}
        found = tuple(one.name for one in self.columns if one.role is not Role.HIDDEN or one.name in needed)
        return found or (self.columns[0].name,)

    def column(self, name: str) -> Column | None:
        """Return the column of that name, whatever its case."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)

    def as_document(self) -> dict[str, Any]:
        """Return the schema as JSON values."""
        return {
            "product": self.product,
            "columns": [column.as_document() for column in self.columns],
            "privacy_unit": self.privacy_unit,
            "minimum_group": self.minimum_group,
            **({} if self.dominance_percent is None else {"dominance_percent": self.dominance_percent}),
            **({"rows": [one.as_document() for one in self.rows]} if self.rows else {}),
        }

    @classmethod
    def parse(cls, document: object, path: str = "schema") -> "Schema":
        """Return the schema that ``document`` describes; raise Invalid naming the field."""
        required = ("product", "columns", "privacy_unit", "minimum_group")
        found = mapping(document, path, required=required, optional=("dominance_percent", "rows"))
        columns = sequence(found["columns"], f"{path}.columns")
        unit = found["privacy_unit"]
        return cls(
            text(found["product"], f"{path}.product", pattern=_PRODUCT, expected="party.product in lower case"),
            tuple(Column.parse(column, f"{path}.columns[{place}]") for place, column in enumerate(columns)),
            None if unit is None else text(unit, f"{path}.privacy_unit"),
            whole(found["minimum_group"], f"{path}.minimum_group", least=1),
            whole(found["dominance_percent"], f"{path}.dominance_percent", least=1) if "dominance_percent" in found else None,
            tuple(parse_restriction(one, f"{path}.rows") for one in sequence(found.get("rows", []), f"{path}.rows")),
        )


@dataclass(frozen=True, slots=True)
class Privacy:
    """How an answer is protected: noise of so much ``rho`` (zCDP), and at most ``contributions`` records of one unit behind it."""

    rho: Decimal
    contributions: int = 1

    def __post_init__(self) -> None:
        whole(self.contributions, "privacy.contributions", least=1)
        if not self.rho.is_finite() or not Decimal("1e-9") <= self.rho <= 1000 or self.rho != round(self.rho, 9):
            raise wrong("privacy.rho", expected="an amount of rho from 0.000000001 to 1000 with at most nine decimals", got="another")

    def as_document(self) -> dict[str, Any]:
        """Return the terms as JSON values; rho is a text."""
        return {"rho": format(self.rho.normalize(), "f"), "contributions": self.contributions}

    @classmethod
    def parse(cls, document: object, path: str = "privacy") -> "Privacy":
        """Return the terms that ``document`` describes; raise Invalid naming the field."""
        found = mapping(document, path, required=("rho", "contributions"))
        return cls(decimal(found["rho"], f"{path}.rho"), whole(found["contributions"], f"{path}.contributions", least=1))


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """What an agreement makes of a product's schema.

    ``minimum_group`` may raise the schema's, never lower it. ``of_asker`` says that the one who asks holds the product itself, and
    so chose what stands in it. With ``privacy``, an answer over the product carries noise. ``provider`` is the party that holds it.
    """

    schema: Schema
    minimum_group: int = 1
    of_asker: bool = False
    privacy: Privacy | None = None
    provider: str = ""

    @property
    def smallest_group(self) -> int:
        """The stricter of the schema's and the agreement's smallest group."""
        return max(self.minimum_group, self.schema.minimum_group)

    @property
    def sheltered(self) -> bool:
        """Whether there is somebody in the product to protect from the one who asks."""
        return (self.smallest_group > 1 or self.privacy is not None) and not self.of_asker


@dataclass(frozen=True, slots=True)
class SqlQuestion:
    """A question in SQL, as its asker wrote it; nothing but the vetter ever reads it."""

    sql: str

    def as_document(self) -> dict[str, Any]:
        """Return the question as JSON values."""
        return {"sql": self.sql}


@dataclass(frozen=True, slots=True)
class MethodQuestion:
    """A sealed method by name, with its parameters as JSON values."""

    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def as_document(self) -> dict[str, Any]:
        """Return the question as JSON values that share nothing with this one."""
        return {"method": self.method, "parameters": copy.deepcopy(dict(self.parameters))}


Question = SqlQuestion | MethodQuestion


@dataclass(frozen=True, slots=True)
class JobInput:
    """One product that a job reads: who holds it, under which agreement, and what that leaves of the schema its holder publishes.

    The product's name inside the job's question is ``schema.product``; ``product`` is its id in the holder's catalogue.
    ``minimum_group`` is the smallest group that the agreement asks for: the room, which does not know the agreement, gates on it,
    and the holder refuses a job that names less. ``privacy`` is the noise that the agreement asks for, and goes the same way.
    """

    schema: Schema
    provider: str
    agreement: str
    product: str
    minimum_group: int = 1
    privacy: Privacy | None = None

    def __post_init__(self) -> None:
        whole(self.minimum_group, "input.minimum_group", least=1)

    @property
    def alias(self) -> str:
        """The name by which the question calls this product."""
        return self.schema.product

    @property
    def party(self) -> str:
        """The handle of the party that holds this product, the first part of its name."""
        return self.alias.partition(".")[0]

    @property
    def smallest_group(self) -> int:
        """The stricter of the schema's smallest group and the agreement's as the job states it."""
        return max(self.minimum_group, self.schema.minimum_group)

    def as_document(self) -> dict[str, Any]:
        """Return the input as JSON values."""
        return {
            "schema": self.schema.as_document(),
            "provider": self.provider,
            "agreement": self.agreement,
            "product": self.product,
            "minimum_group": self.minimum_group,
            **({} if self.privacy is None else {"privacy": self.privacy.as_document()}),
        }

    @classmethod
    def parse(cls, document: object, path: str = "input") -> "JobInput":
        """Return the input that ``document`` describes; raise Invalid naming the field."""
        required = ("schema", "provider", "agreement", "product", "minimum_group")
        found = mapping(document, path, required=required, optional=("privacy",))
        return cls(
            Schema.parse(found["schema"], f"{path}.schema"),
            text(found["provider"], f"{path}.provider", pattern=_DID, expected="a DID"),
            text(found["agreement"], f"{path}.agreement"),
            text(found["product"], f"{path}.product"),
            whole(found["minimum_group"], f"{path}.minimum_group", least=1),
            Privacy.parse(found["privacy"], f"{path}.privacy") if "privacy" in found else None,
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One question to a room: who asks, who computes, for what, over which products, and what it is worth to the asker.

    ``price_fen`` is what the asker pays for the answer, to be shared by contribution; without one nothing can be settled. Because
    it stands in the signed job, the room and every holder know it before anything is computed. ``leakage`` is the digest of the
    statement of who comes to know what, which room and holders hold against what they compute by themselves; a question in SQL has one.
    ``placement`` is :data:`SECURE_AGGREGATION` where holders add up their own rows and hand over masked sums; else it follows from who
    computes.
    ``as_document`` is what is signed (its canonical bytes); ``parse`` reads it back to an equal value.
    """

    id: str
    consumer: str
    room: str
    purpose: str
    question: Question
    inputs: tuple[JobInput, ...]
    price_fen: Fen | None = None
    leakage: str | None = None
    placement: str | None = None

    def __post_init__(self) -> None:
        text(self.id, "job.id", pattern=_ID, expected="1 to 64 letters, digits and the marks . _ : -")
        if self.price_fen is not None:
            whole(self.price_fen, "job.price_fen", least=0)
        aliases = [one.alias for one in self.inputs]
        if not aliases or len(set(aliases)) != len(aliases):
            raise wrong("job.inputs", expected="at least one product, each name once", got="none, or a name twice")
        if len({(one.provider, one.product) for one in self.inputs}) != len(self.inputs):
            # under a second name a product would be judged by whatever schema the job gives that name
            raise wrong("job.inputs", expected="each product of a holder once", got="one of them under two names")

    @property
    def sums_up(self) -> bool:
        """Whether every holder adds up its own rows, so that none of them leaves it."""
        return self.placement == SECURE_AGGREGATION

    def environment_of(self, part: JobInput) -> str:
        """Return the node whose environment an input is used in: its holder's own where that adds it up, else the room."""
        return part.provider if self.sums_up else self.room

    @property
    def by_name(self) -> tuple[JobInput, ...]:
        """The inputs in the order of the names by which the question calls them."""
        return tuple(sorted(self.inputs, key=lambda one: one.alias))

    def terms(self, own: Mapping[str, ProductTerms]) -> dict[str, ProductTerms]:
        """Return the terms by which a holder vets the whole question.

        ``own`` are the terms this holder signed, by alias: they always win over what the job says about the same product.
        For every other product the schema and the smallest group in the job stand, whose truth is that holder's to check.
        """
        found = {one.alias: own.get(one.alias) or ProductTerms(one.schema, one.minimum_group, privacy=one.privacy) for one in self.inputs}
        return {one.alias: replace(found[one.alias], of_asker=one.provider == self.consumer, provider=one.provider) for one in self.inputs}

    def as_document(self) -> dict[str, Any]:
        """Return the job as JSON values, ready for canonical bytes and a signature."""
        return {
            "id": self.id,
            "consumer": self.consumer,
            "room": self.room,
            "purpose": self.purpose,
            "question": self.question.as_document(),
            "inputs": [one.as_document() for one in self.inputs],
            **({} if self.price_fen is None else {"price_fen": self.price_fen}),
            **({} if self.leakage is None else {"leakage": self.leakage}),
            **({} if self.placement is None else {"placement": self.placement}),
        }

    @classmethod
    def parse(cls, document: object) -> "Job":
        """Return the job that ``document`` describes; raise Invalid naming the field."""
        required = ("id", "consumer", "room", "purpose", "question", "inputs")
        found = mapping(document, "job", required=required, optional=("price_fen", "leakage", "placement"))
        inputs = sequence(found["inputs"], "job.inputs")
        return cls(
            text(found["id"], "job.id"),
            text(found["consumer"], "job.consumer", pattern=_DID, expected="a DID"),
            text(found["room"], "job.room", pattern=_DID, expected="a DID"),
            text(found["purpose"], "job.purpose"),
            _question(found["question"]),
            tuple(JobInput.parse(one, f"job.inputs[{place}]") for place, one in enumerate(inputs)),
            Fen(whole(found["price_fen"], "job.price_fen", least=0)) if "price_fen" in found else None,
            text(found["leakage"], "job.leakage", pattern=_DIGEST, expected="a digest") if "leakage" in found else None,
            text(found["placement"], "job.placement", pattern=SECURE_AGGREGATION, expected=SECURE_AGGREGATION)
            if "placement" in found
            else None,
        )


def _question(document: object) -> Question:
    if isinstance(document, Mapping) and "sql" in document:
        found = mapping(document, "job.question", required=("sql",))
        return SqlQuestion(text(found["sql"], "job.question.sql", pattern=r".*\S.*"))
    found = mapping(document, "job.question", required=("method", "parameters"))
    parameters = found["parameters"]
    if not isinstance(parameters, Mapping):
        raise wrong("job.question.parameters", expected="an object", got=kind(parameters))
    return MethodQuestion(text(found["method"], "job.question.method"), copy.deepcopy(dict(parameters)))


def _check_bounds(column: Column) -> None:
    bounds = [bound for bound in (column.lower, column.upper) if bound is not None]
    if not bounds:
        return
    if column.role is not Role.MEASURE or not column.type.is_number:
        raise _bounds("bounds on a numeric measure only")
    if not all(bound.is_finite() for bound in bounds):
        raise _bounds("finite bounds")
    if column.type is ColumnType.INTEGER and any(bound != bound.to_integral_value() for bound in bounds):
        raise _bounds("whole bounds on a column of whole numbers")
    if column.lower is not None and column.upper is not None and column.lower >= column.upper:
        raise _bounds("a lower bound below the upper one")


def _bounds(expected: str) -> Invalid:
    return Invalid(
        "cleanroom.bounds",
        f"column.lower, column.upper: expected {expected}, got another declaration",
        hint=Text("Declare the range to which the measure is clipped.", "请声明度量值的截断范围。"),
    )
