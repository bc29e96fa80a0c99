"""Who pays for a transaction: this node's own key for the chain, or an account that the chain's node keeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from chengshu.anchor.chains.evm_library import Web3, library
from chengshu.kernel.errors import Conflict, Invalid
from chengshu.kernel.secret_files import others_may_read, put_secret
from chengshu.kernel.text import Text


class Account(Protocol):
    """Who pays for a transaction."""

    def address(self, web3: Web3) -> str:
        """Return the account's address; raise Conflict where there is no such account."""
        ...

    def send(self, web3: Web3, transaction: Mapping[str, Any]) -> bytes:
        """Send a transaction that is complete but for its signature, and return its hash."""
        ...


class FileAccount:
    """An account whose key is in one file that only its owner can read, made from the operating system's randomness when first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def address(self, _web3: Web3) -> str:
        """Return the account's address."""
        return str(self._account().address)

    def send(self, web3: Web3, transaction: Mapping[str, Any]) -> bytes:
        """Sign (RFC 6979: the same transaction has the same signature and hash) and send."""
        signed = self._account().sign_transaction(dict(transaction) | {"chainId": web3.eth.chain_id})
        return bytes(web3.eth.send_raw_transaction(signed.raw_transaction))

    def _account(self) -> Any:
        accounts = library().accounts
        if not self._path.exists():
            put_secret(self._path, bytes(accounts.create().key).hex().encode() + b"\n")
        if others_may_read(self._path):
            raise Invalid(
                "anchor.key-readable",
                f"expected a key that only its owner can read, got {self._path} which others can",
                hint=Text(f"chmod 600 {self._path}", f"chmod 600 {self._path}"),
            )
        try:
            return accounts.from_key(bytes.fromhex(self._path.read_text(encoding="ascii").strip()))
        except Exception:  # noqa: BLE001  # whatever the library raises may carry the key
            raise _broken(self._path) from None


class NodeAccount:
    """An account that the chain's own node keeps unlocked; ``None`` takes the first that it has."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    def address(self, web3: Web3) -> str:
        """Return the account's address; raise Conflict where the node keeps no such account."""
        kept = [str(one) for one in web3.eth.accounts]
        wanted = self._address or next(iter(kept), "")
        found = next((one for one in kept if one.lower() == wanted.lower()), None)
        if found is None:
            raise Conflict(
                "anchor.no-account",
                f"expected the chain's node to keep that account, got {len(kept)} other(s)",
                hint=Text("Leave anchor.account away to use this node's own key.", "请去掉 anchor.account，改用本节点自己的密钥。"),
            )
        return found

    def send(self, web3: Web3, transaction: Mapping[str, Any]) -> bytes:
        """Have the node sign and send."""
        return bytes(web3.eth.send_transaction(dict(transaction)))


def _broken(path: Path) -> Invalid:
    return Invalid(
        "anchor.key-broken",
        f"expected an account's private key as one line of hexadecimal in {path}, got something else",
        hint=Text("Restore the file from your backup; the account's money is behind it.", "请从备份恢复该文件；账户余额由其控制。"),
    )
