"""Verifying a chain of the audit trail: nothing was changed, removed, exchanged or added outside the portal."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select

from portal.audit.chain import ENTRIES, HEADS, START, chain_of, entry_mac, head_seal
from portal.database import db
from portal.security.encryption import UnknownKey
from portal.security.signatures import same

BATCH: Final = 500
"""Entries read at once: memory stays the same however long a chain is."""


@dataclass(frozen=True)
class Verification:
    """Whether a chain is whole."""

    ok: bool
    entries: int
    """Entries that fit, from the first one on."""
    first_bad_seq: int | None = None
    reason: str = ""
    """A sentence for people; empty when all is well."""


class _BrokenError(Exception):
    """The chain does not fit from an entry on."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(reason)
        self.seq = seq


def verify(organization_id: uuid.UUID | None, *, newest: int | None = None) -> Verification:
    """Recompute a chain from its first entry to its head. It belongs into a reading transaction and changes nothing.

    A changed, missing, exchanged or added entry is found, and so is an end that was cut off.

    Args:
        organization_id: whose chain; None is the installation's.
        newest: look at so many of the last entries alone, and believe the one before them. Finds what happened to
            these and to the end of the chain, in the same time however long it is.

    Raises:
        KeyringError: the keys cannot be loaded.
    """
    walk = _Walk(chain_of(organization_id))
    try:
        walk.to_the_end(newest)
    except _BrokenError as broken:
        return Verification(False, walk.fitting, broken.seq, str(broken))
    return Verification(True, walk.fitting)


class _Walk:
    """One way along a chain: how far it fits, and the mac to go on from."""

    def __init__(self, chain: uuid.UUID) -> None:
        self.chain = chain
        self.fitting = 0
        self.previous = START

    def to_the_end(self, newest: int | None = None) -> None:
        # The span comes before the head: whatever is committed in between comes with a head further on.
        span = select(func.min(ENTRIES.c.seq), func.max(ENTRIES.c.seq)).where(ENTRIES.c.chain == self.chain)
        low, top = db.session.execute(span).one()
        found = db.session.execute(select(HEADS).where(HEADS.c.chain == self.chain)).one_or_none()
        head = found._asdict() if found else None
        if top is not None and (head is None or low < 1):
            reason = (
                "The head of the chain is missing." if head is None else f"Entry {low} stands before the first one."
            )
            raise _BrokenError(low, reason)
        if head is not None:
            if newest is not None:
                self._skip_to(head["seq"] - newest)
            self._along(head["seq"])
            self._against(head, top or 0)

    def _skip_to(self, seq: int) -> None:
        """Begin after an entry as if all up to it fitted."""
        mac = select(ENTRIES.c.mac).where(ENTRIES.c.chain == self.chain, ENTRIES.c.seq == seq)
        found = db.session.scalar(mac) if seq > 0 else None
        if found is not None:  # a missing one is found on the way from the first
            self.fitting, self.previous = seq, found

    def _along(self, last: int) -> None:
        for row in _rows(self.chain, self.fitting + 1, last):
            self._step(row)
        if self.fitting < last:
            raise _BrokenError(self.fitting + 1, f"Entry {self.fitting + 1} is missing.")

    def _step(self, row: Mapping[str, Any]) -> None:
        """Take one entry, which must be the next one and made by the portal after the one before."""
        expected, seq = self.fitting + 1, row["seq"]
        if seq > expected:
            raise _BrokenError(expected, f"Entry {expected} is missing.")
        if seq < expected:
            raise _BrokenError(seq, f"There is a second entry {seq}.")
        if not _fits(row.get("mac"), lambda: entry_mac(row, self.previous)):
            raise _BrokenError(seq, f"Entry {seq} was changed, exchanged or added outside the portal.")
        self.fitting, self.previous = expected, row["mac"]

    def _against(self, head: Mapping[str, Any], top: int) -> None:
        """Compare with the head, which knows how long the chain must be."""
        seq, mac = head["seq"], head["mac"]
        if top > seq:
            raise _BrokenError(seq + 1, f"Entry {seq + 1} was added outside the portal.")
        known = _fits(head["seal"], lambda: head_seal(self.chain, seq, mac, head["key_id"]))
        if not (known and same(mac, self.previous)):
            raise _BrokenError(
                seq + 1, f"The head of the chain was changed: entries after {seq} may have been removed."
            )


def _fits(found: object, make: Callable[[], bytes]) -> bool:
    """Return whether a mac is the right one; a row that no mac can be made for never fits."""
    try:
        return isinstance(found, bytes) and same(found, make())
    except (UnknownKey, TypeError, ValueError, OverflowError):
        return False


def _rows(chain: uuid.UUID, start: int, last: int) -> Iterator[Mapping[str, Any]]:
    """Yield the entries from `start` to `last`, by ranges, so that a second entry of one number is seen too."""
    for first in range(start, last + 1, BATCH):
        yield from _range(chain, first, min(first + BATCH - 1, last))


def _range(chain: uuid.UUID, first: int, last: int) -> list[Mapping[str, Any]]:
    """Read a range. Where a value cannot be decoded, halve it until the broken entry stands alone, as its number."""
    inside = (ENTRIES.c.chain == chain, ENTRIES.c.seq.between(first, last))
    wanted = select(ENTRIES).where(*inside).order_by(ENTRIES.c.seq).limit(2 * BATCH)
    try:
        return [row._asdict() for row in db.session.execute(wanted)]
    except (ValueError, TypeError, LookupError):
        if first == last:
            return [{"seq": first}]
        middle = (first + last) // 2
        return [*_range(chain, first, middle), *_range(chain, middle + 1, last)]
