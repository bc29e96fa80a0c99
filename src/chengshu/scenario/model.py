"""What is true of a pack: a scenario as data."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu.kernel.errors import Invalid, NotFound, in_words
from chengshu.kernel.text import Text
from chengshu.scenario.keys import unknown_keys

MANIFEST = "pack.toml"
_ID = re.compile(r"^[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$")
_REFUSAL_HEADER = re.compile(r"^-- reason: ([a-z0-9-]+)$")


@dataclass(frozen=True, slots=True)
class Role:
    """A part that an organisation plays; ``clean_room`` says that its node computes for the others."""

    id: str
    title: Text
    clean_room: bool


@dataclass(frozen=True, slots=True)
class ProductPart:
    """One product of the pack: who owns it and the data contract it is held to."""

    id: str
    owner: str
    contract: Path
    document: Path | None


@dataclass(frozen=True, slots=True)
class JobPart:
    """One sealed method that a role asks the clean room to run over products."""

    id: str
    title: Text
    asked_by: str
    method: str
    purpose: str
    products: tuple[str, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One SQL question; ``refused_for`` names the rule when it must be refused."""

    id: str
    sql: str
    asked_by: str
    purpose: str
    refused_for: str | None
    answer: Path | None


@dataclass(frozen=True, slots=True)
class SourcePart:
    """How the recorded sample becomes what each party holds."""

    method: str
    recording: Path
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MapPart:
    """Which product is the map that positions are held against, and where its local metres lie (PROJ text, offset in m)."""

    product: str
    proj: str
    net_offset: tuple[float, float]

    def parameters(self) -> dict[str, Any]:
        """Return the frame as the parameters of a method that reads the map."""
        return {"proj": self.proj, "net_offset": list(self.net_offset)}


@dataclass(frozen=True, slots=True)
class SettlementPart:
    """Which job's coalition counts are paid for, by whom, and at what price in fen."""

    job: str
    payer: str
    price_fen: int


@dataclass(frozen=True, slots=True)
class Pack:
    """A scenario as data; every path in it lies below ``root``."""

    root: Path
    id: str
    version: str
    title: Text
    summary: Text
    label: Text
    clauses: tuple[str, ...]
    roles: tuple[Role, ...]
    products: tuple[ProductPart, ...]
    jobs: tuple[JobPart, ...]
    queries: tuple[QueryPart, ...]
    source: SourcePart
    settlement: SettlementPart
    permit: str | None
    map: MapPart | None
    licences: tuple[str, ...]

    def role(self, role_id: str) -> Role:
        """Return a role by id."""
        return next(role for role in self.roles if role.id == role_id)

    @property
    def room(self) -> Role:
        """The role whose node runs the clean room."""
        return next(role for role in self.roles if role.clean_room)

    def contracts(self) -> list[tuple[str, str]]:
        """Return every (consumer role, product) pair that a job or an allowed query needs an agreement for."""
        owner = {product.id: product.owner for product in self.products}
        needed = {(job.asked_by, product) for job in self.jobs for product in job.products}
        needed |= {(query.asked_by, product) for query in self.queries for product in self.named_products(query.sql)}
        return sorted((asker, product) for asker, product in needed if owner[product] != asker)

    def named_products(self, sql: str) -> list[str]:
        """Return the pack's products that ``sql`` names as ``party.product``."""
        return [product.id for product in self.products if f"{product.owner}.{product.id}" in sql]


def find(roots: Iterable[Path], name: str) -> Path:
    """Return the folder of the pack called ``name`` (an id under one of ``roots``, or a path); raise NotFound with what there is."""
    as_path = Path(name)
    if (as_path / MANIFEST).is_file():
        return as_path
    known: list[str] = []
    for root in roots:
        if (root / name / MANIFEST).is_file():
            return root / name
        known += [manifest.parent.relative_to(root).as_posix() for manifest in sorted(root.glob(f"*/*/{MANIFEST}"))]
    raise NotFound(
        "pack.absent",
        f"expected a pack ({', '.join(known) or 'none is installed'}) or a folder with a {MANIFEST}, got {name}",
        hint=Text("List the packs with 'chengshu pack list'.", "用 chengshu pack list 查看全部场景包。"),
    )


