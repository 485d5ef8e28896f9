"""Twilio: sending text messages from a number or a messaging service of one account."""

from base64 import b64encode
from dataclasses import replace
from typing import Final

from portal.providers.base import (
    Context,
    Credentials,
    Field,
    FieldKind,
    OutgoingSms,
    Provider,
    Report,
    SendOutcome,
)
from portal.providers.rest import Api, Visit
from portal.providers.staged import Stage, run_stages
from portal.providers.twilio.checks import Checks
from portal.providers.twilio.errors import complaint
from portal.providers.twilio.sending import send

_GROUP: Final = "Connection settings"
HOST: Final = "api.twilio.com"
SERVICES_HOST: Final = "messaging.twilio.com"

FIELDS: Final = (
    Field(
        name="account_sid",
        label="Account SID",
        required=True,
        max_length=34,
        pattern=r"AC[0-9a-fA-F]{32}",
        placeholder="AC and 32 digits and letters",
        example="AC00000000000000000000000000000000",
        help="From the start page of the Twilio console.",
        full=True,
        group=_GROUP,
    ),
    Field(
        name="auth_token",
        label="Auth token",
        kind=FieldKind.SECRET,
        required=True,
        max_length=256,
        pattern=r"[!-~]+",
        help="Beside the account SID in the Twilio console.",
        full=True,
        group=_GROUP,
    ),
    Field(
        name="from_number",
        label="From number",
        required=True,
        max_length=34,
        pattern=r"\+[1-9][0-9]{6,14}|MG[0-9a-fA-F]{32}",
        placeholder="+15550100123",
        example="+15550100123",
        help="With + and country code, without spaces; or the SID of a messaging service (MG…).",
        group=_GROUP,
    ),
)


class Twilio(Provider):
    """The Twilio driver."""

    def test(self, credentials: Credentials, context: Context) -> Report:
        """Try name, connection, encryption, account and number, in this order. Nothing is sent."""
        with self._visit(credentials, context) as visit:
            checks = Checks(visit, credentials)
            stages = (*visit.stages(), Stage("Login", checks.login), Stage("Number", checks.number))
            return run_stages(stages, facts=visit.facts, monotonic=context.monotonic)

    def probe(self, credentials: Credentials, context: Context) -> Report:
        """Read the account, which must be active."""
        with self._visit(credentials, context) as visit:
            stages = (*visit.stages(), Stage("Login", Checks(visit, credentials).login))
            return run_stages(stages, facts=visit.facts, monotonic=context.monotonic)

    def send_sms(self, credentials: Credentials, context: Context, message: OutgoingSms) -> SendOutcome:
        """Hand one text message over."""
        begun = context.monotonic()
        sender = message.from_number or str(credentials.get("from_number") or "")
        with self._visit(credentials, context, sender=sender, sending=True) as visit:
            outcome = send(visit, credentials, message, sender)
        return replace(outcome, response_time_ms=round((context.monotonic() - begun) * 1000))

    def _visit(self, credentials: Credentials, context: Context, *, sender: str = "", sending: bool = False) -> Visit:
        api = Api(name=self.name, host=HOST, more_hosts=(SERVICES_HOST,), errors=self.errors, complaint=complaint)
        token = str(credentials.get("auth_token") or "")
        in_header = b64encode(f"{credentials.get('account_sid')}:{token}".encode()).decode("ascii")
        places = {"sender": sender or str(credentials.get("from_number") or "")}
        return Visit(api, context, secrets=(token, in_header), sending=sending, places=places)
