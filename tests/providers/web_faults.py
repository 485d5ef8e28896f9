"""Ways in which a provider that is reached over HTTP can misbehave, and what each must come out as."""

from dataclasses import dataclass

from portal.http import LARGEST_BODY
from portal.providers.base import Outcome, Report, SendOutcome
from tests.providers.conformance import CANARY
from tests.providers.servers import Peer, Script
from tests.providers.web_kit import answer, cut

SHORT = 0.4
DATE = "Tue, 20 Jan 2026 12:05:00 GMT"
PAGE = b"<!DOCTYPE html><html><head><title>Bad gateway &amp; more</title></head><body>no</body></html>"
WRONG = {"errors": [{"message": "boom"}], "error": {"message": "boom"}, "code": 99999, "message": "boom"}
"""An error in the form of anybody."""


@dataclass(frozen=True)
class Fault:
    """One way to answer every request, what it means for a test, and what for a message that was being sent."""

    name: str
    reply: bytes | Script
    outcome: Outcome
    sending: Outcome
    retry_after: int | None = None
    deadline: float = 5.0


def drip(peer: Peer) -> None:
    peer.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 9)


def drip_body(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n")
    peer.drip(b" ")


def leave(peer: Peer) -> None:
    """Close the connection without a word."""


INVALID, AUTH, MISSING = Outcome.INVALID_REQUEST, Outcome.AUTH_REJECTED, Outcome.PERMISSION_MISSING
LIMITED, BROKEN, TIMEOUT = Outcome.RATE_LIMITED, Outcome.PROVIDER_ERROR, Outcome.TIMEOUT
QUOTA, UNREACHABLE, UNKNOWN = Outcome.QUOTA_EXCEEDED, Outcome.UNREACHABLE, Outcome.UNKNOWN_OUTCOME

FAULTS = [
    Fault("301", answer(301, Location="https://elsewhere.example/"), BROKEN, BROKEN),
    Fault("307", answer(307, Location="http://169.254.169.254/"), BROKEN, BROKEN),
    Fault("400", answer(400, {}), INVALID, INVALID),
    Fault("401", answer(401, {}), AUTH, AUTH),
    Fault("401 page", answer(401, PAGE), AUTH, AUTH),
    Fault("401 cut", cut(401, b'{"mess'), AUTH, AUTH),
    Fault("401 too large", answer(401, b"x" * (LARGEST_BODY + 1)), AUTH, AUTH),
    Fault("402", answer(402, {}), QUOTA, QUOTA),
    Fault("403", answer(403, {}), MISSING, MISSING),
    Fault("404", answer(404, {}), INVALID, INVALID),
    Fault("408", answer(408, {}), TIMEOUT, UNKNOWN),
    Fault("413", answer(413, {}), INVALID, INVALID),
    Fault("418", answer(418, {}), INVALID, INVALID),
    Fault("429 seconds", answer(429, {}, Retry_After="30"), LIMITED, LIMITED, 30),
    Fault("429 date", answer(429, {}, Retry_After=DATE), LIMITED, LIMITED, 300),
    Fault("429 reset", answer(429, {}, X_RateLimit_Reset="1768910460"), LIMITED, LIMITED, 60),
    Fault("429 endless", answer(429, {}, Retry_After="99999999"), LIMITED, LIMITED, 86400),
    Fault("429 bare", answer(429, PAGE), LIMITED, LIMITED),
    Fault("500", answer(500, {}), BROKEN, UNKNOWN),
    Fault("502 page", answer(502, PAGE), BROKEN, UNKNOWN),
    Fault("503", answer(503, {}, Retry_After="7"), BROKEN, BROKEN, 7),
    Fault("504", answer(504), BROKEN, UNKNOWN),
    Fault("103", answer(103), BROKEN, UNKNOWN),
    Fault("600", answer(600), BROKEN, UNKNOWN),
    Fault("200 page", answer(200, PAGE), BROKEN, UNKNOWN),
    Fault("200 empty", answer(200), BROKEN, UNKNOWN),
    Fault("200 error inside", answer(200, WRONG), BROKEN, UNKNOWN),
    Fault("200 nothing inside", answer(200, {}), BROKEN, UNKNOWN),
    Fault("200 cut", cut(200, b'{"status": "act'), BROKEN, UNKNOWN),
    Fault("200 cut JSON", answer(200, b'{"status": "act'), BROKEN, UNKNOWN),
    Fault("200 list", answer(200, [1]), BROKEN, UNKNOWN),
    Fault("200 text", answer(200, "active"), BROKEN, UNKNOWN),
    Fault("200 null", answer(200, None), BROKEN, UNKNOWN),
    Fault("200 deep", answer(200, b"[" * 100_000), BROKEN, UNKNOWN),
    Fault("200 not UTF-8", answer(200, b'{"a": "\xff\xfe"}'), BROKEN, UNKNOWN),
    Fault("200 odd types", answer(200, {"scopes": {}, "status": [], "type": {}, "date_created": 5}), BROKEN, UNKNOWN),
    Fault("200 too large", answer(200, b"x" * (LARGEST_BODY + 1)), BROKEN, UNKNOWN),
    Fault("200 gzip", answer(200, b"\x1f\x8b", Content_Encoding="gzip"), BROKEN, UNKNOWN),
    Fault("not HTTP", b"220 mail.example.com ESMTP\r\n", BROKEN, UNKNOWN),
    Fault("closed", leave, UNREACHABLE, UNKNOWN),
    Fault("silent", Peer.hang, TIMEOUT, UNKNOWN, deadline=SHORT),
    Fault("drips headers", drip, TIMEOUT, UNKNOWN, deadline=SHORT),
    Fault("drips a body", drip_body, TIMEOUT, UNKNOWN, deadline=SHORT),
]


def in_words(result: Report | SendOutcome, outcome: Outcome, retry_after: int | None = None) -> None:
    """It ended so, in sentences, and tells no secret."""
    assert result.outcome is outcome, result
    error = result.error
    assert error is not None
    assert error.message.endswith(".")
    assert error.hint.endswith(".")
    assert error.code
    assert "{" not in error.message + error.hint
    assert len(error.said) <= 300
    assert error.retry_after == retry_after
    assert CANARY not in repr(result)
