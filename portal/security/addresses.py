"""Which addresses the portal may connect to: the policy of the guard against server-side request forgery."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from portal.security.errors import SecurityError
from portal.security.redaction import strip_controls

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")


def _networks(text: str) -> tuple[IPNetwork, ...]:
    return tuple(ip_network(each) for each in text.split())


# Python's own is_global counts several of these as public (3.11: NAT64, 6to4, multicast), hence the lists.
# Source: IANA's special-purpose address registries for IPv4 and IPv6, and the clouds' documentation.
_SPECIAL: Final = _networks(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24"
    " 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
    " 168.63.129.16/32 2001::/23 2001:db8::/32 2002::/16 3fff::/20"
)
# Never, whatever the operator allows: metadata services of clouds hand out credentials, and addresses that are no
# single host or that carry an IPv4 address inside would be a way around the rest.
_NEVER: Final = _networks(
    "0.0.0.0/8 169.254.0.0/16 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32 192.0.0.192/32 100.100.100.200/32"
    " fd00:ec2::/32 fd20:ce::254/128 fe80::/10 ff00::/8"
    " 64:ff9b::/96 64:ff9b:1::/48 2002::/16 2001::/32 ::ffff:0:0:0/96"
)
_V4_COMPATIBLE: Final = IPv6Network("::/96")
_LOOPBACK_6: Final = IPv6Address("::1")


class NetworkError(SecurityError):
    """A host that can't be connected to; ``host`` is what the user typed, made safe to show."""

    sentence = "“{host}” can't be reached."

    def __init__(self, host: str) -> None:
        self.host = shown_host(host)
        super().__init__(self.sentence.format(host=self.host))


class AddressBlocked(NetworkError):
    """The address of a host is private, reserved or otherwise refused; the message never says which address it is."""

    sentence = (
        "“{host}” is not allowed: it leads to a private or reserved address. Use a public host, or ask the operator to "
        "add its network to PORTAL_ALLOWED_NETWORKS."
    )


def shown_host(host: str) -> str:
    """A host as typed, on one line, without invisible characters and at most 100 characters long."""
    clean = strip_controls(host, keep="").strip()
    return clean if len(clean) <= 100 else clean[:99] + "…"


def unmapped(ip: str | IPAddress) -> IPAddress:
    """An address without zone, and IPv4 where it was written as IPv4-mapped IPv6. Raises ValueError for other texts."""
    address = ip_address(ip)
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Says which addresses may be connected to: public ones, and what the operator allows beyond them.

    Args:
        allowed: private or loopback networks that are allowed too (PORTAL_ALLOWED_NETWORKS).
        extra: exact (address, port) pairs, for the provider sandbox.
    """

    allowed: tuple[IPNetwork, ...] = ()
    extra: tuple[tuple[str | IPAddress, int], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", tuple(_unmapped_network(each) for each in self.allowed))
        object.__setattr__(self, "extra", tuple((unmapped(ip), port) for ip, port in self.extra))

    @property
    def private_targets(self) -> bool:
        """Whether anything beyond the public internet is allowed."""
        return bool(self.allowed or self.extra)

    def adding(self, *pairs: tuple[str | IPAddress, int]) -> "AddressPolicy":
        """A copy that allows these exact (address, port) pairs too."""
        return replace(self, extra=(*self.extra, *pairs))

    def permits(self, ip: str | IPAddress, port: int) -> bool:
        """Whether a connection to this address and port is allowed. Raises ValueError for a text that is no address."""
        address = unmapped(ip)
        if _is_never(address):
            return False
        if (address, port) in self.extra or _within(address, self.allowed):
            return True
        return _is_public(address)

    def check(self, ip: str | IPAddress, port: int, *, host: str) -> None:
        """Raises AddressBlocked, which names the host, when permits() says no."""
        if not self.permits(ip, port):
            raise AddressBlocked(host)


def _within(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(address in network for network in networks)


def _is_never(address: IPAddress) -> bool:
    return _within(address, _NEVER) or (address in _V4_COMPATIBLE and address != _LOOPBACK_6)


def _is_public(address: IPAddress) -> bool:
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    return not _within(address, _SPECIAL) and address.is_global


def _unmapped_network(network: IPNetwork) -> IPNetwork:
    """A network written as IPv4-mapped IPv6 as the IPv4 network that it stands for."""
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network
