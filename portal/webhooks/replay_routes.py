"""Sending again to one webhook: what failed in a range of time, or events that it did not get; counted first."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import request, url_for
from flask.wrappers import Response

from portal import clock
from portal.database import unit_of_work
from portal.security.redaction import strip_controls
from portal.web.access import Who, allow, identity
from portal.web.listing import moment
from portal.web.render import came_from, go_to, page, trigger, wants_fragment
from portal.webhooks import presenting, queries, replays, run_words
from portal.webhooks.deliveries import NotNowError
from portal.webhooks.delivery_routes import answered
from portal.webhooks.errors import InvalidError
from portal.webhooks.events import ALL
from portal.webhooks.models import RunState, Webhook
from portal.webhooks.replay_queries import Range, Wanted
from portal.webhooks.routes import DELIVERED, blueprint, get

CHOICES: Final = [
    (str(Wanted.FAILED), "Replay failed"),
    (str(Wanted.MISSING), "Send earlier events"),
]
NO_TIME: Final = "Enter a date and a time, such as 2026-11-21T08:30."
GOES_ON: Final = "It goes on when this page is closed."


@blueprint.get("/webhooks/<uuid:webhook_id>/replay")
@allow(Who.ADMIN)
def replay_form(webhook_id: uuid.UUID) -> Response:
    """Show what can be sent to a webhook again, and of a range how many that are."""
    webhook = get(webhook_id)
    shown = form_of(webhook)
    if "since" in request.args:
        typed = {name: strip_controls(request.args.get(name, ""))[:100] for name in ("what", "since", "until", "type")}
        shown |= {"typed": typed, **_counted(webhook, typed)}
    block = "form" if request.headers.get("HX-Target") == "replay" else "main"
    shown |= {"webhook": webhook, "show": presenting, **run_words.of_webhook(webhook)}
    return page("webhooks/replay.html", block=block, status=422 if shown["errors"] else 200, **shown)


@blueprint.post("/webhooks/<uuid:webhook_id>/replay")
@allow(Who.ADMIN)
def start_replay(webhook_id: uuid.UUID) -> Response:
    """Start to send a range again, by default what failed in the last 24 hours."""
    back = url_for("webhooks.detail", webhook_id=webhook_id)
    sent = {"since": _last_day().isoformat(), **request.form}
    try:
        run = replays.start(
            organization_id=identity().organization_id, webhook_id=webhook_id, wanted=_range(sent),
            asked_by=identity().name,
        )  # fmt: skip
    except (InvalidError, NotNowError) as error:
        return answered(str(error), "warn", back)
    if run.state is RunState.RUNNING and not run.total:
        return answered(_nothing(run.filters["status"]), "off", back)
    said = f"{run_words.doing(run)}."
    if not wants_fragment():
        return go_to(came_from(back), toast=said, tone="info", body=GOES_ON)
    return trigger(answered(said, "info", back), run_words.CHANGED)


@blueprint.get("/webhooks/<uuid:webhook_id>/replay/progress")
@allow(Who.ADMIN)
def replay_progress(webhook_id: uuid.UUID) -> Response:
    """Show how far the runs of a webhook are; once the last one ended, its deliveries fetch themselves anew."""
    webhook = get(webhook_id)
    if not wants_fragment():
        return go_to(url_for("webhooks.history", webhook_id=webhook.id))
    shown = run_words.of_webhook(webhook)
    response = page("webhooks/run_progress.html", block="progress", **shown)
    return response if shown["runs_every"] else trigger(response, DELIVERED)


@blueprint.post("/events/<uuid:event_row_id>/send")
@allow(Who.ADMIN)
def send_event(event_row_id: uuid.UUID) -> Response:
    """Send one event to a webhook that did not get it."""
    back = url_for("webhooks.deliveries_index")
    try:
        with unit_of_work():
            webhook = get(_uuid(request.form.get("webhook_id", "")))
            made = replays.send_event(
                organization_id=identity().organization_id, event_row_id=event_row_id, webhook_id=webhook.id
            )
        said, tone = f"{made.event_type} is on its way to {webhook.name}.", "info"
        back = url_for("webhooks.delivery", delivery_id=made.id)
    except NotNowError as error:
        said, tone = str(error), "warn"
    return answered(said, tone, back)


def form_of(webhook: Webhook) -> dict[str, Any]:
    """Return what the empty form needs."""
    local = _last_day().astimezone(ZoneInfo(identity().time_zone))
    typed = {"what": str(Wanted.FAILED), "since": local.strftime("%Y-%m-%dT%H:%M"), "until": "", "type": ""}
    return {"typed": typed, "errors": {}, "counted": None, "what_choices": CHOICES, "type_choices": _types(webhook)}


def _last_day() -> datetime:
    """Return the moment a day ago, to the minute: who presses twice asks twice for the same."""
    return (clock.now() - timedelta(hours=24)).replace(second=0, microsecond=0)


def _types(webhook: Webhook) -> list[tuple[str, str]]:
    known = [name for group in queries.event_groups(webhook.organization_id) for name in group.types]
    wanted = known if ALL in webhook.events else [each for each in known if each in webhook.events]
    return [("", "Any type that it gets"), *((each, each) for each in wanted)]


def _counted(webhook: Webhook, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return how many a range covers, with the fields that start exactly that; or what is wrong with it."""
    try:
        wanted = _range(typed)
        run = replays.count(organization_id=webhook.organization_id, webhook_id=webhook.id, wanted=wanted)
    except InvalidError as error:
        return {"errors": error.errors}
    since, until = wanted.since, wanted.until or run.cutoff
    counted = {
        "total": run.total,
        "more": run.state is RunState.COUNTING,
        "noun": run_words.nouns(run)[run.total != 1],
        "since": since,
        "until": until,
        "fields": {**typed, "since": since.isoformat(), "until": until.isoformat()},
    }
    return {"counted": counted}


def _range(sent: Mapping[str, str]) -> Range:
    """Return the range that a form names.

    Raises:
        InvalidError: a time is none.
    """
    since, until = moment(sent["since"]), moment(sent.get("until", ""))
    errors = {} if since else {"since": NO_TIME}
    if sent.get("until") and until is None:
        errors["until"] = NO_TIME
    if since is None or errors:
        raise InvalidError(errors)
    what = Wanted.MISSING if sent.get("what") == Wanted.MISSING else Wanted.FAILED
    types = (chosen,) if (chosen := strip_controls(sent.get("type", ""))) else ()
    return Range(since=since, until=until, wanted=what, types=types)


def _nothing(status: str) -> str:
    """Return what is said where a range covers nothing."""
    return "No earlier events to send." if status == Wanted.MISSING else "Nothing failed in this time."


def _uuid(text: str) -> uuid.UUID:
    """Return an id that was sent; one that nothing has for what is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)
