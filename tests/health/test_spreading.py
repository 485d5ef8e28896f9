"""Checks are spread over the interval by id, and planned anew where the clock was set back."""

from datetime import UTC, datetime, timedelta

import time_machine
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from portal import clock
from portal.database import new_id
from portal.health import checks, claims
from portal.health.spreading import JITTER, next_slot, phase
from portal.integrations.models import CheckKind
from tests.support.integrations import Mail, due, load, logs, make_integration
from tests.support.people import Team

START = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_moments_are_spread_evenly_and_stay_where_they_are() -> None:
    ids = [new_id() for _ in range(2000)]
    minutes = [0] * 60
    for each in ids:
        minutes[int(phase(each, HOUR) / timedelta(minutes=1))] += 1
        assert phase(each, HOUR) == phase(each, HOUR)
    assert max(minutes) < 2000 / 60 * 2


@given(
    integration=st.uuids(),
    minutes=st.integers(1, 60),
    now=st.integers(0, 4 * 10**9).map(lambda each: datetime.fromtimestamp(each, UTC)),
    least=st.sampled_from([0.0, 0.5]),
)
def test_the_next_moment_is_ahead_and_one_of_the_integrations_own(
    integration: object, minutes: int, now: datetime, least: float
) -> None:
    interval = timedelta(minutes=minutes)
    slot = next_slot(integration, interval, now, least=least)  # type: ignore[arg-type]
    jitter = interval * JITTER + timedelta(milliseconds=1)
    assert now + interval * least - jitter <= slot <= now + interval * (1 + least) + jitter
    off = (slot - datetime(1970, 1, 1, tzinfo=UTC) - phase(integration, interval)) % interval  # type: ignore[arg-type]
    assert min(off, interval - off) <= jitter


def test_a_clock_that_was_set_back_stops_no_check(app: Flask, team: Team, mail: Mail) -> None:
    """What was checked in the future, what never was, and what is being checked; but not what is only slow."""
    with time_machine.travel(START, tick=False) as time:
        checked = make_integration(app, team.admin, **due())
        with app.app_context():
            for each in checks.claim_due(1):
                checks.run(each)
        new = make_integration(app, team.admin, "New", **due())
        lost = make_integration(app, team.admin, "Lost", last_health_check=START, **due())
        with app.app_context():
            claims.claim_one(lost, kind=CheckKind.AUTO, asked_by="")
        slow = make_integration(
            app, team.admin, "Slow", last_health_check=START - HOUR * 30, next_check_at=START + HOUR
        )
        time.shift(-24 * HOUR)
        with app.app_context():
            assert checks.claim_due(9) == []
            assert claims.mend_clock() == 3
            assert claims.mend_clock() == 0, "once is enough, whichever process does it"
        soon = clock.now() + timedelta(minutes=5 * 1.02)
        for row_id in (checked, new, lost):
            moment = load(app, row_id).next_check_at
            assert moment is not None
            assert moment <= soon
        assert load(app, slow).next_check_at == START + HOUR
        time.shift(timedelta(minutes=6))
        with app.app_context():
            ran = [checks.run(each) for each in checks.claim_due(9)]
        assert [each is not None for each in ran] == [True] * 3
        assert len(logs(app)) == 4
