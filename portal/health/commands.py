"""`portal integrations list|check`, for the operator; they run inside an application context with keys loaded."""

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from sqlalchemy import select

from portal.accounts.models import Organization
from portal.audit import trail
from portal.audit.actor import Actor, operator
from portal.database import db, reading
from portal.health import service
from portal.integrations import presenting, queries
from portal.integrations.models import Integration
from portal.providers.base import Failure, Outcome, Report, Step, StepState
from portal.security.redaction import strip_controls

STATES = {
    StepState.PASSED: "passed",
    StepState.FAILED: "failed",
    StepState.RUNNING: "running",
    StepState.NOT_RUN: "not run",
}
COLUMNS = ("Organization", "Provider", "Name", "Status", "Last check")


@dataclass(frozen=True)
class Found:
    """An integration and whose it is."""

    organization: str
    integration: Integration

    @property
    def provider(self) -> str:
        """The provider as lists name it."""
        return presenting.provider_label(self.integration)

    def __str__(self) -> str:
        return f"{_line(self.integration.name)} ({self.provider}, {self.organization})"


@click.group("integrations")
def integrations_group() -> None:
    """Integrations: list them, check them."""


_organization = click.option("--organization", default="", metavar="SLUG", help="Of this organization alone.")


@integrations_group.command("list")
@_organization
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with ids, times and errors.")
def list_command(*, organization: str, as_json: bool) -> None:
    """List the integrations of every organization."""
    with _as_operator(), reading():
        found = _all(organization)
        click.echo(json.dumps([_facts(each) for each in found], indent=2) if as_json else _table(found))


@integrations_group.command("check")
@click.argument("name", default="")
@click.option("--all", "every", is_flag=True, help="Check every enabled integration.")
@_organization
@click.option("--provider", default="", metavar="SLUG", help="Where several have the name: the one of this provider.")
def check_command(*, name: str, every: bool, organization: str, provider: str) -> None:
    """Run the health check of the integration NAME (or with this id) now; exit code 1 where one fails."""
    if bool(name) == every:
        raise click.UsageError("Name one integration, or use --all.")
    with _as_operator() as actor:
        with reading():
            known = [each for each in _all(organization) if provider in ("", each.integration.provider)]
            chosen = [each for each in known if each.integration.enabled] if every else [_named(name, known)]
        failed = [str(each) for each in chosen if not _check(each, actor)]
        if not chosen:
            click.echo("Nothing to check: no integration is enabled.")
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(chosen)} not passed: {'; '.join(failed)}.")


def _check(found: Found, actor: Actor) -> bool:
    """Check one integration and print what was found; return whether the service works."""
    try:
        report = service.check_now(integration=found.integration, asked_by=actor.name)
    except service.Disabled:
        raise ValueError(f"{found} is disabled, so it is not checked. Switch it on in the portal first.") from None
    click.echo(f"{found}")
    if report is None:
        click.echo("  It was changed meanwhile. Check it again.")
        return False
    width = max((len(step.name) for step in report.steps), default=0)
    for step in report.steps:
        click.echo("\n".join(_step(step, width)))
    click.echo(f"  {_verdict(report)}")
    return report.ok or report.outcome is Outcome.RATE_LIMITED


def _step(step: Step, width: int) -> Iterator[str]:
    start = f"  {STATES[step.state]:7}  {step.name:{width}}"
    detail = "" if step.state is StepState.NOT_RUN else _line(step.detail)
    took = f"{step.duration_ms:,} ms" if step.duration_ms is not None else ""
    yield "  ".join(word for word in (start, detail, took) if word).rstrip()
    if step.hint:
        yield f"{'':{len(start)}}  {_line(step.hint)}"


def _verdict(report: Report) -> str:
    if report.error is None:
        return f"Passed in {report.response_time_ms:,} ms."
    word = "Limited" if report.outcome is Outcome.RATE_LIMITED else "Failed"
    return f"{word}: {_error(report.error)}"


def _error(error: Failure) -> str:
    code = f" Code {error.code}." if error.code else ""
    return _line(f"{error.title}. {error.message} {error.hint}{code}")


def _all(slug: str) -> list[Found]:
    """Return the integrations of an organization, or of all, by organization and name.

    Raises:
        ValueError: there is no such organization.
    """
    query = select(Organization.id, Organization.slug).order_by(Organization.slug)
    places: Sequence[tuple[uuid.UUID, str]] = [(row.id, row.slug) for row in db.session.execute(query)]
    chosen = [place for place in places if slug in ("", place[1])]
    if slug and not chosen:
        raise ValueError(f"There is no organization {_line(slug)}. There is: {', '.join(each for _, each in places)}.")
    return [Found(name, each) for row_id, name in chosen for each in queries.everything(organization_id=row_id)]


def _named(name: str, known: Sequence[Found]) -> Found:
    """Return the one integration that is meant.

    Raises:
        ValueError: none or several have the name.
    """
    key = " ".join(name.split()).casefold()
    found = [each for each in known if key in (each.integration.name.casefold(), str(each.integration.id))]
    if not found:
        raise ValueError(f"There is no integration named {_line(name)}. `portal integrations list` names them all.")
    if len(found) > 1:
        which = "; ".join(f"{each.integration.id} {each}" for each in found)
        raise ValueError(f"Several are named {_line(name)}. Use --organization, --provider or an id: {which}.")
    return found[0]


def _facts(found: Found) -> dict[str, Any]:
    row = found.integration
    return {
        "organization": found.organization,
        "id": str(row.id),
        "provider": row.provider,
        "type": row.type,
        "name": row.name,
        "enabled": row.enabled,
        "status": row.status,
        "condition": row.condition,
        "sandbox": row.sandbox,
        "last_health_check": row.last_health_check.isoformat() if row.last_health_check else None,
        "last_sync": row.last_sync.isoformat() if row.last_sync else None,
        "error_message": row.error_message,
    }


def _table(found: Sequence[Found]) -> str:
    rows = [COLUMNS, *map(_cells, found)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) if found else "There are no integrations."


def _cells(found: Found) -> tuple[str, ...]:
    row = found.integration
    checked = f"{row.last_health_check:%Y-%m-%d %H:%M} UTC" if row.last_health_check else "never"
    return found.organization, found.provider, _line(row.name), presenting.status_word(row), checked


def _line(text: str) -> str:
    """Return a text of other people as one line that cannot steer the terminal."""
    return " ".join(strip_controls(text).split())


@contextmanager
def _as_operator() -> Iterator[Actor]:
    """Act as the person in the shell; what they can mend ends in one line and exit code 1."""
    try:
        with trail.acting_as(operator()) as actor:
            yield actor
    except ValueError as error:
        raise click.ClickException(str(error)) from None
