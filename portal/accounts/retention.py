"""How long an organization keeps what piles up: set by its admins, obeyed by the jobs that tidy."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import select

from portal.accounts.models import Organization, OrganizationRetention
from portal.audit import trail
from portal.database import db

MONTH: Final = timedelta(days=365.25 / 12)


@dataclass(frozen=True)
class Retention:
    """How long things are kept.

    Attributes:
        logs_days: each health check.
        rollups_months: the hours and days that health checks are summed up in.
        deliveries_days: deliveries with their attempts, events, messages and resolved alerts.
        bodies_days: bodies and headers of events and answers.
    """

    logs_days: int = 30
    rollups_months: int = 13
    deliveries_days: int = 90
    bodies_days: int = 30

    @property
    def logs(self) -> timedelta:
        """How long health logs are kept."""
        return timedelta(days=self.logs_days)

    @property
    def rollups(self) -> timedelta:
        """How long rollups are kept."""
        return self.rollups_months * MONTH

    @property
    def deliveries(self) -> timedelta:
        """How long deliveries and events are kept."""
        return timedelta(days=self.deliveries_days)

    @property
    def bodies(self) -> timedelta:
        """How long bodies are kept."""
        return timedelta(days=self.bodies_days)


BOUNDS: Final[Mapping[str, tuple[int, int]]] = {
    "logs_days": (1, 365),
    "rollups_months": (4, 60),
    "deliveries_days": (7, 730),
    "bodies_days": (1, 730),
}
"""Least and most of each. Rollups of less than four months could not show 90 days."""


class InvalidError(ValueError):
    """Values that will not do: the name of each with a sentence."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


def of(organization_id: uuid.UUID) -> Retention:
    """Return how long an organization keeps things."""
    return dict(_read(organization_id)).get(organization_id, Retention())


def of_all() -> list[tuple[uuid.UUID, Retention]]:
    """Return how long every organization keeps things, for the jobs that tidy."""
    return _read(None)


def change(*, organization_id: uuid.UUID, values: Mapping[str, int | None]) -> Retention:
    """Set how long an organization keeps things. The caller's unit of work commits.

    Args:
        organization_id: whose.
        values: by the names of Retention; None is a value that is no number.

    Raises:
        InvalidError: a value is missing or out of bounds, or bodies are to outlive their deliveries.
    """
    new = _checked(values)
    place = db.session.get_one(Organization, organization_id, with_for_update={"key_share": True})
    before = of(organization_id)
    if new == before:
        return new
    row = db.session.get(OrganizationRetention, organization_id)
    if row is None:
        db.session.add(OrganizationRetention(organization_id=organization_id, **asdict(new)))
    else:
        for name, value in asdict(new).items():
            setattr(row, name, value)
    changed = [name for name in BOUNDS if getattr(new, name) != getattr(before, name)]
    trail.record(
        action="organization.retention_changed", organization_id=organization_id, target_type="organization",
        target_id=organization_id, target_name=place.name,
        before={name: getattr(before, name) for name in changed}, after={name: getattr(new, name) for name in changed},
    )  # fmt: skip
    db.session.flush()
    return new


def _checked(values: Mapping[str, int | None]) -> Retention:
    found, errors = {}, {}
    for name, (least, most) in BOUNDS.items():
        value = values.get(name)
        if value is None or not least <= value <= most:
            errors[name] = f"Use a whole number from {least} to {most}."
        else:
            found[name] = value
    if "bodies_days" in found and found["bodies_days"] > found.get("deliveries_days", BOUNDS["bodies_days"][1]):
        errors["bodies_days"] = "Bodies go with their deliveries at the latest. Keep them for as long or less."
    if errors:
        raise InvalidError(errors)
    return Retention(**found)


def _read(organization_id: uuid.UUID | None) -> list[tuple[uuid.UUID, Retention]]:
    row = OrganizationRetention
    query = select(Organization.id, row).join_from(Organization, row, isouter=True)
    if organization_id is not None:
        query = query.where(Organization.id == organization_id)
    return [(each, _shown(stored)) for each, stored in db.session.execute(query)]


def _shown(row: OrganizationRetention | None) -> Retention:
    return Retention(**{name: getattr(row, name) for name in BOUNDS}) if row else Retention()
