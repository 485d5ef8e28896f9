"""The way out for drivers: resolve a name and connect, guarded by an address policy or bound to the sandbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from socket import socket

from portal.http import Network
from portal.security.network import Address, AddressPolicy, NetworkError, Resolver, connect_any, resolve

__all__ = ["GuardedNetwork", "Network", "NoSandbox", "SandboxDown", "SandboxNetwork"]


@dataclass(frozen=True)
class GuardedNetwork:
    """The network as the policy allows it: every address is vetted, and exactly the vetted one is dialled."""

    policy: AddressPolicy = field(default_factory=AddressPolicy)
    resolver: Resolver | None = None

    def resolve(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Look the host up; every address it has must be allowed."""
        return resolve(host, port, policy=self.policy, timeout=timeout, resolver=self.resolver)

    def connect(self, addresses: Sequence[Address], timeout: float) -> tuple[socket, Address]:
        """Dial the vetted addresses in their order."""
        return connect_any(addresses, timeout=timeout)


class SandboxDown(NetworkError):
    """The sandbox does not answer where the settings say it runs."""


@dataclass(frozen=True)
class SandboxNetwork:
    """A network on which every host is the sandbox, so that a demo can show real host names and reach nobody.

    Attributes:
        ip: the sandbox's address.
        port: where connections go.
        ports: other places for certain asked-for ports: 465 to the mail server that starts with TLS, 443 to the one
            that plays web APIs.
    """

    ip: IPv4Address | IPv6Address
    port: int
    ports: Mapping[int, int] = field(default_factory=dict)

    def resolve(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Return the sandbox's address, under the asked name."""
        return [Address(host=host, ip=self.ip, port=self.ports.get(port, self.port))]

    def connect(self, addresses: Sequence[Address], timeout: float) -> tuple[socket, Address]:
        """Connect to the sandbox."""
        return connect_any(addresses, timeout=timeout)


@dataclass(frozen=True)
class NoSandbox:
    """A network that stands in for a sandbox which does not run; whoever uses it is told so."""

    url: str

    def resolve(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Refuse.

        Raises:
            SandboxDown: always.
        """
        raise SandboxDown(self.url)

    def connect(self, addresses: Sequence[Address], timeout: float) -> tuple[socket, Address]:
        """Refuse, like resolve()."""
        raise SandboxDown(self.url)
