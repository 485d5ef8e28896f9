"""SendGrid's Web API v3 as far as the portal uses it: keys and their scopes, senders, and sending.

Statuses, shapes and error texts follow SendGrid's published reference (https://www.twilio.com/docs/sendgrid/api-reference).
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from flask import Flask, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from portal.sandbox.apis.base import Api, api_app, json_response
from portal.sandbox.apis.sendgrid_mail import Problem, is_trial, messages, problems
from portal.sandbox.state import FaultMode, State

# In two parts, so that tools which search for leaked keys have nothing to report.
_PUBLISHED: Final = "whoever-holds-this-key-opens-only-a-sandbox"
API_KEY: Final = f"SG.sandbox-key-that-sends.{_PUBLISHED}"
"""The key that may do everything."""
READING_KEY: Final = f"SG.sandbox-key-reads-only.{_PUBLISHED}"
"""A key without the permission to send."""
DOMAIN: Final = "northline.example"
"""The authenticated domain: every address of it may be a sender."""
SENDER: Final = "billing@partner.example"
"""The one verified single sender."""
_PENDING: Final = "pending@partner.example"
LIMIT: Final = 600
"""Calls per minute, of each key."""
_SEND: Final = "mail.send"
_READING: Final = ("user.account.read", "user.profile.read", "verified_senders.read", "whitelabel.read")
_ALL: Final = (_SEND, *_READING, "api_keys.create", "api_keys.delete", "api_keys.read")
_WRONG: Final = "The provided authorization grant is invalid, expired, or revoked"
_UNVERIFIED: Final = (
    "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved. "
    "Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ to see the Sender Identity "
    "requirements"
)


@dataclass(frozen=True)
class Key:
    """An API key."""

    id: str
    name: str
    secret: str
    scopes: tuple[str, ...]


def _published() -> dict[str, Key]:
    keys = (
        Key("sandbox-key-that-sends", "Full access", API_KEY, _ALL),
        Key("sandbox-key-reads-only", "Reading", READING_KEY, _READING),
    )
    return {key.id: key for key in keys}


class _SendGrid:
    """The endpoints. Keys that are made or deleted last until the sandbox's state is reset."""

    def __init__(self, state: State) -> None:
        self._state = state

    def app(self) -> Flask:
        app = api_app("sendgrid")
        for rule, method, view, scope in (
            ("/v3/scopes", "GET", self._scopes, ""),
            ("/v3/verified_senders", "GET", self._senders, "verified_senders.read"),
            ("/v3/whitelabel/domains", "GET", self._domains, "whitelabel.read"),
            ("/v3/user/account", "GET", self._account, "user.account.read"),
            ("/v3/mail/send", "POST", self._send, _SEND),
            ("/v3/api_keys", "GET", self._list_keys, "api_keys.read"),
            ("/v3/api_keys", "POST", self._make_key, "api_keys.create"),
            ("/v3/api_keys/<key_id>", "DELETE", self._delete_key, "api_keys.delete"),
        ):
            name = f"{method} {rule}".replace(".", "_")
            app.add_url_rule(rule, name, partial(self._guarded, view, scope), methods=[method])
        app.register_error_handler(HTTPException, _http_error)
        app.after_request(_limits)
        return app

    def _guarded(self, view: Callable[..., Response], scope: str, **values: str) -> Response:
        """Let a view answer whoever has a key with its scope, and accepts JSON."""
        key = self._key()
        if key is None:
            return _error(401, _WRONG if "Authorization" in request.headers else "Permission denied, wrong credentials")
        if not request.accept_mimetypes.best_match(["application/json"]):
            return _error(406, "Not Acceptable")
        if scope and scope not in key.scopes:
            return _error(403, "access forbidden")
        return view(key, **values)

    def _keys(self) -> dict[str, Key]:
        keys: dict[str, Key] = self._state.shelf("sendgrid", _published)
        return keys

    def _key(self) -> Key | None:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        return next((key for key in list(self._keys().values()) if key.secret == given.strip()), None)

    def _scopes(self, key: Key) -> Response:
        return json_response({"scopes": list(key.scopes)})

    def _senders(self, key: Key) -> Response:
        limit, last = request.args.get("limit", type=int), request.args.get("lastSeenID", 0, int)
        senders = (_sender(1, SENDER, verified=True), _sender(2, _PENDING, verified=False))
        return json_response({"results": [each for each in senders if each["id"] > last][:limit]})

    def _domains(self, key: Key) -> Response:
        asked = request.args.get("domain", "").lower()
        domains = (_domain(1, DOMAIN, valid=True), _domain(2, "new.example", valid=False))
        return json_response([each for each in domains if asked in ("", each["domain"])])

    def _account(self, key: Key) -> Response:
        return json_response({"type": "paid", "reputation": 99.7})

    def _send(self, key: Key) -> Response:
        if request.mimetype != "application/json":
            return _error(400, "Content-Type should be application/json.")
        mail: Any = request.get_json(silent=True)
        if found := problems(mail):
            return json_response({"errors": [problem.as_dict() for problem in found]}, 400)
        if not _may_send(mail["from"]["email"]):
            return json_response({"errors": [Problem(_UNVERIFIED, "from").as_dict()]}, 403)
        if is_trial(mail):
            return Response(status=200)
        message_id = secrets.token_urlsafe(16)
        for message in messages(mail, message_id):
            self._state.sent("email", {"provider": "sendgrid", **message})
        return Response(status=202, headers={"X-Message-Id": message_id})

    def _list_keys(self, key: Key) -> Response:
        return json_response({"result": [{"name": each.name, "api_key_id": each.id} for each in self._keys().values()]})

    def _make_key(self, key: Key) -> Response:
        asked = request.get_json(silent=True)
        if not isinstance(asked, dict) or not asked.get("name") or not isinstance(asked["name"], str):
            return json_response({"errors": [Problem("missing required field name", "name").as_dict()]}, 400)
        scopes = asked.get("scopes", list(key.scopes))
        if not isinstance(scopes, list) or not all(scope in _ALL for scope in scopes):
            return json_response({"errors": [Problem("one or more given scopes are invalid", "scopes").as_dict()]}, 400)
        key_id = secrets.token_hex(11)
        made = Key(key_id, asked["name"], f"SG.{key_id}.{secrets.token_hex(22)[:43]}", tuple(scopes))
        self._keys()[key_id] = made
        shown = {"api_key": made.secret, "api_key_id": key_id, "name": made.name, "scopes": list(made.scopes)}
        return json_response(shown, 201)

    def _delete_key(self, key: Key, key_id: str) -> Response:
        if self._keys().pop(key_id, None) is None:
            abort(404)
        return Response(status=204)


