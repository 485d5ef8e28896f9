"""The navigation: which pages there are for whom, where the viewer is, and what waits."""

from dataclasses import dataclass
from typing import Any

from flask import request, url_for

from portal.overview import counts
from portal.web.access import Role, signed_in


@dataclass(frozen=True)
class Item:
    """One page in the navigation; `within` are the endpoints that count as being there."""

    label: str
    endpoint: str
    within: tuple[str, ...] = ()


HEALTH = (
    Item(
        "Integrations",
        "overview.dashboard",
        (
            "overview.dashboard",
            "overview.detail",
            "overview.troubleshoot",
            "overview.run_test",
            "integrations.",
            "health.maintenance_of",
            "health.plan_maintenance",
        ),
    ),
    Item("Alerts", "alerts.index", ("alerts.", "alert_channels.", "alert_notifications.")),
    Item("Health logs", "health.index", ("health.index", "health.of_integration")),
)
MESSAGES = Item("Messages", "messages.index", ("messages.",))
WEBHOOKS = (
    Item(
        "Webhooks",
        "webhooks.index",
        (
            "webhooks.index", "webhooks.new", "webhooks.create", "webhooks.edit", "webhooks.detail", "webhooks.secret",
            "webhooks.history", "webhooks.send_test", "webhooks.verify",
        ),
    ),
    Item("Events", "events.index", ("events.",)),
    Item("Deliveries", "webhooks.deliveries_index", ("webhooks.deliver",)),
    Item("Dead letters", "dead_letters.index", ("dead_letters.",)),
    Item("Retry policy", "retry_policy.index", ("retry_policy.",)),
    Item("Event types", "event_types.index", ("event_types.",)),
)  # fmt: skip
SETTINGS = (
    Item("Integrations", "overview.settings", ("overview.settings",)),
    Item("Organization", "accounts.organization", ("accounts.organization", "accounts.change_retention")),
    Item("API tokens", "accounts.tokens", ("accounts.tokens", "accounts.new_token", "accounts.create_token")),
    Item("API", "api.docs", ("api.",)),
    Item("Audit", "audit.index", ("audit.index", "audit.verify")),
    Item("Credential access", "audit.credential_access", ("audit.credential_access",)),
)


def navigation() -> dict[str, Any]:
    """Return the groups of the navigation for whoever looks, and the banner of the page."""
    who = signed_in()
    if who is None or who.role is Role.AGENT or not who.two_factor_enrolled:
        return {"nav_groups": [], "sandbox_banner": ""}
    sandboxed, failing, critical, dead = counts.of(who.organization_id)
    first = _entry(HEALTH[0]) | {"count": _few(failing), "count_noun": "in error", "tone": "err"}
    second = _entry(HEALTH[1]) | {"count": _few(critical), "count_noun": "open", "tone": "err"}
    second["key"] = "alerts"  # by which what a page fetches anew finds it
    groups = [
        {
            "title": None,
            "items": [first, second, *(_entry(each) for each in (*HEALTH[2:], MESSAGES))],
            "collapsed": False,
        },
        {"title": "Webhooks", "items": _webhooks(dead), "collapsed": False},
        {"title": "Settings", "items": [_entry(each) for each in SETTINGS], "collapsed": not _in(SETTINGS)},
    ]
    banner = ""
    if sandboxed:
        noun, verb = ("integration points", "it sends") if sandboxed == 1 else ("integrations point", "they send")
        banner = f"{sandboxed:,} {noun} at the sandbox. Nothing {verb} leaves this machine."
    return {"nav_groups": groups, "sandbox_banner": banner}


def _webhooks(dead: int) -> list[dict[str, Any]]:
    entries = {each.label: _entry(each) for each in WEBHOOKS}
    entries["Dead letters"] |= {"count": _few(dead), "count_noun": "waiting"}
    return list(entries.values())


def _few(count: int) -> str | None:
    """Write a count in as few characters as there is room for; nothing for none."""
    return f"{counts.MOST}+" if count > counts.MOST else str(count) if count else None


def _entry(item: Item) -> dict[str, Any]:
    return {
        "label": item.label,
        "url": url_for(item.endpoint),
        "current": _in((item,)),
        "count": None,
        "count_noun": "",
        "tone": None,
    }


def _in(items: tuple[Item, ...]) -> bool:
    here = request.endpoint or ""
    return any(here.startswith(prefix) for item in items for prefix in item.within)
