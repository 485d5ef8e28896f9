"""The portal's only clock."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment as an aware UTC datetime."""
    return datetime.now(UTC)
