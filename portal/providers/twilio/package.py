"""The twilio package, with every request made by a visit. Imported where it is needed, for it is slow to load."""

import logging
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from portal.http import Answer
from portal.providers.rest import Visit

R = TypeVar("R")
_log: Final = logging.getLogger("portal.providers.twilio")
# The package falls back to the environment where it is given an empty one, and a region there would move the host.
_NO_ENVIRONMENT: Final = {"TWILIO_REGION": ""}


def client_of(visit: Visit, account_sid: str, auth_token: str) -> Client:
    """Return the package's client for an account, bound to a visit; it raises what the visit raises."""
    return Client(account_sid, auth_token, http_client=_Guarded(visit), environment=_NO_ENVIRONMENT)


def asked(visit: Visit, call: Callable[[], R]) -> R:
    """Call something of the package; an answer that it cannot read becomes an error in words.

    Raises:
        ProviderError: the call failed.
    """
    try:
        return call()
    except (TwilioException, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise visit.unexpected(_UNREAD) from None


_UNREAD: Final = Answer(status=200)


class _Guarded(HttpClient):  # type: ignore[misc]  # the package has no types
    """The package builds addresses, headers and forms; what it would send them with is replaced."""

    def __init__(self, visit: Visit) -> None:
        super().__init__(_log, is_async=False)
        self._visit = visit

    def request(  # noqa: PLR0917 - the package calls it so
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Any:
        """Make a request of the package's; only an answer with a JSON object comes back."""
        url = f"{uri}?{urlencode(params, doseq=True)}" if params else uri
        sent = dict(headers or {})
        if auth:
            sent["Authorization"] = basic(*auth)
        body = urlencode(data, doseq=True).encode("ascii") if data else b""
        answer = self._visit.call(method, url, sent, body)
        self._visit.document(answer, dict)
        return Response(answer.status, answer.body.decode("utf-8"), dict(answer.headers))


def basic(user: str, password: str) -> str:
    """Return the value of the Authorization header (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")
