"""The one service that seals and opens the secrets of integrations; every opening is recorded."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import delete, select

from portal import clock, keyring
from portal.audit import access, trail
from portal.database import db
from portal.integrations.models import Integration, IntegrationSecret
from portal.security.encryption import Context
from portal.security.errors import SecurityError
from portal.security.masking import mask

PURPOSE = "credentials"


class Owner(Protocol):
    """What is needed of an integration to open its secrets."""

    @property
    def id(self) -> uuid.UUID:
        """Its id."""

    @property
    def organization_id(self) -> uuid.UUID:
        """Whose it is."""

    @property
    def name(self) -> str:
        """Its name at this moment."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Its values that are not secret."""


@dataclass(frozen=True)
class StoredSecret:
    """What may be shown of a stored secret."""

    mask: str
    at: datetime
    by: str


def _context(integration: Owner, field: str) -> Context:
    return Context(PURPOSE, integration.organization_id, IntegrationSecret.__tablename__, integration.id, field)


def stored(integration: Integration) -> dict[str, StoredSecret]:
    """Return, by field name, what may be shown of the secrets that are stored. Opens none."""
    rows = db.session.scalars(select(IntegrationSecret).where(IntegrationSecret.integration_id == integration.id))
    return {row.field: StoredSecret(row.masked, row.stored_at, row.stored_by) for row in rows}


def store(integration: Integration, secrets: Mapping[str, str | None]) -> None:
    """Replace the given secrets and remove those given as None; all others stay as they are."""
    for field, value in secrets.items():
        db.session.execute(
            delete(IntegrationSecret).where(
                IntegrationSecret.integration_id == integration.id, IntegrationSecret.field == field
            )
        )
        if value is not None:
            db.session.add(_sealed(integration, field, value))
    db.session.flush()


def _sealed(integration: Integration, field: str, value: str) -> IntegrationSecret:
    return IntegrationSecret(
        integration_id=integration.id,
        field=field,
        sealed=keyring.seal(value, _context(integration, field)),
        masked=mask(value),
        stored_at=clock.now(),
        stored_by=trail.current_actor().name[:100],
    )


def wipe(integration: Integration) -> None:
    """Remove every secret of an integration, for good."""
    db.session.execute(delete(IntegrationSecret).where(IntegrationSecret.integration_id == integration.id))


def open_all(integration: Owner, *, reason: str) -> dict[str, Any]:
    """Return the complete values of an integration, secrets opened, and record that they were used.

    Args:
        integration: whose.
        reason: what for, as the credential access page shows it, such as "Health check".

    Raises:
        SecurityError: a secret cannot be opened: its key is missing, or the row was tampered with.
    """
    found = open_many([integration], reason=reason)[integration.id]
    if isinstance(found, SecurityError):
        raise found
    return found


def open_many(integrations: Sequence[Owner], *, reason: str) -> dict[uuid.UUID, dict[str, Any] | SecurityError]:
    """Return by id what open_all returns of each integration, or the error that it raises."""
    query = select(IntegrationSecret.integration_id, IntegrationSecret.field, IntegrationSecret.sealed)
    sealed: dict[uuid.UUID, dict[str, bytes]] = {}
    for owner_id, field, value in db.session.execute(
        query.where(IntegrationSecret.integration_id.in_([each.id for each in integrations]))
    ):
        sealed.setdefault(owner_id, {})[field] = value
    found = {each.id: _opened(each, sealed.get(each.id, {})) for each in integrations}
    used = [each for each in integrations if each.id in sealed and not isinstance(found[each.id], SecurityError)]
    access.record_uses([access.Used(each.organization_id, each.id, each.name) for each in used], purpose=reason)
    return found


def _opened(integration: Owner, sealed: Mapping[str, bytes]) -> dict[str, Any] | SecurityError:
    try:
        opened = {field: keyring.open_sealed(value, _context(integration, field)) for field, value in sealed.items()}
    except SecurityError as error:
        return error
    return {**integration.config, **opened}


def refused(integration: Integration, *, reason: str) -> None:
    """Record that somebody wanted to use or replace a secret and was refused."""
    access.record_refusal(
        organization_id=integration.organization_id,
        integration_id=integration.id,
        integration_name=integration.name,
        purpose=reason,
    )
