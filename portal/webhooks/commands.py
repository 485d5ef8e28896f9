"""The command `portal emit`: hands an event in from the shell."""

import json
import sys
from typing import Any

import click
from sqlalchemy import select

from portal.accounts.models import Organization
from portal.audit import trail
from portal.audit.actor import operator
from portal.database import db, unit_of_work
from portal.webhooks import events
from portal.webhooks.errors import WebhooksError
from portal.webhooks.event_catalogue import BY_NAME
from portal.webhooks.events import NewEvent


@click.command("emit")
@click.argument("event_type")
@click.option("--data", default="", metavar="JSON|-", help="The event's data; - reads standard input; else the sample.")
@click.option("--organization", default="", metavar="SLUG", help="Whose event it is, where there are several.")
def emit_command(event_type: str, data: str, organization: str) -> None:
    """Send an event to the webhooks that want it; prints the event id."""
    content = _data(event_type, data)
    try:
        with trail.acting_as(operator()), unit_of_work():
            place = _organization(organization)
            new = NewEvent(event_type=event_type, data=content, source="command")
            (accepted,) = events.accept(organization_id=place.id, events=[new])
    except WebhooksError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{accepted.deliveries:,} {'delivery' if accepted.deliveries == 1 else 'deliveries'}", err=True)
    click.echo(accepted.event_id)


def _data(event_type: str, given: str) -> Any:
    text = sys.stdin.read() if given == "-" else given
    if not text:
        return dict(BY_NAME[event_type].sample) if event_type in BY_NAME else {}
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"The data is no JSON ({error}). Quote it, or read it with --data -.") from None


def _organization(slug: str) -> Organization:
    known = list(db.session.scalars(select(Organization).order_by(Organization.slug)))
    found = [each for each in known if each.slug == slug] if slug else known
    if len(found) == 1:
        return found[0]
    choices = ", ".join(each.slug for each in known)
    if not known:
        raise click.ClickException("There is no organization yet. Create the owner first.")
    what = f"There is no organization {slug}" if slug else "There are several organizations"
    raise click.ClickException(f"{what}. Choose one with --organization: {choices}.")
