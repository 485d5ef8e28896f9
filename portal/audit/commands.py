"""`portal audit verify` and `portal audit export`."""

import json
import uuid
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import click
from flask import current_app
from flask.cli import with_appcontext

from portal import keyring
from portal.audit import chain, trail
from portal.audit.models import INSTALLATION, AuditEntry
from portal.audit.search import Filters, every_entry
from portal.database import reading


class Moment(click.ParamType[datetime]):
    """A day or a moment in ISO 8601; UTC where it names no time zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment, or end the command with what is wrong."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail("Use a day such as 2026-11-21 or a time such as 2026-11-21T10:00:00+11:00.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group("audit")
def audit_group() -> None:
    """Verify and export the audit trail."""


@audit_group.command("verify")
@with_appcontext
def verify_command() -> None:
    """Recompute every chain; exit 1 naming the first entry that does not fit."""
    load_keys()
    faults = []
    with reading():
        chains = chain.chains()
        for name in chains:
            result = trail.verify(None if name == INSTALLATION else name)
            if result.ok:
                noun = "entry" if result.entries == 1 else "entries"
                click.echo(f"{_title(name)}: {result.entries:,} {noun} verified.")
            else:
                faults.append(f"{_title(name)}: {result.reason} First bad entry: {result.first_bad_seq}.")
    if faults:
        raise click.ClickException(" ".join(faults))
    if not chains:
        click.echo("There are no entries yet.")


@audit_group.command("export")
@click.option("--since", type=Moment(), help="Leave out what was before this day or moment.")
@click.option("--until", type=Moment(), help="Leave out what was from this day or moment on.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A new file, not standard output.")
@with_appcontext
def export_command(since: datetime | None, until: datetime | None, output: Path | None) -> None:
    """Write the trail as JSON lines, chain by chain, oldest first."""
    with reading(), _opened(output) as file:
        for name in chain.chains():
            for entry in every_entry(name, Filters(since=since, until=until)):
                file.write(json.dumps(_line(entry), ensure_ascii=False) + "\n")


def _opened(output: Path | None) -> AbstractContextManager[IO[str]]:
    """Open a new file that only its owner can read; an export never overwrites another one."""
    if output is None:
        return click.open_file("-", "w", encoding="utf-8")
    try:
        output.touch(mode=0o600, exist_ok=False)
        return output.open("w", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from None


def _line(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry with every column, the mac in hexadecimal, to be compared with the database."""
    row = {column.name: getattr(entry, column.name) for column in AuditEntry.__table__.columns}
    organization = None if entry.chain == INSTALLATION else str(entry.chain)
    row.update(at=entry.at.isoformat(), mac=entry.mac.hex(), organization_id=organization)
    return {name: str(value) if isinstance(value, uuid.UUID) else value for name, value in row.items()}


def _title(name: uuid.UUID) -> str:
    return "Installation" if name == INSTALLATION else f"Organization {name}"


def load_keys() -> None:
    """Load the key ring, or end the command with what is wrong with the keys."""
    try:
        keyring.load(current_app)
    except keyring.KeyringError as error:
        raise click.ClickException(str(error)) from None
