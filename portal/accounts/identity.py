"""Who is asking: the signed-in member as one request sees them, free of any database object."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from portal.web.access import Role


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A member within a complete session: Flask-Login's `current_user`, which satisfies web.access.Identity."""

    user_id: uuid.UUID
    organization_id: uuid.UUID
    organization_name: str
    role: Role
    name: str
    email: str
    time_zone: str
    session_id: uuid.UUID
    """Of the session, or of the API token."""
    two_factor: bool
    """Whether this session passed a second factor."""
    two_factor_enrolled: bool
    """Whether two-factor authentication is on and its recovery codes are saved."""
    two_factor_needed: bool
    """Whether role or organization ask for two-factor authentication."""
    recent_until: datetime | None
    """Until when password or code count as given just now."""
    last_seen_at: datetime
    token: str = field(repr=False)
    """What the cookie carries; the database knows only its digest."""
    token_scopes: frozenset[str] | None = None
    """What the API token may do that asks; None where a browser's session does."""
    token_name: str = ""
    """What its maker called the API token."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    @property
    def two_factor_due(self) -> bool:
        """Whether nothing but the enrolment of two-factor authentication is open."""
        return self.two_factor_needed and not self.two_factor_enrolled

    def get_id(self) -> str:
        """Return what Flask-Login keeps in the signed cookie."""
        return self.token
