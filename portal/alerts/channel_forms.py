"""What the forms of channels and settings send, as drafts; and drafts as the forms show them."""

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from portal.alerts.channels import Draft
from portal.alerts.notification_errors import Invalid
from portal.alerts.preferences import Preferences
from portal.security.redaction import strip_controls


def draft(sent: "MultiDict[str, str]", *, kind: str) -> Draft:
    """Return the channel that a form describes."""
    return Draft(
        kind=kind,
        name=sent.get("name", "")[:200],
        audience=sent.get("audience", ""),
        member_ids=sent.getlist("member_ids"),
        addresses=sent.get("addresses", "").replace(",", "\n").replace(";", "\n").splitlines(),
        integration_id=sent.get("integration_id", ""),
        minimum=sent.get("minimum", "all"),
        mode=sent.get("mode", "at_once"),
        digest_at=sent.get("digest_at", ""),
        enabled=sent.get("enabled") == "on",
    )


def preferences(sent: Mapping[str, str]) -> Preferences:
    """Return the settings that a form describes.

    Raises:
        Invalid: a number is none.
    """
    errors: dict[str, str] = {}
    minutes = _number(sent, "reminder_minutes", errors) if sent.get("reminder_minutes", "").strip() else None
    seconds = _number(sent, "group_wait_seconds", errors)
    if errors:
        raise Invalid(errors)
    return Preferences(
        reminder_minutes=minutes,
        group_wait_seconds=seconds,
        quiet_from=strip_controls(sent.get("quiet_from", ""))[:5],
        quiet_to=strip_controls(sent.get("quiet_to", ""))[:5],
        critical_passes=bool(sent.get("critical_passes")),
    )


def _number(sent: Mapping[str, str], name: str, errors: dict[str, str]) -> int:
    text = sent.get(name, "").strip()
    if text.isascii() and text.isdecimal() and len(text) <= 6:
        return int(text)
    errors[name] = "Enter a whole number."
    return 0


def typed(shown: Draft) -> dict[str, Any]:
    """Return a channel as its form shows it."""
    return {
        "name": shown.name, "audience": shown.audience, "member_ids": list(shown.member_ids),
        "addresses": "\n".join(shown.addresses), "integration_id": shown.integration_id, "minimum": shown.minimum,
        "mode": shown.mode, "digest_at": shown.digest_at or "08:00", "enabled": shown.enabled,
    }  # fmt: skip
