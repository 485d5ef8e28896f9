"""A request to send and the reply to it, as what sends and what judges pass them on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.security.network import Address
from portal.security.redaction import strip_controls


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """A request to send. `headers` go out as they are."""

    url: str
    address: Address
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    timeout: float = 15.0


@dataclass(slots=True, kw_only=True)
class Reply:
    """What came of a request.

    Attributes:
        status: of the answer, None where there was none.
        error: why there is no usable answer: blocked, dns, refused, unreachable, tls, timeout, closed, not_http.
        detail: libcurl's own words about it.
        truncated: whether the answer's body was longer than what is kept.
        timing: milliseconds from the start until each part was done, and the peer's address.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""
    detail: str = ""
    truncated: bool = False
    duration_ms: int = 0
    timing: Mapping[str, Any] = field(default_factory=dict)


def headers_of_answer(lines: list[bytes]) -> dict[str, str]:
    """Return the headers of the last answer, names in lower case: an interim one, such as 100, may have come before.

    Args:
        lines: all that came before the body, as they came.
    """
    text = b"".join(lines).replace(b"\r\n", b"\n").decode("latin-1")
    last = text.rpartition("\n\nHTTP/")[2].split("\n")[1:]
    pairs = ((line if line.isprintable() else strip_controls(line)).partition(":") for line in last)
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
