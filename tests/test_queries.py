"""Queries that grow with the data use an index on both databases: the plans say so."""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from portal import clock, prepared
from portal.database import db, reading, unit_of_work
from portal.health import checks, claims, maintenance, metrics, pulse, rollups
from portal.health import service as health
from portal.health.models import HealthCheckRun, Span
from portal.health.service import LogFilters
from portal.integrations import listing, queries
from portal.integrations.listing import Filters
from portal.integrations.models import Integration
from portal.plans import by_index
from portal.webhooks import events, queue, replay_queries
from portal.webhooks.events import NewEvent
from portal.webhooks.models import ReplayRun
from portal.webhooks.replay_queries import Range, Wanted
from tests.support.integrations import add_integration
from tests.support.people import Team
from tests.support.webhooks import make_webhook

INTEGRATIONS, LOGS_OF_EACH, RUNS, EVENTS, WORDS = 1500, 12, 300, 3000, 300

SEEDS = {
    "sqlite": (
        """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
           INSERT INTO {table} ({columns}) SELECT {values} FROM n""",
        "lower(hex(randomblob(16)))",
        "strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || i || ' minutes') || '000'",
    ),
    "postgresql": (
        "INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(1, :count) AS n(i)",
        "gen_random_uuid()",
        "now() - make_interval(mins => i)",
    ),
}
"""Dialect → how to insert many rows, a new id, a moment i minutes ago."""
BODY = {"sqlite": "x'7b7d'", "postgresql": "'{}'::bytea"}
"""Dialect → a body."""


def grow(app: Flask, team: Team) -> tuple[uuid.UUID, uuid.UUID]:
    """Fill the tables as years would; return one integration with logs and one run."""
    with app.app_context(), unit_of_work() as session:
        dialect = session.get_bind().dialect.name
        pattern = add_integration(team.admin, "Pattern")
        run = HealthCheckRun(organization_id=team.organization_id, total=1, started_by="x", started_at=clock.now())
        session.add(run)
        session.flush()
        statement, new, ago = SEEDS[dialect]
        names = [column.name for column in Integration.__table__.columns]
        special = {
            "id": new,
            "name": "'Relay ' || i",
            "name_key": "'relay ' || i",
            "next_check_at": f"CASE WHEN i % 7 = 0 THEN {ago} END",
            "maintenance_until": f"CASE WHEN i % 50 = 0 THEN {ago} END",
            "next_check_kind": "CASE WHEN i % 49 = 0 THEN 'auto' ELSE 'scheduled' END",
        }
        _insert(
            statement, "integrations", {name: special.get(name, name) for name in names}, INTEGRATIONS, "integrations"
        )
        logs = {
            "id": new, "organization_id": "organization_id", "integration_id": "integrations.id", "run_id": "NULL",
            "check_type": "'scheduled'", "status": "CASE WHEN i % 5 = 0 THEN 'failure' ELSE 'success' END",
            "response_time_ms": "i", "metadata": "'{}'", "checked_at": ago,
            "words_id": "CASE WHEN i % 5 = 0 THEN integrations.id END",
        }  # fmt: skip
        _insert(statement, "health_logs", logs, LOGS_OF_EACH, "integrations")
        said = {"organization_id": "id", "id": new, "words": "'it said ' || i", "until": ago}
        _insert(statement, "health_words", said, WORDS, "organizations")
        hours = {
            "integration_id": "integrations.id", "span": "'hour'", "start": ago, "checks": "i", "failures": "0",
            "observed_ms": "3600000", "down_ms": "0", "histogram": "'{}'",
        }  # fmt: skip
        _insert(statement, "health_rollups", hours, LOGS_OF_EACH, "integrations")
        windows = {
            "id": new, "organization_id": "organization_id", "integration_id": "integrations.id", "starts_at": ago,
            "ends_at": ago, "repeats": "'once'", "zone": "'UTC'", "reason": "''", "created_by": "'x'",
            "created_at": ago,
        }  # fmt: skip
        _insert(statement, "maintenance_windows", windows, 2, "integrations")
        runs = {"id": new, "organization_id": "id", "total": "1", "started_by": "'x'", "started_at": ago}
        _insert(statement, "health_check_runs", runs, RUNS, "organizations")
        events = {
            "id": new, "organization_id": "id", "event_id": "'e' || i", "event_type": "'job.created'",
            "source": "'api'", "body": BODY[dialect], "decisions": "'{}'", "occurred_at": ago, "accepted_at": ago,
        }  # fmt: skip
        _insert(statement, "events", events, EVENTS, "organizations")
        found = pattern.id, run.id
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
    return found


def _insert(statement: str, table: str, values: dict[str, str], count: int, source: str) -> None:
    """Insert so many rows for each row of the source; for integrations the pattern alone is the source."""
    filled = statement.format(table=table, columns=", ".join(values), values=", ".join(values.values()))
    db.session.execute(
        text(filled + f", {source}" + (" WHERE name = 'Pattern'" if table == source else "")), {"count": count}
    )


