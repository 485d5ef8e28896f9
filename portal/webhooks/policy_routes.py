"""The page of the retry policy: a form beside the schedule that it makes."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from flask import Blueprint, request, url_for
from flask.wrappers import Response

from portal import clock
from portal.database import unit_of_work
from portal.web.access import Who, allow, identity
from portal.web.filters import plural
from portal.web.render import go_to, page
from portal.webhooks import forms, schedule, service
from portal.webhooks.errors import InvalidError
from portal.webhooks.retry import RECOMMENDED, RetryPolicy, Strategy

blueprint = Blueprint("retry_policy", __name__, url_prefix="/admin/retry-policy")
GROWTH: Final = {
    Strategy.EXPONENTIAL: "Each wait is twice the one before.",
    Strategy.LINEAR: "Each wait is the first delay longer than the one before.",
    Strategy.FIXED: "Every wait is the first delay.",
}
SHORT: Final = 3600
"""A policy that gives up within so many seconds is called short: a receiver is often away for longer."""
Typed = Mapping[str, str]


@blueprint.get("")
@allow(Who.ADMIN)
def index() -> Response:
    """Show the policy. Values in the address are shown in place of the stored ones, and stored by nothing here."""
    block = "schedule" if request.headers.get("HX-Target") == "schedule" else "main"
    stored = service.retry_policy(identity().organization_id)
    return _page(stored, request.args if "strategy" in request.args else _typed(stored), block=block)


@blueprint.post("")
@allow(Who.ADMIN)
def save() -> Response:
    """Store what the form holds, or show its schedule where that is asked for."""
    who, intent = identity(), request.form.get("intent", "")
    if intent == "preview":
        return _page(service.retry_policy(who.organization_id), request.form)
    try:
        policy = RECOMMENDED if intent == "recommended" else forms.read_policy(request.form)
    except InvalidError as error:
        return _page(service.retry_policy(who.organization_id), request.form, errors=error.errors, status=422)
    with unit_of_work():
        service.set_retry_policy(organization_id=who.organization_id, policy=policy)
    ends = f"{_counted(policy.max_retries)} over {schedule.length(policy.gives_up_after)}, from now on."
    return go_to(url_for("retry_policy.index"), toast="Retry policy saved.", body=ends)


def _typed(policy: RetryPolicy) -> Typed:
    """Return a policy as its form would send it: what is not ticked is not there."""
    return {name: str(value) for name, value in asdict(policy).items() if value is not False}


def _page(
    stored: RetryPolicy,
    typed: Typed,
    *,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
    block: str = "main",
) -> Response:
    try:
        shown: RetryPolicy | None = forms.read_policy(typed)
    except InvalidError:
        shown = None
    chosen = typed.get("strategy", "")
    return page(
        "webhooks/retry_policy.html",
        block=block,
        status=status,
        typed=typed,
        errors=errors or {},
        strategies=forms.STRATEGIES,
        growth=GROWTH[Strategy(chosen)] if chosen in set(Strategy) else None,
        policy=shown,
        unsaved=shown != stored,
        attempts=schedule.attempts(shown, now=clock.now()) if shown else [],
        summary=_summary(shown) if shown else "",
        short=_short(stored) if stored.gives_up_after < SHORT else None,
    )


def _summary(policy: RetryPolicy) -> str:
    end = "then a dead letter" if policy.dead_letters else "then given up"
    return f"{policy.max_retries + 1} attempts over {schedule.length(policy.gives_up_after)}, {end}"


def _short(policy: RetryPolicy) -> dict[str, str]:
    """Return what there is to say about a schedule that ends soon."""
    retries = _counted(policy.max_retries)
    lost = "wait as dead letters until somebody retries them" if policy.dead_letters else "are given up for good"
    return {
        "title": f"{retries} {'ends' if policy.max_retries == 1 else 'end'} after "
        f"{schedule.spelled(policy.gives_up_after)}",
        "text": f"A receiver that restarts or is updated is often away for longer: its events then {lost}.",
        "offer": f"The recommended schedule tries {RECOMMENDED.max_retries} times over "
        f"{schedule.spelled(RECOMMENDED.gives_up_after)}, waiting longer each time.",
    }


def _counted(retries: int) -> str:
    return plural(retries, "retry", "retries")
