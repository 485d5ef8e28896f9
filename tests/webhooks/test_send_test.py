"""The debugger's test: sent at once on the way of every delivery, whether the webhook is on or not, never twice."""

from collections.abc import Iterator

import pytest
from flask import Flask

from portal.database import unit_of_work
from portal.webhooks import service
from portal.webhooks.errors import NotFoundError
from portal.webhooks.models import DeliveryStatus
from portal.webhooks.testing import send_test
from tests.support.people import Team, make_team
from tests.webhooks.kit import Receiver, attempts, data_of, deliveries, make_webhook, reply

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as receiver:
        yield receiver


def test_it_is_sent_and_recorded_whatever_the_webhook_wants(app: Flask, team: Team, receiver: Receiver) -> None:
    hook, _ = make_webhook(app, team.organization_id, receiver.url, events=["job.created"], active=False)
    with app.app_context():
        found = send_test(
            organization_id=team.organization_id, webhook_id=hook, event_type="job.closed", data={"id": 7}
        )
    (delivery,) = deliveries(app)
    assert (delivery.id, delivery.status, delivery.due_at) == (found, DeliveryStatus.SUCCESS, None)
    assert data_of(receiver.got[0]) == {"id": 7}
    assert attempts(app)[0].response_status == 200


def test_a_failure_is_not_tried_again(app: Flask, team: Team, receiver: Receiver) -> None:
    receiver.answer = lambda handler: reply(handler, 500)
    hook, _ = make_webhook(app, team.organization_id, receiver.url)
    with app.app_context():
        send_test(organization_id=team.organization_id, webhook_id=hook, event_type="job.closed", data={})
    (delivery,) = deliveries(app)
    assert (delivery.status, delivery.due_at, delivery.error_class) == (DeliveryStatus.FAILED, None, "http_500")


def test_it_is_no_way_around_the_guard(app: Flask, team: Team) -> None:
    hook, _ = make_webhook(app, team.organization_id, "http://169.254.169.254/latest/meta-data")
    with app.app_context():
        send_test(organization_id=team.organization_id, webhook_id=hook, event_type="job.closed", data={})
    assert attempts(app)[0].error_class == "blocked"
    assert attempts(app)[0].response_body == b""


def test_strangers_find_no_webhook(app: Flask, team: Team, receiver: Receiver) -> None:
    hook, _ = make_webhook(app, team.organization_id, receiver.url)
    other = make_team(app, "Elsewhere")
    with app.app_context(), pytest.raises(NotFoundError):
        send_test(organization_id=other.organization_id, webhook_id=hook, event_type="job.closed", data={})
    assert receiver.got == []


def test_a_deleted_webhook_keeps_nothing_secret(app: Flask, team: Team, receiver: Receiver) -> None:
    hook, _ = make_webhook(app, team.organization_id, receiver.url, custom_headers={"X-Key": "k3y"})
    with app.app_context(), unit_of_work():
        webhook = service.get(organization_id=team.organization_id, webhook_id=hook)
        service.delete(webhook=webhook)
        assert (webhook.secret_sealed, webhook.headers_sealed) == (b"", None)
