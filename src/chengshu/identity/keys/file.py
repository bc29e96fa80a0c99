"""A node's keys, each in one file that only its owner can read: the one that it signs with, and the one that seals what it keeps."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from chengshu.identity.keys.pkcs8 import sm2_pem, sm2_private_key
from chengshu.kernel.crypto import Algorithm, MemorySigner, Signer, Sm2MemorySigner, Suite, suite_of
from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.secret_files import others_may_read, put_secret
from chengshu.kernel.text import Text

FILE_NAME = "node.key"
DATA_FILE_NAME = "data.key"


class FileKeys:
    """Makes and loads ``node.key`` (PKCS #8 PEM, RFC 5958) and ``data.key`` (raw bytes), mode 0600, in a ``keys`` folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self.data_path = folder / DATA_FILE_NAME

    def create(self, suite: Suite) -> Signer:
        """Make a fresh key of the profile and its file; raise Conflict where there is one, since a node's id must not change unnoticed."""
        signer: Signer
        if suite.algorithm is Algorithm.ED25519:
            key = Ed25519PrivateKey.generate()
            pem, signer = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), MemorySigner(key)
        else:
            signer = Sm2MemorySigner.generate()
            pem = sm2_pem(int.from_bytes(signer.private_bytes(), "big"))
        if not put_secret(self.path, pem):
            raise Conflict(
                "identity.key-exists",
                f"expected no {FILE_NAME} in {self.path.parent}, got one",
                hint=Text("Use the key that is there, or choose another folder.", "请使用已有密钥，或另选目录。"),
            )
        return signer

    def load(self) -> Signer:
        """Return the signer of the key file, of the kind that the file holds.

        Raises NotFound where it is absent and Invalid where others may read it (it says ``chmod 600``) or it holds no key of a profile.
        """
        return _signer(self.path, _private(self.path))

    def data_key(self, suite: Suite) -> bytes:
        """Return the key that seals what the node keeps, made at the first call; raise Invalid where others may read its file."""
        if not self.data_path.exists():
            put_secret(self.data_path, suite.new_data_key())
        return _private(self.data_path)


def suite_checked(signer: Signer, expected: Suite) -> Suite:
    """Return the space's profile, once the node's key is found to be of its kind; raise Invalid where it is not."""
    got = suite_of(signer.public_key.algorithm)
    if got is not expected:
        raise Invalid(
            "node.cryptography",
            f"expected a key of the {expected.name} profile, as [space] cryptography says, got one of the {got.name} profile",
            hint=Text(
                "A node's profile is chosen when it is made: set it back, or make a new node with 'chengshu node init --cryptography'.",
                "节点的密码体系在创建时确定：请改回设置，或用 chengshu node init --cryptography 新建节点。",
            ),
            facts={"expected": expected.name, "got": got.name},
        )
    return expected


def _private(path: Path) -> bytes:
    """A key file's content, once nobody but its owner can read it."""
    try:
        readable = others_may_read(path)
    except FileNotFoundError as error:
        raise NotFound(
            "identity.key-absent",
            f"expected a key at {path}, got no file",
            hint=Text(
                f"Restore {path.name} from your backup: a node without its key cannot prove who it is, and a new key is a new party.",
                f"请从备份恢复 {path.name}：没有密钥的节点无法证明身份，新密钥即新参与方。",
            ),
        ) from error
    if readable:
        raise Invalid(
            "identity.key-readable",
            f"expected {path} to be readable by its owner only, got one that others may read",
            hint=Text(f"Run 'chmod 600 {path}'.", f"请运行 chmod 600 {path}。"),
        )
    return path.read_bytes()


def _signer(path: Path, pem: bytes) -> Signer:
    private_key = sm2_private_key(pem)
    if private_key is not None:
        return Sm2MemorySigner(private_key)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _broken(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _broken(path)
    return MemorySigner(key)


def _broken(path: Path) -> Invalid:
    return Invalid(
        "identity.key-broken",
        f"expected an Ed25519 or SM2 private key as unencrypted PKCS #8 PEM in {path}, got something else",
        hint=Text("Restore the file from your backup.", "请从备份恢复该文件。"),
    )
