"""Shares of the dispatcher's places: the quick have nearly all, the slow few, the unknown a quarter."""

import uuid

from portal.webhooks.shares import QUICK, SLOW, Shares

MOST = 64
A, B, C = (uuid.UUID(int=number) for number in range(1, 4))


def unlimited(_webhook_id: uuid.UUID) -> int:
    return 2 * MOST


def begin(shares: Shares, webhook_id: uuid.UUID, count: int, now: float = 0.0) -> None:
    for _ in range(count):
        shares.claimed(webhook_id, now)
        shares.began(webhook_id)


def claim(shares: Shares, webhook_id: uuid.UUID, count: int) -> None:
    for _ in range(count):
        shares.claimed(webhook_id, 0.0)


def finish(shares: Shares, webhook_id: uuid.UUID, count: int, seconds: float, now: float = 0.0) -> None:
    for _ in range(count):
        shares.ended(webhook_id, seconds, now, begun=True)


def given(shares: Shares, *waiting: uuid.UUID, free: int, now: float = 0.0) -> dict[uuid.UUID, int]:
    return shares.share_out(waiting, free=free, now=now, allowance=unlimited)


def test_an_unknown_one_has_a_quarter_and_a_quick_one_all_but_an_eighth() -> None:
    shares = Shares(MOST)
    assert given(shares, A, free=MOST) == {A: 16}
    begin(shares, A, 16)
    assert shares.full(0.0) == [A]
    assert not shares.has_place(A, 0.0)
    finish(shares, A, 16, QUICK * 2)
    assert given(shares, A, free=2 * MOST) == {A: 56}


def test_of_a_quick_one_as_many_are_claimed_ahead_as_may_be_under_way() -> None:
    shares = Shares(MOST)
    begin(shares, A, 1)
    finish(shares, A, 1, QUICK)
    assert given(shares, A, free=2 * MOST) == {A: 112}
    begin(shares, A, 56)
    assert not shares.has_place(A, 0.0)
    claim(shares, A, 56)
    assert shares.unbegun(A) == 56
    assert shares.full(0.0) == [A]
    assert not shares.has_place(A, 0.0)
    finish(shares, A, 1, QUICK)
    assert shares.has_place(A, 0.0)


def test_nothing_is_claimed_ahead_of_one_that_turned_slow() -> None:
    shares = Shares(MOST)
    begin(shares, A, 1)
    finish(shares, A, 1, 0.01)
    begin(shares, A, 7)
    assert given(shares, A, free=2 * MOST, now=SLOW * 2) == {A: 1}


def test_a_slow_one_has_an_eighth() -> None:
    shares = Shares(MOST)
    begin(shares, A, 1)
    finish(shares, A, 1, SLOW * 3)
    assert given(shares, A, free=MOST) == {A: 8}


def test_a_quick_one_that_hangs_gets_no_more_from_then_on() -> None:
    shares = Shares(MOST)
    begin(shares, A, 1)
    finish(shares, A, 1, 0.01)
    begin(shares, A, 20, now=5.0)
    assert A not in shares.full(5.0 + SLOW / 2)
    assert A in shares.full(5.1 + SLOW)
    assert given(shares, A, B, free=MOST - 20, now=5.1 + SLOW) == {B: 16}


def test_several_share_evenly_and_one_that_takes_less_leaves_it_to_the_others() -> None:
    shares = Shares(MOST)
    for each in (A, B, C):
        begin(shares, each, 1)
        finish(shares, each, 1, 0.01)
    assert given(shares, A, B, C, free=9) == {A: 3, B: 3, C: 3}
    limited = shares.share_out([A, B, C], free=9, now=0.0, allowance=lambda each: 1 if each == A else MOST)
    assert limited == {A: 1, B: 4, C: 4}


def test_even_one_place_is_given() -> None:
    assert given(Shares(1), A, free=1) == {A: 1}
