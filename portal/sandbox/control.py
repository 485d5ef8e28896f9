"""The sandbox's own pages: faults, what was received, what was sent, and an outbox to look at."""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from flask import Flask, Response, jsonify, render_template_string, request
from werkzeug.exceptions import HTTPException

from portal.sandbox.state import PROVIDERS, BadFault, Fault, State

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere}dt{font-weight:600}article{border-top:1px solid;padding:1rem 0}"
)
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandbox outbox</title><link rel="icon" href="data:,"><style>{{ style|safe }}</style></head>
<body><h1>Sandbox outbox</h1>
<p>What the portal sent through providers played by the sandbox. Nothing here has left this machine.</p>
{% for fault in faults %}<p><strong>Fault on for {{ fault[0] }}: {{ fault[1].mode }}</strong></p>{% endfor %}
{% for mail in mails %}
<article><h2>{{ mail.subject or "(no subject)" }}</h2>
<dl><dt>From</dt><dd>{{ mail.from_header }} (envelope {{ mail.from }})</dd><dt>To</dt><dd>{{ mail.to|join(", ") }}</dd>
<dt>At</dt><dd>{{ mail.at }}</dd><dt>Message ID</dt><dd>{{ mail.message_id }}</dd></dl>
<pre>{{ mail.text }}</pre>
{% if mail.html %}<details><summary>HTML source</summary><pre>{{ mail.html }}</pre></details>{% endif %}</article>
{% else %}<p>Nothing was sent yet.</p>{% endfor %}
</body></html>
"""


def control_app(state: State, info: Callable[[], dict[str, object]]) -> Flask:
    """Build the application.

    Args:
        state: what the sandbox remembers.
        info: tells where the sandbox's other servers listen and which certificate authority they use.
    """
    app = Flask("portal.sandbox", static_folder=None)
    app.config.update(TRUSTED_HOSTS=["127.0.0.1", "localhost"], MAX_CONTENT_LENGTH=65536)

    @app.get("/")
    def outbox_page() -> str:
        faults = [(name, fault) for name, fault in state.faults().items() if fault.mode != "none"]
        return render_template_string(_PAGE, mails=state.outbox("email")[:100], faults=faults, style=_STYLE)

    @app.get("/_sandbox/info")
    def show_info() -> Response:
        return jsonify(info())

    @app.get("/_sandbox/faults")
    def show_faults() -> Response:
        return jsonify({name: fault.as_dict() for name, fault in state.faults().items()})

    @app.put("/_sandbox/faults/<provider>")
    def put_fault(provider: str) -> tuple[Response, int]:
        if provider not in PROVIDERS:
            return _problem(404, f"The sandbox plays {', '.join(PROVIDERS)}, not “{provider[:60]}”.")
        try:
            fault = Fault.read(request.get_json(silent=True))
        except BadFault as bad:
            return _problem(422, str(bad))
        state.set_fault(provider, fault)
        return jsonify(fault.as_dict()), 200

    @app.get("/_sandbox/requests")
    def show_requests() -> Response:
        return jsonify({"items": state.requests(request.args.get("provider"))})

    @app.get("/_sandbox/outbox")
    def show_outbox() -> Response:
        return jsonify({"items": state.outbox(request.args.get("channel"))})

    @app.delete("/_sandbox/state")
    def reset() -> tuple[str, int]:
        state.reset()
        return "", 204

    app.register_error_handler(HTTPException, _http_problem)
    app.after_request(_guard)
    return app


def _problem(status: int, detail: str) -> tuple[Response, int]:
    answer = jsonify({"type": "about:blank", "title": "The sandbox cannot do that", "status": status, "detail": detail})
    answer.mimetype = "application/problem+json"
    return answer, status


def _http_problem(error: HTTPException) -> tuple[Response, int]:
    return _problem(error.code or 500, error.description or error.name)


def _guard(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
