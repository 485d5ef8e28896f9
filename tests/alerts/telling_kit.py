"""What tests of notifications share: alerts that open and resolve as told, channels, and what was queued for whom."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from portal import clock
from portal.accounts.models import Organization, User
from portal.alerts import changes, channels, notifying, preferences
from portal.alerts.channels import Draft
from portal.alerts.models import Alert, AlertState, ChangeKind, Severity
from portal.alerts.notification_models import AlertChannel, Notification
from portal.alerts.preferences import Preferences
from portal.database import db, new_id, reading, unit_of_work
from portal.messaging.models import Message, MessageStatus
from tests.support.people import Person, Team

WAIT = timedelta(seconds=30)


def open_alerts(app: Flask, team: Team, count: int = 1, **columns: Any) -> list[uuid.UUID]:
    """Open alerts, as the evaluation would; they fail since now."""
    now = clock.now()
    rows = [
        Alert(**{
            "id": new_id(), "organization_id": team.organization_id, "rule": "integration_down",
            "cause": f"test:{new_id()}", "severity": Severity.CRITICAL, "title": f"Relay {number} (SMTP): timed out",
            "message": "No answer within 15 s.", "impact": "Emails not sending", "hint": "Check the host.",
            "code": "T1", "detail": {}, "state": AlertState.OPEN, "since": now, "opened_at": now, "changed_at": now,
            "acknowledged_by": "", "acknowledge_note": "", "resolution": "", "occurrences": 1, **columns,
        })
        for number in range(1, count + 1)
    ]  # fmt: skip
    with app.app_context(), unit_of_work() as session:
        session.add_all(rows)
        session.flush()
        changes.write([changes.after(each, ChangeKind.OPENED) for each in rows])
    return [each.id for each in rows]


def open_alert(app: Flask, team: Team, **columns: Any) -> uuid.UUID:
    """Open one alert."""
    (found,) = open_alerts(app, team, **columns)
    return found


def happens(app: Flask, alert_id: uuid.UUID, kind: ChangeKind, **columns: Any) -> None:
    """Let something happen to an alert."""
    with app.app_context(), unit_of_work() as session:
        row = session.get_one(Alert, alert_id)
        noted = changes.after(row, kind)
        session.execute(update(Alert).where(Alert.id == alert_id).values(changed_at=noted.at, **columns))
        changes.write([noted])


def resolve(app: Flask, alert_id: uuid.UUID) -> None:
    """Let an alert resolve by itself."""
    values = {"state": AlertState.RESOLVED, "resolved_at": clock.now(), "resolution": "recovered"}
    happens(app, alert_id, ChangeKind.RESOLVED, **values)


def reopen(app: Flask, alert_id: uuid.UUID) -> None:
    """Let a resolved alert come back."""
    happens(app, alert_id, ChangeKind.REOPENED, state=AlertState.OPEN, resolved_at=None, resolution="")


def acknowledge(app: Flask, alert_id: uuid.UUID) -> None:
    """Let somebody say to know of an alert."""
    happens(app, alert_id, ChangeKind.ACKNOWLEDGED, state=AlertState.ACKNOWLEDGED)


def notify(app: Flask) -> int:
    """Let the job look once."""
    with app.app_context():
        return notifying.look()


def deliver(app: Flask) -> None:
    """Let all that waits in the queue be sent."""
    with app.app_context(), unit_of_work() as session:
        sent = {"status": MessageStatus.SENT, "due_at": None}
        session.execute(update(Message).where(Message.status == MessageStatus.QUEUED).values(**sent))


def messages(app: Flask) -> Sequence[Message]:
    """Return everything that was queued, in this order."""
    with app.app_context(), reading() as session:
        return session.scalars(select(Message).order_by(Message.id)).all()


def subjects(app: Flask, to: str = "dana@northline.example") -> list[str]:
    """Return the subjects of what was queued for one recipient."""
    return [each.subject for each in messages(app) if each.to_address == to]


def notifications(app: Flask) -> Sequence[Notification]:
    """Return the log, the first one first."""
    with app.app_context(), reading() as session:
        return session.scalars(select(Notification).order_by(Notification.id)).all()


def first_channel(app: Flask, team: Team) -> AlertChannel:
    """Return the channel that an organization has by itself."""
    with app.app_context():
        preferences.ensure(team.organization_id)
        with reading():
            return channels.listed(organization_id=team.organization_id)[0]


def channel(app: Flask, team: Team | Person, **values: Any) -> uuid.UUID:
    """Add a channel; by default to addresses."""
    if values.get("kind", "email") == "email":
        values = {"audience": "addresses", "addresses": ["ops@example.org"], **values}
    with app.app_context(), unit_of_work():
        return channels.create(organization_id=team.organization_id, draft=Draft(**values)).id


def change_channel(app: Flask, team: Team, channel_id: uuid.UUID, **values: Any) -> None:
    """Change a channel."""
    with app.app_context(), unit_of_work():
        row = channels.get(organization_id=team.organization_id, channel_id=channel_id)
        draft = channels.draft_of(row, **values)
        channels.change(organization_id=team.organization_id, channel_id=channel_id, draft=draft)


def prefer(app: Flask, team: Team, **values: Any) -> None:
    """Change the settings; what is not given has its default."""
    with app.app_context(), unit_of_work():
        preferences.change(organization_id=team.organization_id, wanted=Preferences(**values))


def live_in(app: Flask, team: Team, zone: str) -> None:
    """Move the organization."""
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Organization).where(Organization.id == team.organization_id).values(time_zone=zone))


def change_user(app: Flask, user_id: uuid.UUID, **columns: Any) -> None:
    """Change columns of a user."""
    with app.app_context(), unit_of_work():
        db.session.execute(update(User).where(User.id == user_id).values(**columns))
