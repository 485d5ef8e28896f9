"""The filter form above the audit trail: what the URL asks for, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from portal.audit.plain import clean
from portal.audit.search import Filters

LONGEST = 200
"""Characters that a text filter takes."""
NAMES = ("group", "actor", "target", "since", "until")
BAD_DATE = "Use a date such as 2026-11-21."
BAD_ORDER = "Use a day that is not before the first one."


@dataclass
class FilterForm:
    """What was asked for, as typed, with what is wrong about it."""

    group: str = ""
    actor: str = ""
    target: str = ""
    since: str = ""
    until: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, args: Mapping[str, str]) -> "FilterForm":
        """Take the filters out of a URL's arguments."""
        form = cls()
        for name in NAMES:
            setattr(form, name, clean(args.get(name, "").strip(), LONGEST))
        return form

    @property
    def given(self) -> dict[str, str]:
        """The filters in use, for the next page's URL."""
        return {name: getattr(self, name) for name in NAMES if getattr(self, name)}

    def filters(self, zone: ZoneInfo) -> Filters:
        """Return what to look for, in days of the zone, the last one included. A bad date is noted and left out."""
        since, until = self._day("since"), self._day("until")
        if since and until and until < since:
            self.errors["until"] = BAD_ORDER
        return Filters(
            group=self.group,
            actor=self.actor,
            target=self.target,
            since=_start(since, zone),
            until=_start(until + timedelta(days=1), zone) if until else None,
        )

    def _day(self, name: str) -> date | None:
        text = getattr(self, name)
        try:
            day = date.fromisoformat(text) if text else None
        except ValueError:
            day = date.max
        if day and not 1970 <= day.year < 9999:
            self.errors[name] = BAD_DATE
            return None
        return day


def _start(day: date | None, zone: ZoneInfo) -> datetime | None:
    return datetime.combine(day, time(), zone) if day else None
