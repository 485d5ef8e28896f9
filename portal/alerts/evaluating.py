"""Compares what the rules find with the alerts that there are: opens, keeps up to date, resolves.

A look that finds nothing new only reads. Where something has to change, the organizations concerned are locked, looked
at once more, and changed in one transaction. So of several processes each sees what the one before it did, and an
alert opens once; the unique index on unresolved causes stands behind that.
"""

import logging
import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from portal import clock
from portal.accounts.models import Organization
from portal.alerts import changes, endings
from portal.alerts.findings import Finding, Look
from portal.alerts.models import UNRESOLVED, UNTIL_IT_RECOVERS, Alert, AlertState, ChangeKind, Severity
from portal.alerts.rules import RULES
from portal.alerts.service import CHANGED
from portal.database import db, new_id, reading, unit_of_work, wake_after_commit
from portal.webhooks import own_events

WAKE: Final = own_events.CHANGED
"""Topic that asks for a look at once."""
REOPENS_WITHIN: Final = timedelta(minutes=10)
"""A cause that is back so soon is the same alert."""
SETTLED_AFTER: Final = 120.0
"""Seconds after which a process has had the time to do what waited for it to start."""
WORDS: Final = ("rule", "severity", "title", "message", "impact", "hint", "code")

_EVERYBODY: Final[Sequence[uuid.UUID] | None] = None

Stored = Row[*tuple[Any, ...]]
log = logging.getLogger("portal.alerts")


class Watch:
    """The job of one process."""

    def __init__(self) -> None:
        """Begin to count how long the process runs."""
        self._begun = time.monotonic()

    def look(self) -> int:
        """Look once; returns how many alerts changed. Owns its transactions."""
        return evaluate(settled=time.monotonic() - self._begun > SETTLED_AFTER)


@dataclass(frozen=True)
class _Difference:
    """What has to change so that the alerts say what was found."""

    opens: Sequence[Finding]
    differs: Sequence[tuple[Stored, Finding]]
    gone: Sequence[Stored]

    @property
    def organization_ids(self) -> set[uuid.UUID]:
        found = {each.organization_id for each in self.opens} | {row.organization_id for row in self.gone}
        return found | {row.organization_id for row, _ in self.differs}


def evaluate(*, settled: bool = True, organization_id: uuid.UUID | None = None) -> int:
    """Bring the alerts up to date. Owns its transactions.

    Args:
        settled: whether this process has run long enough to say that work is late.
        organization_id: whose alerts; those of all organizations by default.

    Returns:
        How many alerts were opened, changed or resolved.
    """
    if organization_id:
        return _evaluate(settled, [organization_id])
    return _evaluate_all(settled)


def _evaluate_all(settled: bool) -> int:
    """Bring all organizations up to date but those at whose rows a rule stumbles; each of these is logged.

    All are looked at together. What does not work is halved until it is one organization, so that a broken one among
    many costs few looks.
    """
    changed, parts = 0, [_EVERYBODY]
    while parts:
        part = parts.pop()
        try:
            changed += _evaluate(settled, part)
        except (OperationalError, InterfaceError, NoConnection):
            raise  # the database does not answer, or another was faster: no organization is to blame
        except Exception:  # the job runner: what is wrong with one organization must not concern the others
            if part is not None and len(part) == 1:
                log.exception("the alerts of organization %s cannot be brought up to date", part[0])
            else:
                parts += _parts(part)
    return changed


def _parts(whole: Sequence[uuid.UUID] | None) -> list[Sequence[uuid.UUID] | None]:
    """Return organizations in two parts, none of them empty."""
    if whole is None:
        with reading() as session:
            whole = session.scalars(select(Organization.id).order_by(Organization.id)).all()
    half = len(whole) // 2
    return [part for part in (whole[half:], whole[:half]) if part]


def _evaluate(settled: bool, organization_ids: Collection[uuid.UUID] | None) -> int:
    """Bring the alerts of some organizations, or of all, up to date in one transaction."""
    with reading():
        concerned = _difference(settled, organization_ids).organization_ids
    if not concerned:
        return 0
    with unit_of_work() as session:
        # Always in the same order, so that two evaluators cannot wait for each other. With key_share nobody waits who
        # only refers to the organization.
        query = select(Organization.id).where(Organization.id.in_(concerned)).order_by(Organization.id)
        session.execute(query.with_for_update(key_share=True))
        return _apply(_difference(settled, concerned))


def _difference(settled: bool, organization_ids: Collection[uuid.UUID] | None) -> _Difference:
    look = Look(now=clock.now(), settled=settled, organization_ids=organization_ids)
    stored = {(row.organization_id, row.cause): row for row in db.session.execute(_unresolved(look))}
    look = Look(now=look.now, unresolved=stored.keys(), settled=settled, organization_ids=organization_ids)
    # A cause that two rules find at once, as a webhook disabled while we look, is that of the later one.
    found = {(each.organization_id, each.cause): each for rule in RULES for each in rule.find(look)}
    return _Difference(
        opens=[each for key, each in found.items() if each.opens and key not in stored],
        differs=[(stored[key], each) for key, each in found.items() if key in stored and _differs(stored[key], each)],
        gone=[row for key, row in stored.items() if key not in found],
    )


def _unresolved(look: Look) -> Any:
    columns = (
        Alert.id, Alert.organization_id, Alert.rule, Alert.cause, Alert.severity, Alert.title, Alert.message,
        Alert.impact, Alert.hint, Alert.code, Alert.detail, Alert.state, Alert.changed_at, Alert.integration_id,
        Alert.webhook_id,
    )  # fmt: skip
    return select(*columns).where(UNRESOLVED, *look.of(Alert.organization_id))


