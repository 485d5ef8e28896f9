"""What pages say of runs: what each does, how far it is, and what became of the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import url_for

from portal.webhooks import runs
from portal.webhooks.models import ReplayRun, RunAction, RunState, Webhook
from portal.webhooks.replay_queries import Wanted

EVERY: Final = 2
"""Seconds between two looks at a run that is under way."""
CHANGED: Final = "runs-changed"
"""Event that makes a page ask for its runs anew."""
_NOUNS: Final = {
    Wanted.FAILED: ("failed delivery", "failed deliveries"),
    Wanted.DEAD: ("dead letter", "dead letters"),
    Wanted.SUCCESS: ("delivery", "deliveries"),
    Wanted.MISSING: ("earlier event", "earlier events"),
}
_DOING: Final = {
    RunAction.RETRY: "Retrying", RunAction.DISCARD: "Discarding", RunAction.REPLAY: "Replaying",
    RunAction.MISSING: "Sending",
}  # fmt: skip
_DONE: Final = {
    RunAction.RETRY: "Retried", RunAction.DISCARD: "Discarded", RunAction.REPLAY: "Replayed",
    RunAction.MISSING: "Queued",
}  # fmt: skip
_REST: Final = {
    RunAction.RETRY: "retried or discarded meanwhile",
    RunAction.DISCARD: "retried or discarded meanwhile",
    RunAction.REPLAY: "sent again or under way already",
    RunAction.MISSING: "sent already or not wanted any more",
}


@dataclass(frozen=True, kw_only=True)
class RunWords:
    """A run as a page shows it; `tone` is that of its bar."""

    title: str
    detail: str
    noun: str
    done: int
    total: int
    goes_on: bool
    tone: str | None


def of(found: Sequence[ReplayRun], url: str, on: str | None = None) -> dict[str, Any]:
    """Return what the part of a page needs that shows runs.

    Args:
        found: the runs.
        url: where that part is asked for.
        on: event at which it is asked for besides.
    """
    under_way = any(run.finished_at is None for run in found)
    shown = [words(run) for run in found]
    return {"runs": shown, "runs_every": EVERY if under_way else None, "runs_url": url, "runs_on": on}


def of_webhook(webhook: Webhook) -> dict[str, Any]:
    """Return what the part of a page needs that shows the runs of a webhook."""
    found = runs.shown(organization_id=webhook.organization_id, webhook_id=webhook.id)
    return of(found, url_for("webhooks.replay_progress", webhook_id=webhook.id), CHANGED)


def words(run: ReplayRun) -> RunWords:
    """Return how a page shows a run."""
    noun = nouns(run)[run.total != 1]
    going = run.finished_at is None
    return RunWords(
        title=_title(run, noun),
        detail=_detail(run, going),
        noun=noun,
        done=run.done,
        total=run.total,
        goes_on=going,
        tone="warn" if run.state is RunState.STOPPED else None,
    )


def doing(run: ReplayRun) -> str:
    """Return what a run does, as in "Replaying 3 failed deliveries"."""
    if run.state is RunState.COUNTING:
        return f"Counting {nouns(run)[1]}"
    return f"{_DOING[run.action]} {run.total:,} {nouns(run)[run.total != 1]}"


def nouns(run: ReplayRun) -> tuple[str, str]:
    """Return how one of what a run is about is called, and how several are."""
    if run.webhook_id is None:
        return _NOUNS[Wanted.DEAD]
    return _NOUNS[Wanted(run.filters["status"])]


def _title(run: ReplayRun, noun: str) -> str:
    if run.state is RunState.STOPPED:
        return f"Stopped: the webhook was {run.stopped}"
    if run.state is RunState.FINISHED:
        return f"{_DONE[run.action]} {run.done:,} of {run.total:,} {noun}"
    return doing(run)


def _detail(run: ReplayRun, going: bool) -> str:
    if run.state is RunState.COUNTING:
        return f"{run.total:,} so far, asked for by {run.started_by}"
    if going:
        return f"{run.done:,} of {run.total:,} done, asked for by {run.started_by}"
    left, rest = run.total - run.done, ""
    if run.state is RunState.STOPPED:
        rest = f"{_DONE[run.action]} {run.done:,} of {run.total:,} before. "
    elif left:
        rest = f"{left:,} {'was' if left == 1 else 'were'} {_REST[run.action]}. "
    return f"{rest}Asked for by {run.started_by}"
