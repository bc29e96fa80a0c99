"""An authority of the tests' own, and a server's certificate by it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Papers:
    """Files in PEM: the authority to trust, a certificate by it, and the certificate's key."""

    authority: Path
    certificate: Path
    key: Path


def papers(folder: Path, *, host: str = "localhost") -> Papers:
    """Make an authority and a certificate for ``host`` (a name or an address) by it."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority of {folder.name}")])
    ca = _built(ca_name, ca_name, ca_key.public_key(), by=ca_key, more=x509.BasicConstraints(ca=True, path_length=0))
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    try:
        name: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    certificate = _built(own, ca_name, key.public_key(), by=ca_key, more=x509.SubjectAlternativeName([name]))
    made = Papers(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    made.authority.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made.key.write_bytes(key.private_bytes(*form))
    made.key.chmod(0o600)
    return made


def _built(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, by: ec.EllipticCurvePrivateKey, more: x509.ExtensionType
):
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=1)).add_extension(more, critical=isinstance(more, x509.BasicConstraints))
    return builder.sign(by, hashes.SHA256())
