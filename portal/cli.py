"""The portal command: serve, work, migrate, demo, sandbox, and the commands of the rooms."""

import logging
from dataclasses import replace
from functools import wraps
from typing import Any

import click
from flask import Flask

from portal import create_app, keyring, logs, migrating, serving, with_base_url
from portal.accounts.commands import user_group
from portal.audit.commands import audit_group
from portal.audit.key_commands import keys_group
from portal.keyring import KeyringError
from portal.security.errors import SecurityError
from portal.settings import Settings, SettingsError, load

EXPECTED = (SettingsError, KeyringError, SecurityError)


class Portal(click.Group):
    """The command group: what an operator can mend ends in one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; say an expected failure in one line."""
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            raise click.ClickException(str(error)) from error


def _settings() -> Settings:
    settings = load()
    logs.set_up(settings.log_format)
    return settings


def _ready_app() -> Flask:
    """Return an application whose database is up to date and whose keys are loaded."""
    app = create_app(_settings())
    serving.prepare(app)
    return app


def within_app(command: click.Command) -> click.Command:
    """Run a room's command inside an application context, the database ready and the keys loaded."""
    inner = command.callback
    if inner is None:
        raise TypeError(f"{command.name} has no callback")

    @wraps(inner)
    def run(*args: Any, **kwargs: Any) -> Any:
        logging.getLogger().setLevel(logging.WARNING)
        with _ready_app().app_context():
            return inner(*args, **kwargs)

    command.callback = run
    return command


def _bind(group: click.Group) -> click.Group:
    for command in group.commands.values():
        within_app(command)
    return group


@click.group(cls=Portal, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Integrations Portal: connect third-party services, see that they are healthy, mend them."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--threads", default=12, show_default=True, type=click.IntRange(2, 128), help="Requests at the same time."
)
@click.option("--no-scheduler", is_flag=True, help="Serve pages only; checks and deliveries run elsewhere.")
def serve(host: str, port: int, threads: int, no_scheduler: bool) -> None:
    """Serve the portal, with scheduler unless switched off; migrates first."""
    settings = with_base_url(_settings(), host, port)
    if no_scheduler:
        settings = replace(settings, scheduler=False)
    serving.serve(create_app(settings), host=host, port=port, threads=threads)


@main.command()
def worker() -> None:
    """Run scheduler and delivery without web; as many as wanted on PostgreSQL."""
    serving.work(create_app(_settings()))


@main.command()
def migrate() -> None:
    """Bring the database up to date; a SQLite file is copied first."""
    app = create_app(_settings())
    changed = migrating.upgrade(app)
    with app.app_context():
        keyring.load(app)
    click.echo("The database is up to date now." if changed else "The database was up to date already.")


main.add_command(_bind(user_group), "user")
main.add_command(_bind(audit_group), "audit")
main.add_command(_bind(keys_group), "keys")
