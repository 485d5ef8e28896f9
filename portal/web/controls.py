"""Buttons, links, switches and states as pages have them by the dozen; the style guide shows their looks."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup, escape

from portal.web.filters import ago, clock_time, duration, full_local, full_time, here, iso_local, minute_time
from portal.web.markup import Draw, attributes, csrf_field, hidden_fields, made

WORDS: Final = {
    "Active": ("ok", "ok"), "Error": ("err", "error"), "Re-authenticate": ("warn", "warn"),
    "Unverified": ("warn", "warn"), "Limited": ("warn", "warn"), "Maintenance": ("info", "wrench"),
    "Disabled": ("off", "off"),
    "Checking": ("info", "spin"), "Queued": ("off", "clock"), "Carrying": ("ok", "live"),
    "Standby": ("off", "standby"), "Tripped": ("err", "error"), "Sent": ("off", "check"),
    "Delivered": ("ok", "check2"), "Not delivered": ("err", "error"), "Canceled": ("off", "x"),
    "Timed out": ("err", "clock"), "TLS": ("err", "lock"), "Success": ("ok", "ok"), "Passed": ("ok", "ok"),
    "Failure": ("err", "error"), "Failed": ("err", "error"),
}  # fmt: skip
"""Tone and icon of the states that the portal has words for."""
_STAGES: Final = {
    "passed": ("ok", "ok", "Passed"), "failed": ("err", "error", "Failed"), "running": ("info", "clock", "Running"),
    "not_run": ("off", "skip", "Not run"),
}  # fmt: skip
"""Tone, icon and word of the states of a step."""
_SPIN: Final = Markup('<span class="spin" aria-hidden="true"></span>')
_TIMES: Final = {"ago": ago, "clock": clock_time, "full": full_time, "minute": minute_time}
Attrs = Mapping[str, Any]
NONE: Final[Attrs] = {}


class Controls:
    """The functions, with the way to draw an icon."""

    def __init__(self, icon: Draw) -> None:
        """Take the function that draws an icon."""
        self._icon = icon

    def functions(self) -> dict[str, Any]:
        """Return them by the names that templates call them by."""
        names = ("status", "badge", "when", "steps", "button", "link_button", "action", "opener", "switch")
        return {name: getattr(self, name) for name in names}

    def status(self, word: str, tone: str | None = None, icon: str | None = None) -> Markup:
        """Say the state of a thing, icon and word; the words of the portal know their tone and icon."""
        known_tone, known_icon = WORDS.get(word, ("off", "info"))
        glyph = icon or known_icon
        drawn = _SPIN if glyph == "spin" else self._icon(glyph, small=True)
        return made(f'<span class="status" data-tone="{escape(tone or known_tone)}">{drawn}{escape(word)}</span>')

    def badge(self, text: object, tone: str | None = None, icon: str | None = None) -> Markup:
        """Say a small fact."""
        drawn = self._icon(icon, small=True) if icon else ""
        return made(f'<span class="badge"{attributes({"data-tone": tone})}>{drawn}{escape(text)}</span>')

    @staticmethod
    def when(moment: datetime | None, style: str = "ago", never: str = "Never") -> Markup:
        """Write a moment.

        Args:
            moment: the moment, if there is one.
            style: ago, clock (logs), minute (what is planned) or full.
            never: what is said where there is none.
        """
        if moment is None:
            return escape(never)
        local = here(moment)
        title, shown = escape(full_local(local)), escape(_TIMES[style](moment))
        return made(f'<time datetime="{iso_local(local)}" title="{title}">{shown}</time>')

    def steps(self, items: Iterable[Attrs]) -> Markup:
        """List a staged test. Items: {name, state: passed|failed|running|not_run, detail, code, duration_ms, hint}."""
        return made(f'<ol class="steps">{"".join(map(self._step, items))}</ol>')

    def _step(self, item: Attrs) -> str:
        tone, glyph, word = _STAGES[item["state"]]
        code, detail, hint = item.get("code"), item.get("detail"), item.get("hint")
        said = f"<code>{escape(code)}</code>{' ' if detail else ''}" if code else ""
        said += f"{escape(detail or (word if item['state'] == 'not_run' else ''))}"
        spent = f'<span class="muted num">{duration(item.get("duration_ms"))}</span>'
        return (
            f'<li data-tone="{tone}">{self._icon(glyph, label=word)}<b>{escape(item["name"])}</b>'
            f'<span class="detail">{said}</span>{_SPIN if item["state"] == "running" else spent}'
            + (f'<p class="more">{escape(hint)}</p></li>' if hint else "</li>")
        )

    def button(
        self, label: str, *, icon: str | None = None, kind: str | None = None, small: bool = False,
        type: str = "submit",  # noqa: A002 - HTML's name
        about: str | None = None, busy: bool = False, disabled: bool = False, bare: bool = False, attrs: Attrs = NONE,
    ) -> Markup:  # fmt: skip
        """Draw any action. `kind` is None, primary, quiet, danger or destroy; `about` is said after the label only."""
        own = {
            "class": _look(kind, small, bare), "type": type, "disabled": disabled,
            "aria-busy": "true" if busy else None, "aria-label": _name(label, about, bare),
        }  # fmt: skip
        inside = self._inside(label, icon, about, bare)
        return made(f"<button{attributes({**own, **attrs})}>{inside}</button>")

    def link_button(
        self, label: str, url: str, *, icon: str | None = None, kind: str | None = None, small: bool = False,
        about: str | None = None, bare: bool = False, disabled: bool = False, attrs: Attrs = NONE,
    ) -> Markup:  # fmt: skip
        """Draw a link that looks like a button, because it goes somewhere. Disabled it has no address."""
        own = {
            "class": _look(kind, small, bare), "href": None if disabled else url,
            "role": "link" if disabled else None, "aria-disabled": "true" if disabled else None,
            "aria-label": _name(label, about, bare),
        }  # fmt: skip
        return made(f"<a{attributes({**own, **attrs})}>{self._inside(label, icon, about, bare)}</a>")

    def action(
        self, url: str, label: str, *, icon: str | None = None, kind: str | None = None, small: bool = False,
        about: str | None = None, fields: Attrs = NONE, disabled: bool = False, target: str | None = None,
        swap: str = "outerHTML", attrs: Attrs = NONE,
    ) -> Markup:  # fmt: skip
        """Draw a form of one button that changes something by POST; `target` makes it an htmx request as well."""
        htmx = {"hx-post": url, "hx-target": target, "hx-swap": swap} if target else {}
        own = attributes({"method": "post", "action": url, **htmx, **attrs})
        pressed = self.button(label, icon=icon, kind=kind, small=small, about=about, disabled=disabled)
        return made(f"<form{own}>{csrf_field()}{hidden_fields(fields)}{pressed}</form>")

    def opener(
        self, dialog_id: str, label: str, *, icon: str | None = None, kind: str | None = None, small: bool = False,
        about: str | None = None,
    ) -> Markup:  # fmt: skip
        """Draw what opens the dialog that confirm() made; the browser does it where scripts are off."""
        attrs = {"popovertarget": dialog_id}
        return self.button(label, icon=icon, kind=kind, small=small, type="button", about=about, attrs=attrs)

    @staticmethod
    def switch(
        label: str, *, checked: bool = False, name: str = "enabled", url: str | None = None, hide_label: bool = False,
        disabled: bool = False, fields: Attrs = NONE, target: str | None = None, swap: str = "none",
        id: str | None = None, attrs: Attrs = NONE,  # noqa: A002 - HTML's name
    ) -> Markup:  # fmt: skip
        """Draw on or off, effective at once. With a url it is a POST form that is sent on change (off: no name)."""
        own = {
            "type": "checkbox", "role": "switch", "name": name, "value": "on", "id": id, "checked": checked,
            "disabled": disabled, **attrs,
        }  # fmt: skip
        look = attributes({"class": "vh" if hide_label else None})
        shown = made(f'<label class="switch"><input{attributes(own)}><span{look}>{escape(label)}</span></label>')
        if not url:
            return shown
        trigger = {"hx-post": url, "hx-trigger": "change, submit", "hx-target": target or "this", "hx-swap": swap}
        form = attributes({"method": "post", "action": url, **trigger, "data-switch": True})
        apply = '<noscript><button class="btn btn--sm">Apply</button></noscript>'
        return made(f"<form{form}>{csrf_field()}{hidden_fields(fields)}{shown}{apply}</form>")

    def _inside(self, label: str, icon: str | None, about: str | None, bare: bool) -> Markup:
        """Return the inside of a button: icon, words, hidden words for screen readers. Bare: the icon alone."""
        drawn = self._icon(icon, small=not bare) if icon else ""
        more = f'<span class="vh"> {escape(about)}</span>' if about and not bare else ""
        return made(f"{drawn}{'' if bare else escape(label)}{more}")


def _look(kind: str | None, small: bool, bare: bool) -> str:
    return "btn" + (f" btn--{kind}" if kind else "") + (" btn--sm" if small else "") + (" btn--icon" if bare else "")


def _name(label: str, about: str | None, bare: bool) -> str | None:
    return (f"{label} {about}" if about else label) if bare else None
