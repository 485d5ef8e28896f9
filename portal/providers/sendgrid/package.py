"""The sendgrid package, with every request made by a visit. Imported where it is needed, for it is slow to load."""

import logging
from typing import Any

from python_http_client.client import Client
from sendgrid import SendGridAPIClient

from portal.http import Answer
from portal.providers.rest import Visit

# The package would write whole requests, with the key in their headers, into a log at level DEBUG.
logging.getLogger("python_http_client").setLevel(logging.WARNING)


def client_of(visit: Visit, api_key: str) -> SendGridAPIClient:
    """Return the package's client for an API key, bound to a visit; it raises what the visit raises."""
    host = f"https://{visit.api.host}"
    client = SendGridAPIClient(api_key=api_key, host=host)
    client.client = _Guarded(visit, host=host, request_headers=client.client.request_headers, version=3)
    return client


def answer_of(response: Any) -> Answer:
    """Return the package's response as an answer again."""
    return Answer(status=response.status_code, headers=response.headers, body=response.body)


class _Guarded(Client):  # type: ignore[misc]  # the package has no types
    """The package builds addresses, headers and bodies; its own way of opening them is replaced."""

    def __init__(self, visit: Visit, **settings: Any) -> None:
        super().__init__(**settings)
        self._visit = visit

    def _build_client(self, name: str | None = None) -> "_Guarded":
        """Return the client for one part of the path more; the package's would forget what kind it is."""
        return _Guarded(
            self._visit,
            host=self.host,
            version=self._version,
            request_headers=self.request_headers,
            url_path=[*self._url_path, name] if name else self._url_path,
        )

    def _make_request(self, opener: object, request: Any, timeout: float | None = None) -> "_Opened":
        headers = dict(request.header_items())
        return _Opened(self._visit.call(request.get_method(), request.full_url, headers, request.data or b""))


class _Opened:
    """An answer in the form in which the package reads it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def getcode(self) -> int:
        return self._answer.status

    def read(self) -> bytes:
        return self._answer.body

    def info(self) -> dict[str, str]:
        return dict(self._answer.headers)
