"""The demo organization: its integrations pass or fail against the sandbox as they are meant to, and have a history."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import clock, demo
from portal.database import db
from portal.health.models import HealthLog
from portal.integrations.models import Integration
from portal.providers import catalogue
from portal.providers.sandboxed import sandbox_context
from portal.providers.validation import validate
from portal.sandbox import Sandbox
from portal.settings import Settings

on_sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
REFUSED = {"Old office server", "Careers mailbox"}


@pytest.fixture
def portal(settings: Settings, start_app: Callable[[Settings], Flask]) -> Flask:
    """A portal that knows of a sandbox, which need not run while the organization is filled."""
    return start_app(replace(settings, sandbox_url="http://127.0.0.1:8025"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox on free ports."""
    with Sandbox().start(port=0, smtp_port=0) as running:
        yield running


@on_sqlite
def test_organization_is_filled_once_and_replaced_on_demand(portal: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DAYS", 0)
    with portal.app_context():
        assert [login.person for login in demo.fill(reset=False)] == list(demo.PEOPLE)
        assert demo.fill(reset=False) == []
        assert len(demo.fill(reset=True)) == len(demo.PEOPLE)
        stored = db.session.scalars(select(Integration).order_by(Integration.created_at)).all()
        assert [(each.name, each.provider, each.enabled) for each in stored] == [
            (each.name, each.provider, each.enabled) for each in demo.EXAMPLES
        ]
        assert all(each.sandbox for each in stored)


@on_sqlite
def test_history_is_there_for_what_was_verified(portal: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "EVERY", timedelta(hours=6))
    with portal.app_context():
        demo.fill(reset=False)
        logs = select(Integration.name, func.count(), func.min(HealthLog.checked_at)).join(HealthLog)
        counted = {name: (count, first) for name, count, first in db.session.execute(logs.group_by(Integration.name))}
        assert set(counted) == {each.name for each in demo.EXAMPLES if each.verified}
        for count, first in counted.values():
            assert 10 <= count <= 13
            assert clock.now() - first <= timedelta(days=demo.DAYS, minutes=1)


@pytest.mark.parametrize("example", demo.EXAMPLES, ids=lambda example: example.name)
def test_integration_does_in_the_sandbox_what_it_shows(example: demo.Example, sandbox: Sandbox) -> None:
    provider = catalogue.get(example.provider)
    checked = validate(provider, example.values)
    assert checked.ok, checked.errors
    report = provider.test(checked.values, sandbox_context(sandbox.url))
    assert report.ok is (example.name not in REFUSED), report.error
