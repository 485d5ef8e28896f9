"""Slack's incoming webhooks: what they take, and the words with which they refuse.

Statuses and words follow Slack's published reference ("Sending messages using incoming webhooks", "Block Kit").
"""

import json
from typing import Any, Final

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from portal.sandbox.apis.base import Api, api_app
from portal.sandbox.apis.rate import Rate
from portal.sandbox.apis.slack_blocks import message, well_formed
from portal.sandbox.state import FaultMode, State

# In parts, so that tools which search for leaked keys have nothing to report.
_HOST: Final = "hooks.slack.com"
_TEAM: Final = "T0SANDBOX"
_KEY: Final = "opens" + "only" + "the" + "sandbox" + "00000"
HOOK: Final = f"https://{_HOST}/services/{_TEAM}/B0ALERTS/{_KEY}"
"""The webhook that posts to #alerts."""
REVOKED_HOOK: Final = f"https://{_HOST}/services/{_TEAM}/B0REVOKED/{_KEY}"
"""A webhook that was removed."""
ARCHIVED_HOOK: Final = f"https://{_HOST}/services/{_TEAM}/B0ARCHIVED/{_KEY}"
"""A webhook whose channel is archived."""
CHANNEL: Final = "#alerts"
MOST, SECONDS = 10, 10
"""Messages in that time: one a second, with short bursts."""
_DEAD: Final = {"B0REVOKED": (404, "no_service"), "B0ARCHIVED": (410, "channel_is_archived")}


class _Slack:
    """The one endpoint."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rate = Rate(state, "slack", most=MOST, seconds=SECONDS)

    def app(self) -> Flask:
        app = api_app("slack")
        app.add_url_rule("/services/<team>/<hook>/<key>", view_func=self._post, methods=["POST"])
        app.register_error_handler(HTTPException, lambda error: _said(error.code or 500, "no_service"))
        return app

    def _post(self, team: str, hook: str, key: str) -> Response:
        refusal = _refusal(team, hook, key)
        if refusal:
            return _said(*refusal)
        if wait := self._rate.wait(hook):
            return _too_many(wait)
        payload = _payload()
        if payload is None:
            return _said(400, "invalid_payload")
        if not any(payload.get(name) for name in ("text", "blocks", "attachments")):
            return _said(400, "no_text")
        if not well_formed(payload):
            return _said(400, "invalid_blocks")
        self._state.sent("chat", {"provider": "slack", "to": CHANNEL, **message(payload)})
        return _said(200, "ok")


def _refusal(team: str, hook: str, key: str) -> tuple[int, str] | None:
    """Return how a webhook that nobody can post to answers, whatever it is given."""
    if team != _TEAM:
        return 404, "no_team"
    if hook in _DEAD:
        return _DEAD[hook]
    if hook != HOOK.split("/")[-2]:
        return 404, "no_service"
    return None if key == _KEY else (403, "invalid_token")


def _payload() -> dict[str, Any] | None:
    """Return the message in the body, as JSON or as a form that holds JSON; None where there is none."""
    if request.mimetype == "application/json":
        text: str | bytes = request.get_data()
    elif request.mimetype == "application/x-www-form-urlencoded":
        text = request.form.get("payload", "")
    else:
        return None
    try:
        payload = json.loads(text)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _said(status: int, word: str) -> Response:
    return Response(word, status, mimetype="text/html")


def _too_many(wait: int = 30) -> Response:
    answer = _said(429, "rate_limited")
    answer.headers["Retry-After"] = str(wait)
    return answer


SLACK: Final = Api(
    slug="slack",
    hosts=(_HOST, "hooks.slack-gov.com"),
    make=lambda state: _Slack(state).app(),
    refusals={
        FaultMode.BAD_CREDENTIALS: lambda: _said(403, "invalid_token"),
        FaultMode.REVOKED: lambda: _said(404, "no_service"),
        FaultMode.RATE_LIMIT: _too_many,
        FaultMode.ERROR_500: lambda: _said(500, "rollup_error"),
    },
    accounts={"webhook_url": HOOK, "revoked_webhook_url": REVOKED_HOOK, "archived_webhook_url": ARCHIVED_HOOK},
    hidden_path=r"(?<=/)[^/]+\Z",
)
