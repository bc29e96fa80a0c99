"""Outcomes at rest: what a job released is kept sealed under the node's data key, so that a copied database shows nothing of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chengshu.kernel.crypto import Suite

_LABEL = b"chengshu outcome 1\n"


@dataclass(frozen=True, slots=True)
class Seal:
    """Closes and opens the outcomes that this node keeps; each is bound to its job, so that none passes for another's."""

    suite: Suite
    key: bytes = field(repr=False)

    def close(self, outcome: Mapping[str, Any], *, job: str) -> bytes:
        """Return an outcome with its receipt, sealed for keeping."""
        return self.suite.seal(self.key, json.dumps(outcome, ensure_ascii=False).encode(), context=_LABEL + job.encode())

    def open(self, sealed: bytes, *, job: str) -> dict[str, Any]:
        """Return what :meth:`close` sealed for the same job; raise Tampered where the bytes, the key or the job is another."""
        opened: dict[str, Any] = json.loads(self.suite.open(self.key, sealed, context=_LABEL + job.encode()))
        return opened
