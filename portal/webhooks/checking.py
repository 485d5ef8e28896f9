"""What a webhook's address and own headers may be: what is wrong with them, in a sentence."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from portal.security.hostnames import InvalidHost, canonical_host

LONGEST_URL: Final = 2048
MOST_HEADERS: Final = 20
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_RESERVED: Final = re.compile(
    r"(?i)^(webhook-.*|x-portal-.*|content-(type|length|encoding)|transfer-encoding|host|connection|user-agent|expect)$"
)


def url_problem(url: str) -> str:
    """Return what is wrong with an address that webhooks shall go to, "" where nothing is. Nothing is looked up."""
    url = url.strip()
    if len(url) > LONGEST_URL:
        return f"Shorten the URL to {LONGEST_URL:,} characters."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "This is no URL. Write it like https://example.org/hooks."
    if parts.scheme not in ("https", "http") or not parts.hostname or re.search(r"[\x00-\x20\x7f]", url):
        return "This is no URL. Write it like https://example.org/hooks."
    if parts.username is not None or parts.password is not None:
        return "Leave user name and password out of the URL; put them into a header."
    if port == 0:
        return "Port 0 cannot be used."
    try:
        canonical_host(parts.hostname)
    except InvalidHost:
        return f"“{parts.hostname[:100]}” is no host name."
    return ""


def headers_problem(headers: Mapping[str, str]) -> str:
    """Return what is wrong with a customer's own headers, "" where nothing is."""
    if len(headers) > MOST_HEADERS:
        return f"Use at most {MOST_HEADERS} headers."
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            return f"“{name[:60]}” is no name of a header."
        if _RESERVED.match(name):
            return f"The portal sets {name} itself."
        if len(value) > 4096 or re.search(r"[^\x20-\x7e]", value):
            return f"The value of {name} may hold up to 4,096 plain characters on one line."
    return ""
