"""What the accounts room takes as email, name, phone, time zone and own path."""

import pytest

from portal.accounts import values


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Dana@Northline.Example", "dana@northline.example"),
        ("  dana@northline.example\n", "dana@northline.example"),
        ("dana@office.local", "dana@office.local"),
        ("root@localhost", "root@localhost"),
        ("ÄNNE@bücher.example", "änne@bücher.example"),
        ("a\u0308nne@buecher.example", "änne@buecher.example"),
        ("dana+portal@example.org", "dana+portal@example.org"),
    ],
)
def test_an_email_has_one_form(typed: str, stored: str) -> None:
    assert values.email(typed) == stored


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "dana", "@example.org", "dana@", "dana@example.org, eve@example.org", "Dana <dana@example.org>",
     "a b@c.org", "dana@exa\x00mple.org", "da\nna@example.org", "dana@-example.org", "dana@[127.0.0.1]",
     "d" * 60 + "@" + "x." * 110 + "org", "\u202edana@example.org"],
)  # fmt: skip
def test_what_is_no_email_is_refused_in_words(typed: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        values.email(typed)
    assert values.email_or_none(typed) is None


@pytest.mark.parametrize("typed", ["Ωmega 株式会社", "O'Brien <b>", "x" * 100, "Robert'); DROP TABLE users;--"])
def test_a_name_may_be_anything_that_can_be_printed(typed: str) -> None:
    assert values.name(f" {typed} ") == typed


@pytest.mark.parametrize("typed", ["", " \t", "x" * 101, "a\x00b", "a\nb", "a\u202eb", "\u200b"])
def test_a_name_without_substance_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        values.name(typed)


def test_a_phone_number_is_stored_in_one_form() -> None:
    assert values.phone("+61 (400) 000-000") == "+61400000000"
    assert values.phone(" ") == ""


@pytest.mark.parametrize(
    "typed", ["0400 000 000", "+0400000000", "+61", "+61400000000000000", "call me", "+٦١٤٠٠٠٠٠٠٠٠"]
)
def test_a_phone_number_needs_its_country_code(typed: str) -> None:
    with pytest.raises(ValueError, match="country code"):
        values.phone(typed)


def test_time_zones_are_places() -> None:
    assert values.time_zone("Australia/Sydney") == "Australia/Sydney"
    assert [values.time_zone(each) for each in (" lisbon", "new york", "utc")] == [
        "Europe/Lisbon", "America/New_York", "UTC",
    ]  # fmt: skip
    assert values.time_zones()[0] == "UTC"
    for typed in ("", "Mars/Olympus", "../../etc/passwd", "EST5EDT"):
        with pytest.raises(ValueError, match="list"):
            values.time_zone(typed)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Northline Staffing", "northline-staffing"),
        ("Åre & Söhne", "are-sohne"),
        ("株式会社", "organization"),
        ("--", "organization"),
    ],
)
def test_a_slug_is_plain_and_never_empty(name: str, slug: str) -> None:
    assert values.slug(name) == slug


def test_a_long_name_gives_a_slug_that_fits() -> None:
    assert len(values.slug("ab " * 40)) <= values.SLUG_LENGTH


@pytest.mark.parametrize(
    "path", ["/", "/admin/integrations?status=error&q=a b", "/profile#two-factor", "/a//b", "/ünï"]
)
def test_own_paths_are_kept(path: str) -> None:
    assert values.own_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "profile", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\n/evil.example",
     "https://evil.example/", "javascript:alert(1)", "/\t/evil.example", "\t//evil.example", " //evil.example", "/a\\b",
     "/\x00", "/login", "/login/two-factor", "/logout", "/setup", "/confirm?next=/", "/" + "a" * 2001],
)  # fmt: skip
def test_other_addresses_are_dropped(path: str) -> None:
    assert values.own_path(path) == ""
