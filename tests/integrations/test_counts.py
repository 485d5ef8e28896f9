"""The figures of the dashboard: counted by indexes, and the same as counted by hand."""

from itertools import product

import pytest
from flask import Flask

from portal import clock
from portal.database import reading, unit_of_work
from portal.integrations import queries
from portal.integrations.models import Condition, Status
from portal.integrations.queries import Stats
from tests.support.integrations import add_integration
from tests.support.people import Team, make_team
from tests.test_queries import plan, read


def test_the_figures_are_those_of_every_kind_there_can_be(app: Flask, team: Team) -> None:
    kinds = list(product(Status, (True, False), (None, *Condition)))
    other = make_team(app, "Southgate")
    with app.app_context(), unit_of_work():
        rows = [
            add_integration(team.admin, f"{number} {again}", status=status, enabled=enabled, condition=condition)
            for number, (status, enabled, condition) in enumerate(kinds)
            for again in range(number % 3 + 1)
        ]
        for number, (status, enabled, condition) in enumerate(kinds):
            kind = {"status": status, "enabled": enabled, "condition": condition}
            add_integration(team.admin, f"Deleted {number}", deleted_at=clock.now(), **kind)
            add_integration(other.admin, f"Theirs {number}", **kind)
    with app.app_context(), reading():
        found = queries.stats(organization_id=team.organization_id)
    assert found == Stats(
        total=len(rows),
        active=sum(row.status == Status.ACTIVE for row in rows),
        error=sum(row.status == Status.ERROR for row in rows),
        disabled=sum(not row.enabled for row in rows),
        waiting=sum(row.enabled and row.condition == Condition.UNVERIFIED for row in rows),
    )


def test_an_organization_without_integrations_has_none_of_any_kind(app: Flask, team: Team) -> None:
    with app.app_context(), reading():
        assert queries.stats(organization_id=team.organization_id) == Stats(0, 0, 0, 0, 0)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_figures_come_from_the_index_alone(app: Flask, team: Team) -> None:
    found = plan(app, read(lambda: queries.stats(organization_id=team.organization_id)))
    assert found.count("ix_integrations_states") == 5
