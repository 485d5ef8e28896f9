"""Pictures of every section of the style guide, compared with those that are kept: what a change moves is seen.

`make soak` runs it, before a change and after it. Pictures depend on the browser and the fonts, so each pair of them
has a folder of its own under e2e/pictures/, which git ignores; where there is none yet the pictures are taken and kept.
"""

import os
from pathlib import Path

import pytest

from e2e.conftest import PICTURES as RESULTS
from e2e.conftest import Open
from e2e.support.portal import Portal
from e2e.support.seeding import Place, Seeder
from e2e.support.visiting import Visitor

KEPT = Path(__file__).parent / "pictures"
FONTS = """() => ["system-ui", "ui-monospace"].map((family) => {
  const text = document.createElement("canvas").getContext("2d");
  text.font = `32px ${family}`;
  return Math.round(text.measureText("The quick brown fox, 0123456789").width * 100);
}).join("-")"""


@pytest.mark.soak
@pytest.mark.parametrize("view", ["wide-light", "wide-dark", "phone-light"])
def test_the_style_guide_looks_as_it_did(
    open_window: Open, portal: Portal, seeds: Seeder, place: Place, view: str
) -> None:
    width, scheme = view.split("-")
    visitor = open_window(cookie=seeds.cookie(place, portal.url), phone=width == "phone")
    visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    visitor.go("/admin/style-guide")
    visitor.page.evaluate("() => document.querySelectorAll('time').forEach((time) => (time.textContent = '12:00'))")
    folder = KEPT / f"chromium-{_version(visitor)}-{visitor.page.evaluate(FONTS)}" / view
    changed, first = [], not folder.exists() or bool(os.environ.get("KEEP_PICTURES"))
    for section in visitor.page.locator("main section[aria-labelledby]").all():
        name = str(section.get_attribute("aria-labelledby"))
        # Hiding the caret would need a style that the portal's content policy refuses.
        picture = section.screenshot(animations="disabled", caret="initial")
        kept = folder / f"{name}.png"
        if first:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(picture)
        elif not kept.exists() or kept.read_bytes() != picture:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{view}-{name}.png").write_bytes(picture)
            changed.append(name)
    if first:
        pytest.skip(f"the first pictures of this browser with these fonts were taken and kept in {folder.parent.name}")
    assert changed == [], "look at test-results/, and keep what is meant with KEEP_PICTURES=1 make soak"


def _version(visitor: Visitor) -> str:
    browser = visitor.page.context.browser
    return browser.version.partition(".")[0] if browser else "unknown"
