"""Who deletes a webhook and who records its deliveries never wait for each other crosswise."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from portal import clock
from portal.database import db, unit_of_work
from portal.webhooks import failing, retention, service
from portal.webhooks.models import Delivery, DeliveryStatus, Webhook
from tests.support.people import Team
from tests.support.webhooks import make_delivery, make_webhook
from tests.webhooks.kit import deliveries


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
@pytest.mark.parametrize("end", ["page", "retention"])
def test_who_ends_what_waits_passes_by_what_is_just_being_recorded(app: Flask, team: Team, end: str) -> None:
    hook = make_webhook(app, team.admin)
    flies, waits = make_delivery(app, team.admin, hook), make_delivery(app, team.admin, hook)

    def delete() -> None:
        with unit_of_work() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            service.delete(webhook=service.get(organization_id=team.organization_id, webhook_id=hook, lock=True))

    def tidy() -> None:
        with unit_of_work() as session:
            session.execute(update(Webhook).where(Webhook.id == hook).values(deleted_at=clock.now()))
        retention.tidy()

    act: dict[str, Callable[[], None]] = {"page": delete, "retention": tidy}
    with app.app_context(), db.engine.connect() as recorder:
        recorder.execute(text("SET LOCAL lock_timeout = '2s'"))
        recorder.execute(update(Delivery).where(Delivery.id == flies).values(error_class="http_500"))
        act[end]()
        # It goes on to the webhook, as it does after each batch.
        recorder.execute(update(Webhook).where(Webhook.id == hook).values(last_failure_at=clock.now()))
        recorder.commit()
    found = {each.id: (each.status, each.due_at is None) for each in deliveries(app)}
    assert found == {flies: (DeliveryStatus.PENDING, False), waits: (DeliveryStatus.FAILED, True)}
    with app.app_context():
        retention.tidy()
    assert {each.status for each in deliveries(app)} == {DeliveryStatus.FAILED}


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_who_changes_or_disables_a_webhook_waits_for_nobody_who_accepts_events(app: Flask, team: Team) -> None:
    hook = make_webhook(app, team.admin)
    refers = select(Webhook.id).with_for_update(read=True, key_share=True)  # what a new delivery takes
    with app.app_context(), db.engine.connect() as accepting:
        assert accepting.execute(refers).scalar() == hook
        with unit_of_work() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            service.rotate(webhook=service.get(organization_id=team.organization_id, webhook_id=hook, lock=True))
            assert failing.disable(hook, "It asked for no more.")
