"""One of everything that the addresses of the API name, for tests that call every endpoint."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Flask

from portal import clock
from portal.alerts.models import Alert
from portal.api.declaring import Operation
from portal.database import new_id, unit_of_work
from portal.health.models import MaintenanceWindow
from portal.webhooks import event_types, replays
from portal.webhooks.errors import ConflictError
from portal.webhooks.replay_queries import Range
from tests.alerts.telling_kit import channel
from tests.support.integrations import load, make_integration
from tests.support.people import Person
from tests.support.webhooks import dead, make_delivery, make_webhook, stored_events, stored_webhook

NOBODY_LISTENS = "http://127.0.0.1:1/hooks"
OWN_TYPE = "invoice.paid"
OWNERS = ("delete_webhook", "delete_integration")
"""Endpoints that take away what others name."""


@dataclass
class Things:
    """An integration, a webhook and an event type; each call that names a delivery gets a dead letter of its own."""

    app: Flask
    owner: Person
    relay: uuid.UUID
    webhook: uuid.UUID

    def address(self, operation: Operation) -> str:
        """Return the address of an endpoint, with ids of what is there."""
        return operation.url.format(**self.ids(operation.path_names))

    def ids(self, names: list[str]) -> dict[str, Any]:
        """Return what stands in an address."""
        found: dict[str, Any] = {"integration_id": self.relay, "webhook_id": self.webhook, "name": OWN_TYPE}
        if {"delivery_id", "event_id"} & {*names}:
            found["delivery_id"] = make_delivery(self.app, self.owner, self.webhook, **dead())
            found["event_id"] = stored_events(self.app)[-1].event_id
        if "alert_id" in names:
            found["alert_id"] = self._alert()
        if "channel_id" in names:
            found["channel_id"] = channel(self.app, self.owner)
        if "run_id" in names:
            found["run_id"] = self._run()
        if "window_id" in names:
            found["window_id"] = self._window()
        return found

    def quiet(self) -> uuid.UUID:
        """Return a webhook that got none of the events."""
        return make_webhook(self.app, self.owner, url=NOBODY_LISTENS, events=["job.closed"])

    def _window(self) -> uuid.UUID:
        """Plan maintenance of the integration, which knows nothing of it yet."""
        start = clock.now() + timedelta(hours=1)
        window = MaintenanceWindow(
            id=new_id(), organization_id=self.owner.organization_id, integration_id=self.relay, starts_at=start,
            ends_at=start + timedelta(hours=1), repeats="once", zone="UTC", created_by="Dana", created_at=clock.now(),
        )  # fmt: skip
        with self.app.app_context(), unit_of_work() as session:
            session.add(window)
        return window.id

    def _alert(self) -> uuid.UUID:
        """Raise an alert, and return its id."""
        now = clock.now()
        words = dict.fromkeys(("message", "impact", "hint", "code", "acknowledged_by", "acknowledge_note"), "x")
        with self.app.app_context(), unit_of_work() as session:
            alert = Alert(
                id=new_id(), organization_id=self.owner.organization_id, rule="dead_letters_growing",
                cause=uuid.uuid4().hex, severity="warning", state="open", title="Dead letters", detail={}, since=now,
                opened_at=now, changed_at=now, resolution="", occurrences=1, **words,
            )  # fmt: skip
            session.add(alert)
            return alert.id

    def _run(self) -> uuid.UUID:
        """Ask for a replay of everything that was sent, and return the run."""
        make_delivery(self.app, self.owner, self.webhook, **dead())
        wanted = Range(since=clock.now() - timedelta(days=1))
        with self.app.app_context():
            return replays.start(
                organization_id=self.owner.organization_id, webhook_id=self.webhook, wanted=wanted, asked_by="Dana"
            ).id

    def renew(self) -> None:
        """Make again what was deleted."""
        if load(self.app, self.relay).deleted_at:
            self.relay = make_integration(self.app, self.owner, f"Relay {uuid.uuid4().hex[:8]}")
        if stored_webhook(self.app, self.webhook).deleted_at:
            self.webhook = make_webhook(self.app, self.owner, url=NOBODY_LISTENS)
        add_type(self.app, self.owner)


def in_order(operations: Iterable[Operation]) -> list[Operation]:
    """Return endpoints, those last that take away what others name."""
    return sorted(operations, key=lambda each: (each.method == "DELETE", each.name in OWNERS))


def make_things(app: Flask, owner: Person, name: str = "Email relay") -> Things:
    """Make one of everything."""
    add_type(app, owner)
    return Things(app, owner, make_integration(app, owner, name), make_webhook(app, owner, name, url=NOBODY_LISTENS))


def add_type(app: Flask, owner: Person) -> None:
    """Add the event type, where it is not there."""
    with app.app_context(), unit_of_work():
        try:
            event_types.create(organization_id=owner.organization_id, draft=event_types.Draft(name=OWN_TYPE))
        except ConflictError:
            return
