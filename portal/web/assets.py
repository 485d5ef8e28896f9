"""Front-end files: one style sheet with a hash in its name, and addresses that change with the content."""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

STATIC_DIR = Path(__file__).resolve().parents[2] / "static"
STYLE_SHEETS = ("tokens.css", "reset.css", "base.css", "layout.css", "components/*.css", "utilities.css", "print.css")
"""The style sheets below static/css in the order of their layers; within components the order of their names."""
FILES = {
    "app.js": "js/app.js",
    "htmx.min.js": "vendor/htmx.min.js",
    "icons.svg": "icons.svg",
    "favicon.svg": "favicon.svg",
}
"""Files served as they are: logical name to path below static."""
RECHECK = 1.0
"""Seconds between two looks at the sources in development."""

_STRING = re.compile(r'("[^"\n]*")')
_COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|("[^"\n]*")', re.DOTALL)
_last_check: dict[Path, float] = {}


def build(static_dir: Path = STATIC_DIR) -> Path:
    """Join the style sheets into vendor/portal.<hash>.css, remove older ones, and write vendor/manifest.json.

    Args:
        static_dir: the folder that holds css, js and vendor.

    Returns:
        The joined style sheet.

    Raises:
        OSError: a source cannot be read, or the vendor folder cannot be written.
    """
    css = minify("\n".join(file.read_text(encoding="utf-8") for file in style_sheets(static_dir))).encode()
    vendor = static_dir / "vendor"
    vendor.mkdir(exist_ok=True)
    sheet = vendor / f"portal.{_hash(css)}.css"
    _write(sheet, css)
    names = {name: _versioned(static_dir, path) for name, path in FILES.items()}
    manifest = {"portal.css": f"vendor/{sheet.name}", **names}
    _write(vendor / "manifest.json", json.dumps(manifest, indent=1).encode())
    for old in vendor.glob("portal.*.css"):
        if old != sheet:
            old.unlink(missing_ok=True)
    _manifest.cache_clear()
    return sheet


def asset(name: str, *, static_dir: Path = STATIC_DIR, debug: bool = False) -> str:
    """Return the address of a front-end file, as in "/static/vendor/portal.1f0c9a3b2d4e.css".

    What was never built is built first. In debug it is built again when a source is newer.

    Args:
        name: "portal.css" or one of FILES.
        static_dir: the folder that holds css, js and vendor.
        debug: whether sources may change while the portal runs.

    Raises:
        LookupError: there is no file of that name.
    """
    if debug and _stale(static_dir):
        build(static_dir)
    try:
        return "/static/" + _manifest(static_dir)[name]
    except KeyError:
        raise LookupError(f"no front-end file is called {name!r}") from None


def style_sheets(static_dir: Path = STATIC_DIR) -> Iterator[Path]:
    """Return the style sheets in the order in which they are joined."""
    for pattern in STYLE_SHEETS:
        yield from sorted((static_dir / "css").glob(pattern))


def minify(css: str) -> str:
    """Remove comments and white space that says nothing; what stands in quotes stays as it is."""
    bare = _COMMENT_OR_STRING.sub(lambda found: found[1] or " ", css)
    return "".join(part if part.startswith('"') else _squeeze(part) for part in _STRING.split(bare)).strip() + "\n"


def _squeeze(css: str) -> str:
    css = re.sub(r"\s+", " ", css)
    css = re.sub(r" ?([{};,>]) ?", r"\1", css)
    return css.replace(": ", ":").replace(";}", "}")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _versioned(static_dir: Path, path: str) -> str:
    """Return the path with its hash as query; a file that the set-up has yet to bring goes without."""
    file = static_dir / path
    return f"{path}?v={_hash(file.read_bytes())}" if file.is_file() else path


def _write(file: Path, content: bytes) -> None:
    """Write the file in one step, so that other processes never read half of it."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(file)


@lru_cache
def _manifest(static_dir: Path) -> dict[str, str]:
    file = static_dir / "vendor" / "manifest.json"
    if not file.is_file():
        build(static_dir)
    names: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return names


def _stale(static_dir: Path) -> bool:
    """Return whether a source is newer than the manifest; looks at most once a second."""
    now = time.monotonic()
    if now - _last_check.get(static_dir, -RECHECK) < RECHECK:
        return False
    _last_check[static_dir] = now
    manifest = static_dir / "vendor" / "manifest.json"
    return not manifest.is_file() or _newest(static_dir) > manifest.stat().st_mtime_ns


def _newest(static_dir: Path) -> int:
    """Return when a source last changed, in ns; the folders tell of removed files."""
    css = static_dir / "css"
    sources = [css, css / "components", *style_sheets(static_dir), *(static_dir / path for path in FILES.values())]
    return max(source.stat().st_mtime_ns for source in sources if source.exists())


def main() -> int:
    """Build, say what was built, and fail when a file of the set-up is missing."""
    sheet = build()
    sys.stdout.write(f"{sheet.relative_to(STATIC_DIR.parent)}: {sheet.stat().st_size:,} bytes\n")
    missing = [path for path in FILES.values() if not (STATIC_DIR / path).is_file()]
    for path in missing:
        sys.stderr.write(f"static/{path} is missing. Run the set-up first.\n")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
