"""Set-up: a step is done once, and again when what it is made from changes."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("portal_setup", ROOT / ".ci" / "setup.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "STAMPS", tmp_path)
    return module


def test_a_step_is_done_once_until_its_source_changes_or_its_result_goes(setup: ModuleType, tmp_path: Path) -> None:
    source, result = tmp_path / "source", tmp_path / "result"
    done: list[str] = []

    def step() -> None:
        setup.once("step", setup.digest([source]), [result], "Doing it", lambda: done.append(source.read_text()))
        result.touch()

    source.write_text("one")
    step()
    step()
    assert done == ["one"]
    source.write_text("two")
    step()
    assert done == ["one", "two"]
    result.unlink()
    step()
    assert done == ["one", "two", "two"]


def test_a_step_that_fails_leaves_no_stamp(
    setup: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        setup.run("do it", "sh", "-c", "echo reason; exit 3", quiet=True)

    with pytest.raises(setup.SetupError, match=r"could not do it \(exit code 3\)"):
        setup.once("step", "key", [], "Doing it", fail)
    assert not (tmp_path / "step").exists()
    assert "reason" in capfd.readouterr().err
