"""Event types of an organization: those that the portal brings, and its own with sample and JSON Schema."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from portal import clock
from portal.audit import trail
from portal.database import db, new_id
from portal.prepared import Prepared
from portal.security.redaction import strip_controls
from portal.webhooks import schemas
from portal.webhooks.errors import ConflictError, InvalidError, NotFoundError
from portal.webhooks.event_catalogue import BY_NAME, KNOWN
from portal.webhooks.models import EventType, Webhook

NAME: Final = re.compile(r"[a-z0-9_]{1,40}(\.[a-z0-9_]{1,40}){1,3}")
LONGEST_NAME: Final = 100
LONGEST_GROUP: Final = 60
LONGEST_DESCRIPTION: Final = 300
LARGEST: Final = 64 * 1024
"""Bytes of a sample, and of a schema."""
MOST: Final = 500
"""Event types of its own that an organization may have."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What an event type of an organization's own shall be.

    Attributes:
        name: words with dots between, such as `invoice.paid`.
        group: under which heading it is listed; the first part of the name where it is empty.
        description: what happened when such an event is sent.
        sample: data as an event carries it.
        schema: a JSON Schema that the data must follow; None lets anything through.
    """

    name: str
    group: str = ""
    description: str = ""
    sample: Any = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One event type as lists show it; `own` are those that the organization added."""

    name: str
    group: str
    description: str
    sample: Any
    schema: Mapping[str, Any] | None
    own: bool


def listed(*, organization_id: uuid.UUID) -> list[Listed]:
    """Return all event types of an organization: the portal's by group, then its own by group and name."""
    brought = [
        Listed(
            name=each.name, group=each.group, description=each.description, sample=dict(each.sample), schema=None,
            own=False,
        )
        for each in KNOWN
    ]  # fmt: skip
    query = select(EventType).where(EventType.organization_id == organization_id)
    return brought + [shown(each) for each in db.session.scalars(query.order_by(EventType.group, EventType.name))]


class Named(NamedTuple):
    """One event type by its name, as filters and forms offer it."""

    name: str
    group: str
    own: bool


def named(*, organization_id: uuid.UUID) -> list[Named]:
    """Return all event types of an organization in the order of listed(), without their samples and schemas."""
    return [*_BROUGHT, *_OWN.all(lambda name, group: Named(name, group, own=True), of=organization_id)]


_BROUGHT: Final = [Named(each.name, each.group, own=False) for each in KNOWN]
_OWN: Final = Prepared(
    select(EventType.name, EventType.group)
    .where(EventType.organization_id == bindparam("of", type_=EventType.organization_id.type))
    .order_by(EventType.group, EventType.name)
)


def shown(row: EventType) -> Listed:
    """Return an event type of an organization's own as lists show it."""
    return Listed(
        name=row.name, group=row.group, description=row.description, sample=row.sample, schema=row.schema, own=True
    )


def get(*, organization_id: uuid.UUID, name: str, lock: bool = False) -> EventType:
    """Return an event type of an organization's own.

    Raises:
        NotFoundError: there is none of this name.
        ConflictError: it is one that the portal brings, which stays as it is.
    """
    if name in BY_NAME:
        raise ConflictError(f"The portal brings {name} itself, so it stays as it is. Add an event type of your own.")
    query = select(EventType).where(EventType.organization_id == organization_id, EventType.name == name)
    found = db.session.scalar(query.with_for_update() if lock else query) if NAME.fullmatch(name) else None
    if found is None:
        raise NotFoundError
    return found


def create(*, organization_id: uuid.UUID, draft: Draft) -> EventType:
    """Add an event type.

    Raises:
        InvalidError: values are wrong.
        ConflictError: there is one of this name.
    """
    draft = _checked(draft)
    names = set(db.session.scalars(select(EventType.name).where(EventType.organization_id == organization_id)))
    if draft.name in names or draft.name in BY_NAME:
        raise _taken(draft.name)
    if len(names) >= MOST:
        raise InvalidError({"name": f"There are {MOST} event types, the most there can be. Delete one first."})
    row = EventType(id=new_id(), organization_id=organization_id, created_at=clock.now(), **asdict(draft))
    db.session.add(row)
    try:
        db.session.flush()
    except IntegrityError:  # somebody else added it between our look and this
        raise _taken(draft.name) from None
    _audit("event_type.created", row, after=_facts(row))
    return row


