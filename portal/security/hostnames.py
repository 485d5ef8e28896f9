"""Host names and IP literals brought into one form before anything else looks at them."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

import idna

from portal.security.addresses import IPAddress, NetworkError, unmapped

_LONGEST_INPUT: Final = 1024
_LONGEST_NAME: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"0x[0-9a-f]{0,16}|[0-9]{1,16}")
_NUMERIC: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")


class HostNotFound(NetworkError):
    """A host name that has no address."""

    sentence = "The host “{host}” was not found. Check the spelling of the host name."


class InvalidHost(HostNotFound):
    """A text that is neither a host name nor an IP address."""

    sentence = (
        "“{host}” is not a host name or IP address. Enter a name like mail.example.com, without http:// and path."
    )


def canonical_host(text: str) -> str | IPAddress:
    """The one form of a host: a lower-case ASCII name without trailing dot, or the address that a literal stands for.

    IPv4 literals are read like browsers and the C library read them (WHATWG URL, “IPv4 parser”): 127.1, 0x7f.1,
    0177.0.0.1, 2130706433 and ①②⑦.0.0.1 are all 127.0.0.1. Other names go through IDNA 2008 with UTS 46 mapping,
    once. Raises InvalidHost for anything else, also for IPv6 zones, which only mean something on one machine.
    """
    host = text.strip()
    if not host or len(host) > _LONGEST_INPUT:
        raise InvalidHost(text)
    if ":" in host or host.startswith("["):
        return _ipv6(host)
    name = _mapped(host).removesuffix(".")
    if _NUMERIC.fullmatch(name.rpartition(".")[2]):
        return _ipv4(name, text)
    return _ascii_name(name, text)


def _ipv6(host: str) -> IPAddress:
    inside = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if "%" in inside:
        raise InvalidHost(host)
    try:
        return unmapped(IPv6Address(inside))
    except AddressValueError:
        raise InvalidHost(host) from None


def _mapped(host: str) -> str:
    """Full-width, circled and upper-case characters as their plain ones; all dots as full stops."""
    try:
        return idna.uts46_remap(host, std3_rules=False, transitional=False)
    except idna.IDNAError:
        raise InvalidHost(host) from None


def _ipv4(name: str, text: str) -> IPv4Address:
    parts = name.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise InvalidHost(text)
    try:
        *leading, last = [_number(part) for part in parts]
        if any(each > 255 for each in leading) or last >= 256 ** (4 - len(leading)):
            raise InvalidHost(text)
    except ValueError:
        raise InvalidHost(text) from None
    return IPv4Address(last + sum(each << (24 - 8 * place) for place, each in enumerate(leading)))


def _number(part: str) -> int:
    """A part of an IPv4 literal: hexadecimal after 0x, octal after 0, else decimal."""
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8 if len(part) > 1 and part.startswith("0") else 10)


def _ascii_name(name: str, text: str) -> str:
    try:
        ascii_name = name if name.isascii() else idna.encode(name).decode("ascii")
        labels = ascii_name.split(".")
        for label in labels:
            if not _LABEL.fullmatch(label):
                raise InvalidHost(text)
            if label.startswith("xn--"):
                idna.ulabel(label)
    except idna.IDNAError:
        raise InvalidHost(text) from None
    if len(ascii_name) > _LONGEST_NAME:
        raise InvalidHost(text)
    return ascii_name
