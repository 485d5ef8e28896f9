"""One canonical form for host names and IP literals."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.security.hostnames import HostNotFound, InvalidHost, canonical_host


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("mail.example.com", "mail.example.com"),
        (" Mail.Example.COM. ", "mail.example.com"),
        ("mail", "mail"),
        ("mail_server.internal", "mail_server.internal"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("faß.de", "xn--fa-hia.de"),
        ("\uff4d\uff41\uff49\uff4c\u3002example", "mail.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("1.example", "1.example"),
        ("3com.example", "3com.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_names_are_lower_case_ascii_without_trailing_dot(typed: str, canonical: str) -> None:
    assert canonical_host(typed) == canonical


@pytest.mark.parametrize(
    "typed",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0x7F.0.0.1",
        "0x7f000001",
        "0177.0.0.1",
        "0177.0x0.1",
        "2130706433",
        "①②⑦.0.0.1",
        "\uff11\uff12\uff17\u3002\uff10\uff0e0\uff61\uff11",
        "\U0001d7cf\U0001d7d0\U0001d7d5.0.0.1",
        "::ffff:127.0.0.1",
        "[::ffff:7f00:1]",
        "[::FFFF:7F00:0001]",
        "0:0:0:0:0:ffff:7f00:1",
    ],
)
def test_every_way_to_write_loopback_is_loopback(typed: str) -> None:
    assert canonical_host(typed) == IPv4Address("127.0.0.1")


def test_other_literals() -> None:
    assert canonical_host("[::1]") == ip_address("::1")
    assert canonical_host("2606:4700::1111") == ip_address("2606:4700::1111")
    assert canonical_host("0x") == IPv4Address(0)
    assert canonical_host("0") == IPv4Address(0)
    assert canonical_host("255.65535.") == IPv4Address("255.0.255.255")


def test_the_longest_name_has_253_characters() -> None:
    longest = ".".join(["a" * 49] * 5) + ".abc"
    assert len(longest) == 253
    assert canonical_host(longest + ".") == longest
    with pytest.raises(InvalidHost):
        canonical_host(longest + "d")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        ".",
        "..",
        "a..b",
        ".example.com",
        "example.com..",
        "-a.example",
        "a-.example",
        "a b.example",
        "a/b",
        "a@b.example",
        "a%2eb",
        "user:pass@host",
        "http://example.com",
        "example.com:25",
        "[example.com]",
        "[::1",
        "::1]",
        "[127.0.0.1]",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        ":::",
        "256.0.0.1",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.256.3",
        "4294967296",
        "0x100000000",
        "0xffffffffffffffffff",
        "08.0.0.1",
        "1.2.3.x.4",
        "1..2",
        "xn--a",
        "xn--zz--.example",
        "a\x00b.example",
        "a\nb.example",
        "ex\u202eample.com",
        "☃\u200d.example",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "ü" * 300 + ".example",
        "a" * 2000,
        "\ud800.example",
    ],
    ids=range(44),
)
def test_everything_else_is_refused(typed: str) -> None:
    with pytest.raises(InvalidHost) as refused:
        canonical_host(typed)
    assert isinstance(refused.value, HostNotFound)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_either_refused_or_stable(text: str) -> None:
    try:
        once = canonical_host(text)
    except InvalidHost:
        return
    assert canonical_host(str(once)) == once
    assert str(once).isascii()


@given(st.ip_addresses(v=4), st.sampled_from(["{0}", "0x{1:x}", "{1}", "0{1:o}", "[::ffff:{0}]", "{0}."]))
def test_every_notation_of_an_address_gives_that_address(ip: IPv4Address, notation: str) -> None:
    assert canonical_host(notation.format(ip, int(ip))) == ip
