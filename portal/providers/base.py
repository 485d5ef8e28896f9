"""The driver interface: capabilities, the context of a call, and what every provider declares and does."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from portal.providers.fields import Choice, Field, FieldKind, ShowIf, Value
from portal.providers.network import Network
from portal.providers.outcomes import ErrorRow, Failure, Outcome, ProviderError, Report, Step, StepState
from portal.providers.outgoing import OutgoingChat, OutgoingEmail, OutgoingSms, RecipientOutcome, SendOutcome, Tone
from portal.providers.transcript import Transcript

__all__ = [
    "Capability",
    "Choice",
    "Context",
    "ErrorRow",
    "Failure",
    "Field",
    "FieldKind",
    "Limit",
    "Network",
    "Outcome",
    "OutgoingChat",
    "OutgoingEmail",
    "OutgoingSms",
    "Provider",
    "ProviderError",
    "RecipientOutcome",
    "Report",
    "SendOutcome",
    "SendsChat",
    "SendsEmail",
    "SendsSms",
    "ShowIf",
    "Step",
    "StepState",
    "Tone",
    "Value",
]

Credentials = Mapping[str, Value]
"""The validated values of a provider's fields, secrets in the clear."""


class Capability(StrEnum):
    """What an integration can be used for."""

    EMAIL = "email"
    SMS = "sms"
    CALENDAR = "calendar"
    VIDEO = "video"
    HRIS = "hris"
    PAYROLL = "payroll"
    BACKGROUND_CHECK = "background_check"
    JOB_BOARD = "job_board"
    ACCOUNTING = "accounting"
    CHAT = "chat"
    STORAGE = "storage"
    NDIA = "ndia"

    @property
    def label(self) -> str:
        """The capability's name for people."""
        return _CAPABILITY_WORDS[self][0]

    @property
    def impact(self) -> str:
        """What it means for people when an integration of this capability fails."""
        return _CAPABILITY_WORDS[self][1]


