"""What a dispatcher has claimed: who begins next, how much is claimed ahead, what a limit per second lets through."""

import uuid
from typing import Any

from portal.security.addresses import NetworkError
from portal.webhooks.flying import Flying, Lines
from portal.webhooks.queue import Claimed

MOST = 8
ENDPOINT: Any = None
A, B = uuid.UUID(int=1), uuid.UUID(int=2)


def claims(flying: Flying, *webhook_ids: uuid.UUID) -> list[Claimed]:
    made = [Claimed(uuid.uuid4(), uuid.uuid4(), each, each, "job.created", 1, 0, "evt", b"{}") for each in webhook_ids]
    flying.claimed(made, 1.0)
    return made


def begin_all(flying: Flying, lines: Lines) -> list[Claimed]:
    begun = []
    while found := lines.take():
        begun.append(found[1])
        flying.began(found[1], limited=True)
    return begun


def test_who_waits_for_a_place_holds_back_no_other_and_each_has_its_turn() -> None:
    flying = Flying(MOST * 2)
    lines = Lines(flying)
    first, second = claims(flying, A, A, A), claims(flying, B, B)
    for each in (*first, *second):
        lines.add((ENDPOINT, each, NetworkError("nowhere")))
    assert begin_all(flying, lines) == [first[0], second[0], first[1], second[1]]  # A has been waiting for ever: slow
    flying.ended(first[0], 0.01, begun=True)
    assert begin_all(flying, lines) == [first[2]]
    assert not lines


def test_a_result_is_known_until_it_is_recorded() -> None:
    flying = Flying(MOST)
    [claimed] = claims(flying, A)
    assert flying.free == 2 * MOST - 1
    flying.began(claimed, limited=False)
    flying.ended(claimed, 0.01, begun=True)
    assert (flying.open, flying.free, flying.known(2.0)) == (0, 2 * MOST, {claimed.delivery_id})
    flying.forget([claimed])
    assert flying.known(2.0) == set()


def test_a_limit_counts_what_is_claimed_and_what_began_within_the_second() -> None:
    flying = Flying(MOST)
    [done] = claims(flying, A)
    flying.began(done, limited=True)
    flying.ended(done, 0.01, begun=True)
    claims(flying, A, A)
    now = flying.since(done)  # long before it began, on the clock of this test
    assert flying.share_out([A], now=now, limit_of=lambda _each: 5) == {A: 2}
    assert flying.share_out([A], now=now, limit_of=lambda _each: 3) == {}
