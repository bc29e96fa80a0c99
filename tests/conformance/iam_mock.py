"""EDC's test identity ``iam-mock`` as a credential source: whoever writes a name into the header is believed. It exists for tests alone.

The header is bare JSON, without a scheme: ``{"clientId", "audience", "region"}``; the audience is the receiver's address.
"""

import json

from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.ports import CredentialSource
from chengshu.identity.service import Identity
from chengshu.kernel.errors import Unidentified
from chengshu.kernel.text import Text


class MockCredentials:
    """Speaks iam-mock with whoever does, and the node's own schemes with everybody else."""

    def __init__(self, identity: Identity, own: CredentialSource) -> None:
        self._identity = identity
        self._own = own

    def issue(self, audience: str, request: SignedRequest) -> str:
        """Return the name of this node for a party whose id is no DID, the node's own credential for any other."""
        if audience.startswith("did:"):
            return self._own.issue(audience, request)
        return json.dumps({"region": "eu", "audience": self._identity.get(audience).address, "clientId": self._identity.did})

    def verify(self, header: str | None, request: SignedRequest) -> str:
        """Return the name that the header states; raise Unidentified where no such party is known, or the header is for another."""
        if header is None or not header.startswith("{"):
            return self._own.verify(header, request)
        token = json.loads(header)
        if token["audience"] != self._identity.address or not self._identity.knows(token["clientId"]):
            raise Unidentified("mock.identity", "expected a known party's word to this node, got another", hint=Text("A test.", "测试。"))
        return str(token["clientId"])
