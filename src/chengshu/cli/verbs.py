"""What a person does with a node, as plain functions: the commands and the pack player call these, and nothing goes round them."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu import config
from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import Question
from chengshu.client.following import follow
from chengshu.contract.model import Negotiation, State
from chengshu.identity.keys.shared import Shared
from chengshu.identity.model import CLEAN_ROOM, Party, Scheme
from chengshu.kernel.databases.postgresql_place import place_of, without_password
from chengshu.kernel.errors import ChengshuError, Conflict, Invalid, NotFound, in_words
from chengshu.kernel.money import Fen
from chengshu.kernel.secret_files import put_secret
from chengshu.kernel.text import Text
from chengshu.node import DATABASE_PASSWORD, KEYS, Node, create_node
from chengshu.policy.odrl import content as policy_content
from chengshu.wiring import known_rooms

Document = dict[str, Any]
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Birth:
    """What a new node is told."""

    handle: str
    name_en: str
    name_zh: str
    host: str = "127.0.0.1"
    port: int = 8700
    clean_room: bool = False
    cryptography: config.Cryptography = "international"
    database: str | None = None
    """The URL of the PostgreSQL database that keeps it; SQLite in its folder where not given. A password in it goes into a secret file."""

    job_s: float | None = None
    """Seconds that one job may take in its clean room, and that the room waits for its inputs; the settings' own where not given."""


def init(folder: Path, birth: Birth) -> Document:
    """Create a node with its own key, database and settings; raise Conflict when the folder already holds one."""
    if (folder / config.FILE_NAME).exists():
        raise Conflict(
            "node.exists",
            f"expected a folder without a node, got {folder}, which has one",
            hint=Text("Choose another folder; a node's key is never overwritten.", "请选择其他目录；节点密钥不会被覆盖。"),
        )
    room = config.CleanroomSection(enabled=birth.clean_room)
    if birth.job_s is not None:
        limits = dict.fromkeys(("timeout_s", "input_wait_s"), birth.job_s)
        room = room.model_copy(update=limits | {"method_cpu_s": 2 * birth.job_s})
    settings = config.Settings(
        node=config.NodeSection(handle=birth.handle, name_en=birth.name_en, name_zh=birth.name_zh),
        space=config.SpaceSection(cryptography=birth.cryptography),
        serve=config.ServeSection(host=birth.host, port=birth.port),
        cleanroom=room,
    )
    node = _created(folder, settings, birth.database)
    return {"folder": str(folder), **describe(node)}


def _created(folder: Path, settings: config.Settings, database: str | None) -> Node:
    """Create the node; where its database cannot be made, nothing of it stays, so that it can be done again."""
    was_empty = not folder.exists() or not any(folder.iterdir())
    if database is not None:
        url, password = without_password(database)
        place_of(url, schema="node")
        settings = settings.model_copy(update={"database": config.DatabaseSection(url=url)})
        if password is not None:
            put_secret(folder / KEYS / DATABASE_PASSWORD, password.encode())
    try:
        return create_node(folder, settings)
    except ChengshuError:
        if was_empty:
            shutil.rmtree(folder)
        raise


def describe(node: Node) -> Document:
    """Return who a node is: what another operator needs to add it."""
    settings = node.settings
    return {
        "id": node.identity.did,
        "handle": settings.node.handle,
        "name_en": settings.node.name_en,
        "name_zh": settings.node.name_zh,
        "address": node.identity.address,
        "clean_room": settings.cleanroom.enabled,
        "vkey": node.evidence.vkey,
        "cryptography": node.digests.suite.name,
        "cryptography_en": node.digests.suite.title.en,
        "cryptography_zh": node.digests.suite.title.zh,
    }


def add_peer(node: Node, card: Mapping[str, Any], *, scheme: Scheme = Scheme.TOKEN, shared: Shared | None = None) -> Document:
    """Trust another node: pin its id, name and address, as :func:`describe` printed them there, and how it proves who it is.

    ``shared`` are the secrets of a party of the scheme ``static``, and of no other; giving others to one that is known replaces them.
    The card of a foreign connector need not say a handle.
    """
    needed = ("id", "name_en", "name_zh", "address") + (("handle",) if scheme is Scheme.TOKEN else ())
    missing = [key for key in needed if not card.get(key)]
    if missing:
        raise Invalid(
            "peer.card",
            f"expected a card with {', '.join(needed)}, got none of {', '.join(missing)}",
            hint=Text("Ask the other node for 'chengshu node show --json'.", "请让对方运行 chengshu node show --json。"),
        )
    if (scheme is Scheme.STATIC) is not (shared is not None):
        raise Invalid(
            "peer.secret",
            f"expected a secret for a party of the scheme {Scheme.STATIC} and for no other, got {'none' if shared is None else 'one'}",
            hint=Text("Use --scheme static and --secret FILE together.", "请同时使用 --scheme static 与 --secret 文件。"),
        )
    roles = [CLEAN_ROOM] if card.get("clean_room") else []
    names = {key: str(card[key]) for key in ("name_en", "name_zh")}
    handle = str(card["handle"]) if card.get("handle") else None
    known = node.identity.knows(str(card["id"]))
    party = node.identity.add(str(card["id"]), address=str(card["address"]), roles=roles, handle=handle, scheme=scheme, **names)
    if shared is not None and node.secrets.put(party.did, shared) and known:
        node.identity.changed(party.did, "secret")
    return peer(party)


