"""The authorization server of this data plane's pulls: it renews their access tokens (Data Plane Signaling, Token Renewal profile)."""

from chengshu.identity.claims.client import ClientProofs
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Denied
from chengshu.kernel.text import Text
from chengshu.transfer.flow.renewable import Tokens
from chengshu.transfer.flow.renewals import renewal_entry
from chengshu.transfer.flow.service import DataFlows
from chengshu.transfer.ports import Evidence


class TokenAuthority:
    """Renews the tokens of started flows for the counterparty that each is bound to, every refresh token once.

    The DID document of whoever asks is fetched only once the refresh token has been found to be the flow's, so that a stranger has this
    node call nobody.
    """

    def __init__(self, database: Database, *, flows: DataFlows, proofs: ClientProofs, evidence: Evidence) -> None:
        self._database = database
        self._flows = flows
        self._proofs = proofs
        self._evidence = evidence

    def renew(self, flow_id: str, *, refresh: str, proof: str | None) -> Tokens:
        """Return new tokens for a flow; those before are void from then on.

        Raises Denied for a refresh token that is not the present one of a started flow, be it made up, another flow's, used, or of a flow
        that was suspended or ended, and Unidentified where ``proof`` is not its counterparty's, about the present access token, for the
        participant as whom this node provides.
        """
        with self._database.read() as tx:
            flow = self._flows.find_renewable(tx, flow_id, refresh)
        if flow is None:
            raise _not_present()
        order = flow.order
        access = self._flows.tokens_of(flow).access
        self._proofs.check(proof, client=order.counterparty, audience=order.participant, access=access)
        with self._database.write() as tx:
            renewed = self._flows.renew(tx, flow, refresh)
            if renewed is None:
                raise _not_present()
            self._evidence.append(tx, "delivery.renewed", flow.id, renewal_entry(flow))
        return self._flows.tokens_of(renewed)


def _not_present() -> Denied:
    return Denied(
        "transfer.refresh-token",
        "expected the present refresh token of a started flow, got another or a used one",
        hint=Text("Use the refresh token of the newest answer or address.", "请使用最近一次应答或地址中的刷新令牌。"),
    )
