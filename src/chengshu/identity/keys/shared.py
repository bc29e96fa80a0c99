"""Secrets shared with parties, each party's in one file that only the owner can read."""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.secret_files import others_may_read, put_secret, replace_secret
from chengshu.kernel.text import Text

FOLDER = "shared"
MIN_LENGTH = 16
MAX_LENGTH = 1024
_FORM = re.compile(r"[!-~]+")
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Shared:
    """What proves us to a party, and what proves the party to us; one secret may serve both directions."""

    sends: str
    expects: str

    def __repr__(self) -> str:
        """Keep secrets out of messages and tracebacks."""
        return "Shared(…)"


class SharedSecrets:
    """Keeps the secrets of parties in ``shared`` below a node's ``keys`` folder, mode 0600, named by the digest of the party's id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def put(self, party: str, shared: Shared) -> bool:
        """Keep a party's secrets in place of those before, if any, and say whether that changed anything.

        Raises Conflict where another party is expected to prove itself by the same secret: one would pass for the other.
        """
        if any(kept.expects == shared.expects for other, kept in self.every().items() if other != party):
            raise Conflict(
                "identity.secret-taken",
                "expected a secret of this party's own, got one that another party proves itself by",
                hint=Text("Agree on a fresh secret with each party.", "请与每个参与方分别约定新的共享密钥。"),
            )
        path = self._path(party)
        content = json.dumps({"party": party, "sends": shared.sends, "expects": shared.expects}).encode()
        if put_secret(path, content):
            return True
        if self.get(party) == shared:
            return False
        replace_secret(path, content)
        return True

    def get(self, party: str) -> Shared:
        """Return a party's secrets; raise NotFound where there are none, and Invalid where others may read them or the file is broken."""
        path = self._path(party)
        found = _read(path) if path.exists() else None
        if found is None:
            raise NotFound(
                "identity.secret-absent",
                "expected a secret shared with this party, got none",
                hint=Text("Add the party again with --secret, or restore the file.", "请用 --secret 再次添加该参与方，或恢复该文件。"),
            )
        return found[1]

    def every(self) -> dict[str, Shared]:
        """Return all secrets by party; raises Invalid as :meth:`get`."""
        return dict(_read(path) for path in sorted(self.folder.glob("*.json")))

    def _path(self, party: str) -> Path:
        return self.folder / f"{sha256(party.encode()).hexdigest()}.json"


def read_secret(path: Path) -> str:
    """Return the secret that an operator's file holds; raise Invalid where others may read the file or it holds no fit secret."""
    if others_may_read(path):
        raise _readable(path)
    secret = path.read_text(encoding="utf-8").strip()
    if not (MIN_LENGTH <= len(secret) <= MAX_LENGTH and _FORM.fullmatch(secret)) or _TOKEN.fullmatch(secret):
        raise Invalid(
            "identity.secret-form",
            f"{path}: expected a secret of {MIN_LENGTH} to {MAX_LENGTH} visible ASCII characters, and no signed token, got another text",
            hint=Text("Make one with 'openssl rand -hex 32'.", "可用 openssl rand -hex 32 生成。"),
        )
    return secret


def _read(path: Path) -> tuple[str, Shared]:
    if others_may_read(path):
        raise _readable(path)
    try:
        document = json.loads(path.read_bytes())
        return str(document["party"]), Shared(str(document["sends"]), str(document["expects"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(
            "identity.secret-broken",
            f"{path}: expected a party and its secrets as JSON, got something else",
            hint=Text("Restore the file, or remove it and add the party again.", "请恢复该文件，或删除后再次添加该参与方。"),
        ) from error


def _readable(path: Path) -> Invalid:
    return Invalid(
        "identity.key-readable",
        f"expected {path} to be readable by its owner only, got one that others may read",
        hint=Text(f"Run 'chmod 600 {path}'.", f"请运行 chmod 600 {path}。"),
    )