def peer(party: Party) -> Document:
    """Return what this node knows of a party."""
    return {
        "id": party.did,
        "handle": party.handle,
        "name_en": party.name_en,
        "name_zh": party.name_zh,
        "address": party.address,
        "roles": list(party.roles),
        "scheme": party.scheme.value,
    }


def party_id(node: Node, name: str) -> str:
    """Return the id of a party given by id, by handle or by name in either language; ``me`` is oneself."""
    return node.identity.did if name == "me" else node.identity.find(name).did


def the_room(node: Node, name: str | None) -> str:
    """Return the id of the named clean room, or of the only one that is known; raise Invalid when that leaves a choice."""
    if name is not None:
        return party_id(node, name)
    rooms = known_rooms(node.identity, runs_one=node.settings.cleanroom.enabled)
    if len(rooms) != 1:
        raise Invalid(
            "room.ambiguous",
            f"expected exactly one known clean room, got {len(rooms)}",
            hint=Text("Name it with --room.", "请用 --room 指定净室。"),
        )
    return rooms[0]


def request(node: Node, holder: str, product: str, *, policy: Document | None = None) -> str:
    """Ask a holder for the contract that its catalog offers on a product, or for other terms; return the negotiation's id."""
    offers = node.peers.dataset(holder, product)["hasPolicy"]
    if not offers:
        raise NotFound(
            "contract.no-offer",
            "expected an offer on this product that is open to this node, got none",
            hint=Text("Ask the holder to name this node among the recipients.", "请联系持有方将本节点列为接收方。"),
        )
    return node.contracts.request(holder, dataset=product, offer=offers[0] if policy is None else under(offers[0], policy))


def under(offer: Document, policy: Document) -> Document:
    """Return the same offer under other terms."""
    return {key: offer[key] for key in ("@id", "@type", "assigner") if key in offer} | policy_content(policy)


def negotiation(node: Node, negotiation_id: str) -> Document:
    """Return where a negotiation stands: its state, and for whom it waits and why."""
    standing = node.contracts.standing(negotiation_id)
    one = standing.negotiation
    concluded = node.contracts.agreement(str(one.agreement_id)) if one.state is State.FINALIZED else None
    return {
        "negotiation": one.id,
        "role": one.role.value.lower(),
        "product": one.dataset,
        "counterparty": one.counterparty,
        "state": one.state.value,
        "agreement": concluded.id if concluded else None,
        "unsigned_by": list(concluded.unsigned_by) if concluded else [],
        "waits_for": standing.waits_for,
        "why": standing.why.en if standing.why else None,
        "code": one.code,
        "reason": "; ".join(one.reasons) or None,
        "terms": policy_content(one.offer),
    }


def await_agreements(node: Node, negotiations: Sequence[str], *, timeout_s: float) -> list[Document]:
    """Wait until every negotiation has ended, at most ``timeout_s`` seconds in all; return where each stands then."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if all(_settled(node.contracts.negotiation(one)) for one in negotiations):
            break
        time.sleep(POLL_S)
    return [negotiation(node, one) for one in negotiations]


def agreements(node: Node) -> list[Document]:
    """Return the agreements in force, on either side."""
    return [
        {
            "agreement": one.id,
            "product": one.product,
            "holder": one.provider,
            "asker": one.consumer,
            "policy_digest": one.policy_digest(node.digests),
            "unsigned_by": list(one.unsigned_by),
        }
        for one in node.contracts.agreements()
    ]


def agreement_for(node: Node, holder: str, product: str) -> str:
    """Return the agreement in force under which this node may use a holder's product; ``own`` for its own products."""
    if holder == node.identity.did:
        return "own"
    found = [
        one.id for one in node.contracts.agreements() if (one.provider, one.product, one.consumer) == (holder, product, node.identity.did)
    ]
    if not found:
        raise NotFound(
            "contract.none",
            f"expected an agreement in force on {product}, got none",
            hint=Text(
                "Request one with 'chengshu contract request HOLDER PRODUCT'.", "请先用 chengshu contract request 持有方 产品 申请合约。"
            ),
        )
    return found[-1]


def ask(
    node: Node,
    question: Question,
    *,
    room: str,
    purpose: str,
    inputs: Sequence[InputChoice],
    timeout_s: float,
    price: Fen | None = None,
) -> Standing:
    """Sign a job, send it to the clean room and follow it to its end; raise Unavailable, naming for whom it waits, after ``timeout_s``."""
    job = node.asker.submit(room=room, purpose=purpose, question=question, inputs=inputs, price=price)
    return follow(lambda: node.asker.standing(job), timeout_s=timeout_s)


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object that a text on the command line is; raise Invalid for another text."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Invalid("job.parameters", "expected a JSON object, got something else", hint=Text("For example '{}'.", "例如 '{}'。"))
    return value


def read_json(path: Path) -> Document:
    """Return the JSON object in a file; raise Invalid, naming the file and what came, when there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _no_object(path, in_words(error)) from error
    if not isinstance(document, dict):
        raise _no_object(path, "another JSON value")
    return document


def _no_object(path: Path, got: str) -> Invalid:
    return Invalid(
        "file.json",
        f"{path}: expected a readable JSON object, got {got}",
        hint=Text("Check the path and the file's content.", "请检查路径与文件内容。"),
    )


def _settled(one: Negotiation) -> bool:
    return one.state.final
