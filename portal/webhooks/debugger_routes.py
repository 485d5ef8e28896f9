"""The debugger: a page that tests one webhook, shows what was sent and what came back, and verifies signatures."""

import json
import uuid
from typing import Any

from flask import request, url_for
from flask.wrappers import Response

from portal import clock
from portal.database import reading
from portal.web.access import Who, allow
from portal.web.render import fragment, go_to, page, trigger, wants_fragment
from portal.webhooks import (
    dead_letter_queries,
    failing,
    presenting,
    queries,
    replay_routes,
    run_words,
    samples,
    service,
    testing,
    verifying,
)
from portal.webhooks.dead_letter_queries import DeadLetterFilters
from portal.webhooks.errors import InvalidError, NotFoundError, WebhooksError
from portal.webhooks.events import ALL
from portal.webhooks.models import Delivery, Webhook
from portal.webhooks.routes import CALM, DELIVERED, LIVELY, blueprint, get
from portal.webhooks.verifying import Given

IN_HISTORY = 10


@blueprint.get("/webhooks/<uuid:webhook_id>")
@allow(Who.ADMIN)
def detail(webhook_id: uuid.UUID) -> Response:
    """Show one webhook: test it, see how its deliveries go, verify a signature."""
    webhook = get(webhook_id)
    blocks = {"sample": "sample", "result": "result", "history": "history", "facts": "facts", "standing": "standing",
              "samples": "samples"}  # fmt: skip
    block = blocks.get(request.headers.get("HX-Target", ""), "main")
    return page("webhooks/detail.html", block=block, **_debugger(webhook, delivery=_chosen_delivery(webhook)))


@blueprint.post("/webhooks/<uuid:webhook_id>/test")
@allow(Who.ADMIN)
def send_test(webhook_id: uuid.UUID) -> Response:
    """Send the sample as it was edited, and show what came back."""
    with reading():
        webhook = get(webhook_id)
    event_type, text = request.form.get("event_type", ""), request.form.get("data", "")
    if request.form.get("intent") == "sample":
        return _debugger_page(webhook, status=200)
    try:
        delivery_id = testing.send_test(
            organization_id=webhook.organization_id, webhook_id=webhook.id, event_type=event_type, data=_read_json(text)
        )
    except InvalidError as error:
        return _debugger_page(webhook, text=text, errors=error.errors)
    except WebhooksError as error:
        return _debugger_page(webhook, text=text, errors={"form": str(error)})
    here = url_for("webhooks.detail", webhook_id=webhook_id, delivery=delivery_id)
    if not wants_fragment():
        return go_to(f"{here}#result")
    delivery = queries.get_delivery(organization_id=webhook.organization_id, delivery_id=delivery_id)
    response = fragment("webhooks/detail.html", "bench", **_debugger(webhook, delivery=delivery, text=text))
    response.headers["HX-Replace-Url"] = here
    return trigger(response, DELIVERED)


@blueprint.post("/webhooks/<uuid:webhook_id>/verify")
@allow(Who.ADMIN)
def verify(webhook_id: uuid.UUID) -> Response:
    """Say whether a signature is this webhook's."""
    webhook = get(webhook_id)
    given = Given(**{name: request.form.get(name, "") for name in ("body", "signature", "message_id", "timestamp")})
    answer = verifying.check(webhook, given, now=clock.now())
    shown = _debugger(webhook) | {"given": given, "answer": answer}
    if wants_fragment():
        return fragment("webhooks/detail.html", "verifying", **shown)
    return page("webhooks/detail.html", **shown)


