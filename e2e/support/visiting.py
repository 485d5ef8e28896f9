"""A browser window that watches itself: whatever the page or the network complains about fails the test."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Request, Response

from e2e.support import accessibility
from e2e.support.accessibility import NARROW, WIDE
from e2e.support.canary import leaks

POLICY = """document.addEventListener("securitypolicyviolation", ({violatedDirective, blockedURI, sourceFile}) =>
  console.error(`CSP: ${violatedDirective} ${blockedURI} ${sourceFile}`));"""
TOASTS = """window.portalToasts = new Set();
new MutationObserver((changes) => changes.forEach(({addedNodes}) => addedNodes.forEach((node) => {
  const inside = node instanceof Element ? [node, ...node.querySelectorAll(".toast")] : [];
  inside.filter((each) => each.matches(".toast")).forEach((toast) => portalToasts.add(toast));
}))).observe(document, {childList: true, subtree: true});"""
"""Remembers every toast of a page: on a slow machine one may be gone before anybody looks."""
TOLD = """() => [...window.portalToasts].map((toast) =>
  toast.portalHeard || (toast.isConnected && !toast.checkVisibility()) ? "" : toast.textContent)"""
HEARD = "(number) => { [...window.portalToasts][number].portalHeard = true; }"
REPORTED_ELSEWHERE = "Failed to load resource"
"""The browser says so of every answer that is an error; the answers themselves are watched."""


class Visitor:
    """One window of one person."""

    def __init__(
        self, browser: Browser, url: str, *, cookie: Any = None, script: bool = True, phone: bool = False
    ) -> None:
        """Open the window.

        Args:
            browser: the browser.
            url: where the portal is served.
            cookie: of a signed-in member; without one nobody is signed in.
            script: whether scripts run.
            phone: whether it is narrow and touched by fingers.
        """
        self._context = browser.new_context(
            base_url=url, viewport=NARROW if phone else WIDE, has_touch=phone, is_mobile=phone, color_scheme="light",
            reduced_motion="reduce", java_script_enabled=script, locale="en-GB", timezone_id="UTC",
        )  # fmt: skip
        self._script, self._phone, self._forgiven = script, phone, False
        self._copies = self._context if script else browser.new_context()
        self._context.set_default_timeout(15_000)
        if script:
            self._context.add_init_script(POLICY)
            self._context.add_init_script(TOASTS)
        if cookie:
            self._context.add_cookies([cookie])
        self.page: Page = self._context.new_page()
        self.problems: list[str] = []
        self._expected: set[int] = set()
        self._changes: set[Request] = set()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("response", self._answered)
        self.page.on("request", self._asked)
        self.page.on("requestfinished", self._done)
        self.page.on("requestfailed", self._failed)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and REPORTED_ELSEWHERE not in message.text:
            self.problems.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        if request.method != "GET":
            self._changes.add(request)

    def _done(self, request: Request) -> None:
        self._changes.discard(request)

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self._expected:
            self.problems.append(f"{response.status} for {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        self._done(request)
        # A page that is left, or asked for anew, drops what it still reads; a change must have its answer by then.
        left = request.method == "GET" or request.existing_response is not None
        if not (left and request.failure == "net::ERR_ABORTED"):
            self.problems.append(f"{request.failure}: {request.method} {request.url}")

    @contextmanager
    def expecting(self, *statuses: int) -> Iterator[None]:
        """Within the block answers with these statuses are what the test is about."""
        before, self._expected = self._expected, self._expected | set(statuses)
        try:
            yield
        finally:
            self._expected = before

    def go(self, path: str) -> None:
        """Open a page of the portal."""
        self.page.goto(path)

    def look(self) -> None:
        """Hold the page as it stands now against what must hold for every page in every state."""
        assert leaks(self.page.content()) == []
        found = accessibility.faults(self._in_place_of(), phone=self._phone)
        assert found == [], "\n".join([self.page.url, *found])

    def _in_place_of(self) -> Page:
        """Return a page that axe-core can run in: this one, or where scripts are off a copy of what it shows."""
        if self._script:
            return self.page
        html = re.sub(r"<script\b.*?</script>", "", self.page.content(), flags=re.DOTALL)
        html = re.sub(r"(</?)noscript\b", r"\1span", html)
        copy = self._copies.new_page()
        copy.route(self.page.url, lambda route: route.fulfill(body=html, content_type="text/html"))
        copy.goto(self.page.url)
        return copy

    def sideways(self) -> list[str]:
        """Return what is wider than the window as it is now."""
        return accessibility.sideways(self.page)

    def close(self) -> list[str]:
        """Close the window once what it changes is done, and return what it complained about."""
        for _ in range(100):
            if not self._changes:
                break
            self.page.wait_for_timeout(50)
        self._context.close()
        self._copies.close()
        return [] if self._forgiven else self.problems

    def forgive(self) -> None:
        """Let pass what this window complains about: it was what the test is about."""
        self._forgiven = True

    def keep_picture(self, path: Path) -> None:
        """Keep a picture of the window and its HTML, for whoever looks into a failure."""
        path.parent.mkdir(exist_ok=True)
        # Hiding the caret would need a style that the portal's content policy refuses.
        self.page.screenshot(path=path.with_suffix(".png"), full_page=True, caret="initial")
        path.with_suffix(".html").write_text(self.page.content(), encoding="utf-8")

    # What is found again and again.

    @property
    def drawer(self) -> Locator:
        """The drawer that is open."""
        return self.page.locator("dialog.drawer")

    @property
    def result(self) -> Locator:
        """What a test in the drawer found."""
        return self.drawer.locator("[data-result]")

    @property
    def head(self) -> Locator:
        """The head of the page: heading, state, actions."""
        return self.page.locator("main .head")

    @property
    def state(self) -> Locator:
        """The state of the integration that the page is about."""
        return self.head.locator(".status")

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """A button by its whole name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def line(self, name: str) -> Locator:
        """The row of the dashboard's table that shows an integration."""
        return self.page.locator("#board tbody tr").filter(has=self.page.get_by_role("link", name=name, exact=True))

    def figure(self, label: str) -> Locator:
        """One of the figures above the list."""
        return self.page.locator(".stats .stat").filter(has_text=label)

    def said(self, text: str | re.Pattern[str]) -> None:
        """Wait for a toast with these words that was not waited for before; it may be gone again by now."""
        told: list[str] = []
        for _ in range(200):
            # A page that is just being left cannot be asked.
            with suppress(Error):
                told = [" ".join(each.split()) for each in self.page.evaluate(TOLD)]
                found = [number for number, each in enumerate(told) if _says(each, text)]
                if found:
                    self.page.evaluate(HEARD, found[-1])
                    return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"no toast says {text!r}: {told}")

    def fill(self, **values: str) -> None:
        """Type into the drawer's controls, each found by its name."""
        for name, value in values.items():
            self.drawer.locator(f"[name={name}]").fill(value)

    def submit(self, button: str, **values: str) -> None:
        """Type into the controls of a page that is a form, and press its button."""
        for name, value in values.items():
            self.page.locator(f"main [name={name}]").fill(value)
        self.page.locator("main").get_by_role("button", name=button, exact=True).click()


def _says(toast: str, text: str | re.Pattern[str]) -> bool:
    return text.lower() in toast.lower() if isinstance(text, str) else text.search(toast) is not None
