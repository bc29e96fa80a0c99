"""The products that a question reads: who holds each, what it looks like, and under which agreements this node may use it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chengshu.cleanroom.holder import Holder
from chengshu.cleanroom.model import Schema
from chengshu.cleanroom.planning.budgets import Budget, parse_budgets
from chengshu.cleanroom.ports import Nodes
from chengshu.cleanroom.reading import mapping
from chengshu.contract.life import Life, Phase
from chengshu.contract.model import Agreement
from chengshu.contract.service import Contracts
from chengshu.identity.model import Party
from chengshu.identity.service import Identity
from chengshu.kernel.errors import NotFound
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text


@dataclass(frozen=True, slots=True)
class Held:
    """One agreement in force, and what it still allows by its holder's count."""

    agreement: Agreement
    budgets: tuple[Budget, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One product that a question reads: ``id`` is its name in the holder's catalog, ``held`` is empty for one's own."""

    id: str
    holder: str
    holder_name: str
    schema: Schema
    held: tuple[Held, ...]


class Sources:
    """Finds products by the names that questions give them, on this node and, under agreement, on others."""

    def __init__(self, *, identity: Identity, nodes: Nodes, contracts: Contracts, holder: Holder) -> None:
        self._identity = identity
        self._nodes = nodes
        self._contracts = contracts
        self._holder = holder

    def find(self, products: Sequence[str]) -> list[Source] | Refused:
        """Return the source of every ``party.product``, or the refusal that names the one without an agreement in force and whom to ask.

        Raises NotFound for a party that is not known and an own product that there is not, Unavailable for a holder that does not answer.
        """
        found: list[Source] = []
        parties = {party.handle: party for party in self._identity.list() if party.handle}
        for name in products:
            handle = name.partition(".")[0]
            if handle not in parties:
                raise _unknown_party(name)
            party = parties[handle]
            source = self._own(name, party) if party.did == self._identity.did else self._others(name, party)
            if isinstance(source, Refused):
                return source
            found.append(source)
        return found

    def _own(self, name: str, party: Party) -> Source:
        known = self._holder.named(name)
        if known is None:
            raise NotFound(
                "query.unknown-product",
                f"expected a product that this node publishes, got {name}",
                hint=Text("List them with 'chengshu product list'.", "用 chengshu product list 查看本方产品。"),
            )
        return Source(known, party.did, party.name_en, self._holder.schema(known), ())

    def _others(self, name: str, party: Party) -> Source | Refused:
        lives = self._contracts.lives(party.did)
        table = name.partition(".")[2]
        ids = dict.fromkeys(life.agreement.product for life in lives if life.phase is Phase.IN_FORCE)
        # a product's id is its name in questions, unless its holder has it otherwise: the likely one is asked about first
        for product in sorted(ids, key=lambda one: one != table):
            agreements = {one.agreement.id: one.agreement for one in lives if _is_open(one, product)}
            schema, budgets = self._terms(party, product, list(agreements))
            if schema.product == name:
                held = tuple(Held(one, budgets.get(one.id, ())) for one in agreements.values())
                return Source(product, party.did, party.name_en, schema, held)
        return _no_agreement(name, party, [life for life in lives if life.agreement.product == table])

    def _terms(self, party: Party, product: str, agreements: Sequence[str]) -> tuple[Schema, Mapping[str, tuple[Budget, ...]]]:
        answer = self._nodes.post(party.did, "/room/terms", {"product": product, "agreements": list(agreements)})
        found = mapping(answer, "terms", required=("schema", "budgets"))
        return Schema.parse(found["schema"], "terms.schema"), parse_budgets(found["budgets"])


def _is_open(life: Life, product: str) -> bool:
    return life.phase is Phase.IN_FORCE and life.agreement.product == product


def _no_agreement(name: str, party: Party, ended: Sequence[Life]) -> Refused:
    """Why a product cannot be used: what became of the last agreement on it, or that there never was one; and whom to ask."""
    table = name.partition(".")[2]
    ask = Text(
        f"Ask {party.name_en}: chengshu contract request {party.handle} {table}",
        f"请向{party.name_zh}申请：chengshu contract request {party.handle} {table}",
    )
    about = {"product": name, "holder": party.did}
    last = ended[-1].refusal() if ended else None
    if last is None:
        message = f"expected an agreement in force on {name}, held by {party.name_en}, got none"
        return Refused("no-agreement", message, ask, about)
    return Refused(last.rule, f"{name}, held by {party.name_en}: {last.message}", ask, {**last.facts, **about})


def _unknown_party(name: str) -> NotFound:
    return NotFound(
        "query.unknown-party",
        f"expected party.product names of parties that this node knows, got {name}",
        hint=Text("Add the party with 'chengshu peer add', or mend the name.", "请用 chengshu peer add 添加参与方，或更正名称。"),
        facts={"product": name},
    )
