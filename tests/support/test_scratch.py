"""Where tests keep their files."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.scratch import use_memory


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)


@pytest.mark.usefixtures("chosen")
def test_memory_is_used_where_it_is_roomy(tmp_path: Path) -> None:
    assert use_memory(tmp_path, room=1)
    assert tempfile.gettempdir() == str(tmp_path)


@pytest.mark.usefixtures("chosen")
def test_not_where_it_is_small_or_missing_or_runs_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not use_memory(tmp_path, room=10**18)
    assert not use_memory(tmp_path / "missing", room=1)
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_flag=os.ST_NOEXEC))
    assert not use_memory(tmp_path, room=1)


def test_a_place_that_the_user_chose_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/chosen")
    assert not use_memory(tmp_path, room=1)
    assert os.environ["TMPDIR"] == "/chosen"