def _words(finding: Finding) -> dict[str, Any]:
    """Return what a finding says, cut to what the columns hold."""
    words = {name: str(getattr(finding, name)) for name in WORDS}
    words = {name: text[: Alert.__table__.c[name].type.length] for name, text in words.items()}  # type: ignore[attr-defined]
    return words | {"detail": {**finding.detail, "kind": finding.kind}}


def _differs(stored: Stored, finding: Finding) -> bool:
    return any(getattr(stored, name) != value for name, value in _words(finding).items())


def _apply(difference: _Difference) -> int:
    _lock([*difference.gone, *(row for row, _ in difference.differs)])
    noted = [*_open(difference.opens), *_reword(difference.differs), *_resolve(difference.gone)]
    changes.write(noted)
    if noted:
        wake_after_commit(CHANGED)
    return len(difference.opens) + len(difference.differs) + len(difference.gone)


def _lock(rows: Sequence[Stored]) -> None:
    """Hold the alerts that are about to change, in the order in which people who acknowledge all of them do."""
    if rows:
        query = select(Alert.id).where(Alert.id.in_([row.id for row in rows])).order_by(Alert.id)
        db.session.execute(query.with_for_update(key_share=True))


def _open(findings: Sequence[Finding]) -> list[changes.Noted]:
    if not findings:
        return []
    earlier = _resolved_lately(findings)
    pairs = [(earlier.get((each.organization_id, each.cause)), each) for each in findings]
    back = [(row, each) for row, each in pairs if row is not None]
    now = clock.now()
    rows = [_row(each) for row, each in pairs if row is None]
    if rows:
        db.session.execute(insert(Alert), rows)
    if back:
        db.session.execute(update(Alert), [_again(row, each) for row, each in back])
    opened = [changes.Noted(row["organization_id"], row["id"], ChangeKind.OPENED, now) for row in rows]
    return opened + [changes.after(row, ChangeKind.REOPENED) for row, _ in back]


def _resolved_lately(findings: Iterable[Finding]) -> dict[tuple[uuid.UUID, str], Stored]:
    """Return the alerts of these causes that were resolved a short time ago, or, by a clock set back since, will be."""
    wanted = {(each.organization_id, each.cause) for each in findings}
    recent = Alert.resolved_at >= clock.now() - REOPENS_WITHIN
    columns = (Alert.id, Alert.organization_id, Alert.cause, Alert.changed_at, Alert.occurrences, Alert.muted_until)
    query = select(*columns).where(Alert.organization_id.in_({whose for whose, _ in wanted}), recent)
    rows = db.session.execute(query.order_by(Alert.resolved_at, Alert.id))
    return {key: row for row in rows if (key := (row.organization_id, row.cause)) in wanted}


def _row(finding: Finding) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": new_id(), "organization_id": finding.organization_id, "cause": finding.cause, **_words(finding),
        "integration_id": finding.integration_id, "webhook_id": finding.webhook_id, "state": AlertState.OPEN,
        "since": finding.since, "opened_at": now, "changed_at": now, "acknowledged_by": "", "acknowledge_note": "",
        "resolution": "", "occurrences": 1,
    }  # fmt: skip


def _again(row: Stored, finding: Finding) -> dict[str, Any]:
    """Return what changes of an alert that comes back. A mute for so many hours holds: it was made for just that."""
    ended = row.muted_until == UNTIL_IT_RECOVERS
    return {
        "id": row.id, **_words(finding), **_unseen(row), "since": finding.since, "resolved_at": None, "resolution": "",
        "occurrences": row.occurrences + 1, "muted_until": None if ended else row.muted_until,
    }  # fmt: skip


def _unseen(row: Stored) -> dict[str, Any]:
    """Return what makes an alert open again for everybody."""
    return {
        "state": AlertState.OPEN, "acknowledged_at": None, "acknowledged_by": "", "acknowledge_note": "",
        "changed_at": changes.moment_after(row.changed_at),
    }  # fmt: skip


def _reword(pairs: Sequence[tuple[Stored, Finding]]) -> list[changes.Noted]:
    """Write what the alerts say now. One that got worse is open again: who knew of it knew of something milder."""
    noted, rows = [], []
    for row, finding in pairs:
        values = {"id": row.id, **_words(finding)}
        worse = (row.severity, finding.severity) == (Severity.WARNING, Severity.CRITICAL)
        if worse:
            values |= _unseen(row)
            noted.append(changes.after(row, ChangeKind.REOPENED, note="It got worse."))
        elif row.detail.get("kind") != finding.kind:
            noted.append(changes.after(row, ChangeKind.CHANGED, note=values["title"][:500]))
        rows.append(values)
    if rows:
        db.session.execute(update(Alert), rows)
    return noted


def _resolve(rows: Sequence[Stored]) -> list[changes.Noted]:
    if not rows:
        return []
    why = endings.of(rows)
    noted = [changes.after(row, ChangeKind.RESOLVED, note=endings.WORDS[why[row.id]]) for row in rows]
    values = [
        {"id": each.alert_id, "state": AlertState.RESOLVED, "resolved_at": each.at, "changed_at": each.at,
         "resolution": why[each.alert_id]}
        for each in noted
    ]  # fmt: skip
    db.session.execute(update(Alert), values)
    return noted
