"""Lock files: everything by hash, nothing by address."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
ADDRESS = re.compile(r"https?://|file:|git\+|--(extra-)?index-url|--find-links|--trusted-host")


def _requirements(lock: Path) -> list[str]:
    joined = lock.read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_python_package_is_pinned_with_hashes_and_no_address(lock: Path) -> None:
    requirements = _requirements(lock)
    assert requirements
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", requirement), requirement
    assert not ADDRESS.search(lock.read_text())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_all_that_is_asked_for(lock: Path) -> None:
    asked = re.findall(r"^[a-zA-Z0-9_-]+", lock.with_suffix(".in").read_text(), flags=re.MULTILINE)
    locked = {re.split(r"==|\[", requirement)[0] for requirement in _requirements(lock)}
    assert {name for name in asked if not name.startswith("-")} <= locked


def test_tests_run_on_what_is_served() -> None:
    served, tested = (set(_requirements(ROOT / "requirements" / f"{name}.lock")) for name in ("runtime", "test"))
    assert served <= tested


def test_benchmarks_compare_on_the_same_versions() -> None:
    runtime, bench = (
        dict(each.split()[0].partition("==")[::2] for each in _requirements(ROOT / "requirements" / f"{name}.lock"))
        for name in ("runtime", "bench")
    )
    shared = runtime.keys() & bench.keys()
    assert "psycopg" in shared
    assert {name: bench[name] for name in shared} == {name: runtime[name] for name in shared}


def test_every_front_end_package_is_pinned_with_a_hash_and_no_address() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages
    for path, package in packages.items():
        assert package["integrity"].startswith("sha512-"), path
        assert "resolved" not in package, path
