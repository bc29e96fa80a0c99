"""Data contracts as Open Data Contract Standard documents (ODCS v3.1, Bitol, 2025): read strictly, written back.

What the standard has no word for stands in ``customProperties`` under names that begin with ``x-``, so that any ODCS tool still
reads the file. An ``x-`` name or a key that is not understood is refused with its path, never ignored: a misspelt
``x-minimum-group`` must not turn a protection off.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from open_data_contract_standard.model import CustomProperty, OpenDataContractStandard, SchemaObject, SchemaProperty
from pydantic import ValidationError

from chengshu.catalog.model import Box, Column, Crs, DataContract, Kind, LogicalType, Role, Semantic
from chengshu.catalog.place import ObjectFormat, ObjectPlace, TablePlace
from chengshu.catalog.servers import place_of, server_of
from chengshu.kernel.errors import Invalid, in_words
from chengshu.kernel.text import Text

API_VERSIONS = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0")
HEADING = "north-clockwise"
TIME = "utc-epoch-ms"
SHIFTED = ("GCJ-02", "BD-09")
AGGREGATES = ("count", "sum", "avg", "min", "max")
OPERATORS = ("equal", "order", "missing")

PHYSICAL = {
    "string": LogicalType.STRING,
    "int8": LogicalType.INTEGER,
    "int16": LogicalType.INTEGER,
    "int32": LogicalType.INTEGER,
    "int64": LogicalType.INTEGER,
    "float32": LogicalType.NUMBER,
    "float64": LogicalType.NUMBER,
    "bool": LogicalType.BOOLEAN,
    "timestamp_ms": LogicalType.TIMESTAMP,
    "date32": LogicalType.DATE,
    "list<float64>": LogicalType.ARRAY,
    "list<int32>": LogicalType.ARRAY,
    "list<int64>": LogicalType.ARRAY,
    "list<string>": LogicalType.ARRAY,
}
_ALIASES = {
    "double": "float64",
    "float": "float32",
    "bigint": "int64",
    "integer": "int32",
    "boolean": "bool",
    "list<double>": "list<float64>",
}
_DEFAULT_PHYSICAL = {
    LogicalType.STRING: "string",
    LogicalType.INTEGER: "int64",
    LogicalType.NUMBER: "float64",
    LogicalType.BOOLEAN: "bool",
    LogicalType.TIMESTAMP: "timestamp_ms",
    LogicalType.DATE: "date32",
    LogicalType.ARRAY: "list<float64>",
}
_CONTRACT_KEYS = (
    "x-title-zh",
    "x-privacy-unit",
    "x-minimum-group",
    "x-dominance-percent",
    "x-crs",
    "x-bbox",
    "x-heading",
    "x-time",
    "x-rate-hz",
    "x-synthetic-en",
    "x-synthetic-zh",
)
_COLUMN_KEYS = ("x-unit", "x-role", "x-aggregates", "x-operators", "x-join-partners", "x-sentinels", "x-semantic")
_AS_DOCUMENTED = Text(
    "Correct the data contract at the path named; docs/reference lists every field that is understood.",
    "请在所示路径处更正数据合同；docs/reference 列出全部可识别字段。",
)
_CONVERT = Text(
    "Convert the coordinates to WGS84 (or CGCS2000) before publishing and declare x-crs accordingly; shifted coordinates are not accepted.",
    "请在发布前将坐标转换为 WGS84（或 CGCS2000）并在 x-crs 中声明；不接受偏移坐标。",
)

_Value = TypeVar("_Value")


def read_document(path: Path) -> dict[str, Any]:
    """Return the JSON value of one YAML (or JSON) data contract; raise Invalid when it is missing or no mapping."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _fault(path.name, "$", expected="a readable YAML file in UTF-8", got=in_words(error)) from error
    if not isinstance(document, dict):
        raise _fault(path.name, "$", expected="a mapping", got=_kind(document))
    return document


def read_contract(path: Path) -> DataContract:
    """Return the contract in one file; raise Invalid naming file, path, expected and got."""
    return contract_of(read_document(path), file=path.name)


