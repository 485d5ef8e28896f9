"""SendGrid: sending email through its v3 interface, in its global or its European region."""

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
)
from portal.providers.rest import Api, Visit
from portal.providers.sendgrid.checks import Checks
from portal.providers.sendgrid.errors import complaint
from portal.providers.sendgrid.sending import send
from portal.providers.staged import Stage, run_stages

_GROUP: Final = "Connection settings"
HOSTS: Final = {"global": "api.sendgrid.com", "eu": "api.eu.sendgrid.com"}

FIELDS: Final = (
    Field(
        name="api_key",
        label="API key",
        kind=FieldKind.SECRET,
        required=True,
        max_length=512,
        # Everything that a header can carry; SendGrid's own form (SG.…) may change.
        pattern=r"[!-~]+",
        placeholder="SG.",
        help="From SendGrid, Settings, API Keys. Mail Send is the only permission it needs.",
        full=True,
        group=_GROUP,
    ),
    Field(
        name="verified_sender",
        label="Verified sender",
        kind=FieldKind.EMAIL,
        required=True,
        max_length=254,
        placeholder="noreply@example.com",
        example="noreply@example.com",
        help="An address, or one in a domain, that is verified under Settings, Sender Authentication.",
        autocomplete="email",
        group=_GROUP,
    ),
    Field(name="from_name", label="From name", max_length=120, placeholder="Your organization", group=_GROUP),
    Field(
        name="region",
        label="Region",
        kind=FieldKind.CHOICE,
        default="global",
        choices=(Choice(value="global", label="Global"), Choice(value="eu", label="European Union")),
        help="European Union is for keys of EU subusers only.",
        full=True,
        group=_GROUP,
        binds_secrets=True,
    ),
)


class SendGrid(Provider):
    """The SendGrid driver."""

    def label(self, values: Credentials) -> str:
        """Name the region beside SendGrid, if it is not the usual one."""
        return f"{self.name}, EU" if values.get("region") == "eu" else self.name

    def test(self, credentials: Credentials, context: Context) -> Report:
        """Try name, connection, encryption, key, permission and sender, in this order. Nothing is sent."""
        with self._visit(credentials, context) as visit:
            checks = Checks(visit, credentials)
            stages = (
                *visit.stages(),
                Stage("Login", checks.login),
                Stage("Permission", checks.permission),
                Stage("Sender", checks.sender),
            )
            return run_stages(stages, facts=visit.facts, monotonic=context.monotonic)

    def probe(self, credentials: Credentials, context: Context) -> Report:
        """Ask which permissions the key has; mail.send must be among them."""
        with self._visit(credentials, context) as visit:
            checks = Checks(visit, credentials)
            stages = (*visit.stages(), Stage("Login", checks.login), Stage("Permission", checks.permission))
            return run_stages(stages, facts=visit.facts, monotonic=context.monotonic)

    def send_email(self, credentials: Credentials, context: Context, message: OutgoingEmail) -> SendOutcome:
        """Hand one email over."""
        begun = context.monotonic()
        with self._visit(credentials, context, sending=True) as visit:
            outcome = send(visit, credentials, message)
        return replace(outcome, response_time_ms=round((context.monotonic() - begun) * 1000))

    def _visit(self, credentials: Credentials, context: Context, *, sending: bool = False) -> Visit:
        host = HOSTS.get(str(credentials.get("region")), HOSTS["global"])
        api = Api(name=self.name, host=host, errors=self.errors, complaint=complaint)
        secrets = (str(credentials.get("api_key") or ""),)
        sender = {"sender": str(credentials.get("verified_sender") or "")}
        return Visit(api, context, secrets=secrets, sending=sending, places=sender)
