"""Microsoft Teams: posting cards through a workflow that starts with a webhook request."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qs

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
from portal.providers.staged import NotRun, Stage, run_stages
from portal.providers.teams.errors import complaint
from portal.providers.teams.message import body_of

DOCS: Final = (
    "https://support.microsoft.com/en-us/office/"
    "create-incoming-webhooks-with-workflows-for-microsoft-teams-8ae491c7-0394-4861-ba59-055e33f75498"
)
WORKFLOWS: Final = {
    ".environment.api.powerplatform.com": "/powerautomate/automations/direct/",
    ".logic.azure.com": "/workflows/",
}
"""How the hosts of workflows end, and how their paths begin."""
_CONNECTORS: Final = (".webhook.office.com", "outlook.office.com", "outlook.office365.com")
_TAKEN: Final = (200, 202)
_RUN: Final = "x-ms-workflow-run-id"
_UNPROVEN: Final = "Not checked: a workflow cannot be asked without posting. Send a test message to prove the rest"

FIELDS: Final = (
    Field(
        name="webhook_url",
        label="Webhook URL",
        kind=FieldKind.SECRET,
        required=True,
        max_length=1000,
        pattern=r"[!-~]+",
        placeholder="https://….environment.api.powerplatform.com/…",
        example=(
            "https://default0.00.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/0"
            "/triggers/manual/paths/invoke?api-version=1&sig=" + "X" * 43
        ),
        help=(
            "In Teams, choose Workflows on the channel and the template for webhook requests. "
            "Whoever has the URL can post."
        ),
        full=True,
        group="Connection settings",
    ),
)


class Teams(Provider):
    """The Microsoft Teams driver."""

    def check(self, values: Credentials, given: Collection[str]) -> dict[str, str]:
        """Say what is wrong with an address that is none of a workflow."""
        url = str(values.get("webhook_url") or "")
        problem = _problem(url) if url else ""
        return {"webhook_url": problem} if problem else {}

    def probe(self, credentials: Credentials, context: Context) -> Report:
        """Try name, connection and encryption. A workflow cannot be asked anything that posts nothing."""
        with self._visit(credentials, context) as visit:
            stages = (*visit.stages(), Stage("Workflow", lambda: NotRun(_UNPROVEN)))
            return run_stages(stages, facts=visit.facts, monotonic=context.monotonic)

    def send_chat(self, credentials: Credentials, context: Context, message: OutgoingChat) -> SendOutcome:
        """Hand one message over to the workflow, which posts it by itself."""
        begun = context.monotonic()
        with self._visit(credentials, context, sending=True) as visit:
            outcome = _send(visit, str(credentials.get("webhook_url") or ""), message)
        return replace(outcome, response_time_ms=round((context.monotonic() - begun) * 1000))

    def _visit(self, credentials: Credentials, context: Context, *, sending: bool = False) -> Visit:
        url = str(credentials.get("webhook_url") or "")
        parts = webhook_address(url)
        host = (parts.hostname if parts and not _problem(url) else "") or ""
        api = Api(name=self.name, host=host, errors=self.errors, complaint=complaint)
        return Visit(api, context, secrets=secrets_of(url), sending=sending)


def _problem(url: str) -> str:
    """Return what is wrong with a webhook's address, without a word of it."""
    parts = webhook_address(url)
    if parts is None:
        return "Webhook URL must be a whole address that begins with https://."
    host = parts.hostname or ""
    if host.endswith(_CONNECTORS):
        return (
            "This is the URL of an Office 365 connector, and Microsoft has switched those off. In Teams, choose "
            "Workflows on the channel, make one from the template for webhook requests, and enter its URL."
        )
    path = next((path for ending, path in WORKFLOWS.items() if host.endswith(ending)), None)
    if path is None or not parts.path.startswith(path):
        return f"Webhook URL must be the one of a Teams workflow; its host ends in {' or '.join(WORKFLOWS)}."
    if not {"sig", "api-version"} <= parse_qs(parts.query).keys():
        return (
            "Webhook URL has no signature (sig=…). Copy all of it, and see in the workflow's first step that anyone "
            "may trigger it."
        )
    return ""


def _send(visit: Visit, url: str, message: OutgoingChat) -> SendOutcome:
    try:
        if _problem(url):
            raise visit.error("url_unusable")
        answer = post(visit, url, body_of(plain(message)))
        if answer.status not in _TAKEN:
            raise visit.unexpected(answer)
        if answer.body.strip():
            visit.document(answer, dict)  # raises what it complains about, and for a web page
    except InvalidMessage as invalid:
        return ended(visit.error("message_invalid", cause=str(invalid)).failure, ())
    except ProviderError as error:
        return ended(error.failure, ())
    return SendOutcome(outcome=Outcome.OK, provider_id=visit.shown(answer.headers.get(_RUN, ""), 100))
