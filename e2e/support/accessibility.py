"""What must hold for every page in every state: nothing for axe-core to find, and nothing that scrolls sideways."""

from functools import cache
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Page, ViewportSize

AXE: Final = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
WIDE: Final[ViewportSize] = {"width": 1280, "height": 900}
NARROW: Final[ViewportSize] = {"width": 390, "height": 844}

_RUN: Final = """async ({only, not}) => {
  const runOnly = only.length ? {type: "rule", values: only} : undefined;
  const rules = Object.fromEntries(not.map((rule) => [rule, {enabled: false}]));
  // In a wide window the page's own background is a gradient under the navigation, on which axe-core judges no colour.
  const {backgroundImage} = document.body.style;
  document.body.style.backgroundImage = "none";
  const how = {resultTypes: ["violations"], preload: false, rules, ...(runOnly && {runOnly})};
  const found = await axe.run(document, how).finally(() => { document.body.style.backgroundImage = backgroundImage; });
  return found.violations.flatMap(({id, help, nodes}) => nodes.map((node) =>
    `${id} (${help}): ${node.target.join(" ")} ${node.any[0]?.message ?? node.failureSummary ?? ""}`));
}"""
_SIDEWAYS: Final = """() => {
  const wide = [...document.querySelectorAll("body *")].filter((element) => {
    if (!element.checkVisibility() || element.matches("pre, pre *, svg *, .vh, .skip")) return false;
    const style = getComputedStyle(element);
    return ["auto", "scroll"].includes(style.overflowX) && element.scrollWidth > element.clientWidth + 1;
  });
  const root = document.scrollingElement;
  const names = wide.map((element) => `${element.tagName.toLowerCase()}.${element.className} scrolls sideways`);
  if (root.scrollWidth > root.clientWidth) names.push(`the page is ${root.scrollWidth} px wide`);
  return names;
}"""
Rules = dict[Literal["only", "not"], list[str]]
COLOURS: Final = ["color-contrast", "link-in-text-block"]
"""Nothing but colours differs between light and dark, and no colour between a wide window and a narrow one."""
ALL: Final[Rules] = {"only": [], "not": []}
View = tuple[str, ViewportSize, Literal["dark", "light"], Rules]


@cache
def _source() -> str:
    assert AXE.is_file(), f"{AXE} is missing: `make test` fetches it"
    return AXE.read_text(encoding="utf-8")


def faults(page: Page, *, phone: bool = False) -> list[str]:
    """Look at a page in a wide window in light and dark and in a narrow one, and return what is wrong with it.

    The window is left wide and light; that of a phone stays narrow. Colours are those of the wide window: what only a
    narrow one shows is held to its colours where a phone is looked at.
    """
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_source())
    views: list[View] = [("390 px", NARROW, "light", ALL)]
    if not phone:
        views = [
            ("390 px", NARROW, "light", {"only": [], "not": COLOURS}),
            ("1280 px dark", WIDE, "dark", {"only": COLOURS, "not": []}),
            ("1280 px light", WIDE, "light", ALL),
        ]
    found = []
    for name, size, scheme, rules in views:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [f"{name}: {each}" for each in [*page.evaluate(_RUN, rules), *sideways(page)]]
    return found


def sideways(page: Page) -> list[str]:
    """Return what scrolls sideways or makes the page wider than its window; code blocks may."""
    return list(page.evaluate(_SIDEWAYS))
