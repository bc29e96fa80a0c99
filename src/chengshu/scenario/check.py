"""Is a pack well made? The same judgement for ours and for a stranger's."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from chengshu import plugins
from chengshu.catalog.model import DataContract, Kind
from chengshu.catalog.odcs import read_contract
from chengshu.catalog.quality import take_in
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.extents import under
from chengshu.cleanroom.gate.release import release
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.schemas import schema_of, terms_of
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.errors import ChengshuError, Invalid, in_words
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Language, Text
from chengshu.policy.odrl import from_odrl
from chengshu.scenario.model import Pack, QueryPart, load
from chengshu.scenario.play import Observe, resolve_policy

README_SECTIONS = ("## Who", "## Why", "## What leaves", "## Method", "## Known limits")
_CLAUSE = re.compile(r"^[A-Z]{3}-\d+[a-z]?$")
_MEMORY, _THREADS, _TIMEOUT_S = "1GB", 2, 60.0
Tables = Mapping[str, pa.Table]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that was looked at: whether it holds, and what was found."""

    about: str
    holds: bool
    found: Text

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return {"about": self.about, "ok": self.holds, "found": self.found.of(language)}


def check(root: Path, *, observe: Callable[[str], Observe]) -> list[Verdict]:
    """Judge the pack in ``root``; every part is looked at, and one that cannot be is a verdict that does not hold."""
    try:
        pack = load(root)
        contracts = {part.id: read_contract(part.contract) for part in pack.products}
    except ChengshuError as error:
        return [Verdict("manifest", False, Text(error.message, error.message))]
    found = [Verdict("manifest", True, Text(f"{pack.id}, version {pack.version}", f"{pack.id}，版本 {pack.version}"))]
    found += [*_texts(pack), *_names(pack, contracts), *_policies(pack), *_methods(pack)]
    try:
        tables = sample_tables(pack, contracts, observe=observe(pack.source.method))
    except (ChengshuError, KeyError) as error:
        return [*found, Verdict("sample", False, Text(str(error), str(error)))]
    except (OSError, ValueError) as error:
        got = in_words(error)
        return [*found, Verdict("sample", False, Text(f"expected a readable sample, got {got}", f"样本不可读：{got}"))]
    found += list(_quality(contracts, tables))
    return [*found, *(_judged(pack, query, contracts, tables) for query in pack.queries)]


def sample_tables(pack: Pack, contracts: Mapping[str, DataContract], *, observe: Observe) -> dict[str, pa.Table]:
    """Return the pack's sample as each party holds it: product to table."""
    tables = dict(observe(pack.source.recording, pack.source.parameters))
    for part in pack.products:
        if part.document is not None:
            tables[part.id] = pa.table({"document": [part.document.read_text(encoding="utf-8")]})
    return {part.id: tables[part.id] for part in pack.products if contracts[part.id]}


def answer(pack: Pack, query: QueryPart, contracts: Mapping[str, DataContract], tables: Tables) -> list[dict[str, Any]] | Refused:
    """Return what the clean room would answer to one of the pack's questions over its sample."""
    terms = _terms(pack, contracts, asker=query.asked_by)
    vetted = vet(query.sql, terms)
    if isinstance(vetted, Refused):
        return vetted
    named = {f"{part.owner}.{part.id}": tables[part.id] for part in pack.products}
    inputs = {alias: named[alias] for alias in (one.product for one in vetted.inputs)}
    verdict = release(DuckDBEngine(_MEMORY, _THREADS, _TIMEOUT_S).run(vetted, inputs), query=vetted)
    return verdict if isinstance(verdict, Refused) else verdict.table.to_pylist()


def _terms(pack: Pack, contracts: Mapping[str, DataContract], *, asker: str) -> dict[str, ProductTerms]:
    parties = _stand_ins(pack)
    found = {}
    for part in pack.products:
        policy = from_odrl(resolve_policy(pack, part, parties=parties))
        schema = schema_of(contracts[part.id], handle=part.owner, policy=policy)
        found[schema.product] = replace(terms_of(under(schema, policy.extent), policy), of_asker=part.owner == asker)
    return found


def _stand_ins(pack: Pack) -> dict[str, str]:
    return {role.id: f"did:key:{role.id}" for role in pack.roles}


def _texts(pack: Pack) -> Iterator[Verdict]:
    readme = pack.root / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    missing = [section for section in README_SECTIONS if section not in text]
    yield _verdict("README", missing, "says who, why, what leaves, the method and its limits", "说明了参与方、目的、出室内容、方法与局限")
    wrong = [clause for clause in pack.clauses if not _CLAUSE.match(clause)]
    yield _verdict("clauses", wrong or ([] if pack.clauses else ["none"]), ", ".join(pack.clauses), "、".join(pack.clauses))
    yield _verdict("licences", [] if pack.licences else ["none"], f"{len(pack.licences)} stated", f"已声明 {len(pack.licences)} 项")


