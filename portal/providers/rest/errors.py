"""The error table that every HTTP driver starts from: the network, HTTP's own statuses, and answers that are none."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from portal.providers.outcomes import ErrorRow, Outcome
from portal.providers.transport import ROWS as TRANSPORT_ROWS

_CREDENTIALS_FINE: Final = "This says nothing about your credentials; they were not tried."
_LATER: Final = "Test again in a few minutes; if it stays, look at {name}'s status page."

# The host is the provider's own, so no field of the form can be wrong.
_MENDED_ELSEWHERE: Final[Mapping[str, str]] = {
    "address_blocked": (
        "The name service gives {host} a private address. Ask the operator to check it, or to add that network to"
        " PORTAL_ALLOWED_NETWORKS."
    ),
    "host_invalid": "Report this to whoever runs the portal.",
    "dns_not_found": f"Check the name service (DNS) and the network of the portal's machine. {_CREDENTIALS_FINE}",
    "connect_refused": f"A firewall may keep the portal from {{host}}. {_CREDENTIALS_FINE}",
    "connect_timeout": f"A firewall may drop the portal's connections to {{host}}. {_CREDENTIALS_FINE}",
    "closed": "Test again; if it stays, look at {name}'s status page or at the firewall.",
    "certificate_wrong_host": f"Something between the portal and {{name}} takes its place. {_CREDENTIALS_FINE}",
    "certificate_untrusted": (
        "Something between the portal and {name} reads along, such as a company proxy. If that is wanted, add its"
        " authority to the portal's machine."
    ),
    "certificate_expired": f"{_LATER} The portal never sends over a connection that it cannot trust.",
    "tls_failed": "Something between the portal and {name} may disturb encryption (TLS 1.2 or newer is needed).",
}
_NOT_THE_SETTINGS: Final = frozenset({"certificate_wrong_host", "certificate_untrusted"})
_SHORTER: Final = {"no_answer": "{host} took the connection but gave no complete answer within {seconds} s."}


def _without_fields(row: ErrorRow) -> ErrorRow:
    return replace(
        row,
        hint=_MENDED_ELSEWHERE.get(row.reason, row.hint),
        outcome=Outcome.PROVIDER_ERROR if row.reason in _NOT_THE_SETTINGS else row.outcome,
        message=_SHORTER.get(row.reason, row.message),
        field="",
    )


_STATUSES: Final = (
    ErrorRow(
        reason="request_refused",
        outcome=Outcome.INVALID_REQUEST,
        title="request refused",
        message="{name} did not accept the request.",
        hint="Its answer tells what it objects to. Check the settings of this integration.",
    ),
    ErrorRow(
        reason="login_rejected",
        outcome=Outcome.AUTH_REJECTED,
        title="login failed",
        message="{name} refused the credentials.",
        hint="Enter them again; they may have been changed or revoked.",
    ),
    ErrorRow(
        reason="quota_exceeded",
        outcome=Outcome.QUOTA_EXCEEDED,
        title="quota used up",
        message="The account at {name} has used up its quota or its funds.",
        hint="Raise the plan or top up the balance at {name}.",
    ),
    ErrorRow(
        reason="permission_missing",
        outcome=Outcome.PERMISSION_MISSING,
        title="permission missing",
        message="{name} knows the credentials, but they may not do this.",
        hint="Give them the permission at {name}, then test again.",
    ),
    ErrorRow(
        reason="not_found",
        outcome=Outcome.INVALID_REQUEST,
        title="not found",
        message="{name} does not find what was asked for.",
        hint="Check the settings of this integration; it may have been deleted at {name}.",
    ),
    ErrorRow(
        reason="request_too_large",
        outcome=Outcome.INVALID_REQUEST,
        title="request too large",
        message="The request is larger than {name} takes.",
        hint="Shorten it.",
    ),
    ErrorRow(
        reason="rate_limited",
        outcome=Outcome.RATE_LIMITED,
        title="too many requests",
        message="{name} takes no more requests for now.",
        hint="Wait. Lower the limits of this integration if it comes back.",
    ),
    ErrorRow(
        reason="gave_up",
        outcome=Outcome.TIMEOUT,
        title="timed out",
        message="{name} gave up waiting for the request.",
        hint=_LATER,
    ),
    ErrorRow(
        reason="server_error",
        outcome=Outcome.PROVIDER_ERROR,
        title="provider has a fault",
        message="{name} has a fault on its side (HTTP {status}).",
        hint=_LATER,
    ),
    ErrorRow(
        reason="unavailable",
        outcome=Outcome.PROVIDER_ERROR,
        title="provider not available",
        message="{name} is not available right now (HTTP {status}).",
        hint=_LATER,
    ),
    ErrorRow(
        reason="redirected",
        outcome=Outcome.PROVIDER_ERROR,
        title="redirected",
        message="{host} sent the portal somewhere else (HTTP {status}); the portal does not follow with credentials.",
        hint="Something between the portal and {name} may be in the way, such as a proxy's sign-in page.",
    ),
    ErrorRow(
        reason="unexpected_status",
        outcome=Outcome.PROVIDER_ERROR,
        title="unexpected answer",
        message="{name} gave an unexpected answer (HTTP {status}).",
        hint=_LATER,
    ),
)

_ANSWERS: Final = (
    ErrorRow(
        reason="error_in_answer",
        outcome=Outcome.PROVIDER_ERROR,
        title="error in the answer",
        message="{name} answered as if all were well, but with an error inside.",
        hint=_LATER,
    ),
    ErrorRow(
        reason="not_json",
        outcome=Outcome.PROVIDER_ERROR,
        title="answer not understood",
        message="{host} answered with something other than {name}'s data{kind}.",
        hint="Something between the portal and {name} may be in the way, such as a proxy, or {name} has a fault.",
    ),
    ErrorRow(
        reason="unexpected_answer",
        outcome=Outcome.PROVIDER_ERROR,
        title="answer not understood",
        message="{name}'s answer does not have the expected form.",
        hint=_LATER,
    ),
    ErrorRow(
        reason="cut",
        outcome=Outcome.PROVIDER_ERROR,
        title="answer incomplete",
        message="{name}'s answer broke off.",
        hint=_LATER,
    ),
    ErrorRow(
        reason="not_http",
        outcome=Outcome.PROVIDER_ERROR,
        title="answer not understood",
        message="{host} sent something that is not HTTP.",
        hint="A firewall or proxy may be changing the connection. Ask who runs the network.",
    ),
    ErrorRow(
        reason="too_large",
        outcome=Outcome.PROVIDER_ERROR,
        title="answer too large",
        message="{name}'s answer is larger than any may be.",
        hint=_LATER,
    ),
    ErrorRow(
        reason="encoded",
        outcome=Outcome.PROVIDER_ERROR,
        title="answer not understood",
        message="{host} compressed its answer although it was asked not to.",
        hint="A proxy may be changing the connection. Ask who runs the network.",
    ),
    ErrorRow(
        reason="unsendable",
        outcome=Outcome.INVALID_REQUEST,
        title="setting not usable",
        message="The request cannot be sent: a setting has characters that are not allowed.",
        hint="Enter the credentials again, without accents and special characters.",
    ),
)

_SENDING: Final = (
    ErrorRow(
        reason="unconfirmed",
        outcome=Outcome.UNKNOWN_OUTCOME,
        title="sending not confirmed",
        message="{name} was given the message but did not confirm it; it may have been sent.",
        hint="Look it up at {name} before sending it again.",
    ),
    ErrorRow(
        reason="message_invalid",
        outcome=Outcome.INVALID_REQUEST,
        title="message not valid",
        message="The message cannot be sent: {cause}.",
        hint="Correct it and send it again.",
    ),
)

ROWS: Final = (*(_without_fields(row) for row in TRANSPORT_ROWS), *_STATUSES, *_ANSWERS)
SENDING_ROWS: Final = _SENDING


def table_with(*own: ErrorRow, sends: bool = False) -> tuple[ErrorRow, ...]:
    """Return a provider's whole error table: its own rows, and the shared ones whose reason it does not word itself.

    Places in the words: {name} and {host} of the provider, {port}, {seconds}, {when}, {status}, {cause}, {kind}, and
    what the driver adds.

    Args:
        own: the provider's own rows.
        sends: whether it sends messages.
    """
    taken = {row.reason for row in own}
    shared = (*ROWS, *SENDING_ROWS) if sends else ROWS
    return (*(row for row in shared if row.reason not in taken), *own)
