"""How long alerts that are over are kept: as long as deliveries, what is open for ever."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import clock
from portal.alerts import notification_retention
from portal.alerts.models import AlertChange
from portal.database import reading
from tests.alerts.kit import alerts
from tests.alerts.telling_kit import notify, open_alerts, prefer, resolve
from tests.support.people import Team
from tests.test_queries import plan

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
NOW = datetime(2025, 11, 21, 9, tzinfo=UTC)


def test_what_is_over_goes_with_its_history_after_90_days_and_what_is_open_stays(app: Flask, team: Team) -> None:
    with clock.at(NOW):
        prefer(app, team, group_wait_seconds=0)
        over, live = open_alerts(app, team, 2)
        notify(app)
    with clock.at(NOW + timedelta(days=80)):
        resolve(app, over)
        notify(app)
    with app.app_context(), clock.at(NOW + timedelta(days=169)):
        notification_retention.tidy()
        assert {each.id for each in alerts(app)} == {over, live}, "it counts from its end, not from its begin"
    with app.app_context(), clock.at(NOW + timedelta(days=171)):
        notification_retention.tidy()
        with reading() as session:
            left = session.scalar(select(func.count()).select_from(AlertChange).where(AlertChange.alert_id == over))
    assert ([each.id for each in alerts(app)], left) == ([live], 0)


def test_they_are_found_by_when_they_ended(app: Flask, team: Team) -> None:
    found = plan(app, notification_retention.tidy)
    assert "ix_alerts_resolved" in found, found
