import copy
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.cleanroom.model import (
    Aggregate,
    Column,
    ColumnType,
    Job,
    JobInput,
    MethodQuestion,
    Operators,
    ProductTerms,
    Role,
    Schema,
    SqlQuestion,
)
from chengshu.kernel.canonical import canonical
from chengshu.kernel.errors import Invalid
from chengshu.kernel.money import Fen

SCHEMA = Schema(
    "fleet.jobs",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("fare", ColumnType.INTEGER, Role.MEASURE, frozenset({Aggregate.SUM}), Decimal(0), Decimal(9000)),
        Column("driver", ColumnType.TEXT, Role.HIDDEN),
    ),
    "vehicle",
    5,
)
JOB = Job(
    "job-1",
    "did:web:asker",
    "did:web:room",
    "road-safety",
    SqlQuestion("SELECT SUM(fare) FROM fleet.jobs"),
    (JobInput(SCHEMA, "did:web:fleet", "agreement-1", "product-1"),),
    price_fen=Fen(100),
)


def test_a_job_read_back_from_its_document_is_equal_and_signs_to_the_same_bytes() -> None:
    assert Job.parse(JOB.as_document()) == JOB
    assert canonical(Job.parse(JOB.as_document()).as_document()) == canonical(JOB.as_document())


def test_a_method_job_keeps_its_parameters() -> None:
    job = Job("j", "did:web:a", "did:web:b", "p", MethodQuestion("eta", {"seed": 7, "roads": ["r1"]}), JOB.inputs)
    assert Job.parse(job.as_document()) == job


@given(
    st.lists(
        st.builds(
            Column,
            name=st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
            type=st.sampled_from(ColumnType),
            role=st.sampled_from(Role),
            operators=st.frozensets(st.sampled_from(Operators)),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda column: column.name,
    ),
    st.integers(1, 1000),
)
def test_any_schema_survives_its_document(columns: list[Column], minimum: int) -> None:
    schema = Schema("party.product", tuple(columns), columns[0].name, minimum)
    assert Schema.parse(schema.as_document()) == schema


def _changed(path: list[Any], value: Any) -> dict[str, Any]:
    document: Any = copy.deepcopy(JOB.as_document())
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return dict(document)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (["consumer"], "asker", "job.consumer"),
        (["consumer"], KeyError, "job.consumer"),
        (["extra"], 1, "job"),
        (["question"], {"sql": 5}, "job.question.sql"),
        (["question"], {"method": "x", "parameters": []}, "job.question.parameters"),
        (["question"], {"sql": "x", "method": "y"}, "job.question"),
        (["inputs"], [], "job.inputs"),
        (["output"], "table", "job"),
        (["inputs", 0, "schema", "product"], "Fleet Jobs", "job.inputs[0].schema.product"),
        (["inputs", 0, "schema", "minimum_group"], 0, "job.inputs[0].schema.minimum_group"),
        (["inputs", 0, "schema", "minimum_group"], True, "job.inputs[0].schema.minimum_group"),
        (["inputs", 0, "schema", "columns", 1, "lower"], 0.5, "job.inputs[0].schema.columns[1].lower"),
        (["inputs", 0, "schema", "columns", 1, "role"], "secret", "job.inputs[0].schema.columns[1].role"),
        (["inputs", 0, "schema", "privacy_unit"], "nobody", "schema.privacy_unit"),
    ],
)
def test_a_wrong_job_is_invalid_and_the_field_is_named(path: list[Any], value: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        Job.parse(_changed(path, value))
    assert caught.value.facts == {"field": field}


def test_two_columns_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(Invalid):
        Schema("a.b", (Column("x", ColumnType.TEXT, Role.KEY), Column("X", ColumnType.TEXT, Role.HIDDEN)), None, 1)


@pytest.mark.parametrize("name", ["__rows", "a b", "", 'x"y', "x" * 64])
def test_a_column_name_that_could_be_taken_for_another_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        Column(name, ColumnType.TEXT, Role.KEY)


@pytest.mark.parametrize(
    ("type_", "role", "lower", "upper"),
    [
        (ColumnType.TEXT, Role.MEASURE, Decimal(0), None),
        (ColumnType.DOUBLE, Role.GROUP, Decimal(0), None),
        (ColumnType.DOUBLE, Role.MEASURE, Decimal(2), Decimal(1)),
        (ColumnType.INTEGER, Role.MEASURE, Decimal("0.5"), None),
        (ColumnType.DOUBLE, Role.MEASURE, None, Decimal("NaN")),
    ],
)
def test_bounds_that_mean_nothing_are_refused(type_: ColumnType, role: Role, lower: Decimal | None, upper: Decimal | None) -> None:
    with pytest.raises(Invalid):
        Column("x", type_, role, lower=lower, upper=upper)


def test_a_holders_own_terms_win_over_what_the_job_says() -> None:
    strict = ProductTerms(SCHEMA, minimum_group=50)
    provider = JOB.inputs[0].provider
    assert JOB.terms({"fleet.jobs": strict}) == {"fleet.jobs": replace(strict, provider=provider)}
    assert JOB.terms({}) == {"fleet.jobs": ProductTerms(SCHEMA, provider=provider)}


def test_partners_are_those_of_a_key() -> None:
    key = Column("vehicle", ColumnType.TEXT, Role.KEY, partners=frozenset({"did:key:zroad"}))
    assert Column.parse(key.as_document()) == key
    with pytest.raises(Invalid) as caught:
        Column("zone", ColumnType.TEXT, Role.GROUP, partners=frozenset({"did:key:zroad"}))
    assert caught.value.facts == {"field": "column.partners"}


def test_an_agreement_may_raise_the_smallest_group_and_never_lower_it() -> None:
    assert [ProductTerms(SCHEMA, minimum_group=k).smallest_group for k in (1, 5, 9)] == [5, 5, 9]


IDS = {"too long": "x" * 65, "with a zero byte": "job\x001", "empty": "", "with a space": "a job", "with a line": "job\n1"}


@pytest.mark.parametrize("id_", IDS.values(), ids=IDS.keys())
def test_a_job_with_an_id_that_no_table_can_keep_is_refused(id_: str) -> None:
    with pytest.raises(Invalid) as caught:
        Job.parse({**JOB.as_document(), "id": id_})
    assert caught.value.facts == {"field": "job.id"}


@pytest.mark.parametrize("price", [-1, 1.5, "100", True, None])
def test_a_price_is_whole_fen(price: object) -> None:
    with pytest.raises(Invalid) as caught:
        Job.parse({**JOB.as_document(), "price_fen": price})
    assert caught.value.facts == {"field": "job.price_fen"}


def test_one_product_under_two_names_is_refused() -> None:
    (part,) = JOB.inputs
    again = replace(part, schema=replace(SCHEMA, product="fleet.lax"))
    with pytest.raises(Invalid) as caught:
        replace(JOB, inputs=(part, again))
    assert caught.value.facts == {"field": "job.inputs"}
    assert len(replace(JOB, inputs=(part, replace(again, product="product-2"))).inputs) == 2


def test_what_is_the_askers_own_is_known_from_the_job() -> None:
    (part,) = JOB.inputs
    mine = replace(part, schema=replace(SCHEMA, product="asker.jobs"), provider=JOB.consumer)
    terms = replace(JOB, inputs=(part, mine)).terms({})
    assert {alias: one.sheltered for alias, one in terms.items()} == {"fleet.jobs": True, "asker.jobs": False}
