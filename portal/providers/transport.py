"""What goes wrong below every protocol (names, connections, encryption), as one error table and its reader."""

import ssl
from collections.abc import Mapping
from typing import Final

from portal.providers.network import SandboxDown
from portal.providers.outcomes import ErrorRow, Failure, Outcome
from portal.security.network import AddressBlocked, HostNotFound, InvalidHost, ResolverFailed, ResolverTimeout

_NOT_YOURS: Final = (
    "This says nothing about your settings. Test again in a minute; if it stays, check the DNS of the portal's machine."
)
_MORE_CARE: Final = "The portal never sends over a connection that it cannot trust."

ROWS: Final = (
    ErrorRow(
        reason="sandbox_down",
        outcome=Outcome.UNREACHABLE,
        title="sandbox not running",
        message="The sandbox does not answer.",
        hint="Start it with “portal sandbox”, or connect this integration to a real account.",
    ),
    ErrorRow(
        reason="address_blocked",
        outcome=Outcome.INVALID_REQUEST,
        title="address not allowed",
        message="{host} leads to a private or reserved address that PORTAL_ALLOWED_NETWORKS does not list.",
        hint="Use a public host, or ask the operator to add its network to PORTAL_ALLOWED_NETWORKS.",
        field="host",
    ),
    ErrorRow(
        reason="host_invalid",
        outcome=Outcome.INVALID_REQUEST,
        title="host name not valid",
        message="“{host}” is not a host name.",
        hint="Enter a name such as mail.example.com, without https:// and path.",
        field="host",
    ),
    ErrorRow(
        reason="dns_not_found",
        outcome=Outcome.UNREACHABLE,
        title="host not found",
        message="There is no host named {host}.",
        hint="Check the spelling of the host name. The user name and password were not tried.",
        field="host",
    ),
    ErrorRow(
        reason="dns_failed",
        outcome=Outcome.UNREACHABLE,
        title="name service failed",
        message="{host} could not be looked up: the name service (DNS) has a fault.",
        hint=_NOT_YOURS,
    ),
    ErrorRow(
        reason="dns_timeout",
        outcome=Outcome.TIMEOUT,
        title="name service silent",
        message="{host} could not be looked up: the name service (DNS) did not answer within {seconds} s.",
        hint=_NOT_YOURS,
    ),
    ErrorRow(
        reason="connect_refused",
        outcome=Outcome.UNREACHABLE,
        title="connection refused",
        message="{host} refused the connection on port {port}.",
        hint="Check the port, and that no firewall stands in between.",
        field="port",
    ),
    ErrorRow(
        reason="connect_timeout",
        outcome=Outcome.TIMEOUT,
        title="connection timed out",
        message="{host} did not answer on port {port} within {seconds} s.",
        hint="Check host and port. A firewall that drops connections looks the same.",
        field="port",
    ),
    ErrorRow(
        reason="no_route",
        outcome=Outcome.UNREACHABLE,
        title="no way to the host",
        message="The portal's machine has no network route to {host}.",
        hint="Check the network of the portal's machine, then test again.",
    ),
    ErrorRow(
        reason="closed",
        outcome=Outcome.UNREACHABLE,
        title="connection closed",
        message="{host} closed the connection {when}.",
        hint="Test again; if it stays, the server may refuse this network or the chosen security.",
    ),
    ErrorRow(
        reason="no_answer",
        outcome=Outcome.TIMEOUT,
        title="timed out",
        message="{host} took the connection but gave no complete answer {when} within {seconds} s.",
        hint="Test again; if it stays, look at the provider's status page.",
    ),
    ErrorRow(
        reason="certificate_expired",
        outcome=Outcome.PROVIDER_ERROR,
        title="certificate expired",
        message="The certificate of {host} expired{until}.",
        hint=f"Whoever runs the server must renew it. {_MORE_CARE}",
    ),
    ErrorRow(
        reason="certificate_not_yet_valid",
        outcome=Outcome.PROVIDER_ERROR,
        title="certificate not valid yet",
        message="The certificate of {host} is not valid yet.",
        hint="Check the clock of the portal's machine; if it is right, the server needs another certificate.",
    ),
    ErrorRow(
        reason="certificate_wrong_host",
        outcome=Outcome.INVALID_REQUEST,
        title="certificate for another host",
        message="The certificate is for {names}, not for {host}.",
        hint=f"Enter the host name that the certificate was made for. {_MORE_CARE}",
        field="host",
    ),
    ErrorRow(
        reason="certificate_untrusted",
        outcome=Outcome.INVALID_REQUEST,
        title="certificate not trusted",
        message="The certificate of {host} was not issued by an authority that the portal's machine trusts.",
        hint=f"Use a certificate of a public authority, or add your own authority to the machine. {_MORE_CARE}",
        field="host",
    ),
    ErrorRow(
        reason="tls_failed",
        outcome=Outcome.PROVIDER_ERROR,
        title="encryption failed",
        message="The encrypted connection to {host} could not be set up ({cause}).",
        hint="The server must speak TLS 1.2 or newer. Check security and port as well.",
        field="security",
    ),
)
TABLE: Final[Mapping[str, ErrorRow]] = {row.reason: row for row in ROWS}

# OpenSSL's X509_V_ERR_* numbers (x509_vfy.h).
_EXPIRED, _NOT_YET = 10, 9
_WRONG_NAME: Final = frozenset({62, 63, 64})


def reason_of(error: Exception, *, connecting: bool) -> str:
    """Return which row of the table an exception of the network means.

    Args:
        error: what resolve, connect, TLS or the socket raised.
        connecting: whether the TCP connection was not there yet.
    """
    for kind, reason in _KINDS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error.verify_code)
    if isinstance(error, TimeoutError):
        return "connect_timeout" if connecting else "no_answer"
    if isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "connect_refused" if connecting else "closed"
    if isinstance(error, ssl.SSLError):
        return "tls_failed"
    return "no_route" if connecting else "closed"


_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (SandboxDown, "sandbox_down"),
    (AddressBlocked, "address_blocked"),
    (InvalidHost, "host_invalid"),
    (HostNotFound, "dns_not_found"),
    (ResolverTimeout, "dns_timeout"),
    (ResolverFailed, "dns_failed"),
)


def _certificate(verify_code: int) -> str:
    if verify_code == _EXPIRED:
        return "certificate_expired"
    if verify_code == _NOT_YET:
        return "certificate_not_yet_valid"
    return "certificate_wrong_host" if verify_code in _WRONG_NAME else "certificate_untrusted"


def cause_of(error: Exception) -> str:
    """Return OpenSSL's reason in words, such as "unsupported protocol"; never more than 60 characters."""
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower()[:60] if reason else "the handshake failed"


def explain(error: Exception, places: Mapping[str, object], *, connecting: bool) -> Failure:
    """Put an exception of the network into words.

    Args:
        error: what was raised.
        places: host, port, seconds, when, names and until for the sentences.
        connecting: whether the TCP connection was not there yet.
    """
    return Failure.of(TABLE[reason_of(error, connecting=connecting)], {**places, "cause": cause_of(error)})
