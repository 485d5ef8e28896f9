"""The sandbox's own certificate authority: makes a certificate for whatever host a client believes to talk to."""

import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME: Final = timedelta(days=90)
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_LONGEST_NAME: Final = 253


class Authority:
    """A certificate authority that lives as long as the process and trusts nobody beyond it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Integrations Portal sandbox")])
        self._certificate = self._sign_itself()
        self._context_for = lru_cache(maxsize=64)(self._make_context)

    @property
    def pem(self) -> str:
        """The certificate that a client must trust to believe the sandbox."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def server_context(self) -> ssl.SSLContext:
        """Return a context for a server; it shows a certificate for the host that the client asks for (SNI)."""
        context = self._make_context(_LOCAL)
        context.sni_callback = self._choose
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        if name is None or len(name) > _LONGEST_NAME:
            return None
        try:
            connection.context = self._context_for((name.lower(),))
        except ValueError:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        return None

    def _make_context(self, names: Sequence[str]) -> ssl.SSLContext:
        key, certificate = self._issue(names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # OpenSSL takes a key from a file only; the directory is private and gone at once.
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "sandbox.pem")
            file.write_bytes(key + certificate)
            context.load_cert_chain(file)
        return context

    def _issue(self, names: Sequence[str]) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        issued = (
            _builder(names[0], self._name, key)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return (
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            issued.public_bytes(serialization.Encoding.PEM),
        )

    def _sign_itself(self) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        public = self._key.public_key()
        return (
            _builder("Integrations Portal sandbox", self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
