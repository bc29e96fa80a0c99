"""How a pack is played: nodes, products, contracts, jobs, questions, settlement, proof; in that order."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengshu.kernel.errors import Invalid, in_words
from chengshu.kernel.text import Text
from chengshu.scenario.model import JobPart, Pack, ProductPart, QueryPart
from chengshu.scenario.ports import Answer, Document, Progress, RoadMap, Stage, Wish

POLICIES = "policy.json"
OWN_FILES = Text("your own files", "您自己的文件")
"""The label of a play in which no table came from the pack's sample."""

Observe = Callable[[Path, Mapping[str, Any]], Mapping[str, pa.Table]]
"""Turns a recorded sample into what each party holds: product name to table."""

Unpack = Callable[[Path], Mapping[str, Path]]
"""Writes a pack's sample into a folder, one file a product, and returns the files by product name."""


@dataclass(slots=True)
class Playbill:
    """What happened, as JSON-ready values for the summary and the report, filled as the play goes on."""

    parties: list[Document] = field(default_factory=list)
    products: list[Document] = field(default_factory=list)
    contracts: list[Document] = field(default_factory=list)
    jobs: list[Document] = field(default_factory=list)
    queries: list[Document] = field(default_factory=list)
    permit: Document | None = None
    statement: Document | None = None
    evidence: Document | None = None