def change(*, row: EventType, draft: Draft) -> EventType:
    """Store a draft over an event type; its name stays, since events and webhooks carry it.

    Raises:
        InvalidError: values are wrong.
    """
    draft = _checked(draft)
    if draft.name != row.name:
        raise InvalidError({"name": "The name stays: events and webhooks carry it. Add another event type instead."})
    before = _facts(row)
    row.group, row.description, row.sample = draft.group, draft.description, draft.sample
    row.schema = dict(draft.schema) if draft.schema is not None else None
    after = _facts(row)
    names = [name for name in after if before[name] != after[name]]
    if names:
        _audit("event_type.changed", row, before={n: before[n] for n in names}, after={n: after[n] for n in names})
    db.session.flush()
    return row


def draft_of(row: EventType, **changes: Any) -> Draft:
    """Return an event type as a draft, with changes."""
    names = ("name", "group", "description", "sample", "schema")
    return Draft(**{name: getattr(row, name) for name in names} | changes)


def delete(*, row: EventType) -> None:
    """Delete an event type; events of it that were accepted stay.

    Raises:
        ConflictError: a webhook names it.
    """
    query = select(Webhook.name, Webhook.events).where(
        Webhook.organization_id == row.organization_id, Webhook.deleted_at.is_(None)
    )
    users = sorted(name for name, events in db.session.execute(query) if row.name in events)
    if users:
        raise ConflictError(f"{_some(users)} still gets {row.name}. Take it out there first.")
    db.session.delete(row)
    _audit("event_type.deleted", row, before=_facts(row))
    db.session.flush()


def known(*, organization_id: uuid.UUID, names: set[str]) -> dict[str, Mapping[str, Any] | None]:
    """Return those of the names that are event types of the organization, each with the schema of its data."""
    found: dict[str, Mapping[str, Any] | None] = dict.fromkeys(names & BY_NAME.keys())
    rest = {name for name in names - BY_NAME.keys() if len(name) <= LONGEST_NAME and NAME.fullmatch(name)}
    if rest:
        own = (EventType.organization_id == organization_id, EventType.name.in_(rest))
        rows = db.session.execute(select(EventType.name, EventType.schema).where(*own))
        found |= {row.name: row.schema for row in rows}
    return found


def _taken(name: str) -> ConflictError:
    return ConflictError(f"There is already an event type {name}. Choose another name.")


def _checked(draft: Draft) -> Draft:
    errors: dict[str, str] = {}
    name, about = draft.name.strip(), strip_controls(draft.description).strip()
    group = strip_controls(draft.group).strip() or name.partition(".")[0].upper()
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        errors["name"] = "Use small letters, digits and _, with a dot between two to four words, such as invoice.paid."
    if len(group) > LONGEST_GROUP:
        errors["group"] = f"Shorten the group to {LONGEST_GROUP} characters."
    if len(about) > LONGEST_DESCRIPTION:
        errors["description"] = f"Shorten the description to {LONGEST_DESCRIPTION} characters."
    if problem := _size_problem(draft.sample):
        errors["sample"] = problem
    if draft.schema is not None and (problem := _size_problem(draft.schema) or schemas.problem(draft.schema)):
        errors["schema"] = problem
    elif draft.schema and "sample" not in errors and (found := schemas.Checker(draft.schema).misfit(draft.sample)):
        errors["sample"] = found[1]
    if errors:
        raise InvalidError(errors)
    return Draft(name=name, group=group, description=about, sample=draft.sample, schema=draft.schema)


def _size_problem(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if len(text.encode()) > LARGEST:
        return f"Shorten this to {LARGEST // 1024} KiB."
    # PostgreSQL keeps JSON as text that it reads, and knows no NUL.
    return "This must not contain the character NUL." if "\\u0000" in text else ""


def _some(names: list[str]) -> str:
    more = len(names) - 1
    return f"The webhook {names[0]}" if not more else f"The webhook {names[0]} (and {more} more)"


def _facts(row: EventType) -> dict[str, Any]:
    names = ("group", "description", "sample", "schema")
    return {name: getattr(row, name) for name in names}


def _audit(
    action: str, row: EventType, *, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None
) -> None:
    trail.record(
        action=action, organization_id=row.organization_id, target_type="event_type", target_id=row.id,
        target_name=row.name, before=before, after=after,
    )  # fmt: skip
