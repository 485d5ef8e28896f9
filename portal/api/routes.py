"""/api/admin: integrations, their tests, and what can be connected."""

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from portal.accounts import service as accounts
from portal.api import presenting, written
from portal.api import schema as s
from portal.api.declaring import Answer, Body, admin
from portal.api.schema import Schema
from portal.database import reading, unit_of_work
from portal.integrations import credentials, drafts, queries, service, upsert
from portal.integrations import presenting as words
from portal.integrations.models import Integration
from portal.integrations.upsert import Changes, Wanted
from portal.providers import catalogue
from portal.web.access import identity, require_recent

TAG: Final = "Integrations"
SMTP: Final = {
    "preset": "custom",
    "host": "smtp.example.com",
    "security": "starttls",
    "port": 587,
    "username": "portal",
    "password": "correct horse battery",
    "from_email": "noreply@example.com",
}
INTEGRATION: Final = s.ref("Integration")
TESTED: Final = {200: Answer(about="What the test found, whether it passed or not.", schema=s.ref("TestResult"))}


def _changes_shape(_sent: Mapping[str, Any], integration_id: uuid.UUID) -> Schema:
    with reading():
        return written.changes_shape(catalogue.get(_get(integration_id).provider))


@admin.endpoint(
    "GET",
    "/integrations",
    tag=TAG,
    answers={200: Answer(about="All of them, by name.", schema=s.many(s.ref("IntegrationSummary")))},
)
def list_integrations() -> list[presenting.Json]:
    """List the integrations.

    A plain array, without pages.
    """
    return [presenting.summary(each) for each in queries.everything(organization_id=identity().organization_id)]


@admin.endpoint(
    "POST",
    "/integrations",
    tag=TAG,
    body=Body(
        schema=partial(written.by_provider, "Integration"),
        choose=written.integration_shape,
        example={"provider": "smtp", "credentials": SMTP, "enabled": True},
    ),
    answers={
        201: Answer(about="It is new.", schema=INTEGRATION),
        200: Answer(about="It was overwritten.", schema=INTEGRATION),
    },
    problems=(409,),
)
def put_integration(*, body: Mapping[str, Any]) -> tuple[presenting.Json, int]:
    """Create or overwrite an integration.

    The same provider again overwrites credentials and enabled; secrets that are missing or empty keep what is stored. A
    provider that has several integrations needs the name of one; another name adds one. What is stored is checked at
    once, and used for sending from its first passed check on.
    """
    who, wanted = identity(), _wanted(body)
    with unit_of_work():
        row, is_new = upsert.put(
            organization_id=who.organization_id,
            user_id=who.user_id,
            wanted=wanted,
            confirm=partial(require_recent, who),
        )
        return _shown(row), 201 if is_new else 200


@admin.endpoint(
    "GET",
    "/integrations/<uuid:integration_id>",
    tag=TAG,
    answers={200: Answer(about="The integration.", schema=INTEGRATION)},
)
def get_integration(integration_id: uuid.UUID) -> presenting.Json:
    """Show an integration, its secrets masked."""
    return _shown(_get(integration_id))


@admin.endpoint(
    "PATCH",
    "/integrations/<uuid:integration_id>",
    tag=TAG,
    body=Body(schema=written.changes_of_any, choose=_changes_shape, example={"enabled": False}),
    answers={200: Answer(about="The integration as it is now.", schema=INTEGRATION)},
    problems=(409,),
)
def change_integration(integration_id: uuid.UUID, *, body: Mapping[str, Any]) -> presenting.Json:
    """Change an integration.

    What is named changes, and nothing else. Credentials are merged with what is stored. Switching counts at once.
    """
    changes = Changes(
        enabled=body.get("enabled"),
        name=body.get("name"),
        credentials=body.get("credentials"),
        interval=int(body["health_check_interval_minutes"]) if "health_check_interval_minutes" in body else None,
        limits=body.get("limits", {}),
    )
    with unit_of_work():
        row = _get(integration_id, lock=True)
        upsert.change(integration=row, changes=changes, confirm=partial(require_recent, identity()))
        return _shown(row)


@admin.endpoint(
    "DELETE",
    "/integrations/<uuid:integration_id>",
    tag=TAG,
    answers={204: Answer(about="It is gone: secrets wiped, history kept.")},
)
def delete_integration(integration_id: uuid.UUID) -> tuple[None, int]:
    """Delete an integration."""
    with unit_of_work():
        service.delete(integration=_get(integration_id, lock=True))
    return None, 204


@admin.endpoint(
    "GET",
    "/providers",
    tag=TAG,
    answers={200: Answer(about="Every provider's declaration.", schema=s.page_of(s.ref("Provider")))},
)
def list_providers() -> presenting.Json:
    """List what can be connected, and which fields it takes."""
    return {"items": [each.as_dict() for each in catalogue.all()], "next_cursor": None}


@admin.endpoint(
    "GET",
    "/integrations/stats",
    tag=TAG,
    answers={200: Answer(about="The figures.", schema=s.ref("Stats"))},
)
def integration_stats() -> dict[str, int]:
    """Count the integrations by how they are."""
    return presenting.stats(queries.stats(organization_id=identity().organization_id))


@admin.endpoint(
    "POST",
    "/integrations/test",
    tag=TAG,
    body=Body(
        schema=partial(written.by_provider, "Test"),
        choose=written.test_shape,
        example={"provider": "smtp", "credentials": SMTP},
    ),
    answers=TESTED,
    problems=(429,),
)
def test_values(*, body: Mapping[str, Any]) -> presenting.Json:
    """Test values that are not stored.

    Nothing is kept of them, and nothing is sent to anybody.
    """
    with reading():
        draft = upsert.draft_of(wanted=_wanted(body))
    return drafts.test(draft, organization_id=identity().organization_id).as_dict()


@admin.endpoint("POST", "/integrations/<uuid:integration_id>/test", tag=TAG, answers=TESTED, problems=(409, 429))
def test_integration(integration_id: uuid.UUID) -> presenting.Json:
    """Test what is stored, step by step.

    A test writes no health log and changes no status; a health check does.
    """
    with reading():
        draft = upsert.stored_draft(integration=_get(integration_id))
    return drafts.test(draft, organization_id=identity().organization_id).as_dict()


def _get(integration_id: uuid.UUID, *, lock: bool = False) -> Integration:
    return queries.get(organization_id=identity().organization_id, integration_id=integration_id, lock=lock)


def _wanted(body: Mapping[str, Any]) -> Wanted:
    return Wanted(
        provider=catalogue.get(body["provider"]),
        credentials=body["credentials"],
        enabled=body.get("enabled"),
        name=body.get("name"),
        sandbox=body.get("sandbox"),
    )


def _shown(row: Integration) -> presenting.Json:
    zone = accounts.time_zone_of(identity().organization_id)
    return presenting.integration(row, credentials.stored(row), words.usage_of(row, zone))
