"""Every setting of the portal: typed, with its default and meaning; the only reader of the environment."""

import fcntl
import ipaddress
import os
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values

PREFIX = "PORTAL_"
KEY_FILE = "portal.keys"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A setting is unknown, malformed or missing; the message is one line that names it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decides. One field per PORTAL_ variable, in its lower-case name."""

    instance_dir: Path = Path("instance")
    """Everything the embedded default keeps: database, keys, backups."""
    database_url: str = ""
    """SQLAlchemy address; empty means the SQLite file portal.db in the instance directory."""
    secret_key: str = ""
    """Signs cookies."""
    master_keys: str = ""
    """`id:base64` list; the first one encrypts, all decrypt."""
    base_url: str = ""
    """Address people use, for links; empty means the host and port being served."""
    allowed_networks: tuple[Network, ...] = ()
    """Private networks that integrations and webhooks may reach, as CIDRs."""
    sandbox_url: str = ""
    """Where the provider sandbox runs; empty means that no integration may be marked sandbox."""
    scheduler: bool = True
    """Whether this process runs checks and deliveries."""
    delivery_concurrency: int = 128
    """Webhook requests in flight at most."""
    log_format: str = "text"
    """`text` or `json`."""
    trusted_proxies: int = 0
    """How many X-Forwarded-* hops are believed."""

    @property
    def is_sqlite(self) -> bool:
        """Whether the embedded database is used."""
        return self.database_url.startswith("sqlite")

    @property
    def sqlite_file(self) -> Path | None:
        """The database file, where there is one."""
        path = self.database_url.removeprefix("sqlite:///")
        return Path(path) if self.is_sqlite and path not in ("", ":memory:") else None

    @property
    def https(self) -> bool:
        """Whether people reach the portal over https, so that cookies are Secure and carry the __Host- prefix."""
        return self.base_url.startswith("https://")


def _text(value: str) -> str:
    return value


def _switch(value: str) -> bool:
    words = {"on": True, "true": True, "1": True, "yes": True, "off": False, "false": False, "0": False, "no": False}
    if value.lower() not in words:
        raise ValueError("use on or off")
    return words[value.lower()]


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"\d{1,6}", value) or not low <= int(value) <= high:
            raise ValueError(f"use a whole number from {low} to {high}")
        return int(value)

    return parse


def _networks(value: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part) for part in re.split(r"[,\s]+", value) if part)
    except ValueError as error:
        raise ValueError(f"use CIDRs such as 10.0.0.0/8, separated by commas ({error})") from None


def _url(value: str) -> str:
    parts = urlsplit(value)
    _ = parts.port  # raises ValueError where it is none
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("use an address such as https://portal.example.org")
    return value.rstrip("/")


def _log_format(value: str) -> str:
    if value not in ("text", "json"):
        raise ValueError("use text or json")
    return value


def _database_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if separator and scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        return f"postgresql+psycopg://{rest}"
    if separator and scheme == "sqlite":
        return value
    raise ValueError("use postgresql://… or sqlite:///…")


PARSERS: dict[str, Callable[[str], Any]] = {
    "instance_dir": Path,
    "database_url": _database_url,
    "secret_key": _text,
    "master_keys": _text,
    "base_url": _url,
    "allowed_networks": _networks,
    "sandbox_url": _url,
    "scheduler": _switch,
    "delivery_concurrency": _whole(1, 4096),
    "log_format": _log_format,
    "trusted_proxies": _whole(0, 10),
}
FROM_FILE = ("secret_key", "master_keys")


def load(environ: Mapping[str, str] | None = None, *, dotenv: Path | None = Path(".env")) -> Settings:
    """Read the settings from the environment and a `.env` file; the environment wins.

    Args:
        environ: the variables; `os.environ` where none are given.
        dotenv: the file to read too, where it exists.

    Raises:
        SettingsError: a PORTAL_ name is unknown or its value is bad.
    """
    given = dict(os.environ if environ is None else environ)
    from_file = dotenv_values(dotenv) if dotenv and dotenv.is_file() else {}
    merged = {**{name: value or "" for name, value in from_file.items()}, **given}
    values: dict[str, Any] = {}
    for name, value in sorted(merged.items()):
        if name.startswith(PREFIX):
            field, by_file = _field(name)
            if value.strip():
                values[field] = _parse(name, field, value.strip(), by_file=by_file)
    settings = Settings(**values)
    return settings if settings.database_url else replace(settings, database_url=_default_database(settings))


def _field(name: str) -> tuple[str, bool]:
    """Return which field a variable sets, and whether it names a file with the value."""
    field = name.removeprefix(PREFIX)
    by_file = field.removesuffix("_FILE").lower() in FROM_FILE and field.endswith("_FILE")
    field = field.removesuffix("_FILE") if by_file else field
    if field.lower() not in PARSERS or field != field.upper():
        raise SettingsError(f"{name} is not a setting of the portal. Remove it, or correct the name.")
    return field.lower(), by_file


def _parse(name: str, field: str, value: str, *, by_file: bool) -> Any:
    try:
        return PARSERS[field](_read(name, Path(value)) if by_file else value)
    except ValueError as error:
        raise SettingsError(f"{name} has a bad value: {error}.") from None


def _read(name: str, path: Path) -> str:
    """Return what the file holds; an empty one must not pass for a key that is not set, since one would be made."""
    try:
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{name} names a file that cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{name} names a file that is no text.") from None
    if not value:
        raise SettingsError(f"{name} names a file that is empty.")
    return value


def _default_database(settings: Settings) -> str:
    return f"sqlite:///{settings.instance_dir.absolute() / 'portal.db'}"


def ensure_keys(settings: Settings, *, database_is_empty: bool) -> Settings:
    """Complete the secret key and the master keys, from the instance directory or, for an empty SQLite database, new.

    A key is never made when there is data that it could not open.

    Raises:
        SettingsError: a key is missing.
    """
    settings = _with_stored_keys(settings)
    missing = _missing_keys(settings)
    if not missing:
        return settings
    if not (settings.is_sqlite and database_is_empty):
        names = " and ".join(PREFIX + name.upper() for name in missing)
        raise SettingsError(f"{names} must be set: the database already has data, or is not the embedded one.")
    return _make_keys(settings)


def _missing_keys(settings: Settings) -> list[str]:
    return [name for name in FROM_FILE if not getattr(settings, name)]


def _with_stored_keys(settings: Settings) -> Settings:
    stored = _stored_keys(settings.instance_dir / KEY_FILE)
    return replace(
        settings,
        secret_key=settings.secret_key or stored.get("secret_key", ""),
        master_keys=settings.master_keys or stored.get("master_keys", ""),
    )


def _stored_keys(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path} can be read by other users of this machine. Run: chmod 600 {path}")
    return {name: value for name, value in dotenv_values(path).items() if value}


def _make_keys(settings: Settings) -> Settings:
    """Make the missing keys; of processes that start at the same time the first one's keys are everybody's."""
    settings.instance_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = os.open(settings.instance_dir, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        settings = _with_stored_keys(settings)
        return _write_keys(settings) if _missing_keys(settings) else settings
    finally:
        os.close(folder)


def _write_keys(settings: Settings) -> Settings:
    """Write the keys into the instance directory with mode 0600, in one step, so that nobody reads half of them."""
    settings = replace(
        settings,
        secret_key=settings.secret_key or secrets.token_urlsafe(48),
        master_keys=settings.master_keys or f"k1:{b64encode(secrets.token_bytes(32)).decode()}",
    )
    path = settings.instance_dir / KEY_FILE
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"secret_key='{settings.secret_key}'\nmaster_keys='{settings.master_keys}'\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return settings
