"""Serving: from an empty folder to a page, one process per file, a stop that loses nothing, clear refusals."""

import re
import signal
import socket
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from flask import Flask
from sqlalchemy import select

from portal import serving
from portal.database import reading
from portal.keyring import KeyringError, StoredDataKey
from portal.settings import KEY_FILE, Settings, SettingsError
from tests.conftest import make_app
from tests.support.people import Team
from tests.support.processes import Process, free_port, portal, running, script

OTHER_KEY = f"k1:{b64encode(b'z' * 32).decode()}"
StartApp = Callable[[Settings], Flask]
SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Variables of a portal that keeps everything in a folder."""
    return {"PORTAL_INSTANCE_DIR": str(folder / "instance"), **more}


def get(url: str) -> tuple[int, str]:
    with urlopen(url, timeout=30) as answer:  # noqa: S310 - our own server
        return answer.status, answer.read().decode()


def one_line(process: Process) -> str:
    """Return the one line on stderr, which is all there may be."""
    assert len(process.complained) == 1, process.complained
    assert "Traceback" not in process.complained[0]
    return process.complained[0]


def test_from_an_empty_folder_to_a_served_page_and_a_clean_end(tmp_path: Path) -> None:
    env, port = environment(tmp_path), free_port()
    instance = tmp_path / "instance"
    with running(portal("serve", "--port", str(port)), env, tmp_path) as server:
        link = re.search(r"http\S+", server.wait_for("Create the owner:"))
        assert link
        assert server.wait_for("serves on").endswith(f"http://127.0.0.1:{port}")
        status, page = get(link[0])
        assert status == 200
        assert "One-time code" in page
        assert "Sign in" in get(f"http://127.0.0.1:{port}/")[1]
        with running(portal("worker"), env, tmp_path) as second:
            assert second.end() == 1
            assert f"Another portal process serves {instance / 'portal.db'}" in one_line(second)
        assert get(f"http://127.0.0.1:{port}/login")[0] == 200, "the first one goes on"
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
    assert not [line for line in server.complained if "Traceback" in line or " error " in line]
    assert sorted(each.name for each in instance.iterdir()) == ["portal.db", "portal.db.lock", KEY_FILE]
    assert all(each.stat().st_mode & 0o077 == 0 for each in instance.iterdir() if each.name != "portal.db.lock")


@SQLITE
def test_a_wrong_master_key_stops_serve_in_one_line_and_harms_nothing(
    settings: Settings, app: Flask, tmp_path: Path
) -> None:
    env = environment(tmp_path, PORTAL_SECRET_KEY="s", PORTAL_MASTER_KEYS=OTHER_KEY)
    env["PORTAL_DATABASE_URL"] = settings.database_url
    before = data_keys(app)
    with running(portal("serve", "--port", str(free_port())), env, tmp_path) as server:
        assert server.end() == 1
        said = one_line(server)
    assert said == (
        "Error: The key k1 in PORTAL_MASTER_KEYS is not the one that this database was encrypted with. "
        "Put its original value back, there or in the key file. Nothing was changed."
    )
    assert server.said == []
    assert data_keys(app) == before
    serving.prepare(app)


def data_keys(app: Flask) -> list[object]:
    """Return every data key as it is stored."""
    query = select(StoredDataKey.id, StoredDataKey.purpose, StoredDataKey.wrapped, StoredDataKey.master_key_id)
    with app.app_context(), reading() as session:
        return [tuple(row) for row in session.execute(query.order_by(StoredDataKey.id))]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (OTHER_KEY, "is not the one"),
        (f"k2:{b64encode(b'z' * 32).decode()}", "lacks the key k1"),
        (f"{OTHER_KEY.replace('k1', 'k2')},{OTHER_KEY}", "is not the one"),
    ],
)
def test_a_key_that_does_not_fit_is_refused_before_anything_is_served(
    app: Flask, settings: Settings, start_app: StartApp, keys: str, words: str
) -> None:
    before = data_keys(app)
    started = start_app(replace(settings, master_keys=keys))
    with pytest.raises(KeyringError, match=words):
        serving.serve(started, host="127.0.0.1", port=free_port(), threads=2)
    assert data_keys(app) == before


@SQLITE
def test_a_missing_key_stops_the_start_and_makes_none(settings: Settings, team: Team) -> None:
    with pytest.raises(SettingsError, match="PORTAL_MASTER_KEYS must be set"):
        make_app(replace(settings, master_keys=""))
    assert not (settings.instance_dir / KEY_FILE).exists()


@SQLITE
def test_one_process_holds_a_file_at_a_time(app: Flask, settings: Settings, start_app: StartApp) -> None:
    held = serving.lock_embedded(app)
    assert held
    with pytest.raises(SettingsError, match="Stop it first, or use PostgreSQL"):
        serving.lock_embedded(start_app(settings))
    held.close()
    again = serving.lock_embedded(app)
    assert again
    again.close()


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_on_postgresql_any_number_of_processes_may_work(app: Flask) -> None:
    assert serving.lock_embedded(app) is None
    assert serving.lock_embedded(app) is None


SLOW = """
import sys
from portal import create_app, logs, serving
from portal.settings import load
from portal.web.access import Who, allow

settings = load()
logs.set_up(settings.log_format)
app = create_app(settings)

def slow():
    print("under way", flush=True)
    sys.stdin.readline()
    return "x" * int(sys.argv[2])

app.add_url_rule("/slow", "slow", allow(Who.ANYONE)(slow))
serving.serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=2)
print("ended", flush=True)
"""
LARGE = 8_000_000
"""More than the kernel keeps for a connection, so that somebody must go on sending it."""


def test_a_stop_lets_the_request_under_way_finish(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        running(script(SLOW, str(port), str(LARGE)), environment(tmp_path), tmp_path) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        server.wait_for("serves on")
        answer: Future[tuple[int, str]] = pool.submit(get, f"{url}/slow")
        server.wait_for("under way")
        server.process.send_signal(signal.SIGTERM)
        wait_until_closed(port)
        server.tell("go on")
        status, body = answer.result(timeout=60)
        assert (status, len(body)) == (200, LARGE)
        server.wait_for("ended")
        assert server.end() == 0


def wait_until_closed(port: int) -> None:
    """Wait until nobody listens any more: the stop has begun."""
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            return
        threading.Event().wait(0.05)
    pytest.fail("it still takes connections")


WSGI = """
import wsgi
assert wsgi.app.test_client().get("/login", headers={"Host": "localhost"}).status_code == 200
print("answered")
"""


def test_other_servers_load_wsgi_app_which_checks_too_and_ends_cleanly(tmp_path: Path) -> None:
    with running(script(WSGI), environment(tmp_path), tmp_path) as process:
        process.wait_for("answered")
        assert process.end() == 0
    assert not [line for line in process.complained if "Traceback" in line]


def test_a_bad_setting_stops_the_start_in_one_line(tmp_path: Path) -> None:
    with running(portal("serve"), environment(tmp_path, PORTAL_COLOUR="blue"), tmp_path) as process:
        assert process.end() == 1
    assert "PORTAL_COLOUR is not a setting of the portal" in one_line(process)
    assert list(tmp_path.iterdir()) == []