class Play:
    """One performance of a pack on a stage of real nodes."""

    def __init__(self, pack: Pack, *, stage: Stage, unpack: Unpack, progress: Progress, folder: Path) -> None:
        self._pack = pack
        self._stage = stage
        self._unpack = unpack
        self._progress = progress
        self._folder = folder
        self._agreements: dict[tuple[str, str], Document] = {}
        self.bill = Playbill()

    def perform(self, *, bindings: Mapping[str, Path], only_bound: bool) -> Playbill:
        """Play the whole pack; ``bindings`` puts a user's own file in a product's place. Raises as :func:`check_bindings`."""
        check_bindings(self._pack, bindings)
        self._say("Starting the nodes", "启动各方节点")
        self.bill.parties = self._stage.raise_nodes(self._pack.roles)
        self._say("Each party takes up only what it would really hold", "各方只取得其真实可持有的数据")
        files = self._files(bindings, only_bound=only_bound)
        self._say("Publishing data products", "发布数据产品")
        for product in self._pack.products:
            self.bill.products.append(self._publish(product, files, bound=product.id in bindings))
        self._say("Putting the permit in force", "试运营许可生效")
        self.bill.permit = self._permit(files)
        self._say("Negotiating contracts over the wire", "在线协商数字合约")
        self._agree()
        for job in self._pack.jobs:
            self._say(f"Clean room: {job.title.en}", f"净室作业：{job.title.zh}")
            self.bill.jobs.append(self._job(job))
        self._say("Asking questions, and some that must be refused", "提出查询，包括必须被拒绝的查询")
        self.bill.queries = [self._query(query) for query in self._pack.queries]
        self._say("Settling by contribution", "按贡献结算")
        self.bill.statement = self._settle()
        self._say("Verifying the evidence from the files alone", "仅凭文件核验存证")
        self.bill.evidence = self._prove()
        return self.bill

    def _say(self, en: str, zh: str) -> None:
        self._progress.step(Text(en, zh))

    def _files(self, bindings: Mapping[str, Path], *, only_bound: bool) -> dict[str, Path]:
        files = dict(bindings)
        if only_bound:
            return files
        files |= {part.id: part.document for part in self._pack.products if part.document and part.id not in bindings}
        missing = {part.id for part in self._pack.products} - files.keys()
        if missing:
            files |= {name: path for name, path in self._unpack(self._folder / "observed").items() if name in missing}
        return files

    def _publish(self, part: ProductPart, files: Mapping[str, Path], *, bound: bool) -> Document:
        origin = "yours" if bound else "sample"
        if part.id not in files:
            return {"id": part.id, "owner": part.owner, "state": "absent", "origin": "none", "findings": []}
        policy = resolve_policy(self._pack, part, parties=self._stage.parties())
        reference = self._pack.map
        road_map = RoadMap(files[reference.product], reference) if reference and reference.product in files else None
        outcome = self._stage.publish(part.owner, file=files[part.id], contract=part.contract, policy=policy, road_map=road_map)
        return {**outcome, "id": part.id, "owner": part.owner, "origin": origin}

    def _permit(self, files: Mapping[str, Path]) -> Document | None:
        part = next((part for part in self._pack.products if part.id == self._pack.permit), None)
        return self._stage.permit(part.owner, files[part.id]) if part and part.id in files else None

    def _agree(self) -> None:
        owner = {part.id: part.owner for part in self._pack.products}
        published = {product["id"] for product in self.bill.products if product["state"] == "published"}
        wishes = [Wish(asker, owner[product], product) for asker, product in self._pack.contracts() if product in published]
        for wish, outcome in zip(wishes, self._stage.agree(wishes), strict=True):
            self.bill.contracts.append({"asker": wish.asker, "holder": wish.holder, "product": wish.product, **outcome})
            if outcome.get("agreement"):
                self._agreements[wish.asker, wish.product] = outcome

    def _inputs(self, asker: str, products: tuple[str, ...]) -> list[Document]:
        owner = {part.id: part.owner for part in self._pack.products}
        published = {product["id"]: product for product in self.bill.products if product["state"] == "published"}
        inputs = []
        for name in products:
            own = owner[name] == asker
            if name in published and (own or (asker, name) in self._agreements):
                agreement = "own" if own else self._agreements[asker, name]["agreement"]
                inputs.append({"product": name, "holder": owner[name], "agreement": agreement})
        return inputs

    def _job(self, job: JobPart) -> Document:
        inputs = self._inputs(job.asked_by, job.products)
        there = {part["product"] for part in inputs}
        missing = [name for name in job.products if name not in there]
        paid = self._pack.settlement
        answer = self._stage.run_job(job, inputs=inputs, price_fen=paid.price_fen if job.id == paid.job else None)
        return {
            "part": job.id,
            "title": {"en": job.title.en, "zh": job.title.zh},
            "asked_by": job.asked_by,
            "method": job.method,
            "purpose": job.purpose,
            "missing": missing,
            **_told(answer),
        }

    def _query(self, query: QueryPart) -> Document:
        named = tuple(self._pack.named_products(query.sql))
        inputs = self._inputs(query.asked_by, named)
        absent = sorted(set(named) - {one["product"] for one in inputs})
        if absent:
            answer = Answer("", "NOT_ASKED", {}, (f"not under contract in this run: {', '.join(absent)}",), None, None)
        else:
            answer = self._stage.query(query, inputs=inputs)
        return {
            "part": query.id,
            "asked_by": query.asked_by,
            "sql": query.sql.strip(),
            "expected_refusal": query.refused_for,
            "as_expected": _as_expected(query, answer),
            **_told(answer),
        }

    def _settle(self) -> Document | None:
        part = self._pack.settlement
        job = next(job for job in self.bill.jobs if job["part"] == part.job)
        if not job["tables"].get("coalitions"):
            return None
        return self._stage.settle(job["job"])

    def _prove(self) -> Document:
        job = next((job for job in self.bill.jobs if job["state"] == "RELEASED"), None)
        contract = next((row for row in self.bill.contracts if job and row["asker"] == job["asked_by"] and row.get("agreement")), None)
        if job is None or contract is None:
            return self._stage.prove(holder="", product="", job="")
        return self._stage.prove(holder=contract["holder"], product=contract["product"], job=job["job"])


