"""Slack: posting to one channel through an incoming webhook."""

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from portal.providers.base import (
    Context,
    Credentials,
    Field,
    FieldKind,
    Outcome,
    OutgoingChat,
    Provider,
    Report,
    SendOutcome,
)
from portal.providers.chat import plain, post, secrets_of, webhook_address
from portal.providers.messages import InvalidMessage, ended
from portal.providers.outcomes import ProviderError
from portal.providers.rest import Api, Visit
from portal.providers.slack.errors import complaint, read
from portal.providers.slack.message import body_of
from portal.providers.staged import Stage, run_stages

HOSTS: Final = ("hooks.slack.com", "hooks.slack-gov.com")
DOCS: Final = "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"
_GROUP: Final = "Connection settings"
_PATH: Final = re.compile(r"/services/T\w+/B\w+/[\w-]+", re.ASCII)
_OTHERS: Final = ("/triggers/", "/workflows/")

FIELDS: Final = (
    Field(
        name="webhook_url",
        label="Webhook URL",
        kind=FieldKind.SECRET,
        required=True,
        max_length=300,
        pattern=r"[!-~]+",
        placeholder="https://hooks.slack.com/services/…",
        example="https://hooks.slack.com/services/T00000000/B00000000/" + "X" * 24,
        help="From the settings of your Slack app, under Incoming Webhooks. Whoever has it can post to the channel.",
        full=True,
        group=_GROUP,
    ),
    Field(
        name="channel",
        label="Channel",
        max_length=80,
        placeholder="#alerts",
        example="#alerts",
        help="Shown in lists. Where messages arrive is decided in Slack, by the webhook.",
        group=_GROUP,
    ),
)


class Slack(Provider):
    """The Slack driver."""

    def check(self, values: Credentials, given: Collection[str]) -> dict[str, str]:
        """Say what is wrong with an address that is none of an incoming webhook."""
        url = str(values.get("webhook_url") or "")
        problem = _problem(url) if url else ""
        return {"webhook_url": problem} if problem else {}

    def label(self, values: Credentials) -> str:
        """Name the channel beside Slack, if it is known."""
        return f"{self.name}, {values['channel']}" if values.get("channel") else self.name

    def probe(self, credentials: Credentials, context: Context) -> Report:
        """Try name, connection and encryption, and post a message without content, which Slack refuses.

        How it refuses tells whether the webhook is there; nothing appears in the channel.
        """
        with self._visit(credentials, context) as visit:
            stages = (*visit.stages(), Stage("Webhook", lambda: _known(visit, credentials)))
            return run_stages(stages, facts=visit.facts, monotonic=context.monotonic)

    def send_chat(self, credentials: Credentials, context: Context, message: OutgoingChat) -> SendOutcome:
        """Post one message."""
        begun = context.monotonic()
        with self._visit(credentials, context, sending=True) as visit:
            outcome = _send(visit, credentials, message)
        return replace(outcome, response_time_ms=round((context.monotonic() - begun) * 1000))

    def _visit(self, credentials: Credentials, context: Context, *, sending: bool = False) -> Visit:
        url = str(credentials.get("webhook_url") or "")
        parts = webhook_address(url)
        host = parts.hostname if parts and parts.hostname in HOSTS else HOSTS[0]
        api = Api(name=self.name, host=host, errors=self.errors, complaint=complaint, read=read)
        return Visit(api, context, secrets=secrets_of(url), sending=sending)


def _problem(url: str) -> str:
    """Return what is wrong with a webhook's address, without a word of it."""
    parts = webhook_address(url)
    if parts is None:
        return "Webhook URL must be a whole address that begins with https://."
    if parts.hostname not in HOSTS:
        return f"Webhook URL must lead to {HOSTS[0]} or {HOSTS[1]}."
    if parts.path.startswith(_OTHERS):
        return "This is the URL of a Slack workflow, which takes no ready messages. Use one of an incoming webhook."
    if parts.query or not _PATH.fullmatch(parts.path):
        return "Webhook URL is not complete: after /services/ it has three parts. Copy all of it from Slack."
    return ""


def _known(visit: Visit, credentials: Credentials) -> str:
    """Post an empty object: a webhook that lives says that the text is missing, a dead one that it is not there."""
    try:
        answer = post(visit, _url(visit, credentials), {})
    except ProviderError as error:
        if error.failure.reason == "message_refused":
            return "Slack knows it. Nothing was posted"
        raise
    raise visit.unexpected(answer)


def _send(visit: Visit, credentials: Credentials, message: OutgoingChat) -> SendOutcome:
    try:
        answer = post(visit, _url(visit, credentials), body_of(plain(message)))
        if answer.body.strip() != b"ok":
            raise visit.unexpected(answer)
    except InvalidMessage as invalid:
        return ended(visit.error("message_invalid", cause=str(invalid)).failure, ())
    except ProviderError as error:
        return ended(error.failure, ())
    return SendOutcome(outcome=Outcome.OK)


def _url(visit: Visit, credentials: Credentials) -> str:
    url = str(credentials.get("webhook_url") or "")
    if _problem(url):
        raise visit.error("url_unusable")
    return url
