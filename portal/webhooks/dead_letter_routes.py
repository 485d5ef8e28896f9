"""Pages of the dead letters: what died and why, retry and discard one by one, by cause, or all that are filtered."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from flask import Blueprint, abort, request, url_for
from flask.wrappers import Response

from portal import clock
from portal.database import reading, unit_of_work
from portal.security.redaction import strip_controls
from portal.web.access import Who, allow, identity
from portal.web.filters import plural
from portal.web.listing import Growing, counted, moment
from portal.web.render import add_toast, go_to, is_shown, nothing_new, page, trigger, version_of, wants_fragment
from portal.webhooks import dead_letter_queries, dead_letters, presenting, queries, run_words, runs
from portal.webhooks.dead_letter_queries import CAUSES, PAGE, DeadLetterFilters
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.errors import NotFoundError
from portal.webhooks.models import Delivery, DeliveryStatus, RunAction
from portal.webhooks.verdict import INTERNAL

blueprint = Blueprint("dead_letters", __name__, url_prefix="/admin/dead-letters")
CHANGED: Final = "dead-letters-changed"
"""Event that makes the list fetch itself anew."""
CALM: Final = 30
"""Seconds between two looks of an open page."""
WINDOWS: Final = {"24h": ("Last 24 hours", 1), "7d": ("Last 7 days", 7), "30d": ("Last 30 days", 30)}
"""Window of time → its name, days."""
TIMES: Final = [("", "Any time"), *((key, label) for key, (label, _) in WINDOWS.items())]
REASONS: Final = {
    "timeout": "Timed out",
    "4xx": "4xx",
    "5xx": "5xx",
    "tls": "TLS",
    "connection": "No connection",
    "other": "Other answers",
}
NAMES: Final = ("q", "webhook", "reason", "time", "own")
"""Parameters that narrow the list."""
DOING: Final = {RunAction.RETRY: "Retrying", RunAction.DISCARD: "Discarding"}
DONE: Final = {RunAction.RETRY: "Retried", RunAction.DISCARD: "Discarded"}
CONFIRMED: Final = "discard"
"""What is typed before many are discarded."""
OLDEST_YEAR: Final = 2000
"""No page that a form stands on was made before; of years near the first there is no week before either."""
MOST_SELECTED: Final = 200


@blueprint.get("")
@allow(Who.ADMIN)
def index() -> Response:
    """Show the dead letters that the filters leave, by cause and one by one."""
    chosen = _chosen(request.args)
    filters, rows = _filters(chosen), Growing.asked_for(url_for("dead_letters.index"), chosen, page=PAGE)
    try:
        found = dead_letter_queries.listed(
            organization_id=identity().organization_id, filters=filters, cursor=rows.cursor, limit=rows.shown
        )
    except ValueError:
        abort(404)
    overview = _overview(chosen, filters)
    letter = overview["letter"]
    version = version_of(rows, found, [overview[name] for name in ("groups", "total", "faults")], letter and letter.id)
    if is_shown(version):
        return nothing_new()
    return page(
        "webhooks/dead_letters.html",
        block="list" if request.headers.get("HX-Target") == "letters" else "main",
        letters=found.items,
        more_url=rows.older_url(found.next_cursor),
        this_url=rows.url_with(show=request.args.get("show", "")),
        every=CALM,
        version=version,
        **_common(chosen),
        **overview,
    )


@blueprint.get("/progress")
@allow(Who.ADMIN)
def progress() -> Response:
    """Show how far the runs are; once the last one ended, the list fetches itself anew."""
    if not wants_fragment():
        return go_to(url_for("dead_letters.index"))
    shown = _runs()
    response = page("webhooks/run_progress.html", block="progress", **shown)
    return response if shown["runs_every"] else trigger(response, CHANGED)


@blueprint.post("/<uuid:delivery_id>/retry")
@allow(Who.ADMIN)
def retry(delivery_id: uuid.UUID) -> Response:
    """Send one dead letter again."""
    return _one(dead_letters.retry, delivery_id, "{} is on its way again.", "ok")


@blueprint.post("/<uuid:delivery_id>/discard")
@allow(Who.ADMIN)
def discard(delivery_id: uuid.UUID) -> Response:
    """Discard one dead letter."""
    return _one(dead_letters.discard, delivery_id, "{} is discarded.", "off")


@blueprint.post("/selected")
@allow(Who.ADMIN)
def selected() -> Response:
    """Retry or discard what is ticked; what is to be discarded is counted and asked about first."""
    chosen = sorted({each for each in map(_uuid, request.form.getlist("id")) if each})[:MOST_SELECTED]
    action = RunAction.DISCARD if request.form.get("intent") == RunAction.DISCARD else RunAction.RETRY
    if not chosen:
        return _leave("Nothing is selected.", "off", "Tick the dead letters first.")
    if action is RunAction.DISCARD and request.form.get("confirmed") != "1":
        filters = _chosen(request.form)
        return page("webhooks/dead_letters_discard.html", ids=chosen, chosen=filters, back=_url(filters))
    work = dead_letters.discard if action is RunAction.DISCARD else dead_letters.retry
    problems = [each for each in (_tried(work, delivery_id) for delivery_id in chosen) if each]
    said = f"{DONE[action]} {plural(len(chosen) - len(problems), 'dead letter')}."
    return _leave(said, "warn" if problems else "ok", f"{len(problems):,} not: {problems[0]}" if problems else "")


@blueprint.post("/retry")
@allow(Who.ADMIN)
def retry_all() -> Response:
    """Start to retry all that the filters leave."""
    return _start(RunAction.RETRY)


@blueprint.post("/discard")
@allow(Who.ADMIN)
def discard_all() -> Response:
    """Start to discard all that the filters leave, once that was confirmed by a word."""
    if request.form.get("confirm_word", "").strip() != CONFIRMED:
        return _leave("Not discarded: the word did not match.", "err", "Type it exactly as shown.")
    return _start(RunAction.DISCARD)


def _start(action: RunAction) -> Response:
    who = identity()
    with unit_of_work():
        run = dead_letters.start(
            organization_id=who.organization_id, action=action, filters=_filters(_chosen(request.form)),
            asked_by=who.name, cutoff=_as_of(),
        )  # fmt: skip
    if not run.total:
        return _leave(f"Nothing to {action}.", "off", "They are gone, or their webhooks take no deliveries.")
    said = f"{DOING[action]} {plural(run.total, 'dead letter')}."
    return _leave(said, "info", "It goes on when this page is closed.")


def _one(work: Callable[..., Delivery], delivery_id: uuid.UUID, said: str, tone: str) -> Response:
    """Do something to one dead letter, and answer where it was asked for."""
    with reading():
        name = queries.get_delivery(organization_id=identity().organization_id, delivery_id=delivery_id).event_type
    problem = _tried(work, delivery_id)
    words, tone = (problem, "warn") if problem else (said.format(name), tone)
    if not wants_fragment():
        return _leave(words, tone)
    return add_toast(trigger(Response(status=204), CHANGED), words, tone=tone)


def _tried(work: Callable[..., Delivery], delivery_id: uuid.UUID) -> str | None:
    """Do something to one dead letter in a transaction of its own; returns why not, None where it was done."""
    try:
        with unit_of_work():
            work(organization_id=identity().organization_id, delivery_id=delivery_id)
    except NotNowError as error:
        return str(error)
    except NotFoundError:
        return "There is no such dead letter."
    return None


def _leave(said: str, tone: str, body: str = "") -> Response:
    """Go back to the list with the filters that it had; those of a group's form name the group, and these besides."""
    sent = request.form
    on_page = {name: sent[f"on_{name}"] for name in ("webhook", "reason") if f"on_{name}" in sent}
    return go_to(_url(_chosen({**sent, **on_page})), toast=said, tone=tone, body=body)


