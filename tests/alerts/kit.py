"""What tests of alerts share: a look, what is stored, integrations and webhooks that change."""

import uuid
from collections.abc import Sequence
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from portal import clock
from portal.alerts import evaluating
from portal.alerts.models import Alert, AlertChange
from portal.database import reading, unit_of_work
from portal.integrations.models import Condition, Integration, Status
from portal.webhooks.models import Webhook
from tests.support.integrations import failing


def look(app: Flask, *, settled: bool = True) -> int:
    """Let the rules look once."""
    with app.app_context():
        return evaluating.evaluate(settled=settled)


def alerts(app: Flask) -> Sequence[Alert]:
    """Return every alert, in the order in which they were made."""
    with app.app_context(), reading() as session:
        return session.scalars(select(Alert).order_by(Alert.id)).all()


def only(app: Flask) -> Alert:
    """Return the one alert that there is."""
    (found,) = alerts(app)
    return found


def kinds(app: Flask, alert_id: uuid.UUID | None = None) -> list[str]:
    """Return what happened to an alert, or to all, in this order."""
    query = select(AlertChange.kind).order_by(AlertChange.at, AlertChange.id)
    with app.app_context(), reading() as session:
        return list(session.scalars(query.where(AlertChange.alert_id == alert_id) if alert_id else query))


def change(app: Flask, row_id: uuid.UUID, **columns: Any) -> None:
    """Change columns of an integration."""
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Integration).where(Integration.id == row_id).values(**columns))


def change_webhook(app: Flask, row_id: uuid.UUID, **columns: Any) -> None:
    """Change columns of a webhook."""
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Webhook).where(Webhook.id == row_id).values(**columns))


def unreached(**columns: Any) -> dict[str, Any]:
    """Return the columns of an integration that times out."""
    words = {"error_class": "timeout", "error_message": "No answer within 15 s.", "error_code": "", "condition": None}
    return failing("timed out", **(words | {"last_health_check": clock.now()} | columns))


def works() -> dict[str, Any]:
    """Return the columns of an integration whose check passed."""
    return {"status": Status.ACTIVE, "condition": None, "error_class": None, "error_count": 0, "failing_since": None}


def unproved() -> dict[str, Any]:
    """Return the columns of an integration that new values were saved of without a test."""
    return {"status": Status.INACTIVE, "condition": Condition.UNVERIFIED}
