"""Control of the receiver: what each endpoint got, what it shall do, by JSON and by the forms of its page."""

from collections.abc import Mapping
from typing import Any, Final

from flask import Flask, Response, abort, jsonify, redirect, request
from werkzeug.wrappers import Response as Redirect

from portal.sandbox.state import WEBHOOKS, BadFault, Fault, State, modes_of
from portal.sandbox.webhooks.page import POLICY, webhooks_page
from portal.sandbox.webhooks.playing import NAME, Receiver, fault_key
from portal.sandbox.webhooks.signatures import secret_problem

_FAULT: Final = ("mode", "delay_ms", "times")
_KEYS: Final = {"secret", "status", *_FAULT}


def add_webhooks(app: Flask, state: State, receiver: Receiver) -> None:
    """Add the receiver's page and control to the sandbox's own interface.

    Args:
        app: that interface.
        state: what the sandbox remembers.
        receiver: what is controlled.
    """

    @app.get("/webhooks")
    def webhooks() -> Response:
        page = Response(webhooks_page(state, _shown(state, receiver), request.host_url), mimetype="text/html")
        page.headers["Content-Security-Policy"] = POLICY
        return page

    @app.post("/webhooks")
    def press() -> Redirect:
        """Take what a button of the page says; only the page itself may, not another site in the same browser."""
        if request.headers.get("Origin") != request.host_url.rstrip("/"):
            abort(403, "Use the page of the sandbox itself.")
        name = request.form.get("endpoint", "")
        _check_name(name or WEBHOOKS)
        if name and "forget" in request.form:
            receiver.inbox.forget(name)
        elif name and "secret" in request.form:
            _apply(state, receiver, name, {"secret": request.form["secret"].strip()})
        else:
            wanted = {key: _number(request.form[key]) for key in ("delay_ms", "times") if request.form.get(key)}
            _dial(state, name, {"mode": request.form.get("mode"), **wanted})
        return redirect(f"/webhooks#at-{name}" if name else "/webhooks", 303)

    @app.get("/_sandbox/webhooks")
    def show_endpoints() -> Response:
        return jsonify({"items": [{**each, "items": len(each["items"])} for each in _shown(state, receiver)]})

    @app.get("/_sandbox/webhooks/<name>")
    def show_endpoint(name: str) -> Response:
        found = next((each for each in _shown(state, receiver) if each["name"] == name), None)
        return jsonify(found) if found else abort(404, f"No endpoint “{name[:60]}” got anything yet.")

    @app.put("/_sandbox/webhooks/<name>")
    def put_endpoint(name: str) -> Response:
        _check_name(name)
        _apply(state, receiver, name, request.get_json(silent=True))
        return jsonify(next(each for each in _shown(state, receiver) if each["name"] == name))

    @app.delete("/_sandbox/webhooks/<name>")
    def forget_endpoint(name: str) -> tuple[str, int]:
        _check_name(name)
        receiver.inbox.forget(name)
        return "", 204


def _shown(state: State, receiver: Receiver) -> list[dict[str, Any]]:
    """Return the endpoints with their faults."""
    endpoints = receiver.inbox.endpoints()
    return [{**each, "fault": state.fault(fault_key(each["name"])).as_dict()} for each in endpoints]


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        abort(404, "The name of an endpoint has 1 to 60 letters, digits, - and _.")


def _apply(state: State, receiver: Receiver, name: str, asked: object) -> None:
    """Do what was asked for an endpoint, all or nothing; what is left out stays."""
    if not isinstance(asked, Mapping) or not asked or set(asked) - _KEYS:
        abort(422, f"Send an object with some of: {', '.join(sorted(_KEYS))}.")
    secret, status = asked.get("secret"), asked.get("status")
    if secret is not None and (not isinstance(secret, str) or (secret and secret_problem(secret))):
        abort(422, secret_problem(""))
    if status is not None and (type(status) is not int or not 200 <= status <= 599):
        abort(422, "status must be a whole number from 200 to 599.")
    if wanted := {key: asked[key] for key in _FAULT if key in asked}:
        _dial(state, name, wanted)
    receiver.inbox.tell(name, secret=secret, status=status)


def _dial(state: State, name: str, wanted: Mapping[str, object]) -> None:
    try:
        state.set_fault(fault_key(name) if name else WEBHOOKS, Fault.read(wanted, modes_of(WEBHOOKS)))
    except BadFault as bad:
        abort(422, str(bad))


def _number(text: str) -> object:
    """Return the number in a field of a form, or the text where there is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text
