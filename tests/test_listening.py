"""Work that another process commits wakes those here who wait for it."""

import threading

import pytest
from flask import Flask

from portal import listening
from portal.database import on_wake, unit_of_work, wake_after_commit
from portal.listening import Listener


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_commit_of_another_process_is_heard(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PROCESS", "somebody else's")  # so that our own commits sound like another's
    begun, heard = threading.Event(), threading.Event()
    calls: list[str] = []

    def hear() -> None:
        calls.append(threading.current_thread().name)
        (heard if begun.is_set() else begun).set()

    off, listener = on_wake("crops", hear), Listener(app)
    listener.start()
    try:
        assert begun.wait(10), "once it listens, it looks for what came before"
        with app.app_context(), unit_of_work():
            wake_after_commit("crops")
            wake_after_commit("crops")
        while "listener" not in calls[1:]:
            assert heard.wait(10)
            heard.clear()
        assert sorted(calls[1:]) == ["MainThread", "listener"], "each once"
    finally:
        off()
        listener.stop()
    assert not listener._thread.is_alive()


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_sqlite_needs_no_listener(app: Flask) -> None:
    listener = Listener(app)
    listener.start()
    assert listener._thread.ident is None
    listener.stop()
