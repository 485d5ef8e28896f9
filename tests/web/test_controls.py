"""Parts of pages that are made in Python: what others wrote stays text in them."""

from typing import Any

import pytest

from portal.web import parts

HOSTILE, SHOWN = "<b>\"'&", "&lt;b&gt;&#34;&#39;&amp;"
RESTS = [
    ("passed", {"detail": "235 ok", "duration_ms": 1500}, "235 ok", '<span class="muted num">1.5 s</span>'),
    (
        "failed", {"detail": HOSTILE, "code": HOSTILE, "hint": HOSTILE, "duration_ms": 0},
        f"<code>{SHOWN}</code> {SHOWN}", f'<span class="muted num">0 ms</span><p class="more">{SHOWN}</p>',
    ),
    (
        "failed", {"code": HOSTILE, "detail": None, "hint": None, "duration_ms": None},
        f"<code>{SHOWN}</code>", '<span class="muted num"></span>',
    ),
    ("running", {"detail": "Waiting"}, "Waiting", '<span class="spin" aria-hidden="true"></span>'),
    ("not_run", {}, "Not run", '<span class="muted num"></span>'),
    ("not_run", {"detail": "Not asked"}, "Not asked", '<span class="muted num"></span>'),
]  # fmt: skip
LOOKS = {
    "passed": ("ok", "ok", "Passed"), "failed": ("err", "error", "Failed"), "running": ("info", "clock", "Running"),
    "not_run": ("off", "skip", "Not run"),
}  # fmt: skip


@pytest.mark.parametrize(("state", "more", "said", "rest"), RESTS)
def test_a_step_says_its_state_and_what_was_answered_as_text(
    state: str, more: dict[str, Any], said: str, rest: str
) -> None:
    tone, icon, word = LOOKS[state]
    drawn = f'<svg class="icon" role="img" aria-label="{word}"><use href="/icons.svg#i-{icon}"/></svg>'
    expected = f'<li data-tone="{tone}">{drawn}<b>{SHOWN}</b><span class="detail">{said}</span>{rest}</li>'
    steps = parts(lambda name: f"/{name}")["steps"]
    assert str(steps([{"name": HOSTILE, "state": state, **more}] * 2)) == f'<ol class="steps">{expected * 2}</ol>'
