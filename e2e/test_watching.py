"""The proofs prove something: a page with faults is found out, and a secret is found in whatever form it is written."""

from base64 import b64encode

import pytest

from e2e.conftest import Open
from e2e.support import accessibility
from e2e.support.canary import GOOD, leaks

FAULTY = """<!doctype html><html lang="en"><head><title>Faulty</title></head>
<body style="background: linear-gradient(90deg, #eee 1px, transparent 0)"><main><h1>Faulty</h1>
<img src="/favicon.ico"><div style="width: 500px">wide</div><p style="color: #999">faint</p></main></body></html>"""


@pytest.mark.parametrize("before", ["", "\0", "\0user\0", "ab"])
def test_a_secret_is_found_within_base64(before: str) -> None:
    assert leaks(b64encode(f"{before}{GOOD} and more".encode())) != []


@pytest.mark.parametrize("form", [GOOD, f"…{GOOD}…", GOOD.encode("utf-16"), GOOD.encode().hex()])
def test_a_secret_is_found_as_text(form: str | bytes) -> None:
    assert leaks(form) != []


def test_what_is_no_secret_is_no_finding() -> None:
    assert leaks(f"{GOOD[:-1]} {GOOD[-4:]} {b64encode(b'something else entirely').decode()}") == []


def test_faults_of_a_page_are_found(open_window: Open) -> None:
    visitor = open_window()
    visitor.page.route("**/faulty", lambda route: route.fulfill(body=FAULTY, content_type="text/html"))
    visitor.go("/faulty")
    found = accessibility.faults(visitor.page)
    assert any("image-alt" in each for each in found)
    assert any("the page is" in each for each in found)
    faint = [each.partition(":")[0] for each in found if "color-contrast" in each]
    assert faint == ["1280 px dark", "1280 px light"], "although the page's own background is a gradient"
    found = accessibility.faults(visitor.page, phone=True)
    assert any("color-contrast" in each for each in found)
    visitor.forgive()


def test_what_a_page_complains_about_is_noted(open_window: Open) -> None:
    visitor = open_window()
    visitor.go("/login")
    visitor.page.evaluate("""async () => {
      console.error("said so");
      document.body.style.cssText = "color: red";
      document.body.insertAdjacentHTML("beforeend", "<p style='color: red'>styled</p>");
      setTimeout(() => { throw new Error("thrown") });
      await fetch("/no-such-page");
      await fetch("http://127.0.0.1:9/").catch(() => {});
    }""")
    noted = "\n".join(visitor.problems)
    for expected in ("said so", "style-src", "thrown", "404 for GET", "connect-src"):
        assert expected in noted
    visitor.forgive()
