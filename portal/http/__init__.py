"""The one outbound HTTP client: HTTP/1.1 inside TLS over a guarded network, bounded in time and size, never redirected.

It dials only addresses that the caller's network vetted, asks no proxy and no environment, reads answers up to a size,
and knows how far a call came: what broke after the request was sent may have had its effect.
"""

from portal.http.connection import CONNECT_LIMIT, LARGEST_BODY, LARGEST_HEAD, Connection
from portal.http.parts import Answer, CallFailed, Network, Part, Request, TimeLeft, Unreadable, Unsendable

__all__ = [
    "CONNECT_LIMIT",
    "LARGEST_BODY",
    "LARGEST_HEAD",
    "Answer",
    "CallFailed",
    "Connection",
    "Network",
    "Part",
    "Request",
    "TimeLeft",
    "Unreadable",
    "Unsendable",
]
