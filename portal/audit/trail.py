"""The audit trail: record what changes, in the transaction that changes it."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from portal import clock
from portal.audit import chain
from portal.audit.actor import SYSTEM, Actor, acting_as, current_actor, origin, set_actor
from portal.audit.plain import clean, plain_mapping
from portal.audit.verification import Verification, verify
from portal.database import db, new_id

__all__ = ["SYSTEM", "Actor", "Verification", "acting_as", "current_actor", "record", "set_actor", "verify"]

_QUEUE: Final = "audit"
"""Where a session keeps the entries that its commit will write."""

Queued = tuple[uuid.UUID, dict[str, Any], tuple[SessionTransaction, ...]]
"""Chain, values, and the savepoints that the entry depends on."""


def record(
    *,
    action: str,
    organization_id: uuid.UUID | None,
    target_type: str,
    target_id: uuid.UUID | str | None = None,
    target_name: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    actor: Actor | None = None,
) -> None:
    """Record a change; the entry is written by the commit of the unit of work and forgotten by its rollback.

    Args:
        action: what happened, as `group.what_happened`, for example `integration.created`.
        organization_id: whose trail; None is the installation's own.
        target_type: what kind of thing changed.
        target_id: its id.
        target_name: its name as people know it, at this moment.
        before: the fields that changed, as they were; never a secret.
        after: the same fields as they are now; never a secret.
        actor: who did it, where that is not who acts in this request or job.
    """
    values = {
        "id": new_id(),
        "at": clock.now(),
        **_who(actor or current_actor()),
        "action": clean(action, 100),
        "target_type": clean(target_type, 64),
        "target_id": clean("" if target_id is None else str(target_id), 200),
        "target_name": clean(target_name, 200),
        "before": plain_mapping(before),
        "after": plain_mapping(after),
    }
    session = db.session()
    session.info.setdefault(_QUEUE, []).append((chain.chain_of(organization_id), values, _savepoints(session)))


def _who(actor: Actor) -> dict[str, Any]:
    request = origin()
    return {
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_name": clean(actor.name, 200),
        "ip": clean(actor.ip or request.ip, 64),
        "request_id": clean(request.request_id, 64),
    }


def _savepoints(session: Session) -> tuple[SessionTransaction, ...]:
    found, current = [], session.get_nested_transaction()
    while current is not None:
        if current.nested:
            found.append(current)
        current = current.parent
    return tuple(found)


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    """Write what was recorded, last of all: the lock on a chain's head is held for no longer than the commit itself."""
    if session.in_nested_transaction() or not session.info.get(_QUEUE):
        return
    session.flush()
    queue: list[Queued] = session.info.pop(_QUEUE)
    by_chain: dict[uuid.UUID, list[dict[str, Any]]] = {}
    for name, values, _ in queue:
        by_chain.setdefault(name, []).append(values)
    for name in sorted(by_chain):  # always in the same order, so that two transactions cannot wait for each other
        chain.append(session, name, by_chain[name])


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, ended: SessionTransaction) -> None:
    """Forget what was recorded in the transaction or savepoint that was rolled back."""
    if ended.nested:
        queue: list[Queued] = session.info.get(_QUEUE, [])
        session.info[_QUEUE] = [entry for entry in queue if ended not in entry[2]]
    elif ended.parent is None:
        session.info.pop(_QUEUE, None)
