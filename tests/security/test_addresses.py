"""The address policy: every special range, in every disguise."""

from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.security.addresses import AddressBlocked, AddressPolicy, shown_host, unmapped

PUBLIC_ONLY = AddressPolicy()
EVERYTHING = AddressPolicy(allowed=(ip_network("0.0.0.0/0"), ip_network("::/0")))

PUBLIC = "1.1.1.1 8.8.8.8 93.184.216.34 172.15.255.255 172.32.0.1 100.63.255.255 100.128.0.1 192.0.1.1 198.17.255.255"
PUBLIC_6 = "2606:4700:4700::1111 2a00:1450:4001::1 2001:4860:4860::8888 ::ffff:8.8.8.8"
PRIVATE = (
    "10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 172.16.0.1 172.31.255.255"
    " 192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1"
)
PRIVATE_6 = (
    "::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 fc00::1 fd00::1 fec0::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1"
    " 100::1 5f00::1 4000::1 1::1"
)
NEVER = (
    "0.0.0.0 0.1.2.3 169.254.0.1 169.254.169.254 169.254.170.2 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255"
    " 168.63.129.16 192.0.0.192 100.100.100.200"
)
NEVER_6 = (
    ":: ::2 ::127.0.0.1 ::8.8.8.8 ::a9fe:a9fe ::ffff:169.254.169.254 ::ffff:0:8.8.8.8 64:ff9b::a9fe:a9fe"
    " 64:ff9b::808:808 64:ff9b:1::1 2002:7f00:1:: 2002:808:808:: 2001::1 2001:0:808:808::1 fe80::1 fe80::1%eth0"
    " fe80::a9fe:a9fe ff02::1 ff0e::1 fd00:ec2::254 fd00:ec2::253 fd20:ce::254"
)


@pytest.mark.parametrize("ip", f"{PUBLIC} {PUBLIC_6}".split())
def test_public_addresses_are_permitted(ip: str) -> None:
    assert PUBLIC_ONLY.permits(ip, 443)


@pytest.mark.parametrize("ip", f"{PRIVATE} {PRIVATE_6}".split())
def test_special_addresses_are_permitted_only_when_the_operator_allows_them(ip: str) -> None:
    assert not PUBLIC_ONLY.permits(ip, 443)
    assert EVERYTHING.permits(ip, 443)


@pytest.mark.parametrize("ip", f"{NEVER} {NEVER_6}".split())
def test_metadata_and_transition_addresses_are_never_permitted(ip: str) -> None:
    assert not PUBLIC_ONLY.permits(ip, 443)
    assert not EVERYTHING.permits(ip, 443)
    assert not PUBLIC_ONLY.adding((ip, 443)).permits(ip, 443)


@given(st.ip_addresses(v=4))
@settings(max_examples=400)
def test_a_mapped_address_has_the_verdict_of_the_address_inside(ip: IPv4Address) -> None:
    mapped = IPv6Address(f"::ffff:{ip}")
    for policy in (PUBLIC_ONLY, EVERYTHING):
        assert policy.permits(ip, 80) == policy.permits(mapped, 80) == policy.permits(str(mapped), 80)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_another_kind_of_ipv6_address_is_always_refused(ip: IPv4Address) -> None:
    number = int(ip)
    disguises = [
        IPv6Address((0x64FF9B << 96) + number),  # NAT64, RFC 6052
        IPv6Address((0x64FF9B0001 << 80) + number),  # NAT64 of local use, RFC 8215
        IPv6Address((0x2002 << 112) + (number << 80) + 1),  # 6to4
        IPv6Address((0x20010000 << 96) + number),  # Teredo
        IPv6Address((0xFFFF0000 << 32) + number),  # SIIT, RFC 2765
    ]
    if number != 1:
        disguises.append(IPv6Address(number))  # IPv4-compatible
    for disguise in disguises:
        assert not PUBLIC_ONLY.permits(disguise, 80), disguise
        assert not EVERYTHING.permits(disguise, 80), disguise


@given(st.ip_addresses())
@settings(max_examples=400)
def test_nothing_is_permitted_that_python_calls_private_or_reserved(ip: IPv4Address | IPv6Address) -> None:
    address = unmapped(ip)
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not PUBLIC_ONLY.permits(ip, 443)


@given(st.ip_addresses(v=6, network="::/8"))
def test_low_ipv6_addresses_are_never_public(ip: IPv6Address) -> None:
    assert PUBLIC_ONLY.permits(ip, 443) == (ip.ipv4_mapped is not None and PUBLIC_ONLY.permits(ip.ipv4_mapped, 443))


def test_an_allowed_network_opens_itself_and_nothing_else() -> None:
    policy = AddressPolicy(allowed=(ip_network("10.1.0.0/16"), ip_network("fd12::/16")))
    assert policy.private_targets
    assert policy.permits("10.1.2.3", 25)
    assert policy.permits("::ffff:10.1.2.3", 25)
    assert policy.permits("fd12::1", 25)
    assert not policy.permits("10.2.0.1", 25)
    assert not policy.permits("fd13::1", 25)
    assert not PUBLIC_ONLY.private_targets


def test_a_network_written_as_mapped_means_the_ipv4_network() -> None:
    policy = AddressPolicy(allowed=(ip_network("::ffff:10.1.0.0/112"),))
    assert policy.allowed == (IPv4Network("10.1.0.0/16"),)
    assert policy.permits("10.1.2.3", 25)
    assert not policy.permits("10.2.0.1", 25)


def test_an_exact_pair_opens_one_port_of_one_address() -> None:
    policy = PUBLIC_ONLY.adding(("127.0.0.1", 8026))
    assert policy.permits("127.0.0.1", 8026)
    assert policy.permits("::ffff:127.0.0.1", 8026)
    assert not policy.permits("127.0.0.1", 8025)
    assert not policy.permits("127.0.0.2", 8026)
    assert policy.private_targets
    assert not PUBLIC_ONLY.permits("127.0.0.1", 8026)
    assert policy == AddressPolicy(extra=((IPv4Address("127.0.0.1"), 8026),))


def test_a_refusal_names_the_host_the_setting_and_no_address() -> None:
    PUBLIC_ONLY.check("8.8.8.8", 25, host="dns.google")
    with pytest.raises(AddressBlocked) as refused:
        PUBLIC_ONLY.check("10.66.77.88", 25, host="mail.internal")
    assert refused.value.host == "mail.internal"
    assert "“mail.internal” is not allowed" in str(refused.value)
    assert "PORTAL_ALLOWED_NETWORKS" in str(refused.value)
    assert "10.66" not in str(refused.value)


def test_a_hostile_host_is_shown_short_on_one_line() -> None:
    with pytest.raises(AddressBlocked) as refused:
        PUBLIC_ONLY.check("10.0.0.1", 25, host="a\r\nb\u202e{0}" + "x" * 500)
    assert refused.value.host.startswith("ab{0}xxx")
    assert len(refused.value.host) == 100
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("length", "shown"), [(99, "x" * 99), (100, "x" * 100), (101, "x" * 99 + "…")])
def test_a_host_is_cut_only_when_it_is_too_long(length: int, shown: str) -> None:
    assert shown_host("x" * length) == shown


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        PUBLIC_ONLY.allowed = EVERYTHING.allowed  # type: ignore[misc]


def test_a_text_that_is_no_address_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        PUBLIC_ONLY.permits("example.com", 80)
