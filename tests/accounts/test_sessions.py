"""Sessions: who a token stands for, when it ends, and that nobody can touch another's."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, select

from portal import clock
from portal.accounts import housekeeping, service, sessions, two_factor
from portal.accounts.errors import NotFoundError, SignInExpiredError
from portal.accounts.identity import Identity
from portal.accounts.models import Membership, Organization, User, UserSession
from portal.database import reading, unit_of_work
from portal.web.access import Role
from tests.accounts.conftest import SQLITE

SignedIn = Callable[[Any], Identity]


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def who(token: str) -> Identity | None:
    with reading():
        return sessions.identity_of(token)


def test_a_token_stands_for_a_member_of_an_organization(dana: Any, signed_in: SignedIn) -> None:
    identity = signed_in(dana)
    assert who(identity.token) == identity
    assert (identity.email, identity.role, identity.organization_name) == (dana.email, Role.OWNER, "Northline")
    assert identity.two_factor
    assert identity.two_factor_enrolled
    assert not identity.two_factor_due
    assert identity.recent_until == clock.now() + timedelta(minutes=10)
    assert identity.get_id() == identity.token
    assert identity.token not in repr(identity)


@SQLITE
def test_the_database_does_not_know_the_token(dana: Any, signed_in: SignedIn) -> None:
    identity = signed_in(dana)
    with reading() as session:
        row = session.get_one(UserSession, identity.session_id)
        assert identity.token.encode() not in [getattr(row, column.key) for column in UserSession.__table__.columns]


def test_other_tokens_stand_for_nobody(dana: Any, signed_in: SignedIn) -> None:
    signed_in(dana)
    for token in ("", "x", "\x00", "é" * 5000):
        assert who(token) is None


def test_a_session_ends_half_an_hour_after_its_last_request(
    dana: Any, signed_in: SignedIn, time: time_machine.Traveller
) -> None:
    identity = signed_in(dana)
    time.shift(timedelta(minutes=29))
    with unit_of_work():
        sessions.touch(identity.session_id)
    time.shift(timedelta(minutes=29))
    assert who(identity.token)
    time.shift(timedelta(minutes=1))
    assert who(identity.token) is None


def test_a_busy_session_ends_after_twelve_hours(dana: Any, signed_in: SignedIn, time: time_machine.Traveller) -> None:
    identity = signed_in(dana)
    for _ in range(35):
        time.shift(timedelta(minutes=20))
        with unit_of_work():
            sessions.touch(identity.session_id)
    assert who(identity.token)
    time.shift(timedelta(minutes=20))
    assert who(identity.token) is None


def test_revoked_disabled_and_removed_people_are_nobody_at_once(dana: Any, person: Any, signed_in: SignedIn) -> None:
    revoked, disabled, removed = signed_in(dana), signed_in(person("b@x.example")), signed_in(person("c@x.example"))
    with unit_of_work() as session:
        assert sessions.revoke(user_id=revoked.user_id, session_id=revoked.session_id)
        assert service.disable(disabled.user_id)
        session.execute(delete(Membership).where(Membership.user_id == removed.user_id))
    assert [who(each.token) for each in (revoked, disabled, removed)] == [None, None, None]


@SQLITE
def test_a_session_without_second_factor_ends_when_one_is_turned_on(person: Any, signed_in: SignedIn) -> None:
    agent = person("agent@x.example", Role.AGENT, second_factor=False)
    identity = signed_in(agent)
    with unit_of_work() as session:
        two_factor.enrol_at_once(session.get_one(User, agent.user_id))
    assert who(identity.token) is None


@SQLITE
def test_a_pending_session_is_nobody(dana: Any, time: time_machine.Traveller) -> None:
    with unit_of_work() as session:
        opened = sessions.open_session(
            user=session.get_one(User, dana.user_id),
            organization_id=dana.organization_id,
            origin=sessions.Origin(ip="", user_agent=""),
            pending=True,
        )
    assert who(opened.token) is None
    with reading():
        assert sessions.pending_session(opened.token).user_id == dana.user_id
    time.shift(timedelta(minutes=5))
    with reading(), pytest.raises(SignInExpiredError):
        sessions.pending_session(opened.token)


@SQLITE
def test_a_rotated_session_knows_only_its_new_token(dana: Any, signed_in: SignedIn) -> None:
    identity = signed_in(dana)
    with unit_of_work():
        opened = sessions.rotate(identity)
    assert who(identity.token) is None
    renewed = who(opened.token)
    assert renewed is not None
    assert renewed.session_id == identity.session_id


@SQLITE
def test_a_revoked_session_is_not_rotated_back_to_life(dana: Any, signed_in: SignedIn) -> None:
    identity = signed_in(dana)
    with unit_of_work():
        sessions.revoke_all(user_id=dana.user_id)
    with unit_of_work(), pytest.raises(NotFoundError):
        sessions.rotate(identity)


@SQLITE
def test_nobody_revokes_the_session_of_another(dana: Any, person: Any, signed_in: SignedIn) -> None:
    mine, theirs = signed_in(dana), signed_in(person("eve@x.example"))
    for session_id in (theirs.session_id, uuid.uuid4()):
        with unit_of_work(), pytest.raises(NotFoundError):
            sessions.revoke(user_id=mine.user_id, session_id=session_id)
    assert who(theirs.token)


def test_only_open_sessions_are_listed(dana: Any, signed_in: SignedIn, time: time_machine.Traveller) -> None:
    idle = signed_in(dana)
    time.shift(timedelta(minutes=31))
    old, new, revoked = signed_in(dana), signed_in(dana), signed_in(dana)
    time.shift(timedelta(minutes=1))
    with unit_of_work():
        sessions.revoke(user_id=dana.user_id, session_id=revoked.session_id)
        sessions.touch(old.session_id)
    with reading():
        assert [each.id for each in sessions.listed(dana.user_id)] == [old.session_id, new.session_id]
    assert idle.session_id != old.session_id


@SQLITE
def test_an_oversized_user_agent_is_cut(dana: Any) -> None:
    with unit_of_work() as session:
        opened = sessions.open_session(
            user=session.get_one(User, dana.user_id),
            organization_id=dana.organization_id,
            origin=sessions.Origin(
                ip="2001:db8:1234:5678:9abc:def0:1234:5678%very-long-zone", user_agent="x\x00" * 5000
            ),
            pending=False,
        )
        row = session.get_one(UserSession, opened.session_id)
        assert len(row.user_agent) <= 255
        assert "\x00" not in row.user_agent


@SQLITE
def test_long_ended_sessions_are_tidied_away(dana: Any, signed_in: SignedIn, time: time_machine.Traveller) -> None:
    signed_in(dana)
    time.shift(timedelta(days=30))
    assert housekeeping.tidy() == 0
    time.shift(timedelta(days=1))
    assert housekeeping.tidy() == 1


@SQLITE
def test_switching_leads_only_to_one_s_own_organizations(dana: Any, person: Any, signed_in: SignedIn) -> None:
    person(dana.email, Role.AGENT, organization="Southline")
    stranger = person("eve@x.example", organization="Elsewhere")
    identity = signed_in(dana)
    with reading() as session:
        south = session.scalar(select(Organization.id).where(Organization.name == "Southline"))
    assert south
    with unit_of_work(), pytest.raises(NotFoundError):
        service.switch_organization(identity, organization_id=stranger.organization_id)
    with unit_of_work():
        opened = service.switch_organization(identity, organization_id=south)
    there = who(opened.token)
    assert there is not None
    assert (there.organization_id, there.role) == (south, Role.AGENT)
    assert who(identity.token) is None
