"""Maintenance of integrations: planned, started, ended. Failed checks in it change no status and alert nobody.

The rows say when it was and will be. The one that is under way or comes next also stands in the integration, so that
whoever holds an integration knows without another query, to the moment; `advance` moves it on when one is over.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, or_, select

from portal import clock
from portal.audit import trail
from portal.database import db, new_id, unit_of_work, wake_after_commit
from portal.health.models import LogStatus, MaintenanceWindow
from portal.health.windows import WEEK, Plan, Repeats, Stretch, merged
from portal.integrations.drafts import Invalid
from portal.integrations.models import CheckKind, Integration
from portal.integrations.service import FAILURES_TO_ERROR, WAKE
from portal.security.redaction import strip_controls

LONGEST: Final = {Repeats.ONCE: timedelta(days=30), Repeats.WEEKLY: timedelta(hours=24)}
"""How long one may last: who needs more than that wants the integration disabled."""
AHEAD: Final = timedelta(days=366)
"""How far ahead one may be planned."""
MOST: Final = 50
"""Windows of one integration that are not over."""
LONGEST_REASON: Final = 200
"""Characters."""
GRACE: Final = timedelta(seconds=60)
"""A start that lies so little back means now: people choose whole minutes."""
BATCH: Final = 200
"""Integrations that one transaction of `advance` moves on."""


class NotFound(Exception):
    """The integration has no such window, or it is over."""


def in_window(integration: Integration, now: datetime) -> bool:
    """Return whether an integration is in maintenance: failed checks change no status and open no alert."""
    return integration.in_maintenance(now)


def start(*, integration: Integration, hours: int, reason: str, zone: str, by: str) -> MaintenanceWindow:
    """Begin maintenance now. The caller's unit of work commits, and holds the integration locked.

    Args:
        integration: of which.
        hours: how long, 1 to 720.
        reason: why, for those who wonder; may be empty.
        zone: name of the organization's time zone.
        by: name of who does it.

    Raises:
        Invalid: hours or reason are out of bounds.
    """
    now = clock.now()
    if not 1 <= hours <= LONGEST[Repeats.ONCE] // timedelta(hours=1):
        raise Invalid({"hours": "Use a whole number of hours from 1 to 720."})
    times = Plan(now, now + timedelta(hours=hours), Repeats.ONCE, zone)
    return plan(integration=integration, times=times, reason=reason, by=by)


def plan(*, integration: Integration, times: Plan, reason: str, by: str) -> MaintenanceWindow:
    """Plan maintenance, which may begin at once. The caller's unit of work commits, the integration is locked.

    Raises:
        Invalid: times or reason are out of bounds, or the integration has too many windows.
    """
    now, reason = clock.now(), " ".join(strip_controls(reason).split())
    if now - GRACE <= times.starts_at < now:
        times = Plan(now, times.ends_at, times.repeats, times.zone)
    if errors := _wrong(times, reason, now):
        raise Invalid(errors)
    if len(upcoming(integration=integration)) >= MOST:
        raise Invalid({"starts_at": f"There are {MOST} windows planned already. Remove one first."})
    window = MaintenanceWindow(
        id=new_id(), organization_id=integration.organization_id, integration_id=integration.id,
        starts_at=times.starts_at, ends_at=times.ends_at, repeats=times.repeats, zone=times.zone, reason=reason,
        created_by=by[:100], created_at=now,
    )  # fmt: skip
    db.session.add(window)
    db.session.flush()
    _note(integration, [window.plan for window in _of([integration.id], now)], now)
    _audit("planned", integration, window)
    db.session.flush()
    return window


def end_now(*, integration: Integration) -> None:
    """End the maintenance that is under way; of a weekly one this week's. The integration is checked at once.

    Raises:
        NotFound: none is under way.
    """
    now = clock.now()
    running = [(each, found) for each in _of([integration.id], now) if (found := _under_way(each.plan, now))]
    if not running:
        raise NotFound
    for window, stretch in running:
        window.stopped_at = now
        if window.repeats == Repeats.WEEKLY:
            db.session.add_all(_rest(window, stretch, now))
        _audit("ended", integration, window)
    db.session.flush()
    _moved(integration, now)


def remove(*, integration: Integration, window_id: uuid.UUID) -> None:
    """Take a window away, a weekly one for good. What it was until now stays maintenance.

    Raises:
        NotFound: the integration has none with this id that is not over.
    """
    now = clock.now()
    window = next((each for each in upcoming(integration=integration) if each.id == window_id), None)
    if window is None:
        raise NotFound
    _audit("removed", integration, window)
    if window.starts_at >= now:
        db.session.delete(window)
    else:
        window.stopped_at = now
    db.session.flush()
    _moved(integration, now)


def upcoming(*, integration: Integration) -> Sequence[MaintenanceWindow]:
    """Return the windows that are under way or to come, in the order in which they began or will."""
    return _of([integration.id], clock.now())


def next_time(window: MaintenanceWindow, now: datetime) -> Stretch | None:
    """Return the time of a window that is under way or comes next."""
    return next(window.plan.between(now, now + AHEAD + WEEK), None)


def between(
    integration_ids: Collection[uuid.UUID], start: datetime, end: datetime
) -> dict[uuid.UUID, tuple[Stretch, ...]]:
    """Return when integrations were in maintenance, those that were within a stretch: oldest first, none overlap."""
    found: dict[uuid.UUID, list[Stretch]] = {}
    for window in db.session.scalars(_windows(integration_ids, start, end)):
        found.setdefault(window.integration_id, []).extend(window.plan.between(start, end))
    return {each: merged(stretches) for each, stretches in found.items() if stretches}


def advance() -> int:
    """Move on the integrations whose maintenance is over: each is checked at once. Owns its transactions.

    Returns:
        How many there were.
    """
    total = 0
    while True:
        with unit_of_work():
            found = _advance_some(clock.now())
        total += found
        if found < BATCH:
            return total


def _advance_some(now: datetime) -> int:
    over = db.session.scalars(
        select(Integration)
        .where(Integration.maintenance_until <= now)
        .order_by(Integration.maintenance_until)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    plans: dict[uuid.UUID, list[Plan]] = {}
    for window in _of([each.id for each in over if each.deleted_at is None], now) if over else ():
        plans.setdefault(window.integration_id, []).append(window.plan)
    for each in over:
        _note(each, plans.get(each.id, ()), now)
        _check_again(each, now)
    return len(over)


def _moved(integration: Integration, now: datetime) -> None:
    """See what follows from windows that changed; where maintenance ended by it, check."""
    was_in = integration.in_maintenance(now)
    _note(integration, [window.plan for window in _of([integration.id], now)], now)
    if was_in and not integration.in_maintenance(now):
        _check_again(integration, now)
    db.session.flush()


def _note(integration: Integration, plans: Iterable[Plan], now: datetime) -> None:
    """Write into an integration when it is in maintenance, or will be next."""
    stretches = merged(found for each in plans for found in each.between(now, now + AHEAD + WEEK))
    integration.maintenance_from, integration.maintenance_until = stretches[0] if stretches else (None, None)


def _check_again(integration: Integration, now: datetime) -> None:
    """Ask for a check at the end of maintenance. Where the last one in it failed, one more makes an outage."""
    if not integration.enabled or integration.deleted_at is not None:
        return
    if integration.last_health_check_status == LogStatus.FAILURE and integration.error_count == 0:
        integration.error_count, integration.failing_since = FAILURES_TO_ERROR - 1, now
    integration.next_check_at, integration.next_check_kind = now, CheckKind.AUTO
    integration.check_token = None
    wake_after_commit(WAKE)


def _under_way(plan: Plan, now: datetime) -> Stretch | None:
    return next((each for each in plan.between(now, now + WEEK) if each[0] <= now), None)


def _rest(window: MaintenanceWindow, ended: Stretch, now: datetime) -> Iterator[MaintenanceWindow]:
    """Return the rest of a weekly window, of which this week's was ended.

    A week in which daylight saving moves it is one of its own: the others would keep to what is moved.
    """
    whole = Plan(window.starts_at, window.ends_at, Repeats.WEEKLY, window.zone)
    for stretch in whole.between(now, now + 4 * WEEK):
        if stretch[0] <= ended[0]:
            continue
        usual = whole.is_usual(stretch)
        yield MaintenanceWindow(
            id=new_id(), organization_id=window.organization_id, integration_id=window.integration_id,
            starts_at=stretch[0], ends_at=stretch[1], repeats=window.repeats if usual else Repeats.ONCE,
            zone=window.zone, reason=window.reason, created_by=window.created_by, created_at=window.created_at,
        )  # fmt: skip
        if usual:
            return


def _of(integration_ids: Collection[uuid.UUID], now: datetime) -> Sequence[MaintenanceWindow]:
    found = db.session.scalars(_windows(integration_ids, now, now + AHEAD + WEEK))
    return [each for each in found if next_time(each, now) is not None]


def _windows(integration_ids: Collection[uuid.UUID], start: datetime, end: datetime) -> Select[MaintenanceWindow]:
    window = MaintenanceWindow
    return (
        select(window)
        .where(window.integration_id.in_(integration_ids), window.starts_at < end)
        .where(or_(window.ends_at > start, window.repeats == Repeats.WEEKLY))
        .where(or_(window.stopped_at.is_(None), window.stopped_at > start))
        .order_by(window.starts_at, window.id)
    )


def _wrong(times: Plan, reason: str, now: datetime) -> dict[str, str]:
    errors = {}
    longest = LONGEST[times.repeats]
    if times.starts_at < now:
        errors["starts_at"] = "This start is over. Choose one from now on."
    elif times.starts_at > now + AHEAD:
        errors["starts_at"] = "Choose a start within the next 12 months."
    if times.ends_at <= times.starts_at:
        errors["ends_at"] = "The end must be after the start."
    elif times.ends_at - times.starts_at > longest:
        most = "24 hours each week" if times.repeats is Repeats.WEEKLY else "30 days"
        errors["ends_at"] = f"Maintenance lasts {most} at most. Disable the integration to stop its checks for longer."
    if len(reason) > LONGEST_REASON:
        errors["reason"] = f"Use at most {LONGEST_REASON} characters."
    return errors


def _audit(what: str, integration: Integration, window: MaintenanceWindow) -> None:
    facts: dict[str, Any] = {name: getattr(window, name) for name in ("starts_at", "ends_at", "repeats", "reason")}
    trail.record(
        action=f"integration.maintenance_{what}", organization_id=integration.organization_id,
        target_type="integration", target_id=integration.id, target_name=integration.name,
        before=facts if what == "removed" else None, after=None if what == "removed" else facts,
    )  # fmt: skip
