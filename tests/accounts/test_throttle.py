"""Throttling in the database: counted together by all processes, refilled by time, never a lock."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal.accounts import housekeeping, throttle
from portal.accounts.errors import TooManyTriesError
from portal.accounts.models import ThrottleBucket
from portal.accounts.throttle import Try
from portal.database import db, reading, unit_of_work
from portal.security.throttle import Bucket

SMALL = (Try("small", Bucket(3, 300)),)


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def take(tries: throttle.Tries) -> int:
    """Take once; return 0, or the seconds to wait."""
    try:
        with unit_of_work():
            throttle.take(tries)
    except TooManyTriesError as error:
        return error.retry_after
    return 0


def test_an_empty_bucket_says_how_long_to_wait_and_then_lets_one_through(time: time_machine.Traveller) -> None:
    assert [take(SMALL) for _ in range(5)] == [0, 0, 0, 100, 100]
    time.shift(timedelta(seconds=99))
    assert take(SMALL) in (1, 2)
    time.shift(timedelta(seconds=1))
    assert take(SMALL) == 0
    assert take(SMALL) == 100


def test_a_refused_try_costs_no_bucket_anything() -> None:
    both = (*SMALL, Try("large", Bucket(100, 300)))
    for _ in range(10):
        take(both)
    with reading() as session:
        assert session.get_one(ThrottleBucket, "large").level == 97


def test_a_right_try_is_given_back_but_never_more() -> None:
    for _ in range(10):
        assert take(SMALL) == 0
        with unit_of_work():
            throttle.give_back(SMALL)
    with unit_of_work():
        throttle.give_back(SMALL)
    with reading() as session:
        assert session.get_one(ThrottleBucket, "small").level == 3


def test_tries_at_the_same_moment_are_all_counted(app: Flask) -> None:
    ready, outcomes = threading.Barrier(8), []

    def run() -> None:
        with app.app_context():
            ready.wait()
            outcomes.append(take(SMALL))
            db.session.remove()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert outcomes.count(0) == 3
    assert len(outcomes) == 8


def test_full_buckets_are_tidied_away(time: time_machine.Traveller) -> None:
    take(SMALL)
    time.shift(timedelta(hours=23))
    assert housekeeping.tidy() == 0
    time.shift(timedelta(hours=2))
    assert housekeeping.tidy() == 1
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(ThrottleBucket)) == 0


def test_keys_hold_no_address_as_typed_and_fit_their_column() -> None:
    tries = throttle.for_sign_in(
        email="My Secret Password " * 20, ip="2001:db8:1234:5678:9abc:def0:1234:5678", device=""
    )
    assert all(len(each.key) <= 100 and "secret" not in each.key.lower() for each in tries)
    assert any(each.key.endswith("2001:db8:1234:5678::/64") for each in tries)


def test_a_known_browser_is_counted_apart() -> None:
    known = throttle.for_sign_in(email="dana@northline.example", ip="203.0.113.7", device="browser")
    strange = throttle.for_sign_in(email="dana@northline.example", ip="203.0.113.7", device="")
    assert len(known) == 1
    assert len(strange) == 3
    assert not {each.key for each in known} & {each.key for each in strange}
