"""Places: bounded, shared out among servers, in turns; ahead of them only what is done shortly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.database import new_id
from portal.health.checks import Ready
from portal.health.claims import Claim
from portal.health.places import AHEAD_MOST, Places, limit_of
from portal.providers import catalogue
from portal.providers.base import CHECKS_AT_ONCE, Provider


def ready(group: str) -> Ready:
    return Ready(Claim(new_id(), new_id(), "scheduled", None, group=group), None)


def claimed(places: Places, group: str, count: int) -> int:
    """Claim up to so many, as the runner does; returns how many were."""
    found = [ready(group) for _ in range(count) if places.reserve(group)]
    places.settle(found)
    return len(found)


def test_a_server_gets_its_share_and_more_ahead_once_it_is_known_to_be_fast() -> None:
    places = Places(64)
    assert claimed(places, "smtp:a", 500) == CHECKS_AT_ONCE
    for _ in range(CHECKS_AT_ONCE):
        assert places.take()
    assert places.full() == ["smtp:a"]
    for _ in range(CHECKS_AT_ONCE):
        places.ended("smtp:a", 0.001)
    assert claimed(places, "smtp:a", 500) == CHECKS_AT_ONCE + AHEAD_MOST
    assert sum(places.take() is not None for _ in range(99)) == CHECKS_AT_ONCE
    assert claimed(places, "smtp:b", 500) == CHECKS_AT_ONCE, "what waits for others leaves places free"


def test_one_that_answers_slowly_has_nothing_waiting() -> None:
    places = Places(64)
    claimed(places, "smtp:a", 1)
    places.take()
    places.ended("smtp:a", 15.0)
    assert claimed(places, "smtp:a", 500) == CHECKS_AT_ONCE


def test_servers_take_turns() -> None:
    places = Places(4)
    for group in ("smtp:a", "smtp:b"):
        claimed(places, group, 2)
    taken = [places.take() for _ in range(4)]
    assert [each.claim.group for each in taken if each] == ["smtp:a", "smtp:b", "smtp:a", "smtp:b"]
    assert places.take() is None


def test_what_came_to_nothing_takes_no_room() -> None:
    places = Places(4)
    assert sum(places.reserve("twilio") for _ in range(9)) == 4
    places.settle([])
    assert claimed(places, "twilio", 9) == 4


def test_a_provider_that_is_not_known_any_more_has_the_usual_limit() -> None:
    assert limit_of("gone:host") == limit_of("smtp:host") == CHECKS_AT_ONCE


@pytest.mark.parametrize("provider", catalogue.all(), ids=lambda each: each.slug)
def test_a_group_leads_to_the_limit_of_its_provider(provider: Provider) -> None:
    group = provider.check_group({"host": "mail.example.com"})
    assert group.partition(":")[0] == provider.slug
    assert limit_of(group) == limit_of(f"{group}:sandbox") == provider.checks_at_once


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.floats(0, 20)), max_size=60))
def test_no_limit_is_ever_passed_and_nothing_is_lost(moves: list[tuple[str, int, float]]) -> None:
    places, running, waiting = Places(5, lambda _group: 3), [], 0
    for group, count, seconds in moves:
        waiting += claimed(places, group, count)
        while found := places.take():
            running.append(found.claim.group)
            waiting -= 1
        assert len(running) <= 5
        assert all(running.count(each) <= 3 for each in "abc")
        if running:
            places.ended(running.pop(0), seconds)
    assert places.busy == bool(running or waiting)
    assert len(places.close()) == waiting
    assert places.take() is None
    assert places.room() == 0
