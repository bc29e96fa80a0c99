"""The chain that an operator or an auditor chose, as an adapter."""

from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from chengshu.anchor.chains.evm import EvmChain
from chengshu.anchor.chains.evm_accounts import Account, FileAccount, NodeAccount
from chengshu.anchor.chains.evm_library import connect
from chengshu.anchor.chains.fisco import FiscoChain
from chengshu.anchor.model import FISCO
from chengshu.anchor.ports import Chain

KEY_FILE = "anchor.key"


def chain_at(kind: str, url: str, *, contract: str, group: str, account: Account | None = None) -> Chain:
    """Return the chain behind a URL with the contract at an address; without ``account`` it can only be read."""
    if kind == FISCO:
        return FiscoChain(url, contract=contract, group=group)
    return evm_at(url, contract=contract, account=account)


def evm_at(url: str, *, contract: str = "", account: Account | None = None) -> EvmChain:
    """Return the EVM chain behind a URL; nothing is asked yet, and the library is not needed yet."""
    return EvmChain(partial(connect, url), contract=contract, account=account, host=host_of(url))


def account_of(keys: Path, address: str | None) -> Account:
    """Return who pays: the account that the chain's node keeps under ``address``, or else the key in the folder ``keys``."""
    return FileAccount(keys / KEY_FILE) if address is None else NodeAccount(address)


def host_of(url: str) -> str:
    """Return the host alone: what else is in the URL of a chain's node may be the operator's key for it."""
    return urlsplit(url).hostname or ""