def contract_of(document: Mapping[str, Any], *, file: str) -> DataContract:
    """Return the contract that an ODCS document states; ``file`` names it in errors."""
    try:
        model = OpenDataContractStandard.model_validate(dict(document))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _fault(file, _path(first["loc"]), expected=str(first["msg"]), got=str(first["type"])) from error
    for unknown in _unknown_keys(dict(document), model.model_dump(by_alias=True, exclude_unset=True), at="$"):
        raise _fault(file, unknown, expected="a field of ODCS v3.1", got="an unknown field")
    return _Reader(file, model).contract()


def document_of(contract: DataContract) -> dict[str, Any]:
    """Return the ODCS v3.1 document that states ``contract``; :func:`contract_of` reads it back as the same value."""
    custom = {
        "x-title-zh": contract.name.zh,
        "x-privacy-unit": contract.privacy_unit,
        "x-minimum-group": contract.minimum_group,
        "x-dominance-percent": contract.dominance_percent,
        "x-crs": contract.crs and contract.crs.value,
        "x-bbox": contract.bbox and [contract.bbox.min_lon, contract.bbox.min_lat, contract.bbox.max_lon, contract.bbox.max_lat],
        "x-heading": contract.heading,
        "x-time": contract.time,
        "x-rate-hz": contract.rate_hz,
        "x-synthetic-en": contract.synthetic and contract.synthetic.en,
        "x-synthetic-zh": contract.synthetic and contract.synthetic.zh,
    }
    server = {"server": "source", "type": "custom", **({"format": "json"} if contract.kind is Kind.DOCUMENT else {})}
    if contract.place is not None:
        server = server_of(contract.place)
    text = {} if isinstance(contract.place, TablePlace) else {"encoding": contract.encoding, "delimiter": contract.delimiter}
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": contract.id,
        "version": contract.version,
        "name": contract.name.en,
        "status": "active",
        "team": {"name": contract.owner},
        "description": {"purpose": contract.description},
        "servers": [{**server, **text}],
        "schema": [
            {
                "name": contract.table,
                **({"physicalName": contract.place.table} if isinstance(contract.place, TablePlace) else {}),
                "logicalType": "object",
                "physicalType": contract.kind.value,
                "properties": [_property_of(column) for column in contract.columns],
            }
        ],
        "customProperties": _custom_of(custom),
    }


def write_contract(contract: DataContract) -> str:
    """Return the contract as YAML text."""
    return yaml.safe_dump(document_of(contract), sort_keys=False, allow_unicode=True, width=140)


