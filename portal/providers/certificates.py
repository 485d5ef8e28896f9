"""TLS for drivers: the context that verifies, and what a certificate says in words."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from cryptography import x509

from portal.security.redaction import strip_controls

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOST_NAMES: Final = 4
_TLS_NAMES: Final = {"TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}


@lru_cache(maxsize=8)
def client_context(extra_ca_pem: str = "") -> ssl.SSLContext:
    """Return the context that every driver encrypts with: TLS 1.2 or newer, certificate and host name always verified.

    Args:
        extra_ca_pem: authorities trusted beside the system's.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if extra_ca_pem:
        context.load_verify_locations(cadata=extra_ca_pem)
    return context


def day(moment: datetime) -> str:
    """Return a date in words that does not depend on the machine's language: "4 Mar 2026"."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def valid_until(connection: ssl.SSLSocket) -> datetime | None:
    """Return when the certificate of a verified connection expires."""
    certificate = connection.getpeercert() or {}
    ends = certificate.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(ends)), UTC) if ends else None


def describe(connection: ssl.SSLSocket, facts: dict[str, str | int]) -> str:
    """Return version and certificate of a verified connection in words, and note both among the facts of a report."""
    version = connection.version() or "TLS"
    shown = _TLS_NAMES.get(version, version)
    facts["tls"] = shown
    ends = valid_until(connection)
    if ends is None:
        return shown
    facts["certificate_expires_at"] = ends.isoformat()
    return f"{shown}, certificate valid to {day(ends)}"


@dataclass(frozen=True)
class Refused:
    """What a refused certificate says about itself; empty where it could not be read."""

    names: tuple[str, ...] = ()
    expires: datetime | None = None

    @property
    def shown_names(self) -> str:
        """The host names in a sentence, at most four of them."""
        if not self.names:
            return "another host"
        more = len(self.names) - _MOST_NAMES
        shown = ", ".join(self.names[:_MOST_NAMES])
        return f"{shown} and {more} more" if more > 0 else shown

    @property
    def shown_expiry(self) -> str:
        """The words after "expired": " on 4 Mar 2026", or nothing."""
        return f" on {day(self.expires)}" if self.expires else ""


def refused_certificate(connection: ssl.SSLSocket) -> Refused:
    """Read the certificate that a failed handshake left behind, so that the message can say what is wrong with it.

    Python tells an unverified chain since 3.13 in public and since 3.10 on the inner object; without it the words stay
    general.
    """
    der = _unverified(connection)
    if der is None:
        return Refused()
    try:
        certificate = x509.load_der_x509_certificate(der)
        return Refused(names=_names(certificate), expires=certificate.not_valid_after_utc)
    except ValueError:
        return Refused()


def _unverified(connection: ssl.SSLSocket) -> bytes | None:
    chain_of: Callable[[], Sequence[Any]] | None = getattr(connection, "get_unverified_chain", None)
    chain_of = chain_of or getattr(getattr(connection, "_sslobj", None), "get_unverified_chain", None)
    try:
        chain = chain_of() if chain_of else None
    except (ValueError, OSError):
        return None
    if not chain:
        return None
    first = chain[0]
    return first if isinstance(first, bytes) else ssl.PEM_cert_to_DER_cert(first.public_bytes())


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [
        *alternatives.get_values_for_type(x509.DNSName),
        *map(str, alternatives.get_values_for_type(x509.IPAddress)),
    ]
    return tuple(strip_controls(name, keep="")[:100] for name in names)