def _read_json(text: str) -> Any:
    """Return the data that was typed.

    Raises:
        InvalidError: it is no JSON.
    """
    try:
        data = json.loads(text, parse_constant=_no_number)
        json.dumps(data, ensure_ascii=False).encode()  # refuses the half of a surrogate pair, which JSON can spell
    except json.JSONDecodeError as error:
        said = f"This is no JSON: line {error.lineno}, column {error.colno}. {error.msg}."
        raise InvalidError({"data": said}) from None
    except (ValueError, RecursionError):
        raise InvalidError({"data": "This is no JSON that others can read."}) from None
    return data


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _debugger_page(
    webhook: Webhook, *, text: str | None = None, errors: dict[str, str] | None = None, status: int = 422
) -> Response:
    shown = _debugger(webhook, text=text) | {"errors": errors or {}}
    if wants_fragment():
        return fragment("webhooks/detail.html", "bench", status=status, **shown)
    return page("webhooks/detail.html", status=status, **shown)


def _chosen_delivery(webhook: Webhook) -> Delivery | None:
    """Return the delivery that the address names, where it is one of this webhook's."""
    try:
        delivery_id = uuid.UUID(request.args.get("delivery", ""))
        found = queries.get_delivery(organization_id=webhook.organization_id, delivery_id=delivery_id)
    except (ValueError, NotFoundError):
        return None
    return found if found.webhook_id == webhook.id else None


def _debugger(webhook: Webhook, *, delivery: Delivery | None = None, text: str | None = None) -> dict[str, Any]:
    """Return everything that the debugger shows."""
    choices = _test_choices(webhook)
    event_type = request.values.get("event_type", "")
    event_type = event_type if event_type in choices else choices[0]
    language = request.args.get("code", "python")
    if text is None:
        data = queries.sample(organization_id=webhook.organization_id, event_type=event_type)
        text = json.dumps(data, indent=2, ensure_ascii=False)
    return {
        **replay_routes.form_of(webhook),
        **run_words.of_webhook(webhook),
        "webhook": webhook,
        "show": presenting,
        "errors": {},
        "choices": [(each, each) for each in choices],
        "event_type": event_type,
        "data": text,
        "part": "response" if request.args.get("part") == "response" else "request",
        "given": Given(),
        "answer": None,
        "languages": samples.SAMPLES,
        "language": language if language in samples.SAMPLES else "python",
        **_result(delivery),
        **_history(webhook),
        **_facts(webhook),
    }


def _test_choices(webhook: Webhook) -> list[str]:
    """Return the event types that can be tried: those that the webhook wants."""
    known = [name for group in queries.event_groups(webhook.organization_id) for name in group.types]
    return known if ALL in webhook.events else [each for each in known if each in webhook.events] or known


def _result(delivery: Delivery | None) -> dict[str, Any]:
    if delivery is None:
        return {"delivery": None, "attempt": None, "event": None, "result_every": None}
    attempt = next(iter(queries.attempts(delivery)), None)
    every = None if presenting.is_over(delivery) else LIVELY
    return {"delivery": delivery, "attempt": attempt, "event": queries.event_of(delivery), "result_every": every}


def _history(webhook: Webhook) -> dict[str, Any]:
    filters = queries.DeliveryFilters(webhook_id=webhook.id, since=clock.now() - queries.RECENTLY)
    found = queries.deliveries(organization_id=webhook.organization_id, filters=filters, limit=IN_HISTORY)
    pending = any(not presenting.is_over(each) for each in found.items)
    return {
        "deliveries": found.items,
        "attempts": queries.attempts_in_short(found.items),
        "more_deliveries": found.next_cursor is not None,
        "history_every": LIVELY if pending else CALM,
    }


def _facts(webhook: Webhook) -> dict[str, Any]:
    return {
        "recent": queries.recent(webhook, times=True),
        "waiting": queries.waiting(webhook),
        "dead": _dead(webhook),
        "policy": service.policy_of(webhook),
        "disables_at": failing.disables_at(webhook),
        "now": clock.now(),
    }


def _dead(webhook: Webhook) -> int:
    filters = DeadLetterFilters(webhook_id=webhook.id)
    return dead_letter_queries.count(organization_id=webhook.organization_id, filters=filters)
