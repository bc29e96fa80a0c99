"""Which endpoints a party may name: those with the scheme, host and port that its operator-listed address has."""

from chengshu.identity.service import Identity
from chengshu.kernel.errors import Denied
from chengshu.kernel.text import Text
from chengshu.transfer.carriers.http import MayCall


def listed_only(identity: Identity) -> MayCall:
    """Return the check that lets parties of the trust list name endpoints beside their own address, and nothing else."""

    def may_call(party: str, url: str) -> None:
        if not identity.get(party).owns(url):
            raise Denied(
                "peer.address",
                "expected an endpoint with the scheme, host and port that the party is listed with, got another",
                hint=Text("List the party with the address that it uses.", "请按对方实际使用的地址登记该参与方。"),
            )

    return may_call