def plan(app: Flask, do: Callable[[], object]) -> str:
    """Return the plans of every statement that this runs, its changes rolled back."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        if re.match(r"\s*(SELECT|UPDATE|WITH)\b", statement):
            statements.append((statement, parameters))

    def guarded(self: Any, within: Any, act: Callable[[Any], object]) -> Any:
        seen = SimpleNamespace(
            execute=lambda statement, given: note(None, None, statement, tuple(given)),
            executemany=lambda statement, given: note(None, None, statement, tuple(given[0])),
        )
        act(seen)
        return run(self, within, act)

    run = prepared._Compiled._guarded
    with app.app_context(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared._Compiled, "_guarded", guarded)
        event.listen(db.engine, "before_cursor_execute", note)
        try:
            do()
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
            db.session.remove()
        explain = "EXPLAIN QUERY PLAN " if db.engine.dialect.name == "sqlite" else "EXPLAIN "
        with db.engine.connect() as connection:
            return "\n".join(
                str(row[-1])
                for statement, parameters in statements
                # What sets how the statements behind it are planned is run.
                for row in connection.exec_driver_sql(
                    statement if "set_config" in statement else explain + statement, parameters
                )
            )


def read(do: Callable[[], object]) -> Callable[[], object]:
    """Wrap a query into a reading transaction."""

    def run() -> object:
        with reading():
            return do()

    return run


def nothing_is_over() -> None:
    """Look for maintenance that is over, at a time when none is."""
    with unit_of_work():
        maintenance._advance_some(datetime(2000, 1, 1, tzinfo=UTC))


def test_growing_queries_use_their_index(app: Flask, team: Team) -> None:
    integration, run = grow(app, team)
    organization = team.organization_id
    one, all_of_them = LogFilters(integration_id=integration), LogFilters()
    with app.app_context(), reading() as session:
        row = session.get_one(Integration, integration)
        started = session.get_one(HealthCheckRun, run)
        after = health.logs(organization_id=organization, filters=all_of_them, limit=5).next_cursor
        after_one = health.logs(organization_id=organization, filters=one, limit=5).next_cursor
        next_name = listing.search(organization_id=organization, filters=Filters(), limit=5).next_cursor
    assert after
    assert after_one
    assert next_name
    far = Range(since=datetime(1, 1, 2, tzinfo=UTC), wanted=Wanted.MISSING)
    replay = ReplayRun(
        organization_id=organization, webhook_id=make_webhook(app, team.admin), filters=far.as_dict(),
        cutoff=datetime(9999, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    week = LogFilters(since=clock.now() - checks.LEASE * 60 * 24, check_type="scheduled")
    cases: dict[str, tuple[str, Callable[[], object]]] = {
        "claim what is due": (
            "ix_integrations_due", read(lambda: claims._due(clock.now(), ~claims.URGENT, 5, ["smtp:slow"]))),
        "claim what is urgent": ("ix_integrations_urgent", lambda: checks.claim_due(1)),
        "how late checks are": ("ix_integrations_due", read(pulse.read)),
        "logs of an integration": (
            "ix_health_logs_of_integration", read(lambda: health.logs(organization_id=organization, filters=one))),
        "logs of an integration, next page": (
            "ix_health_logs_of_integration",
            read(lambda: health.logs(organization_id=organization, filters=one, cursor=after_one))),
        "logs of the organization": (
            "ix_health_logs_of_organization",
            read(lambda: health.logs(organization_id=organization, filters=all_of_them))),
        "logs of the organization, next page": (
            "ix_health_logs_of_organization",
            read(lambda: health.logs(organization_id=organization, filters=all_of_them, cursor=after))),
        "logs of the organization, filtered": (
            "ix_health_logs_of_organization", read(lambda: health.logs(organization_id=organization, filters=week))),
        "logs by text": (
            "ix_health_logs_by_words",
            read(lambda: health.logs(organization_id=organization, filters=LogFilters(text="it said 1")))),
        "whether all words are noted": (
            "ix_health_logs_without_words",
            read(lambda: health.logs(organization_id=organization, filters=LogFilters(text="never")))),
        "recent failures": ("ix_health_logs_of_integration", read(lambda: health.recent_failures(integration=row))),
        "list by name": (
            "ix_integrations_list", read(lambda: listing.search(organization_id=organization, filters=Filters()))),
        "list by name, next page": (
            "ix_integrations_list",
            read(lambda: listing.search(organization_id=organization, filters=Filters(), cursor=next_name))),
        "integrations of a provider": (
            "uq_integrations_live_name",
            read(lambda: queries.of_provider(organization_id=organization, provider="telnyx"))),
        "figures of an integration": (
            "ix_health_logs_of_integration", read(lambda: metrics.of(integration=row, window="24h"))),
        "rollups of an integration": (
            "_health_rollups",  # its primary key, which each database names in its own way
            read(lambda: rollups.read([integration], Span.HOUR, clock.now() - checks.LEASE, clock.now()))),
        "maintenance of integrations": (
            "ix_maintenance_windows_of_integration",
            read(lambda: maintenance.between([integration], clock.now() - checks.LEASE, clock.now()))),
        "maintenance that is over": ("ix_integrations_maintenance", nothing_is_over),
        "progress of a run": ("ix_integrations_run", read(lambda: health.progress(started))),
        "logs of a run": ("ix_health_logs_of_run", read(lambda: health.progress(started))),
        "events that a webhook did not get": (
            "ix_events_of_organization", read(lambda: replay_queries.missing(replay, None, 10))),
        "newest run": (
            "ix_health_check_runs_newest", read(lambda: health.current_run(organization_id=organization))),
    }  # fmt: skip
    missed = {}
    for name, (index, do) in cases.items():
        found = plan(app, do)
        if index not in found:
            missed[name] = found
    assert missed == {}


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_logs_of_one_integration_are_not_looked_for_among_all(app: Flask, team: Team) -> None:
    """SQLite keeps no statistics by itself, and then takes an index that names the organization before any other."""
    organization = team.organization_id
    with app.app_context(), unit_of_work():
        one = add_integration(team.admin, "Relay").id
    for filters in (LogFilters(integration_id=one), LogFilters(integration_id=one, status="failure")):
        for do in (health.logs, health.count_logs):
            found = plan(app, read(partial(do, organization_id=organization, filters=filters)))
            assert "ix_health_logs_of_integration" in found


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_some_integrations_are_not_looked_for_among_all(app: Flask, team: Team) -> None:
    organization = team.organization_id
    with app.app_context(), unit_of_work():
        some = {add_integration(team.admin, f"Relay {number}").id for number in range(3)}
    found = plan(app, read(partial(queries.names, organization_id=organization, ids=some)))
    assert "SEARCH integrations USING INDEX sqlite_autoindex_integrations_1 (id=?)" in found


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize("filters", [LogFilters(status="limited"), LogFilters(error_class="timeout")])
def test_logs_that_did_not_pass_are_counted_from_an_index_alone(app: Flask, team: Team, filters: LogFilters) -> None:
    count = partial(health.count_logs, organization_id=team.organization_id, filters=filters)
    assert "USING COVERING INDEX" in plan(app, read(count))


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize("more", [{}, {"status": "failure"}, {"check_type": "auto"}, {"since": clock.now()}])
def test_logs_with_a_text_are_looked_for_by_their_words_alone(app: Flask, team: Team, more: dict[str, Any]) -> None:
    filters = LogFilters(text="certificate", **more)
    found = plan(app, read(partial(health.count_logs, organization_id=team.organization_id, filters=filters)))
    assert "health_logs USING COVERING INDEX ix_health_logs_by_words (words_id=?" in found
    assert "health_words USING PRIMARY KEY (organization_id=?)" in found


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_lists_come_out_of_the_index_in_their_order(app: Flask, team: Team) -> None:
    """Else the first page of a million rows would sort a million rows."""
    integration, _run = grow(app, team)
    organization = team.organization_id
    with app.app_context(), reading():
        after = health.logs(organization_id=organization, filters=LogFilters(), limit=5).next_cursor or ""
        next_name = listing.search(organization_id=organization, filters=Filters(), limit=5).next_cursor or ""
    lists: dict[str, Callable[[], object]] = {
        "logs": lambda: health.logs(organization_id=organization, filters=LogFilters()),
        "logs of one": lambda: health.logs(
            organization_id=organization, filters=LogFilters(integration_id=integration)
        ),
        "next logs": lambda: health.logs(organization_id=organization, filters=LogFilters(), cursor=after),
        "names": lambda: listing.search(organization_id=organization, filters=Filters()),
        "next names": lambda: listing.search(organization_id=organization, filters=Filters(), cursor=next_name),
        "newest run": lambda: health.current_run(organization_id=organization),
    }
    for name, do in lists.items():
        found = plan(app, read(do))
        assert "TEMP B-TREE" not in found, (name, found)
        assert "SCAN" not in found, (name, found)


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_queue_that_grew_since_its_last_analyze_is_read_by_its_index(app: Flask, team: Team) -> None:
    hook = make_webhook(app, team.admin)
    new = [NewEvent(event_type="job.created", data={})] * 500
    with app.app_context():
        for _ in range(12):
            with unit_of_work():
                events.accept(organization_id=team.organization_id, events=new)

        def claims() -> None:
            with unit_of_work():
                by_index()
                queue.claim({hook: 256}, ordered=(), now=clock.now())

        found = plan(app, claims)
    assert "Index Scan using ix_deliveries_due" in found
    assert "Sort" not in found
