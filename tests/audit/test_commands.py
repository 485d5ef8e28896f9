"""`portal audit …` and `portal keys …`: what they print, and how they end."""

import json
import stat
import uuid
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from click.testing import Result
from flask import Flask
from sqlalchemy import select, text

from portal import keyring
from portal.audit import trail, triggers
from portal.audit.commands import audit_group
from portal.audit.key_commands import keys_group
from portal.audit.models import INSTALLATION, AuditEntry
from portal.database import reading, unit_of_work

# What the queries do is tested on both databases in the other files.
pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
ORGANIZATION = uuid.UUID(int=11)
START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
NEW = f"k2:{b64encode(b'y' * 32).decode()}"


def audit(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(audit_group, words)


def keys(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(keys_group, words)


@pytest.fixture
def written(app: Flask) -> Flask:
    """Three entries of an organization, an hour apart, and one of the installation."""
    with app.app_context(), time_machine.travel(START, tick=False) as clock:
        for number in range(3):
            with unit_of_work():
                trail.record(
                    action="integration.changed", organization_id=ORGANIZATION, target_type="integration",
                    target_name=f"Rélay {number}", after={"port": number},
                )  # fmt: skip
            clock.shift(timedelta(hours=1))
        with unit_of_work():
            trail.record(action="key.rotated", organization_id=None, target_type="key")
    return app


def tamper(app: Flask) -> None:
    with app.app_context(), unit_of_work() as session:
        for statement in triggers.DROP[session.get_bind().dialect.name]:
            session.execute(text(statement))
        session.execute(text("UPDATE audit_entries SET target_name = 'forged' WHERE seq = 2"))


def with_keys(app: Flask, master_keys: str) -> None:
    keyring.init_app(app, master_keys)


def masters(app: Flask) -> str:
    held = app.extensions[keyring.EXTENSION].masters
    return ",".join(f"{name}:{b64encode(held._keys[name]).decode()}" for name in held.ids)


def test_verify_counts_the_entries_of_every_chain(written: Flask) -> None:
    result = audit(written, "verify")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "Installation: 1 entry verified.",
        f"Organization {ORGANIZATION}: 3 entries verified.",
    ]


def test_verify_of_an_empty_portal_is_no_failure(app: Flask) -> None:
    assert audit(app, "verify").exit_code == 0


def test_verify_names_the_first_bad_entry_in_one_line_and_fails(written: Flask) -> None:
    tamper(written)
    result = audit(written, "verify")
    assert result.exit_code == 1
    assert f"Organization {ORGANIZATION}" in result.stderr
    assert "First bad entry: 2." in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "Installation: 1 entry verified." in result.stdout


def test_without_the_right_key_verify_says_so_in_one_line(written: Flask) -> None:
    with_keys(written, NEW)
    result = audit(written, "verify")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: PORTAL_MASTER_KEYS lacks the key k1")
    assert len(result.stderr.splitlines()) == 1


def test_export_writes_json_lines_that_hold_every_column(written: Flask) -> None:
    result = audit(written, "export")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["target_name"] for line in lines] == ["", "Rélay 0", "Rélay 1", "Rélay 2"]
    assert [line["organization_id"] for line in lines] == [None, *[str(ORGANIZATION)] * 3]
    assert lines[0]["chain"] == str(INSTALLATION)
    assert lines[1]["at"] == "2026-11-21T10:00:00+00:00"
    assert lines[1]["after"] == {"port": 0}
    assert set(lines[1]) == {column.name for column in AuditEntry.__table__.columns} | {"organization_id"}
    with written.app_context(), reading() as session:
        macs = {mac.hex() for mac in session.scalars(select(AuditEntry.mac))}
    assert {line["mac"] for line in lines} == macs


def test_export_takes_a_span_of_time_with_its_start_and_without_its_end(written: Flask) -> None:
    result = audit(written, "export", "--since", "2026-11-21T22:00:00+11:00", "--until", "2026-11-21T12:00")
    assert [json.loads(line)["target_name"] for line in result.stdout.splitlines()] == ["Rélay 1"]
    assert audit(written, "export", "--until", "2026-11-21").stdout == ""