def _property_of(column: Column) -> dict[str, Any]:
    options = {"minimum": column.minimum, "maximum": column.maximum}
    custom = {
        "x-unit": column.unit,
        "x-role": column.role.value,
        "x-aggregates": list(column.aggregates) or None,
        "x-operators": list(column.operators) or None,
        "x-join-partners": list(column.partners) or None,
        "x-sentinels": list(column.sentinels) or None,
        "x-semantic": column.semantic and column.semantic.value,
    }
    rule = {"type": "library", "metric": "invalidValues", "arguments": {"validValues": list(column.allowed)}, "mustBe": 0}
    fields: dict[str, Any] = {
        "name": column.name,
        "logicalType": column.logical_type.value,
        "physicalType": column.physical_type,
        "description": column.description or None,
        "required": column.required or None,
        "unique": column.unique or None,
        "primaryKey": column.primary_key or None,
        "logicalTypeOptions": {name: value for name, value in options.items() if value is not None} or None,
        "quality": [rule] if column.allowed else None,
        "customProperties": _custom_of(custom),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _custom_of(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items() if value is not None]


class _Reader:
    """Reads one validated ODCS model; every fault is named by its path in the document."""

    def __init__(self, file: str, model: OpenDataContractStandard) -> None:
        self._file = file
        self._model = model
        self._custom = self._custom_of(model.customProperties, "customProperties", _CONTRACT_KEYS)

    def contract(self) -> DataContract:
        model, custom = self._model, self._custom
        if model.apiVersion not in API_VERSIONS:
            raise self._fault("apiVersion", f"one of {', '.join(API_VERSIONS)}", _kind(model.apiVersion))
        table = self._table()
        name = self._text(model.name, "name")
        columns = self._columns(table)
        server = model.servers[0] if model.servers else None
        contract = DataContract(
            id=self._text(model.id, "id"),
            version=self._text(model.version, "version"),
            table=self._text(table.name, "schema[0].name"),
            name=Text(name, self._custom_text("x-title-zh") or name),
            owner=self._owner(),
            description=(model.description.purpose if model.description else None) or "",
            columns=columns,
            kind=self._one_of(Kind, table.physicalType or "table", "schema[0].physicalType"),
            encoding=(server.encoding if server else None) or "utf-8",
            delimiter=(server.delimiter if server else None) or ",",
            privacy_unit=self._custom_text("x-privacy-unit"),
            minimum_group=self._whole("x-minimum-group"),
            dominance_percent=self._whole("x-dominance-percent", most=100),
            crs=self._crs(columns),
            bbox=self._bbox(),
            heading=self._convention("x-heading", HEADING, custom),
            time=self._convention("x-time", TIME, custom),
            rate_hz=self._rate(),
            synthetic=self._synthetic(),
            place=place_of(server, table, fault=self._fault),
        )
        self._check_across(contract)
        return contract

    def _table(self) -> SchemaObject:
        tables = self._model.schema_ or []
        if len(tables) != 1:
            raise self._fault("schema", "exactly one object", f"{len(tables)}")
        return tables[0]

    def _owner(self) -> str:
        team = self._model.team
        return self._text(None if team is None or isinstance(team, list) else team.name, "team.name")

    def _columns(self, table: SchemaObject) -> tuple[Column, ...]:
        columns = tuple(self._column(one, f"schema[0].properties[{place}]") for place, one in enumerate(table.properties or []))
        if not columns:
            raise self._fault("schema[0].properties", "at least one column", "none")
        seen: set[str] = set()
        for place, column in enumerate(columns):
            if column.name in seen:
                raise self._fault(f"schema[0].properties[{place}].name", "a name used once", "a name used before")
            seen.add(column.name)
        return columns

    def _column(self, one: SchemaProperty, at: str) -> Column:
        custom = self._custom_of(one.customProperties, f"{at}.customProperties", _COLUMN_KEYS)
        logical = self._one_of(LogicalType, one.logicalType, f"{at}.logicalType")
        options = one.logicalTypeOptions or {}
        rules = self._rules(one, at)
        role = self._one_of(Role, custom.get("x-role", Role.HIDDEN.value), f"{at}.customProperties.x-role")
        return Column(
            name=self._text(one.name, f"{at}.name"),
            logical_type=logical,
            physical_type=self._physical(one.physicalType, logical, f"{at}.physicalType"),
            unit=custom.get("x-unit"),
            description=one.description or "",
            required=bool(one.required) or "nullValues" in rules,
            unique=bool(one.unique) or "duplicateValues" in rules,
            primary_key=bool(one.primaryKey),
            minimum=self._number(options.get("minimum", rules.get("minimum")), f"{at}.logicalTypeOptions.minimum"),
            maximum=self._number(options.get("maximum", rules.get("maximum")), f"{at}.logicalTypeOptions.maximum"),
            allowed=tuple(str(value) for value in rules.get("validValues", [])),
            sentinels=tuple(self._each_number(custom.get("x-sentinels", []), f"{at}.customProperties.x-sentinels")),
            role=role,
            aggregates=self._some_of(AGGREGATES, custom.get("x-aggregates", []), f"{at}.customProperties.x-aggregates"),
            operators=self._some_of(OPERATORS, custom.get("x-operators", []), f"{at}.customProperties.x-operators"),
            partners=self._partners(custom, role, f"{at}.customProperties.x-join-partners"),
            semantic=self._optional(custom.get("x-semantic"), Semantic, f"{at}.customProperties.x-semantic"),
        )

    def _partners(self, custom: Mapping[str, Any], role: Role, at: str) -> tuple[str, ...]:
        """The parties with whose products a key may be joined; an empty list would be one that nobody reads as none."""
        value = custom.get("x-join-partners")
        if value is None:
            return ()
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one.startswith("did:") for one in value):
            raise self._fault(at, "a list of party ids, each beginning with did:", "another value")
        if role is not Role.KEY:
            raise self._fault(at, "no such list, or a column of role key", "one of a column of another role")
        return tuple(dict.fromkeys(value))

    def _rules(self, one: SchemaProperty, at: str) -> dict[str, Any]:
        """The quality rules we enforce: nullValues, duplicateValues and invalidValues that must be 0; free text is documentation."""
        found: dict[str, Any] = {}
        if one.enum:
            found["validValues"] = [entry.value for entry in one.enum]
        for place, rule in enumerate(one.quality or []):
            if rule.type == "text":
                continue
            metric = rule.metric or rule.rule
            if metric not in ("nullValues", "duplicateValues", "invalidValues") or rule.mustBe != 0:
                expected = "nullValues, duplicateValues or invalidValues with mustBe: 0, or type: text"
                raise self._fault(f"{at}.quality[{place}]", expected, "another rule")
            found[metric] = True
            found.update(rule.arguments or {})
        return found

    def _physical(self, value: str | None, logical: LogicalType, at: str) -> str:
        physical = _DEFAULT_PHYSICAL[logical] if value is None else _ALIASES.get(value, value)
        if PHYSICAL.get(physical) is not logical:
            fitting = ", ".join(name for name, kind in PHYSICAL.items() if kind is logical)
            raise self._fault(at, f"one of {fitting} for logicalType {logical.value}", "another type")
        return physical

    def _crs(self, columns: tuple[Column, ...]) -> Crs | None:
        at, value = "customProperties.x-crs", self._custom.get("x-crs")
        if isinstance(value, str) and value.upper() in SHIFTED:
            raise Invalid(
                "contract.crs-shifted",
                f"{self._file} at {at}: expected {' or '.join(Crs)}, got {value.upper()}, which shifts every position by 100 to 700 m",
                hint=_CONVERT,
                facts={"file": self._file, "path": at},
            )
        if value is None and any(column.semantic is Semantic.LATITUDE for column in columns):
            raise self._fault(at, f"{' or '.join(Crs)}, because a column holds a latitude", "no declaration")
        return self._optional(value, Crs, at)

    def _bbox(self) -> Box | None:
        value = self._custom.get("x-bbox")
        if value is None:
            return None
        at = "customProperties.x-bbox"
        numbers = self._each_number(value, at)
        if len(numbers) != 4 or not (-180 <= numbers[0] < numbers[2] <= 180 and -90 <= numbers[1] < numbers[3] <= 90):
            raise self._fault(at, "[min_lon, min_lat, max_lon, max_lat] in degrees", "another order or size")
        return Box(*numbers)

    def _convention(self, name: str, only: str, custom: Mapping[str, Any]) -> str | None:
        value = custom.get(name)
        if value not in (None, only):
            raise self._fault(f"customProperties.{name}", only, "another convention")
        return only if value else None

    def _rate(self) -> float | None:
        rate = self._number(self._custom.get("x-rate-hz"), "customProperties.x-rate-hz")
        if rate is not None and rate <= 0:
            raise self._fault("customProperties.x-rate-hz", "a rate above 0", "a rate of 0 or below")
        return rate

    def _whole(self, name: str, *, most: int | None = None) -> int | None:
        value = self._custom.get(name)
        if value is not None and (type(value) is not int or value < 1 or (most is not None and value > most)):
            bound = "" if most is None else f" and at most {most}"
            raise self._fault(f"customProperties.{name}", f"a whole number of at least 1{bound}", _kind(value))
        return value

    def _synthetic(self) -> Text | None:
        en, zh = self._custom_text("x-synthetic-en"), self._custom_text("x-synthetic-zh")
        if bool(en) != bool(zh):
            raise self._fault("customProperties", "both x-synthetic-en and x-synthetic-zh, or neither", "one of them")
        return Text(en, zh) if en and zh else None

    def _check_across(self, contract: DataContract) -> None:
        unit = contract.privacy_unit
        if unit is not None and contract.column(unit) is None:
            raise self._fault("customProperties.x-privacy-unit", "the name of a column", "another name")
        for place, column in enumerate(contract.columns):
            at = f"schema[0].properties[{place}]"
            if column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
                raise self._fault(f"{at}.logicalTypeOptions", "minimum no greater than maximum", "the reverse")
        if contract.kind is Kind.DOCUMENT and [column.name for column in contract.columns] != ["document"]:
            raise self._fault("schema[0].properties", "the one column 'document' for a document", "others")
        self._check_place(contract)
        if contract.about(Semantic.HEADING) and contract.heading is None:
            raise self._fault("customProperties.x-heading", HEADING, "no declaration")
        if contract.about(Semantic.TIME) and contract.time is None:
            raise self._fault("customProperties.x-time", TIME, "no declaration")

    def _check_place(self, contract: DataContract) -> None:
        match contract.place:
            case TablePlace() if contract.kind is Kind.DOCUMENT:
                raise self._fault("schema[0].physicalType", "table, for a table or view of a database", "document")
            case ObjectPlace(format=format_) if (format_ is ObjectFormat.JSON) != (contract.kind is Kind.DOCUMENT):
                raise self._fault("servers[0].format", "json for a document, and for nothing else", "another pair")
            case _:
                pass

    def _custom_of(self, properties: list[CustomProperty] | None, at: str, known: tuple[str, ...]) -> dict[str, Any]:
        found = {}
        for place, one in enumerate(properties or []):
            name = one.property or ""
            if name.startswith("x-") and name not in known:
                raise self._fault(f"{at}[{place}].property", f"one of {', '.join(known)}", "another x- name")
            found[name] = one.value
        return found

    def _custom_text(self, name: str) -> str | None:
        value = self._custom.get(name)
        return None if value is None else self._text(value, f"customProperties.{name}")

    def _text(self, value: Any, at: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self._fault(at, "a text that is not empty", _kind(value))
        return value

    def _number(self, value: Any, at: str) -> float | None:
        return None if value is None else self._each_number([value], at)[0]

    def _each_number(self, values: Any, at: str) -> list[float]:
        if not isinstance(values, list):
            raise self._fault(at, "a list of numbers", _kind(values))
        try:
            return [float(value) for value in values if not isinstance(value, bool)]
        except (TypeError, ValueError) as error:
            raise self._fault(at, "numbers", "something else") from error

    def _some_of(self, known: tuple[str, ...], values: Any, at: str) -> tuple[str, ...]:
        if not isinstance(values, list) or not all(one in known for one in values):
            raise self._fault(at, f"a list of {', '.join(known)}", "something else")
        return tuple(values)

    def _one_of(self, kinds: Callable[[Any], _Value], value: Any, at: str) -> _Value:
        try:
            return kinds(value)
        except ValueError as error:
            names = ", ".join(str(one) for one in kinds)  # type: ignore[attr-defined] # every caller passes an enum class
            raise self._fault(at, f"one of {names}", _kind(value)) from error

    def _optional(self, value: Any, kinds: Callable[[Any], _Value], at: str) -> _Value | None:
        return None if value is None else self._one_of(kinds, value, at)

    def _fault(self, at: str, expected: str, got: str) -> Invalid:
        return _fault(self._file, at, expected=expected, got=got)


def _fault(file: str, at: str, *, expected: str, got: str) -> Invalid:
    return Invalid(
        "contract.invalid",
        f"{file} at {at}: expected {expected}, got {got}",
        hint=_AS_DOCUMENTED,
        facts={"file": file, "path": at, "expected": expected, "got": got},
    )


def _unknown_keys(raw: Any, understood: Any, *, at: str) -> Iterator[str]:
    """Paths of keys that the standard's model dropped because it does not know them."""
    if isinstance(raw, dict) and isinstance(understood, dict):
        for key, value in raw.items():
            if key not in understood:
                yield f"{at}.{key}".removeprefix("$.")
            else:
                yield from _unknown_keys(value, understood[key], at=f"{at}.{key}")
    elif isinstance(raw, list) and isinstance(understood, list):
        for place, (value, kept) in enumerate(zip(raw, understood, strict=True)):
            yield from _unknown_keys(value, kept, at=f"{at}[{place}]")


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".") or "$"


def _kind(value: Any) -> str:
    """What kind of thing came, without its content."""
    return {
        type(None): "nothing",
        str: "text",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        list: "a list",
        dict: "a mapping",
    }.get(type(value), type(value).__name__)
