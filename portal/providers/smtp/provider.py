"""SMTP: any mail server, and the mail services one usually connects through it."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from portal.providers.base import (
    Choice,
    Context,
    Credentials,
    Field,
    FieldKind,
    OutgoingEmail,
    Provider,
    Report,
    SendOutcome,
    ShowIf,
)
from portal.providers.smtp.presets import CUSTOM, PRESETS
from portal.providers.smtp.sending import send
from portal.providers.smtp.session import Session
from portal.providers.staged import Stage, run_stages

_GROUP: Final = "Connection settings"

FIELDS: Final = (
    Field(
        name="preset",
        label="Provider",
        kind=FieldKind.CHOICE,
        choices=PRESETS,
        default=CUSTOM,
        help="Fills in the server of a known service; Custom is for any other mail server.",
        group=_GROUP,
    ),
    Field(
        name="host",
        label="SMTP host",
        kind=FieldKind.HOST,
        required=True,
        max_length=253,
        placeholder="smtp.example.com",
        example="smtp.example.com",
        group=_GROUP,
        binds_secrets=True,
    ),
    Field(
        name="security",
        label="Security",
        kind=FieldKind.CHOICE,
        required=True,
        default="starttls",
        choices=(
            Choice(value="starttls", label="STARTTLS 587", fills={"port": "587"}),
            Choice(value="tls", label="TLS 465", fills={"port": "465"}),
            Choice(value="none", label="None 25", fills={"port": "25"}),
        ),
        help="STARTTLS and TLS encrypt. None sends everything readable, also the password.",
        full=True,
        group=_GROUP,
        binds_secrets=True,
    ),
    Field(
        name="port",
        label="SMTP port",
        kind=FieldKind.NUMBER,
        required=True,
        minimum=1,
        maximum=65535,
        placeholder="587",
        example="587",
        help="Follows the chosen security; change it if your server differs.",
        group=_GROUP,
        binds_secrets=True,
    ),
    Field(
        name="username",
        label="User name",
        max_length=320,
        help="Empty if the server needs no login.",
        full=True,
        group=_GROUP,
    ),
    Field(name="password", label="Password", kind=FieldKind.SECRET, max_length=1024, full=True, group=_GROUP),
    Field(
        name="confirm_plaintext",
        label="Send user name and password without encryption",
        kind=FieldKind.CONFIRM,
        help="Anybody on the way can read them. Only for a server on the same machine or in a protected network.",
        show_if=ShowIf("security", ("none",)),
        full=True,
        group=_GROUP,
    ),
    Field(
        name="from_email",
        label="From email",
        kind=FieldKind.EMAIL,
        required=True,
        max_length=254,
        placeholder="noreply@example.com",
        example="noreply@example.com",
        autocomplete="email",
        group=_GROUP,
    ),
    Field(name="from_name", label="From name", max_length=120, placeholder="Your organization", group=_GROUP),
)


class Smtp(Provider):
    """The SMTP driver."""

    def check(self, values: Credentials, given: Collection[str]) -> dict[str, str]:
        """A login needs both parts, and sending it in the clear needs a word from whoever decides that."""
        errors: dict[str, str] = {}
        if "username" in given and "password" not in given:
            errors["password"] = "Password is required with a user name."  # noqa: S105 - a sentence
        if "password" in values and "username" not in given:
            errors["username"] = "User name is required with a password."
        if values.get("security") == "none" and "username" in given and not values.get("confirm_plaintext"):
            errors["confirm_plaintext"] = (
                "Without encryption anybody on the way can read the user name and password. Tick to confirm, or choose"
                " STARTTLS or TLS."
            )
        return errors

    def label(self, values: Credentials) -> str:
        """Name the mail service beside SMTP, if it is a known one."""
        chosen = self.field("preset").choice(values.get("preset"))
        return f"{self.name}, {chosen.label}" if chosen and chosen.value != CUSTOM else self.name

    def check_group(self, values: Credentials) -> str:
        """Each mail server has places of its own."""
        return f"{self.slug}:{values.get('host', '')}"

    def test(self, credentials: Credentials, context: Context) -> Report:
        """Try name, connection, encryption, login and sender, in this order. Nothing is sent."""
        with Session(credentials, context) as session:
            return _visit(session, Stage("Sender", session.try_sender))

    def probe(self, credentials: Credentials, context: Context) -> Report:
        """Connect, encrypt, log in and say NOOP."""
        with Session(credentials, context) as session:
            return _visit(session, Stage("NOOP", session.noop))

    def send_email(self, credentials: Credentials, context: Context, message: OutgoingEmail) -> SendOutcome:
        """Send one email in one connection."""
        begun = context.monotonic()
        with Session(credentials, context) as session:
            outcome = send(session, message)
        return replace(outcome, response_time_ms=round((context.monotonic() - begun) * 1000))


def _visit(session: Session, last: Stage) -> Report:
    stages = (
        Stage("DNS", session.resolve),
        Stage("TCP", session.connect),
        Stage("TLS", session.encrypt),
        Stage("Login", session.login),
        last,
    )
    report = run_stages(stages, facts=session.facts, monotonic=session.context.monotonic)
    if report.ok:
        session.goodbye()
    return report
