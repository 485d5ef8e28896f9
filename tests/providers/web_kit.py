"""Providers played over HTTPS on a loopback socket: answers byte by byte as a test wants them, and what was asked."""

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from portal.providers.base import Context
from portal.providers.network import SandboxNetwork
from tests.providers.servers import Peer, Script, Server

NOW = datetime(2026, 1, 20, 12, 0, 0, tzinfo=UTC)


@dataclass
class Asked:
    """One request as it came over the wire; names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Answering = Callable[[Asked], bytes | Script]
"""Takes a request; returns the answer's bytes, or what to do with the connection."""
Play = Callable[..., tuple[Any, list[Asked]]]
"""See the fixture of that name."""


def answer(status: int = 200, body: object = b"", **headers: str) -> bytes:
    """An HTTP answer; what is not bytes becomes JSON. In names of headers _ stands for -."""
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(payload)}", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def cut(status: int, body: bytes) -> bytes:
    """An answer that announces more than it sends."""
    return f"HTTP/1.1 {status} Word\r\nContent-Length: {len(body) + 50}\r\nConnection: close\r\n\r\n".encode() + body


def always(reply: bytes | Script) -> Answering:
    """Answer everything the same."""
    return lambda asked: reply


class Web(Server):
    """A provider's server behind TLS. `asked` holds what it was asked, in order."""

    def __init__(self, tls: ssl.SSLContext, answering: Answering) -> None:
        super().__init__(self._serve)
        self.asked: list[Asked] = []
        self._tls = tls
        self._answering = answering

    def _serve(self, peer: Peer) -> None:
        peer.encrypt(self._tls)
        while asked := _read(peer):
            self.asked.append(asked)
            reply = self._answering(asked)
            if callable(reply):
                reply(peer)
                return
            peer.send(reply)
            if b"\r\nConnection: close\r\n" in reply:
                return

    def context(self, ca_pem: str, deadline: float = 5.0) -> Context:
        """A context in which every host is this server and the time of day stands still."""
        network = SandboxNetwork(ip=ip_address("127.0.0.1"), port=self.port)
        return Context(network=network, extra_ca_pem=ca_pem, deadline=deadline, now=lambda: NOW)


def _read(peer: Peer) -> Asked | None:
    line = peer.hear()
    if not line:
        return None
    method, target, _ = line.split(" ")
    asked = Asked(method, target)
    while header := peer.hear().rstrip("\r\n"):
        name, _, value = header.partition(":")
        asked.headers[name.lower()] = value.strip()
    left = int(asked.headers.get("content-length", "0"))
    while left:
        received = peer.connection.recv(min(left, 65536))
        asked.body += received
        left -= len(received)
    return asked


Maker = Callable[[Answering], Web]
"""See the fixture `web`."""
