"""The page of the retry policy: what it shows, how a preview comes about, what is refused and what is written down."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.database import reading, unit_of_work
from portal.webhooks import service
from portal.webhooks.retry import DEFAULT, RECOMMENDED, RetryPolicy, Strategy
from tests.support.integrations import trail
from tests.support.people import Browser, Team, make_team, words

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
PAGE = "/admin/retry-policy"
TYPED = {
    "strategy": "linear",
    "max_retries": "4",
    "first_delay": "30",
    "max_delay": "3600",
    "jitter": "y",
}


def stored(app: Flask, team: Team) -> RetryPolicy:
    with app.app_context(), reading():
        return service.retry_policy(team.organization_id)


def no_change(app: Flask, team: Team) -> bool:
    return stored(app, team) == DEFAULT and trail(app, "policy.changed") == []


def test_the_default_says_that_it_ends_after_35_seconds_and_offers_a_longer_one(admin: Browser) -> None:
    shown = words(admin.get(PAGE))
    assert "3 retries end after 35 seconds" in shown
    assert "The recommended schedule tries 10 times over 17 hours" in shown
    assert "4 attempts over 35 s, then a dead letter" in shown
    assert "not saved yet" not in shown
    assert "Retry 3 20 s to 24 s 35 s to 42 s" in shown


def test_one_click_takes_the_recommended_schedule_and_the_offer_is_gone(app: Flask, team: Team, admin: Browser) -> None:
    assert admin.post(PAGE, {"intent": "recommended"}).headers["Location"] == PAGE
    assert stored(app, team) == RECOMMENDED
    [entry] = trail(app, "policy.changed")
    assert entry.actor_name == "Marcus Oyelaran"
    assert (entry.before, entry.after) == (DEFAULT.as_dict(), RECOMMENDED.as_dict())
    shown = words(admin.get(PAGE))
    assert "10 retries over 17 h 3 min, from now on." in shown
    assert "recommended" not in shown


def test_saving_stores_every_value_and_says_what_was_before(app: Flask, team: Team, admin: Browser) -> None:
    other = make_team(app, "Southgate")
    admin.post(PAGE, TYPED)
    assert stored(app, team) == RetryPolicy(
        max_retries=4, strategy=Strategy.LINEAR, first_delay=30, max_delay=3600, jitter=True, dead_letters=False
    )
    assert stored(app, other) == DEFAULT
    [entry] = trail(app, "policy.changed")
    assert entry.before == DEFAULT.as_dict()
    assert entry.after == stored(app, team).as_dict()
    assert "4 retries end after 5 minutes" in words(admin.get(PAGE))
    assert "events then are given up for good" in words(admin.get(PAGE))


def preview(admin: Browser, **changes: str) -> TestResponse:
    return admin.get(PAGE, target="schedule", query_string={**TYPED, **changes})


def test_the_preview_shows_the_typed_values_and_stores_nothing(app: Flask, team: Team, admin: Browser) -> None:
    answer = preview(admin)
    shown = words(answer)
    assert answer.text.strip().startswith("<section")
    assert "5 attempts over 5 min, then given up (not saved yet)" in shown
    assert "Retry 4 2 min to 2 min 24 s 5 min to 6 min" in shown
    assert "longer than the one before" in shown
    assert no_change(app, team)


def test_without_script_a_button_previews_what_is_typed(app: Flask, team: Team, admin: Browser) -> None:
    answer = admin.post(PAGE, {**TYPED, "intent": "preview"})
    assert answer.status_code == 200
    assert "5 attempts over 5 min, then given up (not saved yet)" in words(answer)
    assert 'value="30"' in answer.text
    assert no_change(app, team)


def test_a_preview_of_values_that_will_not_do_asks_for_better_ones(admin: Browser) -> None:
    for changes in ({"max_retries": ""}, {"max_retries": "11"}, {"first_delay": "1e9"}, {"strategy": "x"}):
        answer = preview(admin, **changes)
        assert answer.status_code == 200
        assert "No schedule" in words(answer)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("max_retries", "0"), "Use a whole number from 1 to 10."),
        (("max_retries", "11"), "Use a whole number from 1 to 10."),
        (("max_retries", ""), "Use a whole number from 1 to 10."),
        (("first_delay", "3601"), "Use a whole number from 1 to 3,600."),
        (("first_delay", "٣"), "Use a whole number from 1 to 3,600."),
        (("max_delay", "86401"), "Use a whole number from 1 to 86,400."),
        (("max_delay", "29"), "Use at least the first delay."),
        (("strategy", "random"), "Choose exponential, linear or fixed."),
    ],
)
def test_what_will_not_do_is_refused_beside_its_field(
    app: Flask, team: Team, admin: Browser, wrong: tuple[str, str], said: str
) -> None:
    field, value = wrong
    answer = admin.post(PAGE, {**TYPED, field: value})
    assert answer.status_code == 422
    assert f'id="f-{field}-error"' in answer.text
    assert said in words(answer)
    assert no_change(app, team)


def test_two_who_save_for_the_first_time_at_once_both_succeed(app: Flask, team: Team) -> None:
    start = threading.Barrier(2)

    def save(retries: int) -> None:
        with app.app_context():
            start.wait(10)
            with unit_of_work():
                service.set_retry_policy(organization_id=team.organization_id, policy=RetryPolicy(max_retries=retries))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(save, (4, 5)))
    with app.app_context(), reading():
        assert service.retry_policy(team.organization_id).max_retries in (4, 5)
    first, last = (each for each in trail(app) if each.action == "policy.changed")
    assert last.before == first.after, "each knows what the other one saved"
