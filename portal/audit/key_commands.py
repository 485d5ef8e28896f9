"""`portal keys generate`, `status` and `rotate`; here because a rotation goes into the audit trail."""

from dataclasses import asdict

import click
from flask.cli import with_appcontext

from portal import keyring
from portal.audit import trail
from portal.audit.actor import Actor
from portal.audit.commands import load_keys
from portal.database import reading, unit_of_work
from portal.security.errors import SecurityError
from portal.security.masterkeys import MasterKeys


@click.group("keys")
def keys_group() -> None:
    """Make master keys, show which are in use, and rotate them."""


@keys_group.command("generate")
@click.option("--id", "key_id", help="Name of the key; a random one where none is given.")
def generate_command(key_id: str | None) -> None:
    """Print a new entry for PORTAL_MASTER_KEYS. Nothing is stored: put it first, keep the old ones, then rotate."""
    try:
        click.echo(MasterKeys.generate(key_id))
    except SecurityError as error:
        raise click.ClickException(str(error)) from None


@keys_group.command("status")
@with_appcontext
def status_command() -> None:
    """Show which master keys wrap how many data keys; never a key itself."""
    with reading():
        status = keyring.status()
    for name in status.configured:
        role = "wraps new data keys" if name == status.configured[0] else "only opens"
        click.echo(f"Master key {name}: {role}, {_count(status.wrapped_by.get(name, 0))} under it.")
    for purpose, count in status.purposes.items():
        click.echo(f"Purpose {purpose}: {_count(count)}.")
    if status.missing:
        names = ", ".join(status.missing)
        raise click.ClickException(f"PORTAL_MASTER_KEYS lacks {names}, which data keys are under. Put the entry back.")


@keys_group.command("rotate")
@with_appcontext
def rotate_command() -> None:
    """Put every data key under the first master key, in one transaction; works while the portal serves."""
    load_keys()
    try:
        with trail.acting_as(Actor("command", name="Command line")), unit_of_work():
            before = keyring.status()
            done = keyring.rewrap()
            if done.moved:
                _record(before, keyring.status())
    except keyring.KeyringError as error:
        raise click.ClickException(str(error)) from None
    if not done.moved:
        click.echo(f"Every data key is under {done.primary} already. Nothing was changed.")
        return
    click.echo(f"{_count(done.moved)} moved under {done.primary}.")
    unused = ", ".join(name for name in before.wrapped_by if name != done.primary)
    click.echo(f"This database no longer needs {unused}. Backups made before now do.")


def _record(before: keyring.KeyringStatus, after: keyring.KeyringStatus) -> None:
    trail.record(
        action="key.rotated",
        organization_id=None,
        target_type="key",
        target_name=after.configured[0],
        before={"wrapped_by": asdict(before)["wrapped_by"]},
        after={"wrapped_by": asdict(after)["wrapped_by"]},
    )


def _count(number: int) -> str:
    return f"{number} data key{'' if number == 1 else 's'}"
