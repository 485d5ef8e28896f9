"""Serving: database made ready, one process per SQLite file, web server and scheduler, a stop that loses nothing."""

import fcntl
import gc
import logging
import os
import signal
import threading
from contextlib import nullcontext
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import IO

import waitress
from flask import Flask
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer
from waitress.wasyncore import close_all, dispatcher, loop

from portal import keyring, migrating
from portal.accounts import setup
from portal.database import db
from portal.jobs import Scheduler
from portal.settings import Settings, SettingsError

log = logging.getLogger("portal.serving")
DRAIN = 20.0
"""Seconds that requests and checks under way have to finish after a stop was asked for."""
YOUNG = 10_000
"""New objects after which the youngest are searched for garbage."""
GLANCE = 0.5
"""Seconds after which the server looks whether it should stop, when nobody asks for anything."""


def prepare(app: Flask) -> None:
    """Bring the database up to date and load the keys: what every process does before it works.

    Raises:
        KeyringError: a master key is missing or wrong.
    """
    migrating.upgrade(app)
    with app.app_context():
        keyring.load(app)


def keep_loaded() -> None:
    """Take what is loaded out of every later search for garbage, and search less often: for processes that stay.

    The search looks at every object again, and nearly all of them are code that lives as long as the process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)


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
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    Raises:
        SettingsError, KeyringError: as lock_embedded and prepare.
    """
    settings: Settings = app.extensions["portal_settings"]
    sockets: dict[int, dispatcher] = {}
    with lock_embedded(app) or nullcontext():
        prepare(app)
        keep_loaded()
        server = _listen(app, sockets, host=host, port=port, threads=threads)
        stopping = _stop_on_signal()
        scheduler = Scheduler(app) if settings.scheduler else None
        if scheduler:
            scheduler.start()
        base_url = settings.base_url or f"http://{host}:{port}"
        print_setup_link(app, base_url)
        # The last line of the start: who waits for it finds all the others printed.
        print(f"Integrations Portal serves on {base_url}", flush=True)  # noqa: T201 - what the operator waits for
        while not stopping.is_set():
            loop(timeout=GLANCE, use_poll=True, map=sockets, count=1)
        until = monotonic() + DRAIN
        _drain(sockets, until)
        if scheduler:
            scheduler.stop(max(1.0, until - monotonic()))
        server.task_dispatcher.shutdown(timeout=1)
        close_all(sockets)
        _close_database(app)


def _listen(app: Flask, sockets: dict[int, dispatcher], *, host: str, port: int, threads: int) -> BaseWSGIServer:
    try:
        return waitress.create_server(
            app, map=sockets, host=host, port=port, threads=threads, ident=None, channel_timeout=60,
            clear_untrusted_proxy_headers=False,
        )  # fmt: skip
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"Port {port} on {host} cannot be used: {why}. Choose another with --port.") from None


def work(app: Flask) -> None:
    """Run scheduler and delivery without web until SIGTERM or SIGINT.

    Raises:
        SettingsError, KeyringError: as lock_embedded and prepare.
    """
    with lock_embedded(app) or nullcontext():
        prepare(app)
        keep_loaded()
        stopping = _stop_on_signal()
        scheduler = Scheduler(app)
        scheduler.start()
        print("Integrations Portal works without web.", flush=True)  # noqa: T201 - what the operator waits for
        stopping.wait()
        scheduler.stop(DRAIN)
        _close_database(app)


def _close_database(app: Flask) -> None:
    """Close the connections: the last one folds SQLite's log into its file."""
    with app.app_context():
        db.engine.dispose()


def print_setup_link(app: Flask, base_url: str) -> None:
    """Print the one-time link for the first run, where nobody owns the portal yet."""
    with app.app_context():
        code = setup.issue_code()
    if code:
        print(f"Create the owner: {base_url}/setup?code={code}", flush=True)  # noqa: T201 - for the operator


def _stop_on_signal() -> threading.Event:
    """Return what is set at the first signal; a second one ends the process at once."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping


def _drain(sockets: dict[int, dispatcher], until: float) -> None:
    """Close the door and every idle connection, and let requests under way finish and their answers be sent.

    Args:
        sockets: of the server, by file descriptor.
        until: the moment of the monotonic clock at which the rest is given up.
    """
    for each in list(sockets.values()):
        if isinstance(each, BaseWSGIServer):
            dispatcher.close(each)  # not its own close(), which also closes what its threads still need
    while _close_idle(sockets) and monotonic() < until:
        loop(timeout=GLANCE, use_poll=True, map=sockets, count=1)


def _close_idle(sockets: dict[int, dispatcher]) -> bool:
    """Close the connections on which nothing is under way; returns whether there are others."""
    connections = [each for each in sockets.values() if isinstance(each, HTTPChannel)]
    busy = [each for each in connections if each.requests or each.request is not None or each.total_outbufs_len]
    for each in connections:
        if each not in busy:
            each.handle_close()
    return bool(busy)