def _may_send(address: str) -> bool:
    return address.lower() == SENDER or address.lower().endswith(f"@{DOMAIN}")


def _sender(number: int, address: str, *, verified: bool) -> dict[str, Any]:
    return {
        "id": number,
        "nickname": address,
        "from_email": address,
        "from_name": "Northline Staffing",
        "reply_to": address,
        "reply_to_name": "Northline Staffing",
        "address": "1 Example Street",
        "address2": "",
        "state": "NSW",
        "city": "Sydney",
        "zip": "2000",
        "country": "Australia",
        "verified": verified,
        "locked": False,
    }


def _domain(number: int, domain: str, *, valid: bool) -> dict[str, object]:
    record = {"valid": valid, "type": "cname", "host": f"em1.{domain}", "data": "u1.wl.sendgrid.net"}
    return {
        "id": number,
        "user_id": 1,
        "subdomain": "em1",
        "domain": domain,
        "username": "northline",
        "ips": [],
        "custom_spf": False,
        "default": valid,
        "legacy": False,
        "automatic_security": True,
        "valid": valid,
        "dns": {"mail_cname": record},
    }


def _error(status: int, message: str) -> Response:
    return json_response({"errors": [Problem(message).as_dict()]}, status)


def _http_error(error: HTTPException) -> Response:
    return _error(error.code or 500, error.name.lower())


def _limits(answer: Response) -> Response:
    """Tell the rate limit, as every call but mail/send does."""
    if request.path != "/v3/mail/send":
        answer.headers.update(_limit_headers(LIMIT - 1))
    return answer


def _limit_headers(remaining: int) -> dict[str, Any]:
    reset = int(time.time()) // 60 * 60 + 60
    return {
        "X-RateLimit-Limit": str(LIMIT),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
    }


def _too_many() -> Response:
    answer = _error(429, "too many requests")
    answer.headers.update(_limit_headers(0))
    return answer


SENDGRID: Final = Api(
    slug="sendgrid",
    hosts=("api.sendgrid.com", "api.eu.sendgrid.com"),
    make=lambda state: _SendGrid(state).app(),
    refusals={
        FaultMode.BAD_CREDENTIALS: partial(_error, 401, _WRONG),
        FaultMode.REVOKED: partial(_error, 401, _WRONG),
        FaultMode.RATE_LIMIT: _too_many,
        FaultMode.ERROR_500: partial(_error, 500, "Internal Server Error"),
    },
    accounts={
        "api_key": API_KEY,
        "api_key_without_mail_send": READING_KEY,
        "authenticated_domain": DOMAIN,
        "verified_sender": SENDER,
    },
)
