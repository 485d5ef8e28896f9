"""What a channel is to be told of an alert next, and when: decided on what is stored, whatever happened in between.

`next_of` is pure. It says the same however often it is asked, so that changes may be handled late, twice, in any order.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from portal.alerts import quiet
from portal.alerts.models import UNTIL_IT_RECOVERS, AlertState, Severity
from portal.alerts.notification_models import (
    REMINDER_MINUTES,
    AlertChannel,
    AlertNotice,
    AlertSettings,
    ChannelKind,
    Minimum,
    Mode,
    NoticeKind,
    Told,
)

DIGEST_SLACK: Final = timedelta(hours=1)
"""A digest that went out some minutes late does not put the next one off by a day."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What holds for all channels of an organization.

    Attributes:
        now: the moment.
        settings: of the organization.
        zone: name of its time zone.
        carried: integrations that chat channels go through; alerts about them reach every email channel.
    """

    now: datetime
    settings: AlertSettings
    zone: str
    carried: frozenset[Any] = frozenset()

    @property
    def wait(self) -> timedelta:
        """How long a channel waits for more."""
        return timedelta(seconds=self.settings.group_wait_seconds)

    @property
    def interval(self) -> timedelta | None:
        """Time between two reminders of a channel; none without reminders."""
        minutes = self.settings.reminder_minutes
        return timedelta(minutes=minutes) if minutes else None

    def after(self, moment: datetime, length: timedelta) -> datetime:
        """Return a moment so long after another; now, where that one lies ahead since the clock was set back."""
        return moment + length if moment <= self.now else self.now


@dataclass(frozen=True)
class Next:
    """What comes next: what kind of notice, and when."""

    kind: NoticeKind
    at: datetime


def next_of(alert: Any, channel: AlertChannel, notice: AlertNotice | None, context: Context) -> Next | None:
    """Return what a channel is to be told of an alert next; None for nothing.

    Args:
        alert: a row with state, severity, changed_at, resolved_at, muted_until and integration_id.
        channel: which.
        notice: what the channel knows of the alert.
        context: what holds for all.
    """
    told = notice.told if notice else Told.NOTHING
    if alert.resolved_at is not None:
        if told != Told.OPEN or not channel.enabled or _was_muted(alert):
            return None
        over = context.after(alert.resolved_at, context.wait)
        return _when_allowed(NoticeKind.RESOLVED, over, alert, channel, context)
    if not _is_for(alert, channel, context) or alert.state != AlertState.OPEN or alert.muted_until == UNTIL_IT_RECOVERS:
        return None
    if told == Told.OPEN and notice is not None and not _got_worse(alert, notice):
        return _reminder(alert, channel, notice, context)
    first = context.after(alert.changed_at, context.wait)
    if notice and notice.told_at and not _got_worse(alert, notice):
        # It was told before and is back, or could not be told: not more often than a reminder.
        pause = context.interval or timedelta(minutes=REMINDER_MINUTES)
        first = max(first, context.after(notice.told_at, pause))
    return _when_allowed(NoticeKind.OPENED, first, alert, channel, context)


def _is_for(alert: Any, channel: AlertChannel, context: Context) -> bool:
    """Return whether a channel is told of this alert. What ails a chat channel is told to every email channel."""
    if not channel.enabled:
        return False
    if channel.kind == ChannelKind.EMAIL and alert.integration_id in context.carried:
        return True
    return channel.minimum == Minimum.ALL or alert.severity == Severity.CRITICAL


def _was_muted(alert: Any) -> bool:
    return alert.muted_until is not None and alert.muted_until > alert.resolved_at


def _got_worse(alert: Any, notice: AlertNotice) -> bool:
    return notice.told_severity == Severity.WARNING and alert.severity == Severity.CRITICAL


def _reminder(alert: Any, channel: AlertChannel, notice: AlertNotice, context: Context) -> Next | None:
    interval = context.interval
    if interval is None or notice.told_at is None:
        return None
    if channel.mode == Mode.DIGEST:
        interval = max(interval - DIGEST_SLACK, timedelta(minutes=1))
    last = max(notice.told_at, channel.reminded_at or notice.told_at)
    return _when_allowed(NoticeKind.REMINDER, context.after(last, interval), alert, channel, context)


def _when_allowed(kind: NoticeKind, at: datetime, alert: Any, channel: AlertChannel, context: Context) -> Next:
    """Return when something may be told that there is to tell at a moment, or as soon after it as may be."""
    if alert.resolved_at is None and alert.muted_until is not None:
        at = max(at, alert.muted_until)
    if channel.mode == Mode.DIGEST:
        return Next(kind, quiet.next_time(at, zone=context.zone, at=channel.digest_at))
    settings = context.settings
    if alert.severity == Severity.CRITICAL and settings.critical_passes:
        return Next(kind, at)
    return Next(kind, quiet.after_quiet(at, zone=context.zone, start=settings.quiet_from, end=settings.quiet_to))
