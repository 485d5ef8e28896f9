"""The sandbox's own interface: faults, what was received, what was sent, and how to reach it."""

from collections.abc import Callable

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from portal.sandbox.page import POLICY, outbox_page
from portal.sandbox.state import WEBHOOKS, BadFault, Fault, State, modes_of
from portal.sandbox.webhooks.control import add_webhooks
from portal.sandbox.webhooks.playing import Receiver


def control_app(state: State, receiver: Receiver, info: Callable[[], dict[str, object]]) -> Flask:
    """Build the application.

    Args:
        state: what the sandbox remembers.
        receiver: the endpoints for webhooks.
        info: tells where the sandbox's other servers listen and which certificate authority they use, and what
            they accept as accounts.
    """
    app = Flask("portal.sandbox", static_folder=None)
    app.config.update(TRUSTED_HOSTS=["127.0.0.1", "localhost"], MAX_CONTENT_LENGTH=65536)

    app.add_url_rule("/", view_func=lambda: outbox_page(state, info()["accounts"]), endpoint="outbox_page")
    app.add_url_rule("/_sandbox/info", view_func=lambda: jsonify(info()), endpoint="show_info")
    app.add_url_rule("/_sandbox/ca.pem", view_func=lambda: _authority(info()), endpoint="show_authority")

    @app.get("/_sandbox/faults")
    def show_faults() -> Response:
        return jsonify({name: fault.as_dict() for name, fault in state.faults().items()})

    @app.put("/_sandbox/faults/<provider>")
    def put_fault(provider: str) -> tuple[Response, int]:
        if provider not in state.providers:
            return _problem(404, f"The sandbox plays {', '.join(state.providers)}, not “{provider[:60]}”.")
        try:
            fault = Fault.read(request.get_json(silent=True), modes_of(provider))
        except BadFault as bad:
            return _problem(422, str(bad))
        state.set_fault(provider, fault)
        return jsonify(fault.as_dict()), 200

    @app.get("/_sandbox/requests")
    def show_requests() -> Response:
        provider = request.args.get("provider")
        found = [*state.requests(provider), *(receiver.inbox.requests() if provider in (None, WEBHOOKS) else ())]
        return jsonify({"items": sorted(found, key=lambda entry: entry["id"], reverse=True)})

    @app.get("/_sandbox/outbox")
    def show_outbox() -> Response:
        return jsonify({"items": state.outbox(request.args.get("channel"))})

    @app.delete("/_sandbox/state")
    def reset() -> tuple[str, int]:
        receiver.inbox.reset()
        state.reset()
        return "", 204

    add_webhooks(app, state, receiver)
    app.register_error_handler(HTTPException, _http_problem)
    app.after_request(_guard)
    return app


def _authority(info: dict[str, object]) -> Response:
    return Response(str(info["ca_pem"]), mimetype="application/x-pem-file")


def _problem(status: int, detail: str) -> tuple[Response, int]:
    answer = jsonify({"type": "about:blank", "title": "The sandbox cannot do that", "status": status, "detail": detail})
    answer.mimetype = "application/problem+json"
    return answer, status


def _http_problem(error: HTTPException) -> tuple[Response, int]:
    return _problem(error.code or 500, error.description or error.name)


def _guard(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
