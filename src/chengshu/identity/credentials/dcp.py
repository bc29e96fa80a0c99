"""The scheme of the Decentralized Claims Protocol 1.0: self-issued tokens, and presentations that stand behind them."""

from chengshu.identity.claims.faults import fault
from chengshu.identity.claims.holder import Holder
from chengshu.identity.claims.self_issued import SelfIssued
from chengshu.identity.claims.verifier import Verifier
from chengshu.identity.credentials.request import SignedRequest


class DcpCredentials:
    """Believes a party on the trust list whose self-issued token holds and whose presentations satisfy the verifier.

    Every fault refuses, each with its code; outwards it looks as if nothing were there.
    """

    def __init__(self, tokens: SelfIssued, *, holder: Holder, verifier: Verifier) -> None:
        self._tokens = tokens
        self._holder = holder
        self._verifier = verifier

    def issue(self, audience: str, _request: SignedRequest) -> str:
        """Return ``Bearer`` and a self-issued token, with which ``audience`` may ask this node's credential service, for five minutes."""
        return f"Bearer {self._tokens.issue(audience, {'token': self._holder.access_for(audience)})}"

    def verify(self, header: str | None, _request: SignedRequest) -> str:
        """Return the sender's DID.

        Raises Unidentified with one of the codes ``identity.dcp-…`` that the reference of identity lists.
        """
        sender, token = self._tokens.sender(header)
        access = token.text("token")
        if access is None:
            raise fault("claims", "expected an access token in the claim token, got none")
        self._verifier.check_presented(sender, authorization=f"Bearer {self._tokens.issue(sender, {'token': access})}")
        return sender
