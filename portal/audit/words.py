"""Words for people: what the tags of the audit trail mean."""

import json
from typing import Any, Final

from portal.audit.models import AuditEntry, CredentialAccess

GROUPS: Final = {
    "integration": "Integrations",
    "health": "Health checks",
    "alert": "Alerts",
    "webhook": "Webhooks",
    "dead_letter": "Dead letters",
    "message": "Messages",
    "event_type": "Event types",
    "policy": "Policies",
    "member": "Members",
    "session": "Sign-in",
    "two_factor": "Two-factor authentication",
    "token": "API tokens",
    "organization": "Organization",
    "setup": "Set-up",
    "key": "Keys",
}
"""Group of actions → its name in the filter."""

SUBJECTS: Final = {
    "token": "API token",
    "two_factor": "Two-factor authentication",
    "policy": "Retry policy",
    "number": "Phone number",
    "setup": "Set-up",
    "key": "Keys",
}
"""Groups whose subject is not just the group's own word."""

ACTIONS: Final = {
    "session.started": "Signed in",
    "session.refused": "Sign-in refused",
    "session.ended": "Signed out",
    "session.revoked": "Session ended from another place",
    "two_factor.enrolled": "Two-factor authentication turned on",
    "two_factor.removed": "Two-factor authentication turned off",
    "two_factor.recovery_code_used": "Recovery code used",
    "two_factor.recovery_codes_replaced": "Recovery codes replaced",
    "member.role_changed": "Role changed",
    "member.password_changed": "Password changed",
    "member.password_reset": "Password reset",
    "member.profile_changed": "Profile changed",
    "integration.interval_changed": "Interval of health checks changed",
    "health.check_all": "Health check of all integrations started",
    "alert.acknowledgement_withdrawn": "Acknowledgement of an alert taken back",
    "webhook.warned": "Webhook keeps failing",
    "dead_letter.retry_started": "Retry of dead letters started",
    "dead_letter.retry_finished": "Retry of dead letters finished",
    "dead_letter.discard_started": "Discarding of dead letters started",
    "dead_letter.discard_finished": "Discarding of dead letters finished",
    "message.retried": "Message sent again",
    "key.rotated": "Master keys rotated",
}
"""Actions that read better in words of their own; all others are put together from the tag."""


KINDS: Final = {"user": "Member", "system": "Portal", "command": "Command line", "token": "API token"}


def describe(action: str) -> str:
    """Say what happened; every tag becomes readable: `integration.switched_off` → "Integration switched off"."""
    if action in ACTIONS:
        return ACTIONS[action]
    group, dot, event = action.partition(".")
    subject = SUBJECTS.get(group) or _sentence(group)
    return f"{subject} {_spaced(event).lower()}" if dot and event else subject


def group_choices(current: str = "") -> list[tuple[str, str]]:
    """Return the filter's choices; a group that came by URL is kept even when nobody named it."""
    choices = [("", "Any action"), *GROUPS.items()]
    return choices if not current or current in GROUPS else [*choices, (current, _sentence(current))]


def who(row: AuditEntry | CredentialAccess) -> str:
    """Name who acted; who has no name is named by what they are."""
    return row.actor_name or KINDS.get(row.actor_kind, "Unknown")


def whence(row: AuditEntry | CredentialAccess) -> str:
    """Say where something came from: an address, or the portal's own machine."""
    return row.ip or {"system": "This machine", "command": "This machine"}.get(row.actor_kind, "Unknown")


def changes(entry: AuditEntry) -> list[tuple[str, str]]:
    """Return the fields of an entry's change in the order of their names, each with "before → after" in words."""
    before, after = entry.before, entry.after
    names = sorted((before or {}).keys() | (after or {}).keys())
    sides = [side for side in (before, after) if side is not None]
    return [(_sentence(name), " → ".join(_value(side.get(name)) for side in sides)) for name in names]


def _sentence(tag: str) -> str:
    words = _spaced(tag)
    return words[:1].upper() + words[1:]


def _spaced(tag: str) -> str:
    return " ".join(tag.replace("_", " ").replace(".", " ").split())


def _value(value: Any) -> str:
    if value is None or value == "":
        return "Not set"
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        return ", ".join(str(each) for each in value) or "None"
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict | list) else str(value)
