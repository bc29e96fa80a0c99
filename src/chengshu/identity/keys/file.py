"""A node's private key in one file that only its owner can read."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from chengshu.kernel.crypto import MemorySigner, Signer
from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.text import Text

FILE_NAME = "node.key"


class FileKeys:
    """Makes and loads ``node.key`` (PKCS #8 PEM, RFC 5958, mode 0600) in a ``keys`` folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def create(self) -> Signer:
        """Make a fresh key and its file; raise Conflict where there is one already, since a node's id must not change unnoticed."""
        key = Ed25519PrivateKey.generate()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise Conflict(
                "identity.key-exists",
                f"expected no {FILE_NAME} in {self.path.parent}, got one",
                hint=Text("Use the key that is there, or choose another folder.", "请使用已有密钥，或另选目录。"),
            ) from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            os.fsync(file.fileno())
        return MemorySigner(key)

    def load(self) -> Signer:
        """Return the signer of the key file.

        Raises NotFound where it is absent and Invalid where others may read it (it says ``chmod 600``) or it holds no Ed25519 key.
        """
        try:
            mode = stat.S_IMODE(self.path.stat().st_mode)
        except FileNotFoundError as error:
            raise NotFound(
                "identity.key-absent",
                f"expected a key at {self.path}, got no file",
                hint=Text(
                    f"Restore {FILE_NAME} from your backup: a node without its key cannot prove who it is, and a new key is a new party.",
                    f"请从备份恢复 {FILE_NAME}：没有密钥的节点无法证明身份，新密钥即新参与方。",
                ),
            ) from error
        if mode & 0o077:
            raise Invalid(
                "identity.key-readable",
                f"expected {self.path} to be readable by its owner only, got mode {mode:04o}",
                hint=Text(f"Run 'chmod 600 {self.path}'.", f"请运行 chmod 600 {self.path}。"),
            )
        return MemorySigner(_key(self.path))


def _key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _broken(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _broken(path)
    return key


def _broken(path: Path) -> Invalid:
    return Invalid(
        "identity.key-broken",
        f"expected an Ed25519 private key as unencrypted PKCS #8 PEM in {path}, got something else",
        hint=Text("Restore the file from your backup.", "请从备份恢复该文件。"),
    )