def check_bindings(pack: Pack, bindings: Mapping[str, Path]) -> None:
    """Raise Invalid for a binding to a product that the pack does not have, or to a file that is not there."""
    known = [product.id for product in pack.products]
    unknown = sorted(bindings.keys() - set(known))
    if unknown:
        raise Invalid(
            "pack.unknown-product",
            f"expected products of {pack.id} ({', '.join(known)}), got {', '.join(unknown)}",
            hint=Text("Bind with --bind PRODUCT=FILE.", "请使用 --bind 产品=文件 进行绑定。"),
        )
    absent = [f"{name}={file}" for name, file in sorted(bindings.items()) if not file.is_file()]
    if absent:
        raise Invalid(
            "pack.binding-file",
            f"expected a file for every binding, got none at {', '.join(absent)}",
            hint=Text("Check the path; it is read from the folder you are in.", "请检查路径；相对路径以当前目录为准。"),
        )


def label_of(pack: Pack, products: Sequence[Document]) -> Text:
    """Return what the tables of a play were: the pack's sample with its label, the user's own files, or which of them were which."""
    documents = {part.id for part in pack.products if part.document is not None}
    tables = [one for one in products if one["state"] == "published" and one["id"] not in documents]
    own = [str(one["id"]) for one in tables if one["origin"] == "yours"]
    if not own:
        return pack.label
    if len(own) == len(tables):
        return OWN_FILES
    return Text(f"{pack.label.en}; your own files for {', '.join(own)}", f"{pack.label.zh}；其中 {'、'.join(own)} 为您自己的文件")


def write_sample(recording: Path, parameters: Mapping[str, Any], *, observe: Observe, folder: Path) -> dict[str, Path]:
    """Write every product of a sample as the file that its holder would have; return the files by product name."""
    return {name: write_product(table, folder, name) for name, table in observe(recording, parameters).items()}


def write_product(table: pa.Table, folder: Path, name: str) -> Path:
    """Write one product of a sample as the file its holder would have: Parquet, or JSON where the table is one document."""
    folder.mkdir(parents=True, exist_ok=True)
    if table.column_names == ["document"]:
        path = folder / f"{name}.json"
        path.write_text(table["document"][0].as_py(), encoding="utf-8")
    else:
        path = folder / f"{name}.parquet"
        pq.write_table(table, path, compression="zstd")
    return path


def resolve_policy(pack: Pack, part: ProductPart, *, parties: Mapping[str, str]) -> Document:
    """Return the ODRL offer for one product with every ``role:NAME`` replaced by that role's party id.

    ``policy.json`` holds one template a product, or ``*`` for those without one of their own.
    """
    templates = _templates(pack.root / POLICIES)
    template = templates.get(part.id, templates.get("*"))
    if template is None:
        raise Invalid(
            "pack.no-policy",
            f"expected a policy for {part.id} or for '*' in policy.json, got none",
            hint=Text("Add one; nothing is offered without a policy.", "请补充策略；没有策略的产品不会被提供。"),
        )
    text = json.dumps(template)
    for role, party in parties.items():
        text = text.replace(f'"role:{role}"', json.dumps(party))
    document: Document = json.loads(text)
    return document


def _templates(file: Path) -> Mapping[str, Any]:
    try:
        templates = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _no_policies(in_words(error)) from error
    if not isinstance(templates, dict):
        raise _no_policies("another JSON value")
    return templates


def _no_policies(got: str) -> Invalid:
    return Invalid(
        "pack.invalid",
        f"{POLICIES}: expected a readable JSON object with a policy a product, got {got}",
        hint=Text("See docs/reference/pack.md and docs/reference/policy.md.", "见 docs/reference/pack.md 与 docs/reference/policy.md。"),
    )


def _as_expected(query: QueryPart, answer: Answer) -> bool:
    """Whether a question was answered that should be, or refused for the stated reason; one that was not asked is no fault."""
    if answer.state == "NOT_ASKED":
        return True
    if query.refused_for is None:
        return answer.state == "RELEASED"
    return answer.refusal is not None and answer.refusal.rule == query.refused_for


def _told(answer: Answer) -> Document:
    return {
        "job": answer.job,
        "state": answer.state,
        "notes": list(answer.notes),
        "tables": {name: table.to_pylist() for name, table in answer.tables.items()},
        "receipt": answer.receipt,
        "refusal": None if answer.refusal is None else {"en": answer.refusal.as_dict("en"), "zh": answer.refusal.as_dict("zh")},
    }
