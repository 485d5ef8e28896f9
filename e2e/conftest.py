"""Fixtures of the browser tests: a portal and a sandbox for each worker, an organization for each test."""

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from e2e.support.canary import GOOD, leaks, leaks_in_folder
from e2e.support.portal import Portal
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor
from portal.sandbox import Sandbox
from tests.support.browser import find_browser, launch_args

PICTURES = Path(__file__).resolve().parents[1] / "test-results"
FAILED = pytest.StashKey[bool]()
Open = Callable[..., Visitor]

expect.set_options(timeout=10_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on the test itself that it failed, for the picture that is taken when its window closes."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of this worker."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=launch_args())
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def mail() -> Iterator[Sandbox]:
    """The provider sandbox, whose mail server accepts the canary as its only password."""
    with Sandbox(mail_password=GOOD).start(port=0, smtp_port=0) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def portal(mail: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal that serves; at the end it stops as asked, has logged no error and kept no secret."""
    portal = Portal(tmp_path_factory.mktemp("portal"), sandbox_url=mail.url)
    yield portal
    held_to_account(portal)


def held_to_account(portal: Portal) -> None:
    """Stop a portal and look at what it leaves behind."""
    assert portal.stop() == 0
    assert portal.complaints == []
    assert leaks(portal.printed) == []
    assert leaks_in_folder(portal.instance) == []


@pytest.fixture(scope="session")
def seeds(portal: Portal, mail: Sandbox) -> Iterator[Seeder]:
    """Makes data in the portal's database, and looks at its rows."""
    seeder = Seeder(portal.instance, mail.url)
    yield seeder
    seeder.close()


@pytest.fixture
def place(seeds: Seeder, mail: Sandbox) -> Iterator[Place]:
    """An organization of the test's own, and a sandbox that remembers nothing and has no fault."""
    place = seeds.place()
    yield place
    mail.reset()
    seeds.retire(place)
    mail.reset()


@pytest.fixture
def open_window(request: pytest.FixtureRequest, browser: Browser, portal: Portal) -> Iterator[Open]:
    """Opens windows: signed in with a cookie, without scripts, or on another portal."""
    windows: list[Visitor] = []

    def open_one(url: str = portal.url, **how: object) -> Visitor:
        windows.append(Visitor(browser, url, **how))  # type: ignore[arg-type]
        return windows[-1]

    yield open_one
    if request.node.stash.get(FAILED, False):
        for number, window in enumerate(windows):
            window.keep_picture(PICTURES / re.sub(r"\W+", "-", f"{request.node.nodeid}-{number}"))
    problems = [problem for window in windows for problem in window.close()]
    assert problems == []


@pytest.fixture
def visitor(open_window: Open, portal: Portal, seeds: Seeder, place: Place) -> Visitor:
    """A window in which the admin of the test's organization is signed in."""
    return open_window(cookie=seeds.cookie(place, portal.url))