_CAPABILITY_WORDS: Final[dict[Capability, tuple[str, str]]] = {
    Capability.EMAIL: ("Email", "Emails not sending"),
    Capability.SMS: ("SMS", "Text messages not sending"),
    Capability.CALENDAR: ("Calendar", "Calendar invites not created"),
    Capability.VIDEO: ("Video", "Video meetings not created"),
    Capability.HRIS: ("HRIS", "Employees not updating"),
    Capability.PAYROLL: ("Payroll", "Payroll data not updating"),
    Capability.BACKGROUND_CHECK: ("Background checks", "Background checks not starting"),
    Capability.JOB_BOARD: ("Job boards", "Job postings not updating"),
    Capability.ACCOUNTING: ("Accounting", "Invoices not updating"),
    Capability.CHAT: ("Chat", "Chat notifications not arriving"),
    Capability.STORAGE: ("File storage", "Backups and exports not stored"),
    Capability.NDIA: ("NDIA claims", "Claims cannot be prepared"),
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a driver gets from its caller besides credentials: the way out, the time it has, and clocks.

    Attributes:
        network: resolves names and opens connections, guarded by the caller.
        deadline: seconds that a call may take in total.
        client_name: how the portal names itself to a server (SMTP's EHLO); a host name or an IP address.
        extra_ca_pem: certificates trusted beside the system's, in PEM form; set for the sandbox only.
        now: the time of day, for dates in messages and certificates.
        monotonic: seconds that only go forward, for measuring.
        transcript: takes down what the driver sends and gets.
    """

    network: Network
    deadline: float = 15.0
    client_name: str = "localhost"
    extra_ca_pem: str = ""
    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    transcript: Transcript = field(default_factory=Transcript, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit that the provider sets: so many of something in so many seconds, and where that is written."""

    what: str
    count: int
    seconds: int
    source: str = ""


CHECKS_AT_ONCE: Final = 8
"""Health checks that one server gets at the same time from one process, unless its provider declares another number."""


@dataclass(frozen=True, kw_only=True)
class Provider(ABC):
    """One provider: a declaration as data and a few methods. One instance serves everybody and keeps nothing.

    Attributes:
        slug: its name in addresses, the API and the database.
        summary: what it is for, one sentence.
        needs: what one needs to connect it, one sentence.
        hosts: the hosts a driver calls; empty where the credentials name the host.
        docs: where the provider explains how to get the credentials.
        errors: every case the driver can tell apart, with its outcome and words.
        checks_at_once: health checks of one check group that may run at the same time in a process.
        check_proves: whether a check that passes proves that messages are taken; where it cannot, sending tells.
    """

    slug: str
    name: str
    capabilities: tuple[Capability, ...]
    summary: str
    needs: str
    fields: tuple[Field, ...]
    errors: tuple[ErrorRow, ...]
    hosts: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    docs: str = ""
    checks_at_once: int = CHECKS_AT_ONCE
    check_proves: bool = True

    @abstractmethod
    def probe(self, credentials: Credentials, context: Context) -> Report:
        """Prove with the cheapest read call that the service would work. Sends nothing and costs the customer nothing.

        What the network or the provider does wrong is in the report, never an exception.
        """

    def test(self, credentials: Credentials, context: Context) -> Report:
        """Run the staged test of the drawer; at least what the probe does. Sends nothing either."""
        return self.probe(credentials, context)

    def check(self, values: Credentials, given: Collection[str]) -> dict[str, str]:
        """Return what is wrong with the values as a whole: field name to sentence.

        Args:
            values: the values that are fine each by itself.
            given: names of all fields that hold something, stored secrets included.
        """
        return {}

    def label(self, values: Credentials) -> str:
        """Return how an integration with these values is called in the provider column: "SMTP, Mailgun"."""
        return self.name

    def check_group(self, values: Credentials) -> str:
        """Return with which others an integration shares the places for health checks: those of the same server.

        It begins with the provider's slug; where the credentials name the server, a colon and its name follow.
        """
        return self.slug

    def field(self, name: str) -> Field:
        """Return the field of that name.

        Raises:
            KeyError: the provider has no such field.
        """
        for each in self.fields:
            if each.name == name:
                return each
        raise KeyError(name)

    @property
    def secret_names(self) -> frozenset[str]:
        """Names of the fields that are encrypted and masked."""
        return frozenset(each.name for each in self.fields if each.secret)

    def as_dict(self) -> dict[str, object]:
        """Return the declaration as `GET /providers` answers it."""
        return {
            "slug": self.slug,
            "name": self.name,
            "capabilities": [str(each) for each in self.capabilities],
            "summary": self.summary,
            "needs": self.needs,
            "docs": self.docs or None,
            "fields": [each.as_dict() for each in self.fields],
            "limits": [{"what": each.what, "count": each.count, "seconds": each.seconds} for each in self.limits],
        }


@runtime_checkable
class SendsEmail(Protocol):
    """What a provider with the capability email does."""

    def send_email(self, credentials: Credentials, context: Context, message: OutgoingEmail) -> SendOutcome:
        """Hand one email over to the provider. What goes wrong is in the outcome, never an exception."""
        ...


@runtime_checkable
class SendsSms(Protocol):
    """What a provider with the capability sms does."""

    def send_sms(self, credentials: Credentials, context: Context, message: OutgoingSms) -> SendOutcome:
        """Hand one text message over to the provider. What goes wrong is in the outcome, never an exception."""
        ...


@runtime_checkable
class SendsChat(Protocol):
    """What a provider with the capability chat does."""

    def send_chat(self, credentials: Credentials, context: Context, message: OutgoingChat) -> SendOutcome:
        """Post one message to the channel of the credentials. What goes wrong is in the outcome, never an exception."""
        ...


METHODS: Final[dict[Capability, type]] = {
    Capability.EMAIL: SendsEmail,
    Capability.SMS: SendsSms,
    Capability.CHAT: SendsChat,
}
"""The protocol behind a capability; the conformance suite checks that declaration and methods agree."""
