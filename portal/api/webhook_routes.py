"""/api/admin: webhooks, their secrets and tests, and the organization's retry policy."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from portal.api import lists, webhook_presenting, written_webhooks
from portal.api import schema as s
from portal.api import webhook_components as shapes
from portal.api.declaring import Answer, Body, admin
from portal.api.presenting import Json
from portal.database import reading, unit_of_work
from portal.web.access import identity, require_recent
from portal.webhooks import queries, service, testing
from portal.webhooks.models import Webhook

TAG: Final = "Webhooks"
WEBHOOK: Final = s.ref("Webhook")
SECRET: Final = s.ref("WebhookSecret")
POLICY: Final = s.ref("RetryPolicy")
EXAMPLE: Final = {"name": "Payroll", "url": "https://payroll.example.org/hooks", "events": ["job.created"]}


@admin.endpoint(
    "GET",
    "/webhooks",
    tag=TAG,
    query=s.paging(),
    answers={200: Answer(about="The newest first.", schema=s.page_of(WEBHOOK))},
)
def list_webhooks(*, query: Mapping[str, Any]) -> Json:
    """List the webhooks."""
    rows = service.listed(organization_id=identity().organization_id)
    with lists.good_cursor():
        found = lists.cut(rows, query, key=lambda each: str(each.id))
    return lists.page(found, webhook_presenting.webhook)


@admin.endpoint(
    "POST",
    "/webhooks",
    tag=TAG,
    body=Body(schema=lambda: shapes.NEW_WEBHOOK, example=EXAMPLE),
    answers={201: Answer(about="It is stored; secret is there in full this once.", schema=WEBHOOK)},
)
def create_webhook(*, body: Mapping[str, Any]) -> tuple[Json, int]:
    """Create a webhook."""
    who, draft = identity(), written_webhooks.new(body)
    with unit_of_work():
        row, secret = service.create(organization_id=who.organization_id, user_id=who.user_id, draft=draft)
        return webhook_presenting.webhook(row, secret), 201


@admin.endpoint(
    "GET",
    "/webhooks/<uuid:webhook_id>",
    tag=TAG,
    answers={200: Answer(about="The webhook.", schema=WEBHOOK)},
)
def get_webhook(webhook_id: uuid.UUID) -> Json:
    """Show a webhook, its secrets masked."""
    return webhook_presenting.webhook(_get(webhook_id))


@admin.endpoint(
    "PATCH",
    "/webhooks/<uuid:webhook_id>",
    tag=TAG,
    body=Body(
        schema=lambda: shapes.WEBHOOK_CHANGES,
        example={"status": "disabled"},
    ),
    answers={200: Answer(about="The webhook as it is now.", schema=WEBHOOK)},
)
def change_webhook(webhook_id: uuid.UUID, *, body: Mapping[str, Any]) -> Json:
    """Change a webhook.

    What is named changes, and nothing else. Of custom_headers those that are named change: empty keeps what is stored,
    null removes. A session that replaces them, or sends them to another address, needs a confirmation of the last ten
    minutes.
    """
    with unit_of_work():
        row = _get(webhook_id, lock=True)
        draft = written_webhooks.changed(row, body)
        if row.headers_sealed and (draft.custom_headers is not None or draft.url != row.url):
            require_recent(identity())
        return webhook_presenting.webhook(service.update(webhook=row, draft=draft))


@admin.endpoint(
    "DELETE",
    "/webhooks/<uuid:webhook_id>",
    tag=TAG,
    answers={204: Answer(about="It is gone: secrets wiped, history kept, nothing more sent.")},
)
def delete_webhook(webhook_id: uuid.UUID) -> tuple[None, int]:
    """Delete a webhook."""
    with unit_of_work():
        service.delete(webhook=_get(webhook_id, lock=True))
    return None, 204


@admin.endpoint(
    "POST",
    "/webhooks/<uuid:webhook_id>/secret/reveal",
    tag=TAG,
    answers={200: Answer(about="The signing secret.", schema=SECRET)},
    recent=True,
)
def reveal_webhook_secret(webhook_id: uuid.UUID) -> dict[str, str]:
    """Show a webhook's signing secret in full.

    For sessions with a confirmation of the last ten minutes; tokens may not. The audit trail keeps who saw it.
    """
    with unit_of_work():
        return {"secret": service.reveal(webhook=_get(webhook_id))}


@admin.endpoint(
    "POST",
    "/webhooks/<uuid:webhook_id>/secret/rotate",
    tag=TAG,
    answers={200: Answer(about="The new secret; the one before signs too for 24 hours.", schema=SECRET)},
)
def rotate_webhook_secret(webhook_id: uuid.UUID) -> dict[str, str]:
    """Give a webhook a new signing secret.

    A session needs a confirmation of the last ten minutes.
    """
    require_recent(identity())
    with unit_of_work():
        return {"secret": service.rotate(webhook=_get(webhook_id, lock=True))}


@admin.endpoint(
    "POST",
    "/webhooks/<uuid:webhook_id>/test",
    tag=TAG,
    body=Body(
        schema=lambda: shapes.TEST,
        example={"event_type": "job.created", "data": {"id": "job_2041"}},
    ),
    answers={200: Answer(about="The delivery with its attempt.", schema=s.ref("DeliveryWithAttempts"))},
    problems=(409, 429),
)
def test_webhook(webhook_id: uuid.UUID, *, body: Mapping[str, Any]) -> Json:
    """Send a test event to one webhook, and wait for what comes back.

    Whatever that is changes nothing about the webhook: a test that is answered 410 does not disable it.
    """
    organization_id, event_type = identity().organization_id, body["event_type"]
    with reading():
        _get(webhook_id)
        data = written_webhooks.test_data(organization_id, body)
    delivery_id = testing.send_test(
        organization_id=organization_id, webhook_id=webhook_id, event_type=event_type, data=data
    )
    with reading():
        found = queries.get_delivery(organization_id=organization_id, delivery_id=delivery_id)
        return webhook_presenting.with_attempts(found)


@admin.endpoint("GET", "/retry-config", tag=TAG, answers={200: Answer(about="The policy.", schema=POLICY)})
def get_retry_config() -> Json:
    """Show the retry policy of the organization."""
    return service.retry_policy(identity().organization_id).as_dict()


@admin.endpoint(
    "PUT",
    "/retry-config",
    tag=TAG,
    body=Body(
        schema=lambda: shapes.RETRY,
        example={"max_retries": 10, "fixed_delay_seconds": 60, "max_delay_seconds": 86400},
    ),
    answers={200: Answer(about="The policy as it is now.", schema=POLICY)},
)
def put_retry_config(*, body: Mapping[str, Any]) -> Json:
    """Set the retry policy of the organization.

    What is left out has its default. Webhooks with a policy of their own keep it.
    """
    policy = written_webhooks.policy(body)
    with unit_of_work():
        service.set_retry_policy(organization_id=identity().organization_id, policy=policy)
    return policy.as_dict()


def _get(webhook_id: uuid.UUID, *, lock: bool = False) -> Webhook:
    return service.get(organization_id=identity().organization_id, webhook_id=webhook_id, lock=lock)
