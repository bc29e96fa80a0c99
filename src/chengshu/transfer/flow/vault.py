"""The secrets of data flows: our own tokens are derived and never kept, others' addresses are kept sealed."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from chengshu.kernel.canonical import canonical
from chengshu.kernel.crypto import Suite
from chengshu.transfer.flow.model import Document

_TOKEN_LABEL = b"chengshu flow token 1\n"
_REFRESH_LABEL = b"chengshu refresh token 1\n"
_ADDRESS_LABEL = b"chengshu data address 1\n"


@dataclass(frozen=True, slots=True)
class Vault:
    """Makes tokens and closes addresses under the node's data key; each is bound to its flow, so that none passes for another's."""

    suite: Suite
    key: bytes = field(repr=False)

    def token(self, flow: str, *, generation: int) -> str:
        """Return the token of a flow's address, the same whenever it is asked for, and unknown to whoever has not the key.

        It is a keyed hash (key, then the keyed hash inside, as HMAC nests them), so that a message that is sent again after a crash is the
        same message, and the database holds the token's digest alone.
        """
        return self._derived(_TOKEN_LABEL, flow, generation)

    def refresh_token(self, flow: str, *, generation: int) -> str:
        """Return the token that renews the one of the same address; whoever has the one does not know the other."""
        return self._derived(_REFRESH_LABEL, flow, generation)

    def close(self, address: Document, *, flow: str) -> bytes:
        """Return another party's address, sealed for keeping."""
        return self.suite.seal(self.key, json.dumps(dict(address), ensure_ascii=False).encode(), context=_ADDRESS_LABEL + flow.encode())

    def open(self, sealed: bytes, *, flow: str) -> dict[str, Any]:
        """Return what :meth:`close` sealed for the same flow; raise Tampered where the bytes, the key or the flow is another."""
        opened: dict[str, Any] = json.loads(self.suite.open(self.key, sealed, context=_ADDRESS_LABEL + flow.encode()))
        return opened

    def _derived(self, label: bytes, flow: str, generation: int) -> str:
        inner = self.suite.hash(self.key + label + canonical([flow, generation]))
        return base64.urlsafe_b64encode(self.suite.hash(self.key + label + inner)).rstrip(b"=").decode()
