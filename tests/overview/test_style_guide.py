"""The style guide shows every component, every status and every icon there is."""

import re
from pathlib import Path

import pytest

from portal.overview.style_guide import icons
from portal.web import controls, markup
from tests.support.people import Browser, Team, words

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
PAGE = "/admin/style-guide"


def test_every_component_is_in_it() -> None:
    guide = "".join(file.read_text() for file in sorted((TEMPLATES / "style_guide").glob("*.html")))
    made = {
        name
        for file in (TEMPLATES / "components").glob("*.html")
        for name in re.findall(r"{% macro ([a-z]\w*)\(", file.read_text())
    }
    made |= {"icon", "uptime_bar", *controls.Controls(icon=markup.icons(str)).functions()}
    assert len(made) > 40
    assert {name for name in made if not re.search(rf"\b{name}\(", guide)} == set()


@SQLITE
def test_every_status_and_every_icon_is_in_it(team: Team, admin: Browser) -> None:
    page = admin.get(PAGE)
    assert page.status_code == 200
    for word in controls.WORDS:
        assert re.search(rf'class="status"[^>]*>.*?{word}</span>', page.text), word
    assert len(icons()) > 50
    for name in icons():
        assert f"#i-{name}" in page.text


@SQLITE
def test_no_id_is_given_twice(team: Team, admin: Browser) -> None:
    ids = re.findall(r'\sid="([^"]+)"', admin.get(PAGE).text)
    assert [each for each in set(ids) if ids.count(each) > 1] == []


@SQLITE
def test_it_is_not_in_the_navigation_and_its_parts_are_fragments(team: Team, admin: Browser) -> None:
    assert PAGE not in admin.get("/admin/integrations").text
    drawer, live = admin.get(PAGE, target="drawer-host"), admin.get(PAGE, target="example-live")
    assert drawer.text.lstrip().startswith("<dialog")
    assert live.text.lstrip().startswith('<div id="example-live"')
    assert '<dialog class="drawer" open' in admin.get(f"{PAGE}?drawer=open").text
    assert '<dialog class="drawer"' not in admin.get(PAGE).text


@SQLITE
def test_its_forms_change_nothing_and_say_so(team: Team, admin: Browser) -> None:
    assert admin.post(PAGE, {"confirm_name": "Email relay"}).headers["Location"].endswith(PAGE)
    assert "Nothing happened: this is an example." in words(admin.get(PAGE))
    assert "Nothing happened" in admin.post(PAGE, htmx=True).headers["HX-Trigger"]
