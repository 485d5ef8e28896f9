"""The catalogue: what can be connected, what it needs, what already is."""

import pytest
from flask import Flask

from portal.providers import catalogue
from tests.support.integrations import make_integration
from tests.support.people import Browser, Team, make_team, words

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
PAGE = "/admin/integrations/new"


def test_every_provider_is_there_with_what_it_is_for_and_needs(team: Team, admin: Browser) -> None:
    page, part = admin.get(PAGE), admin.get(PAGE, target="results")
    for provider in catalogue.all():
        for answer in (page, part):
            assert provider.name in words(answer)
            assert provider.summary in words(answer)
            assert provider.needs in words(answer)
            assert f'href="{PAGE}/{provider.slug}"' in answer.text
    assert "<html" not in part.text
    assert "Search providers" not in part.text


@pytest.mark.parametrize(
    "query", ["q=smtp", "q=SMTP", "q=mail%20server", "capability=email", "q=email&capability=email"]
)
def test_it_can_be_searched_by_name_purpose_and_capability(team: Team, admin: Browser, query: str) -> None:
    assert f'href="{PAGE}/smtp"' in admin.get(f"{PAGE}?{query}").text


@pytest.mark.parametrize(
    "query", ["q=zzz", "capability=accounting", "q=smtp&capability=sms", "q=%00", "q=" + "x" * 5000]
)
def test_when_nothing_matches_the_page_says_what_to_do(team: Team, admin: Browser, query: str) -> None:
    answer = admin.get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    assert "No provider matches" in words(answer)
    assert "Clear filters" in words(answer)


def test_what_is_searched_is_shown_escaped(team: Team, admin: Browser) -> None:
    answer = admin.get(PAGE, query_string={"q": '"><script>alert(1)</script>', "capability": '"><script>alert(2)'})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


def test_it_says_how_many_are_connected_and_how_many_of_them_are_off(app: Flask, team: Team, admin: Browser) -> None:
    assert "connected" not in words(admin.get(PAGE))
    make_integration(app, team.admin, "One")
    assert "1 connected" in words(admin.get(PAGE))
    make_integration(app, team.admin, "Two", enabled=False)
    make_integration(app, make_team(app, "Southgate").admin, "Three")
    assert "2 connected, 1 off" in words(admin.get(PAGE))
