"""Front-end files: the joined style sheet, the addresses, and the rules that every template and style sheet keeps."""

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import jinja2
import pytest
from flask import Flask, g
from markupsafe import Markup

from portal import web
from portal.web import assets

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
STATIC = ROOT / "static"
PAGES = [file for file in sorted(TEMPLATES.rglob("*.html")) if file.relative_to(TEMPLATES).parts[0] != "email"]
STYLES = [file for file in sorted((STATIC / "css").rglob("*.css")) if file.name != "tokens.css"]
CSS_LIMIT = 30_000
"""Bytes that the joined style sheet may have (ui.md)."""
COLOUR = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|light-dark)\("
    r"|:[^;{}]*\b(?:white|black|red|green|blue|gr[ae]y|orange|yellow|purple|pink|brown|silver|navy|teal)\b",
    re.IGNORECASE,
)

TOKEN = Markup('<input type="hidden" name="csrf_token" value="token">')


def ids(files: list[Path]) -> list[str]:
    return [str(file.relative_to(ROOT)) for file in files]


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """Return a copy of the sources, without anything built or brought by the set-up."""
    copy = tmp_path / "static"
    shutil.copytree(STATIC, copy, ignore=shutil.ignore_patterns("vendor"))
    return copy


# ---- Building


def test_the_same_sources_give_the_same_file(static: Path) -> None:
    first = assets.build(static)
    content = first.read_bytes()
    assert assets.build(static) == first
    assert first.read_bytes() == content


def test_a_changed_style_gives_a_new_name_and_removes_the_old_file(static: Path) -> None:
    old = assets.build(static)
    (static / "css" / "print.css").write_text("@layer print { b { margin: 1px; } }")
    new = assets.build(static)
    assert new != old
    assert [file.name for file in (static / "vendor").glob("portal.*.css")] == [new.name]
    assert assets.asset("portal.css", static_dir=static) == f"/static/vendor/{new.name}"


def test_the_style_sheet_stays_small(static: Path) -> None:
    assert assets.build(static).stat().st_size < CSS_LIMIT


def test_every_style_sheet_is_joined_once_in_the_order_of_the_layers() -> None:
    joined = list(assets.style_sheets())
    assert sorted(joined) == sorted((STATIC / "css").rglob("*.css"))
    layers = [file.parent.name if file.parent.name == "components" else file.stem for file in joined]
    declared = re.search(r"@layer ([^;{]+);", joined[0].read_text())
    assert declared
    assert sorted(layers, key=["tokens", *declared[1].split(", ")].index) == layers


def test_minifying_keeps_what_stands_in_quotes() -> None:
    css = '/* a "quoted" note */\n.a > .b:hover {\n  content: " {  ; } " ;\n  margin: calc(1px + 2px);\n}\n'
    assert assets.minify(css) == '.a>.b:hover{content:" {  ; } ";margin:calc(1px + 2px)}\n'


# ---- Addresses


def test_an_address_changes_with_the_content(static: Path) -> None:
    assets.build(static)
    before = assets.asset("app.js", static_dir=static)
    (static / "js" / "app.js").write_text("// other")
    assets.build(static)
    after = assets.asset("app.js", static_dir=static)
    assert before.startswith("/static/js/app.js?v=")
    assert after != before


def test_what_was_never_built_is_built_on_demand(static: Path) -> None:
    assert (static.parent / assets.asset("portal.css", static_dir=static).lstrip("/")).is_file()


def test_a_file_that_the_setup_has_yet_to_bring_has_no_version(static: Path) -> None:
    assert assets.asset("htmx.min.js", static_dir=static) == "/static/vendor/htmx.min.js"


def test_an_unknown_name_is_refused(static: Path) -> None:
    with pytest.raises(LookupError, match=r"other\.js"):
        assets.asset("other.js", static_dir=static)


@pytest.mark.parametrize("debug", [True, False])
def test_a_newer_source_is_built_again_only_in_development(static: Path, debug: bool) -> None:
    before = assets.asset("portal.css", static_dir=static)
    source = static / "css" / "print.css"
    source.write_text("@layer print { b { margin: 1px; } }")
    later = (static / "vendor" / "manifest.json").stat().st_mtime_ns + 1_000_000
    os.utime(source, ns=(later, later))
    assert (assets.asset("portal.css", static_dir=static, debug=debug) != before) is debug


# ---- Rules of style sheets, templates and icons


@pytest.mark.parametrize("file", STYLES, ids=ids(STYLES))
def test_colours_are_only_in_the_tokens(file: Path) -> None:
    css = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.DOTALL)
    assert not COLOUR.findall(css)


def test_every_token_used_is_defined() -> None:
    css = "".join(file.read_text() for file in assets.style_sheets())
    defined = set(re.findall(r"(--[\w-]+):", css))
    assert set(re.findall(r"var\((--[\w-]+)", css)) <= defined


FORBIDDEN = {
    "a handler in the markup": r"hx-on|[\s\"']on(?:click|change|submit|load|error|input|key\w+|mouse\w+)\s*[=\"']",
    "script in an attribute": r"\bjs:|javascript:|hx-vars",
    "a filter in hx-trigger": r"hx-trigger[\"']?\s*[:=]\s*[\"'][^\"']*\[",
    "a style attribute": r"[\"']style[\"']\s*:",
    "unescaped output": r"\|\s*safe\b",
    "a style element": r"<style\b",
}


