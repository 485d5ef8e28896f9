"""Settings: what is unknown or bad stops the start in one line, and keys are made only where nothing can be lost."""

import ipaddress
import os
import stat
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import pytest

from portal import create_app, with_base_url
from portal.keyring import KeyringError
from portal.settings import KEY_FILE, PARSERS, Settings, SettingsError, ensure_keys, load
from tests.conftest import MASTER_KEYS, make_app, settings_for


def given(variables: Mapping[str, str] | None = None, dotenv: Path | None = None) -> Settings:
    return load(variables or {}, dotenv=dotenv)


def refusal(variables: Mapping[str, str], dotenv: Path | None = None) -> str:
    """Return what the operator reads, which must be one line."""
    with pytest.raises(SettingsError) as caught:
        given(variables, dotenv)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def test_the_defaults_are_those_of_the_contract() -> None:
    found = given()
    assert found.instance_dir == Path("instance")
    assert found.database_url == f"sqlite:///{Path.cwd() / 'instance' / 'portal.db'}"
    assert (found.secret_key, found.master_keys, found.base_url, found.sandbox_url) == ("", "", "", "")
    assert found.allowed_networks == ()
    assert found.scheduler is True
    assert (found.delivery_concurrency, found.log_format, found.trusted_proxies) == (128, "text", 0)


def test_every_field_has_a_parser_and_a_meaning() -> None:
    assert {each.name for each in fields(Settings)} == set(PARSERS)


@pytest.mark.parametrize(
    ("name", "value", "field", "parsed"),
    [
        ("INSTANCE_DIR", "/srv/portal", "instance_dir", Path("/srv/portal")),
        ("DATABASE_URL", "postgresql://u:p@db/portal", "database_url", "postgresql+psycopg://u:p@db/portal"),
        ("DATABASE_URL", "postgres://db/portal", "database_url", "postgresql+psycopg://db/portal"),
        ("DATABASE_URL", "postgresql+psycopg://db/portal", "database_url", "postgresql+psycopg://db/portal"),
        ("DATABASE_URL", "sqlite:////srv/x.db", "database_url", "sqlite:////srv/x.db"),
        ("BASE_URL", "https://portal.example.org/", "base_url", "https://portal.example.org"),
        ("BASE_URL", "http://[::1]:8000", "base_url", "http://[::1]:8000"),
        ("ALLOWED_NETWORKS", "10.0.0.0/8, fd00::/8", "allowed_networks",
         (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))),
        ("ALLOWED_NETWORKS", "127.0.0.1", "allowed_networks", (ipaddress.ip_network("127.0.0.1/32"),)),
        ("SANDBOX_URL", "http://127.0.0.1:8025", "sandbox_url", "http://127.0.0.1:8025"),
        ("SCHEDULER", "OFF", "scheduler", False),
        ("SCHEDULER", "1", "scheduler", True),
        ("DELIVERY_CONCURRENCY", "4096", "delivery_concurrency", 4096),
        ("LOG_FORMAT", "json", "log_format", "json"),
        ("TRUSTED_PROXIES", " 2 ", "trusted_proxies", 2),
        ("SECRET_KEY", "s", "secret_key", "s"),
    ],
)  # fmt: skip
def test_a_good_value_is_taken(name: str, value: str, field: str, parsed: object) -> None:
    assert getattr(given({f"PORTAL_{name}": value}), field) == parsed


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_an_empty_value_means_the_default(name: str) -> None:
    assert given({f"PORTAL_{name.upper()}": "  "}) == given()


@pytest.mark.parametrize("value", ["x", "", " "])
@pytest.mark.parametrize(
    "name", ["PORTAL_", "PORTAL_SCHEDULAR", "PORTAL_DATABASE_URL_FILE", "PORTAL_secret_key", "PORTAL_BASE_URL_FILE"]
)
def test_an_unknown_name_is_refused(name: str, value: str) -> None:
    assert name in refusal({name: value})


def test_other_peoples_variables_are_none_of_our_business() -> None:
    assert given({"PORTALS_X": "1", "MY_PORTAL_X": "2", "PATH": "/bin"}) == given()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://db/portal"),
        ("DATABASE_URL", "portal.db"),
        ("DATABASE_URL", "postgresql:/db"),
        ("BASE_URL", "portal.example.org"),
        ("BASE_URL", "ftp://portal.example.org"),
        ("BASE_URL", "https://"),
        ("BASE_URL", "https://x/?a=b"),
        ("BASE_URL", "https://x/#top"),
        ("BASE_URL", "http://[::1"),
        ("BASE_URL", "http://x:99999"),
        ("BASE_URL", "http://x:port"),
        ("SANDBOX_URL", "127.0.0.1:8025"),
        ("ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("ALLOWED_NETWORKS", "everything"),
        ("ALLOWED_NETWORKS", "10.0.0.0/8,\nnonsense"),
        ("SCHEDULER", "maybe"),
        ("DELIVERY_CONCURRENCY", "0"),
        ("DELIVERY_CONCURRENCY", "4097"),
        ("DELIVERY_CONCURRENCY", "1e3"),
        ("DELIVERY_CONCURRENCY", "9" * 5000),
        ("LOG_FORMAT", "xml"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "11"),
    ],
)
def test_a_bad_value_is_refused_and_its_setting_named(name: str, value: str) -> None:
    said = refusal({f"PORTAL_{name}": value})
    assert said.startswith(f"PORTAL_{name} has a bad value: ")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text('# comment\nPORTAL_LOG_FORMAT=json\nexport PORTAL_TRUSTED_PROXIES="1"\nOTHER=1\n')
    found = given({"PORTAL_TRUSTED_PROXIES": "3"}, file)
    assert (found.log_format, found.trusted_proxies) == ("json", 3)
    assert given({}, tmp_path / "missing") == given()


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORTAL_COLOUR=blue\n")
    assert "PORTAL_COLOUR" in refusal({}, file)


