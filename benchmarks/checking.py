"""A portal's process that checks health as `portal worker` does; the one thing made up is the mail server's answer."""

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import func, insert, select

from portal import clock, create_app, keyring, logs, serving
from portal.accounts.models import Organization
from portal.database import new_id, reading, unit_of_work
from portal.health.models import HealthLog
from portal.integrations.credentials import PURPOSE
from portal.integrations.models import Integration, IntegrationSecret
from portal.jobs import Scheduler
from portal.providers.base import Context, Outcome, Report, Step, StepState
from portal.providers.smtp.provider import Smtp
from portal.security.encryption import Context as Place
from portal.settings import load

STEPS = ("DNS", "TCP", "TLS", "Login", "NOOP")
LOOK = 0.02
HOST = "mail.bench.example"


class MailServer:
    """Answers each check after a while, and keeps when each integration was asked."""

    def __init__(self, seconds: float) -> None:
        """Prepare it."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self.asked: dict[str, float] = {}

    def probe(self, values: Mapping[str, Any], _context: Context) -> Report:
        """Stand in for the driver."""
        with self._lock:
            self.asked.setdefault(values["username"], time.time())
        if self._seconds:
            time.sleep(self._seconds)
        steps = tuple(Step(name=name, state=StepState.PASSED, duration_ms=1) for name in STEPS)
        return Report(steps=steps, outcome=Outcome.OK, response_time_ms=round(self._seconds * 1000))


def main() -> None:
    """Check until all were, or until a line comes on standard input; then print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--make", type=int, default=0, help="make so many integrations first")
    parser.add_argument("--over", type=float, default=0.0, help="seconds over which they come due")
    parser.add_argument("--answer", type=float, default=0.0, help="seconds that the mail server takes")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit())
    settings = load()
    logs.set_up(settings.log_format)
    app = create_app(settings)
    serving.prepare(app)
    server = MailServer(asked.answer)
    setattr(Smtp, "probe", lambda _self, values, context: server.probe(values, context))  # noqa: B010 - made up
    if asked.make:
        _make(app, asked.make, asked.over)
    due = _due(app)
    scheduler = Scheduler(app)
    began = time.time()
    scheduler.start()
    print("checking", flush=True)
    told = threading.Event()
    threading.Thread(target=_hear, args=(told,), daemon=True).start()
    stored = _wait(app, len(due), told)
    ended = time.time()
    scheduler.stop()
    asked_at = {name: at for name, at in server.asked.items() if name in due}
    late = [max(0.0, at - max(due[name], began)) for name, at in asked_at.items()]
    first = min(asked_at.values(), default=began)
    figures = {"late": late, "seconds": ended - first, "first": first - began, "stored": stored, "left": len(due)}
    print(json.dumps(figures), flush=True)


def _hear(told: threading.Event) -> None:
    """Wait for a line on standard input, or for its end."""
    sys.stdin.readline()
    told.set()


def _make(app: Flask, count: int, over: float) -> None:
    with app.app_context(), unit_of_work() as session:
        place = session.scalars(select(Organization.id)).one()
        now = clock.now()
        start = now + timedelta(seconds=2) if over else now - timedelta(hours=1)
        rows, secrets = [], []
        for number in range(count):
            row_id = new_id()
            config = {"preset": "custom", "host": HOST, "port": 587, "security": "starttls", "username": str(number)}
            rows.append({
                "id": row_id, "organization_id": place, "provider": "smtp", "type": "email", "capabilities": ["email"],
                "name": f"Relay {number}", "name_key": f"relay {number}", "config": config, "status": "active",
                "enabled": True, "sandbox": False, "error_count": 0, "next_check_kind": "scheduled",
                "health_check_interval_minutes": 5 if not over else 1, "check_group": f"smtp:{HOST}",
                "next_check_at": start + timedelta(seconds=over * number / count), "created_at": now, "updated_at": now,
            })  # fmt: skip
            sealed = keyring.seal("measured", Place(PURPOSE, place, "integration_secrets", row_id, "password"))
            secrets.append({
                "id": new_id(), "integration_id": row_id, "field": "password", "sealed": sealed, "masked": "••••",
                "stored_at": now, "stored_by": "Bench",
            })  # fmt: skip
        session.execute(insert(Integration), rows)
        session.execute(insert(IntegrationSecret), secrets)


def _due(app: Flask) -> dict[str, float]:
    """Return when each integration that was never checked is due, by its user name."""
    with app.app_context(), reading() as session:
        query = select(Integration.config, Integration.next_check_at).where(Integration.last_health_check.is_(None))
        return {config["username"]: at.timestamp() for config, at in session.execute(query) if at}


def _wait(app: Flask, count: int, told: threading.Event) -> int:
    """Wait until so many checks were stored, or somebody says that it is enough."""
    with app.app_context(), reading() as session:
        before = session.scalar(select(func.count()).select_from(HealthLog)) or 0
    while True:
        with app.app_context(), reading() as session:
            found = (session.scalar(select(func.count()).select_from(HealthLog)) or 0) - before
        if found >= count or told.wait(LOOK):
            return found


if __name__ == "__main__":
    main()