@pytest.mark.parametrize("file", PAGES, ids=ids(PAGES))
def test_templates_hold_under_the_content_policy(file: Path) -> None:
    source = file.read_text()
    markup = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", source, flags=re.DOTALL)
    found = [what for what, pattern in FORBIDDEN.items() if re.search(pattern, source)]
    assert not found
    assert not re.search(r"\sstyle\s*=", markup)
    for tag in re.findall(r"<script\b[^>]*>", source):
        assert " src=" in tag
        assert 'nonce="{{ csp_nonce }}"' in tag


def test_icons_that_templates_name_exist() -> None:
    named = {
        name
        for file in PAGES
        for name in re.findall(r"\bicon(?:\(|=)\s*\"([\w-]+)\"", file.read_text())
        if name != "spin"
    }
    assert named
    assert named <= symbols()


def symbols() -> set[str]:
    sprite = ET.parse(STATIC / "icons.svg")  # noqa: S314 - our own file
    return {element.attrib["id"].removeprefix("i-") for element in sprite.iter() if "id" in element.attrib}


# ---- Components


@pytest.fixture(scope="module")
def macros() -> Iterator[dict[str, Any]]:
    """Return the parts of pages and the macros of templates/components, as strict as the portal renders with."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts = web.parts(lambda name: f"/static/{name}")
    env.globals.update(parts)
    env.filters.update(ago=str, iso=str, full_time=str, clock_time=str, duration=str)
    modules = [env.get_template(f"components/{file.name}").module for file in (TEMPLATES / "components").glob("*.html")]
    made = {name: macro for module in modules for name, macro in vars(module).items() if not name.startswith("_")}
    app = Flask(__name__)
    app.secret_key = "of a test"
    with app.test_request_context():
        g.portal_zone, g.portal_csrf_field = ZoneInfo("UTC"), TOKEN
        yield parts | made


@pytest.mark.parametrize(
    "word",
    [
        *("Active", "Error", "Re-authenticate", "Unverified", "Limited", "Disabled", "Checking", "Queued"),
        *("Carrying", "Standby", "Tripped", "Sent", "Delivered", "Not delivered", "Canceled", "Timed out", "TLS"),
    ],
)
def test_every_status_word_has_an_icon_and_keeps_its_word(macros: dict[str, Any], word: str) -> None:
    html = macros["status"](word)
    assert word in html
    assert set(re.findall(r"#i-([\w-]+)", html)) <= symbols()
    assert "#i-info" not in html, "the word is not known"


def test_a_field_ties_hint_and_error_to_its_control(macros: dict[str, Any]) -> None:
    html = macros["field"]("host", "Host", hint="Without a port.", error=["Not found.", "Second."])
    assert 'aria-describedby="f-host-hint f-host-error" aria-invalid="true"' in html
    assert 'id="f-host-hint"' in html
    assert 'id="f-host-error"' in html
    assert "Second." not in html


def test_what_people_typed_cannot_leave_its_attribute(macros: dict[str, Any]) -> None:
    for kind in ("text", "textarea", "select"):
        html = macros["field"]("f", "Name", '"><script>', kind=kind, choices=[('"><script>', "A")])
        assert "<script>" not in html
    assert "<b>" not in macros["button"]("<b>", bare=True, icon="x", about='"<b>')


@pytest.mark.parametrize(("kind", "tag"), [("radio", "radio"), ("seg", "radio"), ("checks", "checkbox")])
def test_a_group_marks_what_is_chosen(macros: dict[str, Any], kind: str, tag: str) -> None:
    value = ["2"] if kind == "checks" else 2
    html = macros["field"]("port", "Port", value, kind=kind, choices=[(1, "One"), (2, "Two", "Said below.")])
    assert re.findall(rf'type="{tag}" name="port" value="(\d)"[^>]* checked', html) == ["2"]
    assert html.count("<legend>Port</legend>") == 1


def test_a_stored_secret_is_kept_unless_replaced(macros: dict[str, Any]) -> None:
    stored = {"mask": "••••x7Qa", "at": datetime(2025, 3, 12, tzinfo=UTC), "by": "Dana"}
    html = macros["secret"]("password", "Password", stored=stored)
    assert re.search(r'name="password__action" value="keep" checked', html)
    assert "Keep ••••x7Qa" in html
    assert 'value="remove"' not in html
    refused = macros["secret"]("password", "Password", stored=stored, error="Refused.", removable=True)
    assert re.search(r'name="password__action" value="replace" checked', refused)
    assert 'value="remove"' in refused


def test_a_post_form_carries_the_token(macros: dict[str, Any]) -> None:
    for html in (
        macros["action"]("/check", "Test"),
        macros["switch"]("On", url="/switch"),
        macros["confirm"]("d", "Delete it?", "All is lost.", "/delete", "Delete"),
        macros["toast"]("Done.", undo={"url": "/undo"}),
    ):
        assert html.count(TOKEN) == html.count('method="post"') == 1
