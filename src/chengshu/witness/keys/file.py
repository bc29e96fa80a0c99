"""A witness's keys, each in one file that only its owner can read, made from the operating system's randomness when first needed."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from chengshu.evidence.witnessing.cosignature import Cosigner, CosignerKind, Ed25519Cosigner, MlDsaCosigner, can_check
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.errors import Invalid
from chengshu.kernel.secret_files import others_may_read, put_secret
from chengshu.kernel.text import Text

with suppress(ImportError):  # an older cryptography: a witness then signs with Ed25519 alone, as can_check says
    from cryptography.hazmat.primitives.asymmetric import mldsa

ED25519_FILE = "witness.key"
ML_DSA_FILE = "witness-mldsa.key"


class FileCosigners:
    """Makes and loads ``witness.key`` and ``witness-mldsa.key`` (PKCS #8 PEM, RFC 5958, mode 0600) in a ``keys`` folder."""

    def __init__(self, folder: Path, *, name: str) -> None:
        self._folder = folder
        self._name = name

    def load(self) -> tuple[Cosigner, ...]:
        """Return this witness's cosigners, Ed25519 first; a key that is not there yet is made now.

        Raises Invalid where others may read a key file or it holds another kind of key.
        """
        ed25519 = _key(self._folder / ED25519_FILE, make=Ed25519PrivateKey.generate)
        if not isinstance(ed25519, Ed25519PrivateKey):
            raise _broken(self._folder / ED25519_FILE)
        cosigners: list[Cosigner] = [Ed25519Cosigner(self._name, MemorySigner(ed25519))]
        if can_check(CosignerKind.ML_DSA_44):
            key = _key(self._folder / ML_DSA_FILE, make=mldsa.MLDSA44PrivateKey.generate)
            if not isinstance(key, mldsa.MLDSA44PrivateKey):
                raise _broken(self._folder / ML_DSA_FILE)
            cosigners.append(MlDsaCosigner(self._name, key))
        return tuple(cosigners)


def _key(path: Path, *, make: Callable[[], Any]) -> Any:
    if not path.exists():
        put_secret(path, make().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    if others_may_read(path):
        raise Invalid(
            "witness.key-readable",
            f"expected a key that only its owner can read, got {path} which others can",
            hint=Text(f"chmod 600 {path}", f"chmod 600 {path}"),
        )
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _broken(path) from error


def _broken(path: Path) -> Invalid:
    return Invalid(
        "witness.key-broken",
        f"expected a witness's private key as unencrypted PKCS #8 PEM in {path}, got something else",
        hint=Text(
            "Restore the file from your backup; others know this witness by its key.", "请从备份恢复该文件；其他节点凭此密钥识别本见证方。"
        ),
    )
