"""One-time codes: which are accepted, that none is twice, and the QR code."""

import re
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

import pyotp
import pytest
import segno

from portal.security.totp import code_at, grouped, matching_step, new_secret, provisioning_uri, qr_svg

RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890" of RFC 6238, appendix B
NOW = datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_rfc_6238(moment: int, code: str) -> None:
    at = datetime.fromtimestamp(moment, UTC)
    assert code_at(RFC_SECRET, at) == code
    assert matching_step(RFC_SECRET, code, at=at, last_step=None) == moment // 30


def test_a_secret_has_160_bits_and_is_new_each_time() -> None:
    assert re.fullmatch("[A-Z2-7]{32}", new_secret())
    assert len({new_secret() for _ in range(50)}) == 50
    assert grouped("ABCDEFGHIJ") == "ABCD EFGH IJ"


@pytest.mark.parametrize(("seconds", "step"), [(0, STEP), (-30, STEP - 1), (-60, None), (30, None), (-29, STEP - 1)])
def test_the_current_and_the_previous_step_are_accepted(seconds: int, step: int | None) -> None:
    code = code_at(RFC_SECRET, NOW + timedelta(seconds=seconds))
    assert matching_step(RFC_SECRET, code, at=NOW, last_step=None) == step


def test_a_step_is_accepted_once_and_none_before_it_afterwards() -> None:
    current, previous = code_at(RFC_SECRET, NOW), code_at(RFC_SECRET, NOW - timedelta(seconds=30))
    assert matching_step(RFC_SECRET, previous, at=NOW, last_step=STEP - 2) == STEP - 1
    assert matching_step(RFC_SECRET, previous, at=NOW, last_step=STEP - 1) is None
    assert matching_step(RFC_SECRET, current, at=NOW, last_step=STEP - 1) == STEP
    assert matching_step(RFC_SECRET, current, at=NOW, last_step=STEP) is None
    assert matching_step(RFC_SECRET, previous, at=NOW, last_step=STEP) is None
    assert matching_step(RFC_SECRET, current, at=NOW, last_step=STEP + 5) is None


def test_when_two_steps_share_a_code_both_are_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyotp.HOTP, "at", lambda *_: "123456")
    assert matching_step(RFC_SECRET, "123456", at=NOW, last_step=None) == STEP
    assert matching_step(RFC_SECRET, "123456", at=NOW, last_step=STEP) is None


@pytest.mark.parametrize("written", ["{0}", " {0} ", "{1} {2}", "{1}-{2}", "{1}\u00a0{2}\n"])
def test_spaces_and_hyphens_do_not_matter(written: str) -> None:
    code = code_at(RFC_SECRET, NOW)
    assert matching_step(RFC_SECRET, written.format(code, code[:3], code[3:]), at=NOW, last_step=None) == STEP


@pytest.mark.parametrize(
    "code",
    [
        "",
        "12345",
        "1234567",
        "abcdef",
        "\u0661\u0662\u0663\u0664\u0665\u0666",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "12345\0",
        "9" * 10000,
    ],
)
def test_other_input_is_not_accepted(code: str) -> None:
    assert matching_step(RFC_SECRET, code, at=NOW, last_step=None) is None


def test_the_time_zone_does_not_matter_but_has_to_be_there() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert matching_step(RFC_SECRET, code_at(RFC_SECRET, NOW), at=tokyo, last_step=None) == STEP
    with pytest.raises(ValueError, match="time zone"):
        matching_step(RFC_SECRET, "123456", at=NOW.replace(tzinfo=None), last_step=None)


@pytest.mark.parametrize("account", ["alice@example.com", "a+b&c=d?e#f:g/h %@example.com", "zoë@exämple.com"])
def test_the_address_brings_back_what_went_in(account: str) -> None:
    uri = urlsplit(provisioning_uri(RFC_SECRET, account))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == f"/Integrations Portal:{account}"
    assert uri.path.count(":") == 1
    assert parse_qs(uri.query, strict_parsing=True) == {
        "secret": [RFC_SECRET],
        "issuer": ["Integrations Portal"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }
    assert "+" not in uri.query


def test_pyotp_reads_the_address() -> None:
    parsed = pyotp.parse_uri(provisioning_uri(RFC_SECRET, "alice@example.com"))
    assert isinstance(parsed, pyotp.TOTP)
    assert parsed.secret == RFC_SECRET
    assert (parsed.name, parsed.issuer) == ("alice@example.com", "Integrations Portal")


def test_the_qr_code_is_inline_svg_that_a_strict_policy_lets_through() -> None:
    svg = qr_svg(provisioning_uri(RFC_SECRET, "alice@example.com"))
    assert svg.startswith("<svg ")
    assert "style" not in svg
    assert "<?xml" not in svg
    assert "<script" not in svg
    assert RFC_SECRET not in svg
    root = ET.fromstring(svg)  # noqa: S314 - made a line above
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "title", "path"}
    assert root.get("role") == "img"
    assert root.get("class") == "qr"
    assert root.findtext("{*}title") == "QR code for the authenticator app"


def test_the_qr_code_has_a_light_ground_under_its_dark_lines() -> None:
    root = ET.fromstring(qr_svg("otpauth://totp/x", title="<Scan> & go"))  # noqa: S314 - made here
    assert root.get("width") is None
    assert root.get("viewBox") == "0 0 {0} {0}".format(
        segno.make_qr("otpauth://totp/x", error="m").symbol_size(border=4)[0]
    )
    ground, lines = root.findall("{*}path")
    assert ground.get("fill") == "#fff"
    assert lines.get("stroke") == "#000"
    assert root.findtext("{*}title") == "<Scan> & go"