def _names(pack: Pack, contracts: Mapping[str, DataContract]) -> Iterator[Verdict]:
    for part in pack.products:
        contract = contracts[part.id]
        wrong = [] if contract.id == part.id == contract.table else [f"its contract is about {contract.id}, table {contract.table}"]
        if contract.synthetic is None and contract.kind is Kind.TABLE:
            wrong.append("a synthetic sample without a label (x-synthetic)")
        yield _verdict(f"contract {part.id}", wrong, f"{len(contract.columns)} columns", f"{len(contract.columns)} 列")


def _policies(pack: Pack) -> Iterator[Verdict]:
    for part in pack.products:
        try:
            policy = from_odrl(resolve_policy(pack, part, parties=_stand_ins(pack)))
        except ChengshuError as error:
            yield Verdict(f"policy {part.id}", False, Text(error.message, error.message))
        else:
            yield Verdict(f"policy {part.id}", True, Text(f"{len(policy.rules)} rules", f"{len(policy.rules)} 条规则"))


def _methods(pack: Pack) -> Iterator[Verdict]:
    names = plugins.method_names()
    for job in pack.jobs:
        wrong = [] if job.method in names else [f"method {job.method} is not installed"]
        yield _verdict(f"job {job.id}", wrong, f"method {job.method}", f"方法 {job.method}")


def _quality(contracts: Mapping[str, DataContract], tables: Tables) -> Iterator[Verdict]:
    for name, table in tables.items():
        if contracts[name].kind is Kind.DOCUMENT:
            continue
        report = take_in(table, contracts[name], file=f"{name} (sample)").report
        wrong = [f"{finding.rule} in {finding.column or 'rows'}: {finding.count}" for finding in report.findings]
        yield _verdict(f"sample {name}", wrong, f"{report.rows} rows, nothing found", f"{report.rows} 行，未发现问题")


def _judged(pack: Pack, query: QueryPart, contracts: Mapping[str, DataContract], tables: Tables) -> Verdict:
    try:
        return _question(pack, query, contracts, tables)
    except ChengshuError as error:
        folder = "queries" if query.refused_for is None else "refused"
        return Verdict(f"{folder}/{query.id}", False, Text(error.message, error.message))


def _question(pack: Pack, query: QueryPart, contracts: Mapping[str, DataContract], tables: Tables) -> Verdict:
    got = answer(pack, query, contracts, tables)
    if query.refused_for is not None:
        rule = got.rule if isinstance(got, Refused) else "an answer"
        wrong = [] if rule == query.refused_for else [f"expected a refusal by {query.refused_for}, got {rule}"]
        return _verdict(f"refused/{query.id}", wrong, f"refused by {rule}", f"按规则 {rule} 拒绝")
    if isinstance(got, Refused):
        return Verdict(
            f"queries/{query.id}", False, Text(f"refused by {got.rule}: {got.message}", f"被规则 {got.rule} 拒绝：{got.message}")
        )
    golden = _golden(query)
    if golden is None:
        return Verdict(f"queries/{query.id}", False, Text("no golden answer", "缺少标准答案"))
    wrong = [] if _ordered(golden) == _ordered(got) else ["another answer than the golden one"]
    return _verdict(f"queries/{query.id}", wrong, f"{len(golden)} rows, as golden", f"{len(golden)} 行，与标准答案一致")


def _golden(query: QueryPart) -> list[dict[str, Any]] | None:
    """The answer that the pack expects, None where it has none; raise Invalid for a file that holds no rows."""
    if query.answer is None or not query.answer.is_file():
        return None
    try:
        golden = json.loads(query.answer.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _no_rows(query.answer, in_words(error)) from error
    if not isinstance(golden, list) or not all(isinstance(row, dict) for row in golden):
        raise _no_rows(query.answer, "another JSON value")
    return golden


def _no_rows(file: Path, got: str) -> Invalid:
    return Invalid(
        "pack.invalid",
        f"answers/{file.name}: expected the golden answer as a JSON list of rows, got {got}",
        hint=Text("See docs/reference/pack.md.", "见 docs/reference/pack.md。"),
    )


def _ordered(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)


def _verdict(about: str, wrong: list[str], en: str, zh: str) -> Verdict:
    if wrong:
        return Verdict(about, False, Text("; ".join(wrong), "；".join(wrong)))
    return Verdict(about, True, Text(en, zh))
