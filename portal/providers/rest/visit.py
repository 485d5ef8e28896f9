"""A visit to a provider's HTTP interface; whatever goes wrong in it comes out as a ProviderError in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from portal.http import Answer, CallFailed, Connection, Part, Request, Unreadable, Unsendable
from portal.providers.base import Context
from portal.providers.certificates import Refused, client_context, describe, refused_certificate
from portal.providers.outcomes import ErrorRow, Failure, Outcome, ProviderError
from portal.providers.redaction import provider_words
from portal.providers.rest.reading import Complaint, is_page, leaves_open, parsed, reason_of, words_of
from portal.providers.rest.waiting import retry_after
from portal.providers.staged import Deadline, Stage
from portal.providers.transcript import http_text
from portal.providers.transport import cause_of
from portal.providers.transport import reason_of as network_reason

PORT: Final = 443
_REFUSED_OUTRIGHT: Final = frozenset({Outcome.AUTH_REJECTED, Outcome.PERMISSION_MISSING})

R = TypeVar("R")
T = TypeVar("T", dict[str, Any], list[Any])


@dataclass(frozen=True, kw_only=True)
class Api:
    """What a visit must know about a provider.

    Attributes:
        name: as people call it.
        host: where it is reached.
        more_hosts: where else it may be called; credentials go nowhere beyond, whatever an answer says.
        errors: its error table, made with table_with().
        complaint: takes a status and what was read of an answer, returns what the provider complains about, if it does.
        read: reads an answer's body; None where it has nothing of the provider's. JSON, if nothing else is said.
    """

    name: str
    host: str
    errors: tuple[ErrorRow, ...]
    complaint: Callable[[int, Any], Complaint | None]
    more_hosts: tuple[str, ...] = ()
    read: Callable[[bytes], Any] = parsed


class Visit:
    """The calls of one test, probe or message, over one connection. Use it as a context manager.

    `facts` fills while it runs. With `sending`, whatever may have had its effect is the outcome unknown_outcome.
    """

    def __init__(
        self,
        api: Api,
        context: Context,
        *,
        secrets: tuple[str, ...],
        sending: bool = False,
        places: Mapping[str, object] | None = None,
    ) -> None:
        self.api = api
        self.context = context
        self.facts: dict[str, str | int] = {}
        self._secrets = secrets
        context.transcript.know(secrets)
        self._sending = sending
        self._more = places or {}
        self._rows = {row.reason: row for row in api.errors}
        self._deadline = Deadline(context.deadline, context.monotonic)
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections.values():
            connection.close()

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages that every test begins with."""
        return (Stage("DNS", self.resolve), Stage("TCP", self.connect), Stage("TLS", self.encrypt))

    def resolve(self) -> str:
        """Find the provider's addresses."""
        many = len(self._try(self.api.host, Connection.resolve))
        return f"{self.api.host}, {many} {'address' if many == 1 else 'addresses'}"

    def connect(self) -> str:
        """Open the TCP connection."""
        address = self._try(self.api.host, Connection.connect)
        self.facts["address"] = str(address.ip)
        return f"{address.ip}, port {address.port}"

    def encrypt(self) -> str:
        """Set up TLS."""
        return describe(self._try(self.api.host, Connection.encrypt), self.facts)

    def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a request and return the answer, whose status is a success.

        Args:
            method: GET or POST, for example.
            url: a whole https address.
            headers: names and values.
            body: as it goes out.

        Raises:
            ProviderError: everything else.
            ValueError: the address is not one of the provider's.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if (parts.scheme, parts.port or PORT) != ("https", PORT) or host not in (self.api.host, *self.api.more_hosts):
            raise ValueError("not an address of this provider")
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        request = Request(method=method, target=target, headers=headers, body=body)
        told = self.context.transcript
        told.sent(http_text(f"{method} https://{host}{target}", headers, body))
        answer = self._try(host, lambda connection: connection.call(request))
        told.got(http_text(f"{answer.status} {answer.phrase}".strip(), answer.headers, answer.body))
        if 200 <= answer.status < 300:
            return answer
        raise ProviderError(self._refusal(answer))

    def document(self, answer: Answer, kind: type[T]) -> T:
        """Return the JSON object or list in a successful answer.

        Raises:
            ProviderError: it is something else, or an error all the same.
        """
        found = self.api.read(answer.body)
        if found is not None and (complaint := self.api.complaint(answer.status, found)):
            raise ProviderError(self._complained(complaint, answer))
        if isinstance(found, kind):
            return found
        if found is not None:
            raise self._unusable("unexpected_answer", answer)
        looks_cut = answer.body.lstrip()[:1] in (b"{", b"[")
        raise self._unusable("cut" if looks_cut else "not_json", answer)

    def unexpected(self, answer: Answer) -> ProviderError:
        """Return the error for a successful answer that lacks what it must have."""
        return self._unusable("unexpected_answer", answer)

    def error(self, reason: str, *, code: str = "", said: str = "", **places: object) -> ProviderError:
        """Return the error of a row of the table."""
        words = self._places() | places
        return ProviderError(Failure.of(self._rows[reason], words, code=code, said=self.shown(said)))

    def shown(self, text: str, longest: int = 300) -> str:
        """Return something that the provider said, safe to store and show."""
        return provider_words(text, self._secrets, longest)

    def _connection(self, host: str) -> Connection:
        if host not in self._connections:
            tls = client_context(self.context.extra_ca_pem)
            self._connections[host] = Connection(host, PORT, network=self.context.network, tls=tls, time=self._deadline)
        return self._connections[host]

    def _try(self, host: str, call: Callable[[Connection], R]) -> R:
        try:
            return call(self._connection(host))
        except CallFailed as failed:
            raise self._failed(host, failed) from None

    def _failed(self, host: str, failed: CallFailed) -> ProviderError:
        """Put into words how a call broke off."""
        if self._sending and failed.may_have_arrived:
            return self.error("unconfirmed", code=_reason(failed))
        refused = refused_certificate(failed.connection) if failed.connection else Refused()
        return self.error(
            _reason(failed),
            host=host,
            when=failed.part.value,
            cause=cause_of(failed.error),
            names=self.shown(refused.shown_names),
            until=refused.shown_expiry,
            status=failed.status,
        )

    def _refusal(self, answer: Answer) -> Failure:
        """Put an answer that is no success into words."""
        found = self.api.read(answer.body)
        complaint = (self.api.complaint(answer.status, found) if found is not None else None) or Complaint()
        return self._complained(complaint, answer)

    def _complained(self, complaint: Complaint, answer: Answer) -> Failure:
        status = complaint.status or answer.status
        reason = complaint.reason or reason_of(status)
        if self._sending and not complaint.reason and leaves_open(status):
            reason = "unconfirmed"
        waits = status in (429, 503) or self._rows[reason].outcome is Outcome.RATE_LIMITED
        return Failure.of(
            self._rows[reason],
            self._places() | {"status": status},
            code=self.shown(complaint.code, 60) or str(status),
            said=self.shown(complaint.text or words_of(answer)),
            retry_after=retry_after(answer.headers, now=self.context.now(), text=complaint.text) if waits else None,
        )

    def _unusable(self, reason: str, answer: Answer) -> ProviderError:
        """Return the error for a success that cannot be read; a message may have gone out all the same."""
        page = is_page(answer.body)
        said = words_of(answer) if page else ""
        if self._sending:
            return self.error("unconfirmed", code=reason, said=said)
        return self.error(reason, said=said, kind=", but a web page" if page else "")

    def _places(self) -> dict[str, object]:
        return {
            "name": self.api.name,
            "host": self.api.host,
            "port": PORT,
            "seconds": f"{self._deadline.elapsed():.1f}".removesuffix(".0"),
            "when": Part.ANSWER.value,
            "names": "another host",
            "until": "",
            "cause": "",
            "kind": "",
            "status": "",
            **self._more,
        }


def refused_outright(error: ProviderError) -> bool:
    """Return whether a call failed only because the credentials may not make it."""
    return error.outcome in _REFUSED_OUTRIGHT


def _reason(failed: CallFailed) -> str:
    if isinstance(failed.error, Unreadable):
        return failed.error.reason
    if isinstance(failed.error, Unsendable):
        return "unsendable"
    return network_reason(failed.error, connecting=failed.part in (Part.RESOLVE, Part.CONNECT))