def test_export_into_a_file_is_for_its_owner_only_and_overwrites_nothing(written: Flask, tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    result = audit(written, "export", "--output", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    assert len(file.read_text(encoding="utf-8").splitlines()) == 4
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = audit(written, "export", "--output", str(file))
    assert again.exit_code == 1
    assert again.stderr == f"Error: {file} cannot be written: File exists.\n"


def test_wrong_usage_ends_with_2(written: Flask) -> None:
    for wrong in (["--since", "yesterday"], ["--until", ""], ["--what"]):
        assert audit(written, "export", *wrong).exit_code == 2


def test_more_entries_than_a_batch_are_exported_once_each(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.audit.search.BATCH", 4)
    with app.app_context(), unit_of_work():
        for number in range(10):
            trail.record(action="a.b", organization_id=ORGANIZATION, target_type="t", target_name=str(number))
    names = [json.loads(line)["target_name"] for line in audit(app, "export").stdout.splitlines()]
    assert names == [str(number) for number in range(10)]


def test_generate_prints_a_new_key_each_time_that_the_setting_takes(app: Flask) -> None:
    lines = {keys(app, "generate").stdout for _ in range(3)}
    assert len(lines) == 3
    for line in lines:
        with_keys(app, line.strip())
    assert keys(app, "generate", "--id", "k9").stdout.startswith("k9:")
    refused = keys(app, "generate", "--id", "no id")
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (1, 1)


def test_status_counts_and_shows_no_material(app: Flask) -> None:
    result = keys(app, "status")
    assert result.exit_code == 0, result.output
    assert "Master key k1: wraps new data keys, 4 data keys under it." in result.stdout
    assert "Purpose audit: 1 data key." in result.stdout
    assert masters(app).partition(":")[2].rstrip("=") not in result.output


def test_status_says_which_key_is_missing(app: Flask) -> None:
    with_keys(app, NEW)
    result = keys(app, "status")
    assert result.exit_code == 1
    assert "PORTAL_MASTER_KEYS lacks k1" in result.stderr
    assert "Master key k2: wraps new data keys, 0 data keys under it." in result.stdout


def test_rotate_moves_the_data_keys_and_goes_into_the_trail(written: Flask) -> None:
    old = masters(written)
    with_keys(written, f"{NEW},{old}")
    result = keys(written, "rotate")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "4 data keys moved under k2."
    with_keys(written, NEW)
    assert audit(written, "verify").exit_code == 0
    with written.app_context(), reading() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.chain == INSTALLATION, AuditEntry.seq == 2)).one()
    assert (entry.action, entry.actor_kind) == ("key.rotated", "command")
    assert (entry.before, entry.after) == ({"wrapped_by": {"k1": 4}}, {"wrapped_by": {"k2": 4}})


def test_rotate_with_nothing_to_do_changes_and_records_nothing(app: Flask) -> None:
    result = keys(app, "rotate")
    assert result.exit_code == 0
    assert "Nothing was changed." in result.stdout
    assert audit(app, "export").stdout == ""


def test_rotate_without_the_old_key_changes_nothing(app: Flask) -> None:
    old = masters(app)
    with_keys(app, NEW)
    result = keys(app, "rotate")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: PORTAL_MASTER_KEYS lacks the key k1")
    with_keys(app, old)
    assert keys(app, "status").exit_code == 0


def test_every_command_explains_itself(app: Flask) -> None:
    runner = app.test_cli_runner()
    for group, names in ((audit_group, ("verify", "export")), (keys_group, ("generate", "status", "rotate"))):
        for words in ([], *[[name] for name in names]):
            result = runner.invoke(group, [*words, "--help"])
            assert result.exit_code == 0
            assert result.stdout.startswith("Usage:")
