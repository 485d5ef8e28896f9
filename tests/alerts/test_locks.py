"""Who changes alerts and who tells people of them never wait for each other crosswise."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from portal import clock
from portal.alerts import service
from portal.alerts.models import Alert
from portal.database import db, unit_of_work
from tests.alerts.kit import look, only
from tests.support.integrations import failing, make_integration
from tests.support.people import Team


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_who_acknowledges_and_who_tells_of_the_same_alerts_do_not_wait_for_each_other(app: Flask, team: Team) -> None:
    make_integration(app, team.admin, **failing())
    look(app)
    down = only(app)
    mine: dict[str, Any] = {"organization_id": team.organization_id, "by": "Dana"}
    refers = select(Alert.id).with_for_update(read=True, key_share=True)  # what a notice of an alert takes
    with app.app_context(), db.engine.connect() as telling, unit_of_work() as session:
        assert telling.execute(refers).all() == [(down.id,)]
        session.execute(text("SET LOCAL lock_timeout = '2s'"))
        service.acknowledge(alert_id=down.id, **mine)
        service.withdraw(alert_id=down.id, **mine)
        assert service.acknowledge_all(text="", until=clock.now(), **mine)
