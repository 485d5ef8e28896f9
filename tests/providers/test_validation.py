"""Validation: typed values, or sentences that name the field, for everything a form or the API can send."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.providers.addresses import AccentedLocalPart, BadEmail, ascii_email
from portal.providers.fields import Field, FieldKind
from portal.providers.parsing import Refused, parse
from portal.providers.smtp import SMTP
from portal.providers.validation import changes_destination, initial, merge, validate

GOOD: dict[str, object] = {
    "host": "smtp.example.com",
    "security": "starttls",
    "port": "587",
    "username": "user",
    "password": "geheim1234",
    "from_email": "noreply@example.com",
    "from_name": "Northline",
}


def errors(**changes: object) -> dict[str, str]:
    return validate(SMTP, {**GOOD, **changes}).errors


def test_good_values_come_back_typed() -> None:
    found = validate(SMTP, {**GOOD, "host": " SMTP.Example.COM. ", "port": " 2525 "})
    assert found.ok
    assert found.values == {**GOOD, "preset": "custom", "port": 2525}


@pytest.mark.parametrize("name", ["host", "from_email"])
@pytest.mark.parametrize("empty", [None, "", "  ", "\n"])
def test_required_field_is_named(name: str, empty: object) -> None:
    assert errors(**{name: empty}) == {name: f"{SMTP.field(name).label} is required."}


@pytest.mark.parametrize(
    ("name", "entered"),
    [
        ("host", ["smtp.example.com"]),
        ("host", {"a": 1}),
        ("host", 42),
        ("host", "smtp.example.com/path"),
        ("host", "https://smtp.example.com"),
        ("host", "smtp.example.com:587"),
        ("host", "[::1]:587"),
        ("host", "two words"),
        ("host", "-x.example.com"),
        ("host", "a" * 64 + ".com"),
        ("host", "a." * 200 + "com"),
        ("host", "smtp.example.com\r\nEHLO x"),
        ("host", "smtp\u202eexample.com"),
        ("host", "<script>alert(1)</script>"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "-1"),
        ("port", "587.0"),
        ("port", 587.5),
        ("port", True),
        ("port", "٥٨٧"),
        ("port", "9" * 10_000),
        ("port", "0x24b"),
        ("port", [587]),
        ("security", "ssl"),
        ("security", "STARTTLS"),
        ("security", 1),
        ("preset", "nobody"),
        ("preset", ["sendgrid"]),
        ("username", "user\r\nRSET"),
        ("username", "user\x00"),
        ("username", "x" * 321),
        ("username", "x" * 1_000_000),
        ("username", "\ud800"),
        ("password", "a\nb"),
        ("password", "x" * 1025),
        ("password", 12345678),
        ("password", "••••x7Qa"),
        ("password", "********"),
        ("from_email", "no address"),
        ("from_email", "a@b@c.example"),
        ("from_email", "a@127.0.0.1"),
        ("from_email", "a@"),
        ("from_email", "@example.com"),
        ("from_email", "ünï@example.com"),
        ("from_email", "a@example.com\r\nBcc: all@example.com"),
        ("from_email", "Name <a@example.com>"),
        ("from_email", "a" * 250 + "@example.com"),
        ("from_name", "Evil\r\nBcc: all@example.com"),
        ("from_name", "Evil\u2028Bcc"),
        ("from_name", "\u202eelim"),
        ("from_name", "x" * 121),
        ("from_name", "••••"),
        ("confirm_plaintext", "perhaps"),
    ],
)
def test_bad_value_is_refused_by_name_and_not_repeated(name: str, entered: object) -> None:
    changes = {name: entered, **({"security": "none"} if name == "confirm_plaintext" else {})}
    found = validate(SMTP, {**GOOD, **changes})
    assert list(found.errors) == [name]
    assert name not in found.values
    sentence = found.errors[name]
    assert sentence.startswith(SMTP.field(name).label)
    assert sentence.endswith(".")
    assert not SMTP.field(name).secret or str(entered) not in sentence


@pytest.mark.parametrize(
    ("name", "entered", "value"),
    [
        ("host", "bücher.example", "xn--bcher-kva.example"),
        ("host", "ＳＭＴＰ.example。com", "smtp.example.com"),
        ("host", "mail_relay.internal", "mail_relay.internal"),
        ("host", "[2001:DB8::1]", "2001:db8::1"),
        ("host", "127.1", "127.0.0.1"),
        ("port", 587, 587),
        ("from_email", "Dana@BÜCHER.example", "Dana@xn--bcher-kva.example"),
        ("from_email", "portal@mail.local", "portal@mail.local"),
        ("from_name", "Nord\u0061\u0308", "Nordä"),
        ("from_name", "شرکت می\u200cخواهم", "شرکت می\u200cخواهم"),
        ("from_name", "<b>Bold & Co</b>", "<b>Bold & Co</b>"),
        ("password", " pass word ", "pass word"),
        ("password", "pa\u0308ss1234", "pa\u0308ss1234"),
    ],
)
def test_unusual_values_are_taken(name: str, entered: object, value: object) -> None:
    found = validate(SMTP, {**GOOD, name: entered})
    assert found.errors == {}
    assert found.values[name] == value


def test_unknown_fields_are_named_once_and_safely() -> None:
    found = validate(SMTP, {**GOOD, "hots": "x", "<b>\x00" + "y" * 500: 1} | {f"f{n}": 1 for n in range(50)})
    assert found.errors["hots"] == "SMTP has no field named “hots”."
    assert len(found.errors) == 20
    assert all(len(name) <= 60 and "\x00" not in name for name in found.errors)


def test_several_errors_come_together() -> None:
    assert set(errors(host="", port="x", from_email="y")) == {"host", "port", "from_email"}


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_security_chooses_the_usual_port_and_leaves_it_editable(security: str, port: int) -> None:
    raw = {**GOOD, "security": security, "username": "", "password": ""}
    assert validate(SMTP, {**raw, "port": ""}).values["port"] == port
    assert validate(SMTP, {**raw, "port": "2525"}).values["port"] == 2525


def test_preset_fills_what_is_empty() -> None:
    found = validate(SMTP, {"preset": "sendgrid", "password": "SG.x", "from_email": "a@example.com"})
    assert found.errors == {}
    assert found.values["host"] == "smtp.sendgrid.net"
    assert (found.values["security"], found.values["port"]) == ("starttls", 587)
    assert found.values["username"] == "apikey"
    own = validate(SMTP, {**GOOD, "preset": "sendgrid"})
    assert (own.values["host"], own.values["username"]) == ("smtp.example.com", "user")


@pytest.mark.parametrize("preset", ["sendgrid", "gmail", "outlook", "mailgun", "ses"])
def test_every_preset_knows_its_server(preset: str) -> None:
    found = validate(SMTP, {"preset": preset, "username": "u", "password": "p1234567", "from_email": "a@example.com"})
    assert found.errors == {}
    assert SMTP.label(found.values) == f"SMTP, {SMTP.field('preset').choice(preset).label}"  # type: ignore[union-attr]


def test_empty_form_starts_with_defaults() -> None:
    assert initial(SMTP) == {"preset": "custom", "security": "starttls", "port": 587}


def test_login_needs_both_parts() -> None:
    assert errors(password="") == {"password": "Password is required with a user name."}
    assert errors(username="") == {"username": "User name is required with a password."}
    assert errors(username="", password="") == {}


def test_kept_secret_counts_as_given() -> None:
    found = validate(SMTP, {**GOOD, "password": ""}, kept={"password"})
    assert found.ok
    assert "password" not in found.values
    assert not validate(SMTP, {**GOOD, "host": ""}, kept={"host"}).ok, "only secrets can be kept"


def test_kept_secret_does_not_stand_in_the_way_of_a_server_without_login() -> None:
    assert validate(SMTP, {**GOOD, "username": "", "password": ""}, kept={"password"}).ok


def test_plaintext_login_asks_a_person_to_confirm() -> None:
    raw = {**GOOD, "security": "none"}
    found = validate(SMTP, raw, person=True)
    assert list(found.errors) == ["confirm_plaintext"]
    assert "without encryption" in found.errors["confirm_plaintext"].lower()
    assert validate(SMTP, {**raw, "confirm_plaintext": "on"}, person=True).ok
    assert validate(SMTP, {**raw, "confirm_plaintext": "off"}, person=True).errors
    assert validate(SMTP, {**raw, "username": "", "password": ""}, person=True).ok
    assert validate(SMTP, raw).ok, "a program cannot be asked"


def test_hidden_field_is_not_looked_at() -> None:
    found = validate(SMTP, {**GOOD, "confirm_plaintext": "rubbish"})
    assert found.ok
    assert "confirm_plaintext" not in found.values


def test_destination_changes_with_host_port_and_security_only() -> None:
    old = validate(SMTP, GOOD).values
    for name, value in (("host", "other.example.com"), ("port", 25), ("security", "none")):
        assert changes_destination(SMTP, old, {**old, name: value})
    assert not changes_destination(SMTP, old, {**old, "username": "x", "from_email": "b@example.com"})


def test_merge_lets_a_new_choice_fill_what_the_old_one_had_filled() -> None:
    stored = validate(SMTP, {"preset": "sendgrid", "password": "SG.x", "from_email": "a@example.com"}).values
    tls = validate(SMTP, merge(SMTP, stored, {"security": "tls"})).values
    assert (tls["port"], tls["host"]) == (465, "smtp.sendgrid.net")
    mailgun = merge(SMTP, stored, {"preset": "mailgun", "username": "postmaster@mg.example.com"})
    assert validate(SMTP, mailgun).values["host"] == "smtp.mailgun.org"
    chosen = {**stored, "port": 2525}
    assert validate(SMTP, merge(SMTP, chosen, {"security": "tls"})).values["port"] == 2525
    assert merge(SMTP, stored, {"from_name": "N"}) == {**stored, "from_name": "N"}


@given(
    st.dictionaries(
        st.sampled_from([f.name for f in SMTP.fields]) | st.text(max_size=5),
        st.text(max_size=40) | st.none() | st.integers() | st.booleans() | st.lists(st.text(max_size=3), max_size=2),
    )
)
@settings(max_examples=100, deadline=None)
def test_anything_gives_values_or_sentences(raw: dict[str, object]) -> None:
    found = validate(SMTP, raw, person=True)
    for name, value in found.values.items():
        assert parse(SMTP.field(name), value) == value, "a stored value must be taken again"
        if isinstance(value, str):
            assert not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in value)
    for sentence in found.errors.values():
        assert sentence.endswith((".", "”."))


def test_pattern_names_the_example() -> None:
    field = Field(name="sid", label="Account SID", pattern="AC[0-9a-f]{32}", example="AC" + "0" * 32)
    with pytest.raises(Refused, match=r"Account SID does not look right. Example: AC0{32}\."):
        parse(field, "AC12")
    secret = Field(name="k", label="Key", kind=FieldKind.SECRET, pattern="SG\\..+")
    with pytest.raises(Refused) as refused:
        parse(secret, "wrong-secret")
    assert "wrong-secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["root@localhost", "a.b+c@mail.local", "a@xn--bcher-kva.example"])
def test_internal_addresses_are_addresses(text: str) -> None:
    assert ascii_email(text) == text


def test_accented_local_part_is_told_apart() -> None:
    with pytest.raises(AccentedLocalPart):
        ascii_email("jürgen@example.com")
    with pytest.raises(BadEmail):
        ascii_email("jürgen")
