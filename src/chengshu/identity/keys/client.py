"""The client token: what a node's own programs show it to ask questions in its name over HTTP; without one that door is shut."""

import hmac
import secrets
from pathlib import Path

from chengshu.kernel.errors import Invalid, Unidentified
from chengshu.kernel.secret_files import others_may_read, put_secret
from chengshu.kernel.text import Text

FILE_NAME = "client.token"
_BYTES = 32


class ClientToken:
    """Keeps one token in a file of the node's ``keys`` folder that only its owner can read."""

    def __init__(self, keys: Path) -> None:
        self._file = keys / FILE_NAME

    def make(self) -> str:
        """Return the token, made now where there is none; of two that make it at once both get the same."""
        put_secret(self._file, secrets.token_urlsafe(_BYTES).encode())
        return self._read()

    def check(self, authorization: str | None) -> None:
        """Raise Unidentified unless a request's ``Authorization`` is this node's token; as long as none was made nothing is."""
        shown = (authorization or "").removeprefix("Bearer ").encode()
        if not self._file.exists() or not hmac.compare_digest(self._read().encode(), shown):
            raise Unidentified(
                "client.token",
                "expected this node's client token as bearer token, got none or another",
                hint=Text("The node's operator prints it with 'chengshu node token'.", "请节点运营者运行 chengshu node token 获取。"),
            )

    def _read(self) -> str:
        if others_may_read(self._file):
            raise Invalid(
                "client.token-file",
                f"{self._file.name}: expected a file that only its owner may read, got one that others may read",
                hint=Text("Run chmod 600 on it, or remove it and make another.", "请执行 chmod 600，或删除后重新生成。"),
            )
        return self._file.read_text(encoding="ascii").strip()
