"""The one redaction: what it hides, what it leaves, and that nothing slips past it by being encoded."""

import base64
import json
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.security.redaction import REDACTED, is_sensitive, redact, redact_mapping, strip_controls
from portal.security.secret import Secret

SECRET = 'P4ss/w&rd+"ü<1>'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower().replace("p4ss", "P4ss"),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr([SECRET]),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
    ids=range(11),
)
def test_a_known_secret_is_found_in_every_form(form: str) -> None:
    shown = redact(f"before {form} after", [SECRET])
    assert "before" in shown
    assert "after" in shown
    assert REDACTED in shown
    assert not any(SECRET.encode()[at : at + 4].hex() in shown.lower() for at in range(5))
    assert "w&rd" not in shown
    assert "rd%2" not in shown


@given(st.binary(max_size=7), st.text("abc+/ ÿ~", min_size=4, max_size=12), st.binary(max_size=7))
def test_a_known_secret_is_found_inside_base64_at_every_alignment(before: bytes, secret: str, after: bytes) -> None:
    raw = secret.encode()
    first, end = -(-len(before) * 8 // 6), (len(before) + len(raw)) * 8 // 6  # characters made of the secret alone
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        sent = encode(before + raw + after).decode()
        shown = redact(f"<{sent}>", [secret])
        assert REDACTED in shown
        left = shown[1:-1].split(REDACTED)
        assert sum(map(len, left)) <= len(sent) - (end - first)


def test_json_and_html_forms_are_replaced_whole() -> None:
    assert redact(json.dumps([SECRET]), [SECRET]) == f'["{REDACTED}"]'
    assert redact(json.dumps([SECRET], ensure_ascii=False), [SECRET]) == f'["{REDACTED}"]'
    assert redact(f"<b>{escape(SECRET)}</b>", [SECRET]) == f"<b>{REDACTED}</b>"
    assert redact(repr([SECRET]), [SECRET]) == f"['{REDACTED}']"


def test_known_secrets_may_be_wrapped_and_longer_ones_go_first() -> None:
    assert redact("abcdefgh abcd", [Secret("abcd"), Secret("abcdefgh")]) == f"{REDACTED} {REDACTED}"


def test_a_very_short_secret_is_hidden_only_where_it_stands_alone() -> None:
    assert redact("25 port 25 and 2525, a25 25a (25)25", ["25"]) == (
        f"{REDACTED} port {REDACTED} and 2525, a25 25a ({REDACTED}){REDACTED}"
    )
    assert redact("abcd", ["abc"]) == "abcd"
    assert redact("xabcdx", ["abcd"]) == f"x{REDACTED}x"


def test_an_empty_secret_hides_nothing() -> None:
    assert redact("text", ["", Secret("")]) == "text"


def test_a_secret_that_looks_like_the_replacement_does_not_eat_it() -> None:
    assert redact("my redacted word", ["redacted"]) == f"my {REDACTED} word"
    assert redact(redact("my redacted word", ["redacted"]), ["redacted"]) == f"my {REDACTED} word"


def test_a_key_file_is_hidden_line_by_line() -> None:
    key = "first line of a key file\nsecond line of a key file\nend"
    assert redact("log: second line of a key file", [key]) == f"log: {REDACTED}"
    assert redact("the end", [key]) == "the end"
    assert redact("0123456789abcdef", ["0123456789abcdef\nx"]) == REDACTED
    assert redact("0123456789abcde", ["0123456789abcde\nx"]) == "0123456789abcde"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"password": "a\\"b", "x": 1}', '{"password": "[redacted]", "x": 1}'),
        ('{"password":"abc\\\\","x":"y"}', '{"password":"[redacted]","x":"y"}'),
        ("{'api_key': 'abc', 'host': 'h'}", "{'api_key': '[redacted]', 'host': 'h'}"),
        ("{'token': b'abc'}", "{'token': b'[redacted]'}"),
        ('{"pin": 1234}', '{"pin": "[redacted]"}'),
        ('{"credentials": ["a", "b"]}', '{"credentials": "[redacted]"}'),
        ('{"credentials": {"host": "h", "password": "p"}}', '{"credentials": {"host": "h", "password": "[redacted]"}}'),
        ('{"password": null, "token": "", "secret": true}', '{"password": null, "token": "", "secret": true}'),
        (
            '{"body": "{\\"password\\": \\"a\\\\\\"b\\", \\"x\\": 1}"}',
            '{"body": "{\\"password\\": \\"[redacted]\\", \\"x\\": 1}"}',
        ),
        ('{"password": "never closed', '{"password": "[redacted]'),
        ('{"password": "never closed\\', '{"password": "[redacted]'),
        ('{"password": ', '{"password": '),
        ("grant_type=x&client_secret=abc%2F&scope=a", "grant_type=x&client_secret=[redacted]&scope=a"),
        ("GET /cb?code=4%2F0Ab-secret&state=s", "GET /cb?code=[redacted]&state=s"),
        ("/v1?key=abcdefgh", "/v1?key=[redacted]"),
        ("password='a b' host=h", "password='[redacted]' host=h"),
        ("user[password]=abc", "user[password]=[redacted]"),
        ('msg="password=abc" x', 'msg="password=[redacted]" x'),
        ("if token == other", "if token == other"),
        ("Authorization: Basic dXNlcjpwYXNz\r\nHost: h", "Authorization: [redacted]\r\nHost: h"),
        ("> X-Api-Key: a b c\n> Accept: */*", "> X-Api-Key: [redacted]\n> Accept: */*"),
        ("Set-Cookie: sid=abc; Path=/", "Set-Cookie: [redacted]"),
        ("config password: hunter2 host: h", "config password: [redacted] host: h"),
        ("x password: hunter2 rest", "x password: [redacted] rest"),
        ("\npassword: two words\nrest", "\npassword: [redacted]\nrest"),
        ('password: "two words" next', 'password: "[redacted]" next'),
        ("<Password>abc</Password><Host>h</Host>", "<Password>[redacted]</Password><Host>h</Host>"),
        ('<ns:token type="x">abc</ns:token>', '<ns:token type="x">[redacted]</ns:token>'),
        ("smtp://user:hunter2@mail.example.com", "smtp://user:[redacted]@mail.example.com"),
        ("AUTH PLAIN AHVzZXIAcGFzcw==", "AUTH PLAIN [redacted]"),
        ("sent Bearer abcdef.ghi-jkl", "sent Bearer [redacted]"),
    ],
)
def test_values_under_names_that_announce_a_secret_are_hidden(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(expected) == expected


@pytest.mark.parametrize(
    "token",
    [
        "SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "AC0123456789abcdef0123456789abcdef",
        "SK0123456789abcdef0123456789abcdef",
        "prt_abcdefghijkl",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "xoxb-1234567890-abcdef",
        "https://hooks.slack.com/services/T0/B0/xyz",
        "ya29.a0AfH6SMBabcdef",
        "AIzaSyA0123456789012345678901234567890",
        "GOCSPX-abcdefghijklmn",
        "KEY0123456789ABCDEF0123_abcDEF",
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nnever ended",
    ],
)
def test_well_known_token_shapes_are_hidden_anywhere(token: str) -> None:
    assert redact(f"got ({token})").removesuffix(")") == f"got ({REDACTED}"


@pytest.mark.parametrize(
    "text",
    [
        "535 5.7.8 Username and Password not accepted",
        "Connection refused by mail.example.com:587",
        '{"code": 20003, "message": "Authenticate", "more_info": "https://www.twilio.com/docs/errors/20003"}',
        "token_type=bearer&expires_in=3600",
        "https://example.com:8443/path",
        "Wrong state: auth_rejected",
        "SG.",
        "Bearer of news",
    ],
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


SECRET_NAMES = """
password smtp_password newPassword PASSWORD passwordConfirmation X-Api-Key apiKey api_key apikey Authorization
Proxy-Authorization client_secret clientSecret access_token refresh-token id_token Set-Cookie session_id sessionId
private_key recovery_codes totp_secret master_keys webhook_secret auth otp passwd pwd
"""
OTHER_NAMES = """
host port username from_email token_type password_changed_at token_url secret_set key author keyboard code status
laptop_model monkey passenger organization_id signature_algorithm - ü
"""


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_names_of_secrets(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize("name", ["", *OTHER_NAMES.split()])
def test_names_of_other_things(name: str) -> None:
    assert not is_sensitive(name)


def test_controls_and_direction_marks_are_stripped_first_so_that_they_cannot_split_a_secret() -> None:
    text = "hun\u200bter2-hun\u202eter2\x1b[31m\r\nnext\tline\x00\x85\u2066"
    assert strip_controls(text) == "hunter2-hunter2[31m\nnext\tline"
    assert strip_controls("a\nb\tc", keep="") == "abc"
    assert redact(text, ["hunter2-hunter2"], strip=True) == f"{REDACTED}[31m\nnext\tline"


def test_a_mapping_is_redacted_at_any_depth_and_keeps_what_tells_nothing() -> None:
    mapping = {
        "host": "mail.example.com",
        "port": 587,
        "ratio": 0.5,
        "on": True,
        "password": "abc",
        "old_password": None,
        "new_password": "",
        "tokens": ["a", "b"],
        "secret": Secret("x"),
        "holder": Secret("x"),
        "list": [{"api_key": "abc"}, ("Bearer abcdefgh", 3), b"\xffknown-value"],
        "error": ValueError("password=abc"),
        3: "three",
    }
    assert redact_mapping(mapping, ["known-value"]) == {  # type: ignore[arg-type]
        "host": "mail.example.com",
        "port": 587,
        "ratio": 0.5,
        "on": True,
        "password": REDACTED,
        "old_password": None,
        "new_password": "",
        "tokens": REDACTED,
        "secret": REDACTED,
        "holder": REDACTED,
        "list": [{"api_key": REDACTED}, [f"Bearer {REDACTED}", 3], f"\ufffd{REDACTED}"],
        "error": f"password={REDACTED}",
        "3": "three",
    }


def test_a_known_secret_is_hidden_in_names_too() -> None:
    assert redact_mapping({"hunter2-hunter2": 1}, ["hunter2-hunter2"]) == {REDACTED: 1}


def test_an_endless_mapping_ends() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop
    assert REDACTED in repr(redact_mapping(loop))


@given(st.text(max_size=300), st.text(min_size=4, max_size=20))
@example('"password": "\\"', "aaaa")
@example("password=password='x", "word")
def test_redacting_twice_changes_nothing_more_and_no_known_secret_is_left(text: str, secret: str) -> None:
    once = redact(f"{text}{secret}{text}", [secret])
    assert secret not in once.replace(REDACTED, "\0")
    assert redact(once, [secret]) == once


@pytest.mark.parametrize(
    "hostile",
    [
        "\\" * 100_000,
        '"' * 100_000,
        '"password": "' * 10_000,
        "password=" * 10_000,
        "password: " * 10_000,
        "<password>" * 10_000,
        "a" * 100_000,
        "http://" * 20_000,
        "-----BEGIN PRIVATE KEY-----" * 5_000,
        "eyJ" * 30_000,
        "a." * 50_000,
    ],
    ids=range(11),
)
@pytest.mark.timeout(20)
def test_hostile_input_takes_no_more_than_linear_time(hostile: str) -> None:
    assert isinstance(redact(hostile, ["some-known-secret"]), str)