def test_keys_can_come_from_files(tmp_path: Path) -> None:
    for name in ("secret_key", "master_keys"):
        (tmp_path / name).write_text(f"  value of {name}\n")
    found = given({f"PORTAL_{name.upper()}_FILE": str(tmp_path / name) for name in ("secret_key", "master_keys")})
    assert (found.secret_key, found.master_keys) == ("value of secret_key", "value of master_keys")


@pytest.mark.parametrize("content", [None, b"", b"  \n", b"\xff\xfe\x00"])
def test_a_key_file_without_a_key_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """An empty one would else be taken for no key at all, and a new one be made."""
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    assert "PORTAL_SECRET_KEY_FILE" in refusal({"PORTAL_SECRET_KEY_FILE": str(tmp_path / "key")})


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    assert "PORTAL_MASTER_KEYS_FILE" in refusal({"PORTAL_MASTER_KEYS_FILE": str(tmp_path)})


def empty(folder: Path) -> Settings:
    """Settings without keys, on the embedded database."""
    return replace(settings_for(folder), secret_key="", master_keys="")


def test_keys_are_made_once_for_an_empty_embedded_database_and_kept_to_the_owner(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    made = ensure_keys(empty(folder), database_is_empty=True)
    file = folder / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(made.secret_key) >= 43
    assert made.master_keys.startswith("k1:")
    assert [each.name for each in folder.iterdir()] == [KEY_FILE]
    again = ensure_keys(empty(folder), database_is_empty=False)
    assert (again.secret_key, again.master_keys) == (made.secret_key, made.master_keys)
    other = ensure_keys(empty(tmp_path / "other"), database_is_empty=True)
    assert other.secret_key != made.secret_key
    assert other.master_keys != made.master_keys


def test_made_keys_are_kept_to_the_owner_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ensure_keys(empty(tmp_path / "instance"), database_is_empty=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "instance" / KEY_FILE).stat().st_mode) == 0o600


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    made = ensure_keys(replace(empty(tmp_path), master_keys=MASTER_KEYS), database_is_empty=True)
    assert made.master_keys == MASTER_KEYS
    assert made.secret_key


def test_processes_that_make_keys_at_the_same_time_have_the_same(tmp_path: Path) -> None:
    ready = threading.Barrier(8)

    def start(_number: int) -> tuple[str, str]:
        ready.wait(timeout=10)
        made = ensure_keys(empty(tmp_path / "instance"), database_is_empty=True)
        return made.secret_key, made.master_keys

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1
    assert [each.name for each in (tmp_path / "instance").iterdir()] == [KEY_FILE]


def test_without_keys_a_database_with_data_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PORTAL_SECRET_KEY and PORTAL_MASTER_KEYS must be set"):
        ensure_keys(empty(tmp_path), database_is_empty=False)
    with pytest.raises(SettingsError, match=r"^PORTAL_MASTER_KEYS must be set"):
        ensure_keys(replace(empty(tmp_path), secret_key="s"), database_is_empty=False)
    assert list(tmp_path.iterdir()) == []


def test_without_keys_postgresql_is_never_started_on(tmp_path: Path) -> None:
    settings = replace(empty(tmp_path), database_url="postgresql+psycopg://db/portal")
    with pytest.raises(SettingsError, match="must be set"):
        ensure_keys(settings, database_is_empty=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused_with_the_mend(tmp_path: Path, mode: int) -> None:
    ensure_keys(empty(tmp_path), database_is_empty=True)
    file = tmp_path / KEY_FILE
    before = file.read_bytes()
    file.chmod(mode)
    with pytest.raises(SettingsError, match=f"chmod 600 {file}"):
        ensure_keys(empty(tmp_path), database_is_empty=True)
    assert file.read_bytes() == before


def test_a_database_with_tables_counts_as_one_with_data(tmp_path: Path, sqlite_template: Path) -> None:
    (tmp_path / "portal.db").write_bytes(sqlite_template.read_bytes())
    with pytest.raises(SettingsError, match="must be set"):
        create_app(empty(tmp_path))
    assert not (tmp_path / KEY_FILE).exists()


@pytest.mark.parametrize("keys", ["nonsense", "k1:", "k1:AAAA", "k1:" + "!" * 44])
def test_malformed_master_keys_stop_the_start_without_being_shown(tmp_path: Path, keys: str) -> None:
    with pytest.raises(KeyringError) as caught:
        make_app(replace(settings_for(tmp_path), master_keys=keys))
    assert "\n" not in str(caught.value)
    assert keys.partition(":")[2] == "" or keys.partition(":")[2] not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "base"),
    [
        ("127.0.0.1", 8000, "http://127.0.0.1:8000"),
        ("::1", 9, "http://[::1]:9"),
        ("0.0.0.0", 8000, ""),
        ("::", 8000, ""),
    ],
)
def test_links_use_the_address_being_served_where_none_is_set(tmp_path: Path, host: str, port: int, base: str) -> None:
    settings = replace(settings_for(tmp_path), base_url="")
    assert with_base_url(settings, host, port).base_url == base
    chosen = replace(settings, base_url="https://portal.example.org")
    assert with_base_url(chosen, host, port) == chosen
