"""Headers of every answer: strict content policy, no caching of private pages, one id per request."""

import re
import secrets

from flask import Flask, g, request
from flask.wrappers import Response

from portal.database import new_id

POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
}
HASHED = re.compile(r"\.[0-9a-f]{12}\.css$")
YEAR = 365 * 24 * 3600
TWO_YEARS = 63_072_000
"""Seconds that a browser remembers to use https."""
FOREIGN = ("cross-site", "same-site")


def init_app(app: Flask, *, https: bool) -> None:
    """Add the headers to every answer of the application, and refuse writes that another site started."""

    def _start() -> None:
        g.request_id = str(new_id())
        g.csp_nonce = secrets.token_urlsafe(16)

    # Before all others, also those of extensions: whatever refuses the request answers with a page that has both.
    app.before_request_funcs.setdefault(None, []).insert(0, _start)

    @app.after_request
    def _finish(response: Response) -> Response:
        # Looked through once: each setdefault(), and vary.add(), would do it anew.
        there = {name.lower() for name, _ in response.headers}
        own = {
            "Content-Security-Policy": POLICY.format(nonce=g.get("csp_nonce", "")),
            "X-Request-Id": g.get("request_id", ""),
            "Vary": "HX-Request",
        }
        for name, value in (FIXED | own).items():
            if name.lower() not in there:
                response.headers.add(name, value)
        if "vary" in there:
            response.vary.add("HX-Request")
        if request.endpoint != "static":
            if "cache-control" not in there:
                response.headers.add("Cache-Control", "no-store")
        elif response.status_code == 200 and ("v" in request.args or HASHED.search(request.path)):
            # Its address changes with its content (web/assets.py), so nobody need ask again.
            response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
        if https:
            response.headers["Strict-Transport-Security"] = f"max-age={TWO_YEARS}; includeSubDomains"
        return response

    app.context_processor(lambda: {"csp_nonce": g.get("csp_nonce", ""), "request_id": g.get("request_id", "")})


def from_another_site() -> bool:
    """Return whether the browser says that another site started this write (Fetch Metadata, second layer of CSRF)."""
    return request.method not in ("GET", "HEAD", "OPTIONS") and request.headers.get("Sec-Fetch-Site") in FOREIGN
