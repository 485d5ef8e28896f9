"""The demo organization: members, integrations and webhooks wired to the sandbox, and some days of their past."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from flask import current_app
from sqlalchemy import Select, delete, select

from portal import clock
from portal.accounts import hashing, members, service, two_factor
from portal.accounts.models import Membership, Organization, User
from portal.audit import trail
from portal.audit.trail import Actor
from portal.database import reading, unit_of_work
from portal.demo import alerted, checked, history, receiving, refused, told
from portal.demo.alerted import Outage
from portal.health import maintenance
from portal.health.windows import Plan, Repeats
from portal.integrations import drafts
from portal.integrations import service as integrations
from portal.integrations.drafts import Submission
from portal.integrations.models import Integration
from portal.providers import catalogue
from portal.settings import Settings
from portal.web.access import Role

ORGANIZATION, ZONE = "Northline Staffing", "Australia/Sydney"
PASSWORD = "walk-through-the-portal"  # noqa: S105 - printed for whoever tries the demo; nothing real lies behind it
SENDER = "noreply@northline.example"
# What the sandbox accepts; it publishes all of this itself, and only the command line may import it.
SANDBOX_PASSWORD = "sandbox-password"  # noqa: S105 - published, as said
SENDGRID_KEY = "SG.sandbox-key-that-sends." + "whoever-holds-this-key-opens-only-a-sandbox"
TWILIO_ACCOUNT = {"account_sid": "AC" + "5a" * 16, "auth_token": "7e" * 16, "from_number": "+61491570006"}
SLACK_HOOK = "https://hooks.slack.com/services/T0SANDBOX/B0ALERTS/" + "opens" + "only" + "the" + "sandbox" + "00000"
TEAMS_HOOK = (
    f"https://default{'5a' * 15}.5a.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/"
    f"{'6c' * 16}/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0"
    f"&sig=opens-only-the-sandbox{'0' * 21}"
)
DEMO = Actor("command", name="Demo")
DAYS = 3


@dataclass(frozen=True)
class Person:
    """A member of the demo organization."""

    name: str
    email: str
    role: Role
    phone: str = ""
    """Where they want text messages about critical alerts."""


@dataclass(frozen=True)
class Login:
    """How to sign in as a member; the secret is that of the authenticator app."""

    person: Person
    secret: str


@dataclass(frozen=True)
class Example:
    """An integration of the demo organization."""

    name: str
    provider: str
    values: Mapping[str, str] = field(repr=False)
    host: str
    port: int = 443
    """Where it connects to, for the failures of its made-up history."""
    enabled: bool = True
    verified: bool = True
    usual_ms: int = 90
    """Median response time of its made-up history, in milliseconds."""
    works: bool = True
    """Whether the sandbox takes what it signs in with; otherwise that broke a short time ago."""
    maintained: bool = False
    """Whether it has maintenance each week."""


def _mail_server(
    name: str,
    preset: str,
    host: str,
    *,
    password: str = SANDBOX_PASSWORD,
    enabled: bool = True,
    verified: bool = True,
    usual_ms: int = 90,
) -> Example:
    values = {
        "preset": preset,
        "host": host,
        "username": "apikey" if preset == "sendgrid" else "portal@northline.example",
        "password": password,
        "from_email": SENDER,
        "from_name": ORGANIZATION,
    }
    return Example(name, "smtp", values, host, 587, enabled=enabled, verified=verified, usual_ms=usual_ms)


PEOPLE = (
    Person("Dana Whitfield", "dana@northline.example", Role.OWNER, "+61491570156"),
    Person("Marcus Oyelaran", "marcus@northline.example", Role.ADMIN, "+61491570157"),
    Person("Priya Raman", "priya@northline.example", Role.AGENT),
)
EXAMPLES = (
    Example(
        "Candidate emails",
        "sendgrid",
        {"api_key": SENDGRID_KEY, "verified_sender": SENDER, "from_name": ORGANIZATION},
        "api.sendgrid.com",
        usual_ms=140,
    ),
    Example("Shift reminders", "twilio", TWILIO_ACCOUNT, "api.twilio.com", usual_ms=170),
    _mail_server("Email relay", "mailgun", "smtp.mailgun.org", usual_ms=120),
    replace(_mail_server("Invoices and payslips", "sendgrid", "smtp.sendgrid.net", usual_ms=80), maintained=True),
    _mail_server("Interview invitations", "outlook", "smtp.office365.com", usual_ms=210),
    replace(
        _mail_server("Old office server", "custom", "mail.northline.example", password="expired-password", usual_ms=45),  # noqa: S106 - refused on purpose
        works=False,
    ),
    _mail_server("Newsletter", "ses", "email-smtp.us-east-1.amazonaws.com", enabled=False),
    _mail_server("Careers mailbox", "gmail", "smtp.gmail.com", password="not-the-app-password", verified=False),  # noqa: S106 - refused on purpose
    Example(
        "Operations in Slack",
        "slack",
        {"webhook_url": SLACK_HOOK, "channel": "#alerts"},
        "hooks.slack.com",
        usual_ms=160,
    ),
    Example("Branch office in Teams", "teams", {"webhook_url": TEAMS_HOOK}, "powerplatform.com", usual_ms=190),
)


def fill(*, reset: bool) -> list[Login]:
    """Make the demo organization. Owns its transactions.

    Args:
        reset: whether a demo organization that is already there is replaced.

    Returns:
        How to sign in; empty where the organization is there already and stays.
    """
    with trail.acting_as(DEMO):
        if reset:
            _remove()
        elif _exists():
            return []
        password_hash = hashing.hasher().hash(PASSWORD)
        with unit_of_work():
            with clock.at(clock.now() - timedelta(days=DAYS, minutes=1)):
                place = service.create_organization(name=ORGANIZATION, time_zone=ZONE)
            history.make_webhooks(organization_id=place.id, address=_sandbox_url() + receiving.PATH, days=DAYS)
            logins = [_person(each, place, password_hash) for each in PEOPLE]
        made = {example.name: _past_of(example, place) for example in EXAMPLES}
        checked.roll_up()
        chats = {example.provider: made[example.name].integration_id for example in EXAMPLES}
        told.set_up(organization_id=place.id, slack=chats.get("slack"), teams=chats.get("teams"))
        alerted.live_through(
            organization_id=place.id,
            outages=[made[each.name] for each in EXAMPLES if each.verified],
            refuses=next((made[each.name].integration_id for each in EXAMPLES if not each.works), None),
        )
    return logins


def _past_of(example: Example, place: Organization) -> Outage:
    """Make an integration and what its checks found until now; returns the one outage that it had."""
    host, now = f"{example.host} did not answer on port {example.port}", clock.now()
    until = now if example.works else now - refused.BEFORE
    with unit_of_work():
        integration = _integration(example, place)
        began = now
        if example.verified:
            began = checked.make_logs(integration, seed=example.name, host=host, usual_ms=example.usual_ms, until=until)
        if example.maintained:
            _plan_maintenance(integration)
        return Outage(integration.id, began, timedelta(hours=checked.OUTAGE_HOURS), host)


def _plan_maintenance(integration: Integration) -> None:
    """Plan two hours of maintenance in the night to each Sunday."""
    today = clock.now().astimezone(ZoneInfo(ZONE)).replace(hour=2, minute=0, second=0, microsecond=0)
    begins = today + timedelta(days=6 - today.weekday() or 7)
    times = Plan(begins, begins + timedelta(hours=2), Repeats.WEEKLY, ZONE)
    maintenance.plan(integration=integration, times=times, reason="Payroll closes the week.", by=PEOPLE[0].name)


def connect_receiver() -> bool:
    """Lead the demo's webhooks to the sandbox's receiver and tell it their secrets. Owns its transactions.

    Returns:
        Whether the sandbox took them; False where none runs.
    """
    with trail.acting_as(DEMO):
        with reading() as session:
            places = session.scalars(_demo_organizations()).all()
        return receiving.connect(organization_ids=places, sandbox_url=_sandbox_url())


def _sandbox_url() -> str:
    settings: Settings = current_app.extensions["portal_settings"]
    return settings.sandbox_url


def _demo_organizations() -> Select[uuid.UUID]:
    return (
        select(Organization.id)
        .join(Membership, Membership.organization_id == Organization.id)
        .join(User, User.id == Membership.user_id)
        .where(User.email.in_([each.email for each in PEOPLE]), Organization.name == ORGANIZATION)
        .distinct()
    )


def _exists() -> bool:
    with unit_of_work() as session:
        return session.scalar(select(User.id).where(User.email == PEOPLE[0].email)) is not None


def _remove() -> None:
    """Delete the demo members and their organizations; the audit trail stays, as it does for everybody."""
    emails = [each.email for each in PEOPLE]
    with unit_of_work() as session:
        session.execute(delete(Organization).where(Organization.id.in_(_demo_organizations())))
        session.execute(delete(User).where(User.email.in_(emails)))


def _person(person: Person, place: Organization, password_hash: str) -> Login:
    user = service.create_user(email=person.email, name=person.name, password_hash=password_hash, time_zone=ZONE)
    service.add_member(user=user, organization=place, role=person.role)
    user.phone = person.phone
    members.set_opt_in(user, wanted=bool(person.phone))
    return Login(person, two_factor.enrol_at_once(user) if person.role is not Role.AGENT else "")


def _integration(example: Example, place: Organization) -> Integration:
    provider = catalogue.get(example.provider)
    submission = Submission(
        name=example.name,
        raw=example.values,
        verbs={},
        limits={"max_per_hour": "1000", "max_per_day": "25000"},
        sandbox=True,
        person=False,
    )
    draft = drafts.check(provider, submission, None)
    integration = integrations.create(organization_id=place.id, user_id=None, draft=draft, verified=example.verified)
    integrations.set_enabled(integration=integration, enabled=example.enabled)
    return integration