def _chosen(values: Mapping[str, str]) -> dict[str, str]:
    """Return the filters as they were sent; what no list offers counts as not chosen."""
    chosen = {name: strip_controls(values.get(name, "")).strip()[:100] for name in NAMES}
    chosen["webhook"] = str(_uuid(chosen["webhook"]) or "")
    chosen["time"] = chosen["time"] if chosen["time"] in WINDOWS else ""
    chosen["reason"] = chosen["reason"] if len(chosen["reason"]) <= 30 else ""
    chosen["own"] = "1" if chosen["own"] else ""
    return chosen


def _filters(chosen: Mapping[str, str]) -> DeadLetterFilters:
    days = WINDOWS[chosen["time"]][1] if chosen["time"] else None
    return DeadLetterFilters(
        webhook_id=_uuid(chosen["webhook"]),
        cause=chosen["reason"],
        text=chosen["q"],
        since=(_as_of() or clock.now()) - timedelta(days=days) if days else None,
        internal=bool(chosen["own"]),
    )


def _as_of() -> datetime | None:
    """Return the moment at which the page was made that a form stands on: what it counted is what it is about."""
    found = moment(request.form.get("as_of", ""))
    return found if found and found.year >= OLDEST_YEAR else None


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _url(chosen: Mapping[str, str], **more: str | None) -> str:
    given: dict[str, Any] = {name: value or None for name, value in {**chosen, **more}.items()}
    return url_for("dead_letters.index", **given)


def _common(chosen: dict[str, str]) -> dict[str, Any]:
    return {"chosen": chosen, "show": presenting, "internal": INTERNAL, "url": lambda **more: _url(chosen, **more)}


def _overview(chosen: dict[str, str], filters: DeadLetterFilters) -> dict[str, Any]:
    """Return everything but the rows."""
    organization_id = identity().organization_id
    groups, total = dead_letter_queries.by_cause(organization_id=organization_id, filters=filters)
    faults = dead_letter_queries.count(organization_id=organization_id, filters=DeadLetterFilters(internal=True))
    webhooks = dead_letter_queries.webhooks(organization_id=organization_id)
    reason = chosen["reason"]
    exact = [] if not reason or reason in CAUSES else [(reason, reason.removeprefix("http_"))]
    return (
        _runs()
        | _detail()
        | {
            "groups": groups,
            "total": total,
            "total_words": counted(total),
            "counted": counted,
            "faults": faults,
            "any_filter": any(value for name, value in chosen.items() if name != "own"),
            "webhooks": [("", "Any webhook"), *((str(each.id), each.name) for each in webhooks)],
            "reasons": [("", "Any reason"), *REASONS.items(), *exact],
            "times": TIMES,
            "as_of": clock.now().isoformat(),
        }
    )


def _runs() -> dict[str, Any]:
    found = runs.shown(organization_id=identity().organization_id)
    return run_words.of(found, url_for("dead_letters.progress"))


def _detail() -> dict[str, Any]:
    """Return the dead letter that the address names, with its body and attempts."""
    delivery_id = _uuid(request.args.get("show", ""))
    nothing: dict[str, Any] = {"letter": None, "event": None, "attempts": []}
    if delivery_id is None:
        return nothing
    try:
        found = queries.get_delivery(organization_id=identity().organization_id, delivery_id=delivery_id)
    except NotFoundError:
        return nothing
    if found.status is not DeliveryStatus.DEAD:
        return nothing
    return {"letter": found, "event": queries.event_of(found), "attempts": queries.attempts(found)}
