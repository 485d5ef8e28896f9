"""Every spelling of "wait so long", as the providers' own documents have them."""

from datetime import UTC, datetime

import pytest

from portal.providers.rest.waiting import retry_after

NOW = datetime(2026, 1, 20, 12, 0, 0, tzinfo=UTC)
UNIX = int(NOW.timestamp())
DAY = 86400


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "30"}, 30),
        ({"retry-after": " 2.9 "}, 2),
        ({"retry-after": "Tue, 20 Jan 2026 12:05:00 GMT"}, 300),
        ({"retry-after": "Tuesday, 20-Jan-26 12:05:00 GMT"}, 300),
        ({"retry-after": "2026-01-20T12:00:45Z"}, 45),
        ({"retry-after": "2026-01-20T22:00:45+10:00"}, 45),
        ({"x-ratelimit-reset": str(UNIX + 90)}, 90),
        ({"x-ratelimit-reset": str((UNIX + 90) * 1000)}, 90),
        ({"x-ratelimit-reset": "2026-01-20T12:01:00Z"}, 60),
        ({"x-ratelimit-reset": "7"}, 7),
        ({"retry-after": "5", "x-ratelimit-reset": "7"}, 5),
        ({"retry-after": "soon", "x-ratelimit-reset": "7"}, 7),
        # Nothing waits shorter than a second or longer than a day, whatever a provider says.
        ({"retry-after": "0"}, 1),
        ({"retry-after": "-5"}, 1),
        ({"retry-after": "Mon, 19 Jan 2026 12:00:00 GMT"}, 1),
        ({"retry-after": "999999999"}, DAY),
        ({"retry-after": "99999999999999999999"}, DAY),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, DAY),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "١٢"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Tue, 99 Jan 2026 12:05:00 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: int | None) -> None:
    assert retry_after(headers, now=NOW) == seconds


def test_inside_a_text() -> None:
    text = "User-rate limit exceeded.  Retry after 2026-01-20T12:02:00.000Z"
    assert retry_after({}, now=NOW, text=text) == 120
    assert retry_after({"retry-after": "9"}, now=NOW, text=text) == 9
    assert retry_after({}, now=NOW, text="Retry after lunch") is None
