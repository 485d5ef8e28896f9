"""Every query that grows uses an index: the plans of both databases say so."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event, insert, text
from sqlalchemy.engine import Connection

from portal import clock
from portal.database import db, encode_cursor, new_id, reading, unit_of_work
from portal.health import checks
from portal.health import service as health
from portal.health.models import HealthCheckRun, HealthLog
from portal.health.service import LogFilters
from portal.integrations import queries
from portal.integrations.models import Integration
from portal.integrations.queries import Filters
from tests.support.integrations import add_integration
from tests.support.people import Team

ONE = uuid.UUID(int=2)
LATER = encode_cursor(datetime(2026, 1, 1, tzinfo=UTC), ONE)

GROWING: dict[str, tuple[Callable[[uuid.UUID, uuid.UUID], object], str]] = {
    "due checks": (lambda place, one: checks.claim_due(50), "ix_integrations_due"),
    "list of integrations": (
        lambda place, one: queries.search(organization_id=place, filters=Filters()),
        "ix_integrations_list",
    ),
    "next page of integrations": (
        lambda place, one: queries.search(organization_id=place, filters=Filters(), cursor=encode_cursor("m", ONE)),
        "ix_integrations_list",
    ),
    "all logs": (
        lambda place, one: health.logs(organization_id=place, filters=LogFilters()),
        "ix_health_logs_of_organization",
    ),
    "next page of all logs": (
        lambda place, one: health.logs(organization_id=place, filters=LogFilters(), cursor=LATER),
        "ix_health_logs_of_organization",
    ),
    "logs since yesterday": (
        lambda place, one: health.logs(
            organization_id=place, filters=LogFilters(since=clock.now() - timedelta(days=1))
        ),
        "ix_health_logs_of_organization",
    ),
    "logs of one": (
        lambda place, one: health.logs(organization_id=place, filters=LogFilters(integration_id=one)),
        "ix_health_logs_of_integration",
    ),
    "recent failures": (
        lambda place, one: health.recent_failures(integration=Integration(id=one)),
        "ix_health_logs_of_integration",
    ),
    "newest check all": (lambda place, one: health.current_run(organization_id=place), "ix_health_check_runs_newest"),
    "progress of check all": (
        lambda place, one: health.progress(HealthCheckRun(id=ONE, total=1)),
        "ix_health_logs_of_run",
    ),
    "what check all still waits for": (
        lambda place, one: health.progress(HealthCheckRun(id=ONE, total=1)),
        "ix_integrations_run",
    ),
}


@pytest.fixture
def one(app: Flask, team: Team) -> uuid.UUID:
    """One integration of a database with enough rows for an index to pay."""
    now = clock.now()
    with app.app_context(), unit_of_work() as session:
        made = [add_integration(team.owner, f"Mail {number}").id for number in range(300)]
        log = {"organization_id": team.organization_id, "check_type": "scheduled", "status": "success", "detail": {}}
        session.execute(
            insert(HealthLog),
            [
                {**log, "id": new_id(), "integration_id": made[n % 300], "checked_at": now - timedelta(minutes=n)}
                for n in range(6000)
            ],
        )
        session.execute(text("ANALYZE"))
    return made[7]


@pytest.mark.parametrize("name", GROWING)
def test_the_plan_uses_the_index(app: Flask, team: Team, one: uuid.UUID, name: str) -> None:
    run, index = GROWING[name]
    with app.app_context():
        plans = plans_of(lambda: run(team.organization_id, one))
    assert any(index in plan for plan in plans), "\n".join(plans)


def plans_of(run: Callable[[], object]) -> list[str]:
    """Run something, and return how the database goes about each of its statements."""
    said: list[tuple[str, object]] = []

    def listen(_connection: Connection, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE")):
            said.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", listen)
    try:
        run()
    finally:
        event.remove(db.engine, "before_cursor_execute", listen)
        db.session.remove()
    return [_plan(statement, parameters) for statement, parameters in said]


def _plan(statement: str, parameters: object) -> str:
    with reading() as session:
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            # The question is whether the index can serve the query, not whether these few rows are worth it.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)  # type: ignore[arg-type]
        return "\n".join(str(row) for row in rows)
