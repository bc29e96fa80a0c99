"""Publishing as a person does it: on which terms, from which file, against which map, and under which grade."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chengshu.catalog.inference import infer_contract
from chengshu.catalog.model import Acceptance, DataContract, Grade, QualityReport, Role
from chengshu.catalog.odcs import contract_of, document_of, read_document
from chengshu.catalog.quality import Further, check_position
from chengshu.cli.verbs import Document
from chengshu.kernel.errors import Invalid, in_words
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.node import Node
from chengshu.policy.model import (
    Basis,
    Columns,
    CountLimit,
    Environment,
    Form,
    MinimumGroup,
    OutputForm,
    Pay,
    Policy,
    Purpose,
    Queries,
    QueryForm,
    Recipient,
    RowFilter,
    Rule,
    Shown,
)
from chengshu.policy.odrl import from_odrl, to_odrl

_WHAT = Text("Give a file, or --contract with one whose server names a place.", "请提供文件，或用 --contract 提供写明数据源的合同。")


@dataclass(frozen=True, slots=True)
class Terms:
    """The usual offer in a few words: for whom, what for, where, how often, in groups of at least how many, and of what part of it."""

    room: str
    purposes: Sequence[str]
    recipients: Sequence[str] = ()
    uses: int | None = None
    group: int = 5
    paid: bool = False
    columns: Sequence[str] = ()
    shown: Sequence[str] = ()
    rows: str | None = None


def offer_of(terms: Terms) -> Document:
    """Return the ODRL policy for ``terms``: vetted questions only, aggregates only, in that clean room only."""
    rules: list[Rule] = [
        Purpose(frozenset(terms.purposes)),
        Environment(terms.room),
        Queries(QueryForm.VETTED_SQL),
        OutputForm(Form.AGGREGATE),
        MinimumGroup(terms.group),
    ]
    if terms.recipients:
        rules.append(Recipient(frozenset(terms.recipients)))
    if terms.uses is not None:
        rules.append(CountLimit(terms.uses))
    rules += [kind(frozenset(names)) for kind, names in ((Columns, terms.columns), (Shown, terms.shown)) if names]
    rules += [] if terms.rows is None else [RowFilter(terms.rows)]
    return to_odrl(Policy(tuple(rules), (Pay(Basis.CONTRIBUTION),) if terms.paid else ()))


@dataclass(frozen=True, slots=True)
class MapReference:
    """A map that positions are held against: a file of lanes, and where its local metres lie (PROJ text, offset in m)."""

    file: Path
    proj: str
    offset: tuple[float, float]


def publish(
    node: Node,
    file: Path | None,
    *,
    contract: Path | None,
    policy: Document,
    acceptance: Acceptance,
    version: str | None = None,
    road_map: MapReference | None = None,
) -> Document | Refused:
    """Publish a file, or the rows at the place that a contract names, as a data product; return it with its findings, or the refusal.

    With a map, positions that are not on its roads (shifted coordinates) or beside their lanes (a bias) are findings too. Without a
    contract one is inferred from the file: numbers are measures, everything else is hidden.
    """
    if contract:
        document = read_document(contract)
    elif file is None:
        raise Invalid("source.which", "expected a file or a data contract that names a place, got neither", hint=_WHAT)
    else:
        inferred = infer_contract(file, owner=node.settings.node.handle)
        document = document_of(replace(inferred, version=version) if version else inferred)
    further = against(road_map) if road_map else None
    node.holder.check_offer(contract_of(document, file="data contract"), from_odrl(policy))
    outcome = node.catalog.publish(document, source=file, policy=policy, acceptance=acceptance, further=further)
    if isinstance(outcome, Refused):
        return outcome
    return {
        "product": outcome.id,
        "version": outcome.version,
        "rows": outcome.rows,
        "data_digest": outcome.data_digest,
        "policy_digest": outcome.policy_digest,
        "findings": list(outcome.quality["findings"]),
        "hidden": [column.name for column in outcome.contract.columns if column.role is Role.HIDDEN],
    }


def against(road_map: MapReference) -> Further:
    """Return the check that holds a table's positions against a map; raise Invalid when its file holds no lanes."""
    try:
        lanes = pq.read_table(road_map.file, columns=["xs", "ys"])
    except (OSError, ValueError) as error:
        raise Invalid(
            "map.file",
            f"{road_map.file}: expected a Parquet file of lanes with the columns xs and ys, got {in_words(error)}",
            hint=Text("The pilot's product map_lane is a pattern for it.", "可参照试点产品 map_lane。"),
        ) from error
    from chengshu.methods.projection import LocalFrame  # noqa: PLC0415  # its projection library is large, and few commands project

    frame = LocalFrame(road_map.proj, *road_map.offset)

    def check(table: pa.Table, contract: DataContract, file: str) -> QualityReport:
        return check_position(table, contract, file=file, lanes=lanes, from_wgs84=frame.from_wgs84)

    return check


def products(node: Node) -> list[Document]:
    """Return this node's published products."""
    grades = node.catalog.grades()
    return [
        {
            "product": one.id,
            "version": one.version,
            "rows": one.rows,
            "grade": grades.get(one.id, Grade.GENERAL).value,
            "title_en": one.contract.name.en,
            "title_zh": one.contract.name.zh,
        }
        for one in node.catalog.products()
    ]


def grade(node: Node, product: str, level: Grade, *, reason: str) -> Document | Refused:
    """Set a product's grade and return it, or say why its offer does not allow it."""
    outcome = node.catalog.grade(product, level, reason=reason)
    return outcome if isinstance(outcome, Refused) else {"product": product, "grade": outcome.value}
