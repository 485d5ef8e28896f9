"""Filters of lists as they stand in an address: what is offered, days where the viewer is, the next page."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import request

from portal import paging
from portal.security.redaction import strip_controls
from portal.web.access import identity

LONGEST_SEARCH = 100
"""Characters of a search that are looked for."""
MOST_SHOWN = 200
"""Rows that a list may grow to; it is fetched anew as a whole while the page is open."""


def chosen_filters(offered: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the filters of the address: those offered, since, until and q; others and unknown values do not count."""
    chosen = {name: request.args.get(name, "") for name in offered}
    chosen = {name: value if value in offered[name] else "" for name, value in chosen.items()}
    dates = {name: request.args.get(name, "")[:10] for name in ("since", "until")}
    return chosen | dates | {"q": searched(request.args.get("q", ""))}


def searched(text: str) -> str:
    """Return what is looked for where somebody typed this: what no list can have is left out of it."""
    return strip_controls(text).strip()[:LONGEST_SEARCH]


def midnight(text: str, *, days: int = 0) -> datetime | None:
    """Return the start of a date, so many days later, where the viewer is; None for what is no date."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
        return datetime.combine(day, time(), ZoneInfo(identity().time_zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment(text: str) -> datetime | None:
    """Return the moment that was typed, where the viewer is unless it names a zone; None for what is none."""
    try:
        typed = datetime.fromisoformat(text)
        return (typed if typed.tzinfo else typed.replace(tzinfo=ZoneInfo(identity().time_zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def shown_rows(text: str, page: int) -> int:
    """Return how many rows a list shows: a page, then more after each "Load older", so that a new look keeps them."""
    return min(max(int(text), page), MOST_SHOWN) if text.isascii() and text.isdigit() and len(text) < 4 else page


def counted(number: int) -> str:
    """Write a number that was counted up to one more than paging.COUNT_LIMIT, as "10,000+" where it is more."""
    return f"{paging.COUNT_LIMIT:,}+" if number > paging.COUNT_LIMIT else f"{number:,}"


def page_url(here: str, chosen: Mapping[str, str], cursor: str = "") -> str:
    """Return the address of a list, or of its next page, its filters kept."""
    given = {name: value for name, value in {**chosen, "cursor": cursor}.items() if value}
    return f"{here}?{urlencode(given)}" if given else here


@dataclass(frozen=True, kw_only=True)
class Growing:
    """A list that stays up to date while it is open: "Load older" makes it longer, so that a new look keeps all rows.

    Attributes:
        here: its address without filters.
        chosen: its filters.
        page: rows at first, and rows that each "Load older" adds.
        cursor: where it begins; "" is at the newest.
        shown: rows that it shows by now.
    """

    here: str
    chosen: Mapping[str, str]
    page: int
    cursor: str
    shown: int

    @classmethod
    def asked_for(cls, here: str, chosen: Mapping[str, str], *, page: int) -> "Growing":
        """Return the list as the address asks for it."""
        shown = shown_rows(request.args.get("shown", ""), page)
        return cls(here=here, chosen=chosen, page=page, cursor=request.args.get("cursor", ""), shown=shown)

    @property
    def url(self) -> str:
        """The address of just these rows."""
        return self.url_with()

    def url_with(self, **more: str) -> str:
        """Return the address of just these rows, with parameters that narrow nothing."""
        shown = str(self.shown) if self.shown > self.page else ""
        return page_url(self.here, {**self.chosen, "shown": shown, **more}, self.cursor)

    def older_url(self, next_cursor: str | None) -> str | None:
        """Return where older rows are: in this list while it may grow, else in one that begins there; None without any.

        Args:
            next_cursor: where the rows after those shown begin; None where there are none.
        """
        if next_cursor is None:
            return None
        if self.shown < MOST_SHOWN:
            return replace(self, shown=self.shown + self.page).url
        return replace(self, cursor=next_cursor, shown=self.page).url
