"""How long things are kept: admins set it within bounds, and the trail says so."""

from dataclasses import replace

import pytest
from flask import Flask

from portal.accounts import retention
from portal.accounts.retention import Retention
from portal.database import reading
from tests.support.integrations import trail
from tests.support.people import Browser, Team, plain

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
PAGE = "/admin/organization"
AS_IT_IS = {"logs_days": "30", "rollups_months": "13", "deliveries_days": "90", "bodies_days": "30"}


def kept(app: Flask, team: Team) -> Retention:
    with app.app_context(), reading():
        return retention.of(team.organization_id)


def test_an_admin_sets_it_and_the_trail_keeps_what_changed(app: Flask, team: Team, admin: Browser) -> None:
    assert kept(app, team) == Retention(30, 13, 90, 30)
    answer = admin.post(f"{PAGE}/retention", {**AS_IT_IS, "logs_days": "60"})
    assert answer.status_code == 303
    assert kept(app, team) == replace(Retention(), logs_days=60)
    assert 'value="60"' in admin.get(PAGE).text
    admin.post(f"{PAGE}/retention", {**AS_IT_IS, "logs_days": "60"})
    [entry] = trail(app, "organization.retention_changed")
    assert (entry.before, entry.after) == ({"logs_days": 30}, {"logs_days": 60})
    assert entry.target_id == str(team.organization_id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logs_days", "0"), ("logs_days", "366"), ("rollups_months", "3"), ("deliveries_days", "9999999"),
        ("bodies_days", ""), ("bodies_days", "91"), ("bodies_days", "-1"), ("logs_days", "\u0663"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused_and_stays_in_the_form(
    app: Flask, team: Team, admin: Browser, field: str, value: str
) -> None:
    answer = admin.post(f"{PAGE}/retention", {**AS_IT_IS, field: value})
    assert answer.status_code == 422
    assert f'aria-describedby="f-{field}-' in answer.text
    assert "Use a whole number" in plain(answer.text) or "Keep them for as long or less" in plain(answer.text)
    assert kept(app, team) == Retention()
