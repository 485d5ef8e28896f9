"""The context of integrations marked sandbox: it asks the sandbox once where it listens and reaches nothing else."""

import json
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from portal.providers.base import Context
from portal.providers.network import NoSandbox, SandboxNetwork

INFO_PATH: Final = "/_sandbox/info"
_TIMEOUT: Final = 2.0
_LARGEST: Final = 65536


def sandbox_context(url: str, *, client_name: str = "localhost", deadline: float = 15.0) -> Context:
    """Return a context in which every host is the sandbox and the sandbox's own certificate authority is trusted.

    Args:
        url: where the sandbox is served, such as http://127.0.0.1:8025.
        client_name: how the portal names itself.
        deadline: seconds a call may take in total.

    Returns:
        Where the sandbox does not answer: a context whose every use reports exactly that.
    """
    try:
        network, ca_pem = _ask(url)
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return Context(network=NoSandbox(url), client_name=client_name, deadline=deadline)
    return Context(network=network, extra_ca_pem=ca_pem, client_name=client_name, deadline=deadline)


def _ask(url: str) -> tuple[SandboxNetwork, str]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("the sandbox is served over http")
    connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=_TIMEOUT)
    try:
        connection.connect()
        peer = ip_address(connection.sock.getpeername()[0])
        connection.request("GET", INFO_PATH, headers={"Accept": "application/json"})
        info = json.loads(connection.getresponse().read(_LARGEST))
    finally:
        connection.close()
    smtp, https = info["smtp"], info["https"]
    ports = {465: int(smtp["tls_port"]), 443: int(https["port"])}
    network = SandboxNetwork(ip=peer, port=int(smtp["port"]), ports=ports)
    return network, str(info["ca_pem"])
