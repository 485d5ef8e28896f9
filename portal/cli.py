"""The portal command: serve, work, migrate, demo, sandbox, and the commands of the rooms."""

import logging
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import wraps
from ipaddress import ip_network
from typing import Any

import click
from flask import Flask
from pyotp import TOTP

from portal import create_app, keyring, logs, migrating, serving, with_base_url
from portal import demo as demo_data
from portal.accounts.commands import token_group, user_group
from portal.audit.commands import audit_group
from portal.audit.key_commands import keys_group
from portal.health.commands import integrations_group
from portal.keyring import KeyringError
from portal.sandbox import SMTP_PORT as SANDBOX_SMTP_PORT
from portal.sandbox import WEB_PORT as SANDBOX_PORT
from portal.sandbox import Sandbox, SandboxError
from portal.sandbox import serve as serve_sandbox
from portal.security.errors import SecurityError
from portal.settings import Settings, SettingsError, load
from portal.webhooks.commands import emit_command

LOOPBACK = ip_network("127.0.0.1/32")
"""Where the sandbox receives webhooks, over plain http."""
STANDALONE = ("generate",)
"""Commands that need no database."""
EXPECTED = (SettingsError, KeyringError, SecurityError, SandboxError)


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
        if command.name not in STANDALONE:
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


@main.command()
@click.option("--reset", is_flag=True, help="Replace the demo organization that is there.")
@click.option("--serve", "serve_it", is_flag=True, help="Serve it afterwards, with the sandbox beside it.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def demo(reset: bool, serve_it: bool, port: int) -> None:
    """Fill the database with the demo organization, its integrations and webhooks wired to the sandbox."""
    settings = with_base_url(_settings(), "127.0.0.1", port)
    settings = replace(settings, allowed_networks=(*settings.allowed_networks, LOOPBACK))
    with ExitStack() as stack:
        if serve_it and not settings.sandbox_url:
            # On any free port: another demo, or a sandbox that somebody else started, may be running.
            sandbox = stack.enter_context(Sandbox().start(port=0, smtp_port=0))
            settings = replace(settings, sandbox_url=sandbox.url)
        app = create_app(replace(settings, sandbox_url=settings.sandbox_url or f"http://127.0.0.1:{SANDBOX_PORT}"))
        _say_logins(_fill_demo(app, reset=reset))
        if serve_it:
            click.echo(f"What the sandbox received: {settings.sandbox_url} and {settings.sandbox_url}/webhooks")
            serving.serve(app, host="127.0.0.1", port=port, threads=12)


def _fill_demo(app: Flask, *, reset: bool) -> list[demo_data.Login]:
    with serving.lock_embedded(app) or nullcontext():
        serving.prepare(app)
        with app.app_context():
            logins = demo_data.fill(reset=reset)
            if not demo_data.connect_receiver():
                click.echo("The sandbox does not run yet. Start it with `portal sandbox`, then run this again.")
            return logins


def _say_logins(logins: list[demo_data.Login]) -> None:
    if not logins:
        click.echo("The demo organization is there already. Start it anew with --reset.")
    for login in logins:
        click.echo(f"{login.person.role:6} {login.person.email}  password: {demo_data.PASSWORD}")
        if login.secret:
            click.echo(f"       key for your authenticator app: {login.secret}, code now: {TOTP(login.secret).now()}")


@main.command()
@click.option("--port", default=SANDBOX_PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option("--smtp-port", default=SANDBOX_SMTP_PORT, show_default=True, type=click.IntRange(1, 65535))
def sandbox(port: int, smtp_port: int) -> None:
    """Serve the provider sandbox alone, on this machine's loopback address."""
    logs.set_up("text")
    serve_sandbox(port, smtp_port)


main.add_command(_bind(user_group), "user")
main.add_command(_bind(token_group), "token")
main.add_command(_bind(integrations_group), "integrations")
main.add_command(within_app(emit_command), "emit")
main.add_command(_bind(audit_group), "audit")
main.add_command(_bind(keys_group), "keys")
