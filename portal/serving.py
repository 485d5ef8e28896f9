"""Serving: database made ready, one process per SQLite file, web server and scheduler, a stop that loses nothing."""

import fcntl
import logging
import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import IO

import waitress
from flask import Flask
from waitress.server import BaseWSGIServer, MultiSocketServer

from portal import keyring, migrating
from portal.accounts import setup
from portal.jobs import Scheduler
from portal.settings import Settings, SettingsError

log = logging.getLogger("portal.serving")
DRAIN = 20.0
"""Seconds that requests and checks under way have to finish after a stop was asked for."""


def prepare(app: Flask) -> None:
    """Bring the database up to date and load the keys: what every process does before it works.

    Raises:
        SettingsError: another process serves the same SQLite file.
        KeyringError: a master key is missing or wrong.
    """
    migrating.upgrade(app)
    with app.app_context():
        keyring.load(app)


def lock_embedded(app: Flask) -> IO[str] | None:
    """Hold the SQLite file for this process: two schedulers on one file would only slow each other down.

    Raises:
        SettingsError: another process holds it.
    """
    settings: Settings = app.extensions["portal_settings"]
    if settings.sqlite_file is None:
        return None
    path = Path(f"{settings.sqlite_file}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SettingsError(
            f"Another portal process serves {settings.sqlite_file}. Stop it first, or use PostgreSQL."
        ) from None
    return file


def serve(app: Flask, *, host: str, port: int, threads: int) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way."""
    held = lock_embedded(app)
    prepare(app)
    settings: Settings = app.extensions["portal_settings"]
    server = waitress.create_server(
        app, host=host, port=port, threads=threads, ident=None, channel_timeout=60, clear_untrusted_proxy_headers=False
    )
    scheduler = Scheduler(app) if settings.scheduler else None
    _stop_on_signal()
    if scheduler:
        scheduler.start()
    print(f"Integrations Portal serves on {settings.base_url or f'http://{host}:{port}'}", flush=True)  # noqa: T201
    _print_setup_link(app, settings.base_url or f"http://{host}:{port}")
    try:
        server.run()
    finally:
        _finish(server, scheduler)
        if held:
            held.close()


def work(app: Flask) -> None:
    """Run scheduler and delivery without web until SIGTERM or SIGINT."""
    held = lock_embedded(app)
    prepare(app)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    scheduler = Scheduler(app)
    scheduler.start()
    print("Integrations Portal works without web.", flush=True)  # noqa: T201 - what the operator waits for
    stop.wait()
    scheduler.stop(DRAIN)
    if held:
        held.close()


def _print_setup_link(app: Flask, base_url: str) -> None:
    with app.app_context():
        code = setup.issue_code()
    if code:
        print(f"Create the owner: {base_url}/setup?code={code}", flush=True)  # noqa: T201 - for the operator


def _stop_on_signal() -> None:
    """Leave the server's loop at the first signal; a second one ends the process at once."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(1))
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _finish(server: BaseWSGIServer | MultiSocketServer, scheduler: Scheduler | None) -> None:
    """Close the door, let requests under way finish, then stop the scheduler."""
    server.close()
    server.task_dispatcher.shutdown(cancel_pending=False, timeout=DRAIN)
    if scheduler:
        scheduler.stop(DRAIN)
