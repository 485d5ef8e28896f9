"""What the webhooks' pages say: bodies and headers as markup, words for what happened, code that receivers copy."""

import time
from typing import Any

import pytest

from portal.security.webhook_signatures import key_of, new_secret, sign
from portal.webhooks import presenting, samples


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a": 1, "b": "x: 2"}', '{\n  <i>"a"</i>: <em>1</em>,\n  <i>"b"</i>: "x: 2"\n}'),
        (b'{"<b>": "<i>&"}', '{\n  <i>"&lt;b&gt;"</i>: "&lt;i&gt;&amp;"\n}'),
        (b"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        (b"\xff\xfe\x00", "3 bytes that are no text"),
        (b'["\\ud800"]', '[\n  "?"\n]'),
        (b"a\x00b\x1b[31m", "ab[31m"),
        (b"", ""),
    ],
)
def test_a_body_is_shown_as_text_never_as_markup(body: bytes, shown: str) -> None:
    assert str(presenting.body_markup(body)).replace("&#34;", chr(34)) == shown


def test_a_header_cannot_bring_markup_or_lines() -> None:
    shown = presenting.headers_markup({"x-a": "<b>1</b>", "x-b": "\x1b]0;"})
    assert shown == "<u>x-a:</u> &lt;b&gt;1&lt;/b&gt;\n<u>x-b:</u> ]0;"


def test_a_deep_answer_is_shown_as_it_came() -> None:
    assert presenting.pretty(b"[" * 20_000)[:3] == "[[["


def test_the_python_sample_verifies_what_the_portal_signs() -> None:
    place: dict[str, Any] = {}
    exec(samples.PYTHON, place)  # noqa: S102 - it is our own text
    secret, body, now = new_secret(), b'{"id":"evt_1"}', int(time.time())
    other = sign([key_of(new_secret()), key_of(secret)], message_id="evt_1", timestamp=now, body=body)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": other}
    assert place["verify"](secret, headers, body)
    assert not place["verify"](secret, headers, body + b" ")
    assert not place["verify"](new_secret(), headers, body)
    stale = headers | {"webhook-timestamp": str(now - 301)}
    stale["webhook-signature"] = sign([key_of(secret)], message_id="evt_1", timestamp=now - 301, body=body)
    assert not place["verify"](secret, stale, body)
