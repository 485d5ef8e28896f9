"""The settings view: every provider with what is connected of it, to configure, test, switch on and off."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from flask import request
from flask.wrappers import Response

from portal.integrations import listing, queries
from portal.integrations.listing import Filters, Listed
from portal.integrations.sending import channel_of
from portal.overview.routes import CALM, LIVELY, blueprint, is_busy
from portal.providers import catalogue
from portal.providers.base import Provider
from portal.web.access import Who, allow, identity
from portal.web.listing import MOST_SHOWN
from portal.web.render import page


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the view: an integration, a provider that can be connected, or one that is announced.

    Attributes:
        icon: of the provider's first capability.
        name: the provider's name.
        purpose: what it is for, where nothing is connected yet.
        slug: of a provider in the catalogue; empty for an announced one.
        test: what a test message through it is called, such as "Test SMS"; empty where it carries none.
    """

    icon: str
    name: str
    purpose: str
    slug: str = ""
    integration: Listed | None = None
    test: str = ""


ANNOUNCED = {
    "google": Line(icon="calendar", name="Google", purpose="Gmail, Google Calendar and Google Drive."),
    "microsoft": Line(icon="calendar", name="Microsoft 365", purpose="Outlook, its calendar, and OneDrive."),
    "xero": Line(icon="accounting", name="Xero", purpose="Invoices and accounting."),
    "ndia": Line(icon="ndia", name="NDIA", purpose="Claims to the National Disability Insurance Agency."),
}
"""What the portal will connect; each leaves this list by itself once the catalogue has it."""


@blueprint.get("/settings/integrations")
@blueprint.get("/admin/settings/integrations")
@allow(Who.ADMIN)
def settings() -> Response:
    """Show every provider with its integrations, as a place to set them up."""
    organization_id = identity().organization_id
    found = listing.search(organization_id=organization_id, filters=Filters(), sort="provider", limit=MOST_SHOWN)
    return page(
        "overview/settings.html",
        block="board" if request.headers.get("HX-Target") == "settings" else "main",
        lines=[*_connectable(organization_id, found.items), *_announced()],
        incomplete=found.next_cursor is not None,
        here=request.path,
        every=LIVELY if is_busy(found.items) else CALM,
    )


def _connectable(organization_id: uuid.UUID, integrations: Sequence[Listed]) -> Iterator[Line]:
    """Return a line for each integration, by provider, and one for each provider that has none."""
    connected = queries.connected(organization_id=organization_id)  # of a long list some providers are not in sight
    for provider in catalogue.all():
        line = _line(provider)
        yield from (replace(line, integration=each) for each in integrations if each.provider == provider.slug)
        if provider.slug not in connected:
            yield line


def _line(provider: Provider) -> Line:
    channel = channel_of(provider)
    return Line(
        icon=provider.capabilities[0],
        name=provider.name,
        purpose=provider.summary,
        slug=provider.slug,
        test=channel.title if channel else "",
    )


def _announced() -> list[Line]:
    known = {provider.slug for provider in catalogue.all()}
    return [line for slug, line in ANNOUNCED.items() if slug not in known]
