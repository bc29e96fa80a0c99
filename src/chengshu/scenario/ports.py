"""What playing a pack needs from outside: a stage of real nodes, worked through the same verbs that a person uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.scenario.model import JobPart, MapPart, QueryPart, Role

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one job or query: released tables and the signed receipt, or the refusal."""

    job: str
    state: str
    tables: Mapping[str, pa.Table]
    notes: tuple[str, ...]
    receipt: Document | None
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class RoadMap:
    """A map to hold positions against: the lanes' file, and where its local metres lie."""

    file: Path
    part: MapPart


@dataclass(frozen=True, slots=True)
class Wish:
    """One contract to be agreed: who asks whom for what."""

    asker: str
    holder: str
    product: str


class Stage(Protocol):
    """Real nodes, one operating-system process each."""

    def raise_nodes(self, roles: Sequence[Role]) -> list[Document]:
        """Create and serve a node for every role and make them known to one another; return each one's name, id and address."""
        ...

    def publish(self, role: str, *, file: Path, contract: Path, policy: Document, road_map: RoadMap | None) -> Document:
        """Publish a file under a data contract and a policy on the role's node, its positions held against a map.

        Returns the product with its findings, or why it was set aside.
        """
        ...

    def permit(self, role: str, file: Path) -> Document:
        """Put the permit in ``file`` in force on the authority's node, step by step; return its standing, or the refusal."""
        ...

    def agree(self, wishes: Sequence[Wish]) -> list[Document]:
        """Negotiate every wish over the wire and return each outcome: the agreement, or the state and reason it ended in."""
        ...

    def run_job(self, job: JobPart, *, inputs: Sequence[Document], price_fen: int | None) -> Answer:
        """Sign a job, with what its asker pays for it, send it to the clean room and return the outcome."""
        ...

    def query(self, query: QueryPart, *, inputs: Sequence[Document]) -> Answer:
        """Sign a question with the asker's key, send it to the clean room and return the outcome."""
        ...

    def settle(self, job: str) -> Document:
        """Have the clean room settle a job at the price its asker signed; every party takes the statement in after checking it."""
        ...

    def prove(self, *, holder: str, product: str, job: str) -> Document:
        """Publish every node's log, verify each from its files alone, and prove one use of one product."""
        ...

    def parties(self) -> Mapping[str, str]:
        """Return each role's party id."""
        ...


class Progress(Protocol):
    """Where a person sees how far it is."""

    def step(self, text: Text) -> None:
        """Name the step that begins now."""
        ...