def load(root: Path) -> Pack:
    """Return the pack in ``root``; raise Invalid, naming the key, for a manifest with a missing, unknown or contradictory part."""
    path = root / MANIFEST
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _invalid(f"expected a readable {MANIFEST}, got: {error}") from error
    try:
        pack = _pack(root, document)
    except KeyError as error:
        raise _invalid(f"expected the key {error.args[0]!r}, got none") from error
    except OSError as error:
        raise _invalid(f"expected every file of the pack to be readable, got {in_words(error)}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise _invalid(f"expected the documented shape of every key, got: {error}") from error
    faults = [f"{key}: no such key" for key in unknown_keys(document)]
    faults += [*_names(pack), *_doubles(pack), *_references(pack), *_outside(pack)]
    if faults:
        raise _invalid("; ".join(faults))
    return pack


def _pack(root: Path, document: dict[str, Any]) -> Pack:
    source = document["source"]
    settlement = document["settlement"]
    return Pack(
        root=root,
        id=str(document["id"]),
        version=str(document["version"]),
        title=_text(document["title"]),
        summary=_text(document["summary"]),
        label=_text(document["label"]),
        clauses=tuple(document["clauses"]),
        roles=tuple(Role(role["id"], _text(role), role.get("clean_room", False)) for role in document["roles"]),
        products=tuple(_product(root, product) for product in document["products"]),
        jobs=tuple(_job(job, document.get("map")) for job in document["jobs"]),
        queries=tuple(_queries(root, document["queries"])),
        source=SourcePart(source["method"], root / source["recording"], source.get("parameters", {})),
        settlement=SettlementPart(settlement["job"], settlement["payer"], _fen(settlement["price_fen"])),
        permit=document.get("permit"),
        map=_map(document["map"]) if "map" in document else None,
        licences=tuple(document["licences"]),
    )


def _text(part: Mapping[str, Any]) -> Text:
    return Text(en=part["en"], zh=part["zh"])


def _product(root: Path, part: Mapping[str, Any]) -> ProductPart:
    document = root / part["document"] if "document" in part else None
    return ProductPart(part["id"], part["owner"], root / part["contract"], document)


def _map(part: Mapping[str, Any]) -> MapPart:
    east, north = part["net_offset"]
    return MapPart(part["product"], str(part["proj"]), (float(east), float(north)))


def _job(part: Mapping[str, Any], map_part: Mapping[str, Any] | None) -> JobPart:
    """Read a job; one that reads the pack's map is told where the map lies."""
    frame = _map(map_part).parameters() if map_part and map_part["product"] in part["products"] else {}
    return JobPart(
        id=part["id"],
        title=_text(part["title"]),
        asked_by=part["asked_by"],
        method=part["method"],
        purpose=part["purpose"],
        products=tuple(part["products"]),
        parameters={**frame, **part.get("parameters", {})},
    )


def _queries(root: Path, part: Mapping[str, Any]) -> list[QueryPart]:
    found = []
    for path in sorted((root / "queries").glob("*.sql")):
        answer = root / "answers" / f"{path.stem}.json"
        found.append(QueryPart(path.stem, path.read_text(encoding="utf-8"), part["asked_by"], part["purpose"], None, answer))
    for path in sorted((root / "refused").glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        first, _, sql = text.partition("\n")
        header = _REFUSAL_HEADER.match(first)
        if header is None:
            raise ValueError(f"refused/{path.name}: the first line must be '-- reason: rule-name'")
        found.append(QueryPart(path.stem, sql, part["asked_by"], part["purpose"], header.group(1), None))
    return found


def _names(pack: Pack) -> list[str]:
    roles = {role.id for role in pack.roles}
    products = {product.id for product in pack.products}
    faults = [] if _ID.match(pack.id) else [f"id: expected sector/pack in lower case, got {pack.id}"]
    faults += [f"product {product.id}: unknown owner {product.owner}" for product in pack.products if product.owner not in roles]
    faults += [f"job {job.id}: unknown role {job.asked_by}" for job in pack.jobs if job.asked_by not in roles]
    faults += [f"job {job.id}: unknown product {name}" for job in pack.jobs for name in job.products if name not in products]
    return faults


def _doubles(pack: Pack) -> list[str]:
    ids = {
        "role": Counter(one.id for one in pack.roles),
        "product": Counter(one.id for one in pack.products),
        "job": Counter(one.id for one in pack.jobs),
    }
    return [f"{kind} {name}: expected every id once, got it {n} times" for kind in ids for name, n in ids[kind].items() if n > 1]


def _references(pack: Pack) -> list[str]:
    roles = {role.id for role in pack.roles}
    products = {product.id for product in pack.products}
    faults = [f"queries: unknown role {asker}" for asker in sorted({query.asked_by for query in pack.queries} - roles)]
    faults += [
        f"unknown product {name}" for name in (pack.permit, pack.map and pack.map.product) if name is not None and name not in products
    ]
    if sum(role.clean_room for role in pack.roles) != 1:
        faults.append("roles: expected exactly one with clean_room = true")
    if pack.settlement.job not in {job.id for job in pack.jobs} or pack.settlement.payer not in roles:
        faults.append("settlement: expected a job and a payer of this pack")
    if any(job.id == pack.settlement.job and job.asked_by != pack.settlement.payer for job in pack.jobs):
        faults.append("settlement.payer: expected the role that asks for the job, which signs its price")
    if pack.settlement.price_fen < 0:
        faults.append("settlement.price_fen: expected zero or more, got less")
    return faults


def _outside(pack: Pack) -> list[str]:
    """A pack reads its own files only: a stranger's manifest must not be able to publish a file of ours."""
    root = pack.root.resolve()
    files = [pack.source.recording, *(part.contract for part in pack.products), *(part.document for part in pack.products if part.document)]
    return [f"{file}: expected a path inside the pack" for file in files if not file.resolve().is_relative_to(root)]


def _fen(price: Any) -> int:
    if not isinstance(price, int):
        raise TypeError(f"settlement.price_fen: whole fen, not {type(price).__name__}")
    return price


def _invalid(problem: str) -> Invalid:
    return Invalid(
        "pack.invalid",
        f"{MANIFEST}: {problem}",
        hint=Text("See docs/reference/pack.md for every key.", "各键的含义见 docs/reference/pack.md。"),
    )
