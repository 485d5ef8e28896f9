"""The smallest parts of every page, made in Python: a page has hundreds, and a macro costs ten times as much."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

from flask import Flask, g, has_request_context, request
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup, escape

MINI: Final = (2, 3, 16)
WIDE: Final = (8, 11, 36)
"""Width of a bar, distance to the next, height of a strip, in units of its view box."""
FOOT: Final = 3
"""How high "no data" is."""
SOME: Final = 0.65
"""Share of the height that a day with some failures has."""


def made(text: str) -> Markup:
    """Return HTML made here, of parts that were escaped one by one: eight times as fast as Markup's own `%`.

    For the few functions of this module and controls.py. Markup() would ask first whether the text is HTML already.
    """
    return str.__new__(Markup, text)


def quoted(text: str) -> str:
    """Escape a text, as escape() does, without an object of its own for the many that need nothing escaped."""
    if "&" in text or "<" in text or ">" in text or '"' in text or "'" in text:
        return str(escape(text))
    return text


def attributes(attrs: Mapping[str, Any]) -> Markup:
    """Write a dict as HTML attributes; True is a bare attribute, None and False leave it out.

    Args:
        attrs: by names, which the templates write themselves.
    """
    written = [
        f" {name}" if value is True else f' {name}="{quoted(str(value))}"'
        for name, value in attrs.items()
        if value is not None and value is not False
    ]
    return made("".join(written))


def hidden_fields(fields: Mapping[str, Any]) -> Markup:
    """Write a dict as hidden inputs."""
    return made(
        "".join(f'<input type="hidden"{attributes({"name": name, "value": value})}>' for name, value in fields.items())
    )


def csrf_field() -> Markup:
    """Return the token that every POST form carries."""
    field: Markup | None = g.get("portal_csrf_field")
    if field is None:
        field = g.portal_csrf_field = made(f'<input type="hidden" name="csrf_token" value="{escape(generate_csrf())}">')
    return field


class Draw(Protocol):
    """Draws one symbol of static/icons.svg."""

    def __call__(self, name: str, label: str | None = None, small: bool = False) -> Markup:
        """Draw it. With a label it has a meaning of its own; without, the words beside it have."""
        ...


def icons(asset: Callable[[str], str]) -> Draw:
    """Return the function that draws one symbol of static/icons.svg.

    Args:
        asset: returns the address of a front-end file.
    """

    def icon(name: str, label: str | None = None, small: bool = False) -> Markup:
        return _icon(asset("icons.svg"), name, label, small)

    return icon


@lru_cache(maxsize=1024)
def _icon(file: str, name: str, label: str | None, small: bool) -> Markup:
    said = attributes({"role": "img", "aria-label": label} if label else {"aria-hidden": "true"})
    size = " icon--sm" if small else ""
    return made(f'<svg class="icon{size}"{said}><use href="{escape(file)}#i-{escape(name)}"/></svg>')


def addresses(app: Flask) -> Callable[..., str]:
    """Return url_for as templates call it: a page asks for a hundred, nearly the same at each look.

    Args:
        app: whose routes they are.
    """

    @lru_cache(maxsize=4096, typed=True)
    def built(_root: str, endpoint: str, /, **values: Any) -> str:
        return app.url_for(endpoint, **values)

    def url_for(endpoint: str, /, **values: Any) -> str:
        # Those that begin with a dot or an underscore depend on the request.
        depends = not has_request_context() or any(name.startswith((".", "_")) for name in (endpoint, *values))
        if depends or any(isinstance(each, list) for each in values.values()):
            return app.url_for(endpoint, **values)
        return built(request.environ.get("SCRIPT_NAME", ""), endpoint, **values)

    return url_for


def uptime_bar(bars: Sequence[str], label: str, mini: bool = False) -> Markup:
    """Draw one bar for each day or hour, all of a state as one path.

    "ok" and "err" are full bars, "warn" is 65 % high, and "none" leaves a foot.

    Args:
        bars: ok, warn, err or none, oldest first.
        label: the sentence that says the same.
        mini: whether it stands in a row of a list.
    """
    width, step, height = MINI if mini else WIDE
    own = attributes(
        {
            "class": "uptime uptime--mini" if mini else "uptime",
            "viewBox": f"0 0 {max(len(bars) * step + width - step, 1)} {height}",
            "preserveAspectRatio": "none", "role": "img", "aria-label": label,
        }
    )  # fmt: skip
    return made(f"<svg{own}>{_paths(tuple(bars), mini)}</svg>")


@lru_cache(maxsize=1024)
def _paths(bars: tuple[str, ...], mini: bool) -> str:
    """Draw the bars. Most rows of a list have the same ones, all of them ok."""
    width, step, height = MINI if mini else WIDE
    tall = {"ok": height, "err": height, "warn": round(height * SOME, 1), "none": FOOT}
    paths = ""
    for state, high in tall.items():
        top = f"{height - high:g}"
        drawn = "".join(
            f"M{at * step} {top}h{width}v{high:g}h-{width}z" for at, each in enumerate(bars) if each == state
        )
        paths += f'<path class="u-{state}" d="{drawn}"/>' if drawn else ""
    return paths
