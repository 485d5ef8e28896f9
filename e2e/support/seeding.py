"""Data for the tests, made by the portal's own services in this process, in the database that the portal serves."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from flask_sqlalchemy.session import Session
from sqlalchemy import func, select, update
from sqlalchemy.orm import scoped_session

from e2e.support.canary import GOOD
from e2e.support.waiting import wait_until
from portal import create_app, keyring
from portal.accounts import service, sessions, two_factor
from portal.accounts.hashing import use_hasher
from portal.accounts.models import Membership, User, UserSession
from portal.accounts.sessions import Origin
from portal.alerts import evaluating
from portal.alerts.models import Alert
from portal.audit.models import AuditEntry
from portal.database import db, new_id, reading, unit_of_work
from portal.health import checks
from portal.health.models import HealthLog, LogStatus
from portal.integrations import drafts
from portal.integrations import service as integrations
from portal.integrations.drafts import Submission
from portal.integrations.models import CheckKind, Integration, IntegrationSecret
from portal.providers import catalogue
from portal.security.passwords import PasswordHasher
from portal.settings import Settings
from portal.web.access import Role

PASSWORD = "brindle-lantern-77-orchard"
"""Of every member that is made here."""
LATER = timedelta(days=1)
Writing = scoped_session[Session]
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """An organization with one admin, and what it takes to sign in as them."""

    organization_id: uuid.UUID
    user_id: uuid.UUID
    email: str
    totp_secret: str
    recovery_codes: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """A health check of the past."""

    kind: CheckKind = CheckKind.SCHEDULED
    status: LogStatus = LogStatus.SUCCESS
    ago: timedelta = timedelta(minutes=5)
    message: str | None = None
    asked_by: str = ""
    took_ms: int = 42


@dataclass
class Seeder:
    """Makes organizations, members, integrations and logs beside a portal that is serving, and looks at its rows."""

    instance: Path
    sandbox_url: str
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        """Open the database with the keys that the portal made."""
        settings = Settings(
            instance_dir=self.instance,
            database_url=f"sqlite:///{self.instance / 'portal.db'}",
            base_url="http://127.0.0.1",
            sandbox_url=self.sandbox_url,
        )
        self.app = create_app(settings)
        use_hasher(self.app, PasswordHasher(memory_kib=8, time_cost=1))
        keyring.load(self.app)
        # What signs in is the cookie: one hash serves every member.
        self._password_hash = PasswordHasher(memory_kib=8, time_cost=1).hash(PASSWORD)

    def close(self) -> None:
        """Let go of the database."""
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """Run one transaction of the tests' own."""
        with self.app.app_context(), unit_of_work() as session:
            yield session

    def place(self, *, role: Role = Role.ADMIN) -> Place:
        """Make an organization of its own and a member with two-factor authentication on."""
        number = next(self._numbers)
        email = f"dana{number}@northline.example"
        with self.writing():
            user = service.create_user(email=email, name=f"Dana Whitfield {number}", password_hash=self._password_hash)
            organization = service.create_organization(name=f"Northline Staffing {number}")
            service.add_member(user=user, organization=organization, role=role)
            secret = two_factor.enrol_at_once(user)
            two_factor.renew_recovery_codes(user)
            codes = two_factor.unsaved_recovery_codes(user)
            two_factor.recovery_codes_saved(user)
            return Place(organization.id, user.id, email, secret, tuple(codes))

    def cookie(self, place: Place, url: str) -> dict[str, str]:
        """Return the cookie of a member who just signed in with both factors."""
        origin = Origin(ip="127.0.0.1", user_agent="Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0")
        with self.writing():
            user = service.locked_user(place.user_id)
            opened = sessions.open_session(
                user=user, organization_id=place.organization_id, origin=origin, pending=True
            )
            opened = sessions.complete(sessions.pending_session(opened.token))
        signer: Any = self.app.session_interface
        value = signer.get_signing_serializer(self.app).dumps({"_user_id": opened.token, "_fresh": True})
        return {"name": "portal", "value": value, "url": url, "sameSite": "Lax"}

    def end_sessions(self, place: Place) -> None:
        """Let every session of a member run out."""
        self._set(UserSession, UserSession.user_id == place.user_id, expires_at=datetime.now(UTC))

    def forget_confirmation(self, place: Place) -> None:
        """Let the password of a member count as given long ago."""
        self._set(UserSession, UserSession.user_id == place.user_id, recent_until=None)

    def integration(
        self,
        place: Place,
        name: str,
        *,
        password: str = GOOD,
        preset: str = "custom",
        host: str = "mail.northline.example",
        enabled: bool = True,
        verified: bool = True,
        sandbox: bool = True,
    ) -> uuid.UUID:
        """Make an SMTP integration whose next check is far away, and return its id."""
        raw = {"preset": preset, "host": host, "security": "starttls", "port": "587", "username": "portal",
               "password": password, "from_email": "noreply@northline.example", "from_name": "Northline"}  # fmt: skip
        asked = Submission(name=name, raw=raw, verbs={}, limits={}, sandbox=sandbox, person=False)
        with self.writing():
            draft = drafts.check(catalogue.get("smtp"), asked, None)
            row = integrations.create(
                organization_id=place.organization_id, user_id=place.user_id, draft=draft, verified=verified
            )
            integrations.set_enabled(integration=row, enabled=enabled)
            now = datetime.now(UTC)
            row.last_health_check = row.last_sync = now - timedelta(minutes=3)
            row.last_health_check_status, row.last_health_check_ms, row.last_sync_ok = LogStatus.SUCCESS, 42, True
            row.next_check_at = now + LATER if enabled else None
            return row.id

    def checked(self, place: Place, integration_id: uuid.UUID, *checks: Check) -> None:
        """Write checks of the past into the logs."""
        with self.writing() as session:
            session.add_all(_log(place, integration_id, each) for each in checks)

    def check(self, integration_id: uuid.UUID, *, times: int = 1) -> None:
        """Run health checks right here, as the scheduler would, and raise the alerts that follow."""
        with self.app.app_context():
            for _ in range(times):
                claim = checks.claim_one(integration_id, kind=CheckKind.SCHEDULED, asked_by="")
                assert claim, "a disabled integration is not checked"
                checks.run(claim)
            evaluating.evaluate(settled=False)
        self._set(Integration, Integration.id == integration_id, next_check_at=datetime.now(UTC) + LATER)

    def check_is_due(self, integration_id: uuid.UUID) -> None:
        """Let the time of the next check be over, as if the interval had gone by; a disabled one has none."""
        past = datetime.now(UTC) - timedelta(minutes=1)
        due = (Integration.id == integration_id, Integration.next_check_at.is_not(None))
        self._set(Integration, *due, next_check_at=past, next_check_kind=CheckKind.SCHEDULED)

    def force_due(self, integration_id: uuid.UUID) -> None:
        """Claim that a check is due even where the portal planned none."""
        past = datetime.now(UTC) - timedelta(minutes=1)
        self._set(Integration, Integration.id == integration_id, next_check_at=past)

    def retire(self, place: Place) -> None:
        """Let no check of this organization disturb the tests that come after: what runs ends, and no other begins."""
        mine = Integration.organization_id == place.organization_id
        self._set(Integration, mine, Integration.check_token.is_(None), enabled=False, next_check_at=None)
        running = select(func.count()).select_from(Integration).where(mine, Integration.check_token.is_not(None))
        wait_until(lambda: self._read(lambda session: session.scalar(running)) == 0, "checks under way to end")
        self._set(Integration, mine, enabled=False, next_check_at=None)

    def row(self, integration_id: uuid.UUID) -> Integration:
        """Return an integration as it stands now."""
        return self._read(lambda session: session.get_one(Integration, integration_id))

    def rows(self, place: Place | None = None) -> list[Integration]:
        """Return all integrations of an organization, or of everybody; deleted ones too."""
        query = select(Integration).order_by(Integration.id)
        mine = query.where(Integration.organization_id == place.organization_id) if place else query
        return self._read(lambda session: list(session.scalars(mine)))

    def alerts(self, place: Place) -> list[str]:
        """Return how the alerts of an organization are, the first one first."""
        mine = select(Alert.state).where(Alert.organization_id == place.organization_id)
        return self._read(lambda session: list(session.scalars(mine.order_by(Alert.opened_at, Alert.id))))

    def logs(self, integration_id: uuid.UUID) -> list[HealthLog]:
        """Return the health logs of an integration, oldest first."""
        query = select(HealthLog).where(HealthLog.integration_id == integration_id).order_by(HealthLog.id)
        return self._read(lambda session: list(session.scalars(query)))

    def secrets(self, integration_id: uuid.UUID) -> dict[str, bytes]:
        """Return what is stored of an integration's secrets: sealed values by field."""
        query = select(IntegrationSecret).where(IntegrationSecret.integration_id == integration_id)
        return self._read(lambda session: {row.field: row.sealed for row in session.scalars(query)})

    def audited(self, place: Place) -> list[str]:
        """Return the actions in an organization's audit trail, oldest first."""
        mine = AuditEntry.chain == place.organization_id
        query = select(AuditEntry.action).where(mine).order_by(AuditEntry.seq)
        return self._read(lambda session: list(session.scalars(query)))

    def owners(self) -> list[tuple[str, bool]]:
        """Return the email of every owner and whether two-factor authentication is on."""
        query = select(User).join(Membership, Membership.user_id == User.id).where(Membership.role == Role.OWNER)
        return self._read(lambda session: [(row.email, row.two_factor_enrolled) for row in session.scalars(query)])

    def _read(self, look: Callable[[Writing], T]) -> T:
        with self.app.app_context(), reading() as session:
            found = look(session)
            session.expunge_all()
            return found

    def _set(self, table: type[Any], *conditions: Any, **values: Any) -> None:
        with self.writing() as session:
            session.execute(update(table).where(*conditions).values(**values))


def _log(place: Place, integration_id: uuid.UUID, check: Check) -> HealthLog:
    failed = check.status is LogStatus.FAILURE
    return HealthLog(
        id=new_id(),
        organization_id=place.organization_id,
        integration_id=integration_id,
        check_type=check.kind,
        status=check.status,
        response_time_ms=check.took_ms,
        error_class="unreachable" if failed else None,
        error_message=check.message,
        detail={"steps": [], "asked_by": check.asked_by},
        checked_at=datetime.now(UTC) - check.ago,
    )
