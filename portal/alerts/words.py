"""What notifications of alerts say: one letter for each kind of channel, made of the same facts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from portal.alerts import gsm
from portal.alerts.endings import WORDS as ENDINGS
from portal.alerts.endings import Resolution
from portal.alerts.models import Severity
from portal.alerts.notification_models import Mode, NoticeKind, NotificationKind
from portal.alerts.rules import LABELS
from portal.security.redaction import strip_controls
from portal.web.filters import lower_first, plural

SHOWN: Final = 10
"""Alerts that a message lists; it only counts the others."""
LONGEST_SUBJECT: Final = 150
PATH: Final = "/admin/alerts"
HEADINGS: Final = {
    NoticeKind.OPENED: ("New alert", "New alerts"),
    NoticeKind.REMINDER: ("Still open", "Still open"),
    NoticeKind.RESOLVED: ("Resolved", "Resolved"),
}


@dataclass(frozen=True)
class Entry:
    """One alert as a message tells of it.

    Attributes:
        alert: its row.
        kind: what is told.
        name: of the integration that it is about; empty for others.
    """

    alert: Any
    kind: NoticeKind
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What all messages of an organization share: its name, its time zone, where the portal is."""

    organization: str
    zone: str
    base_url: str = ""

    def link(self, path: str = PATH) -> str:
        """Return a link into the portal; empty where nobody said where it is."""
        return self.base_url.rstrip("/") + path if self.base_url else ""

    def time(self, moment: datetime) -> str:
        """Write a moment where the organization is, as in "Fri 21 Nov 2025, 10:28 AEDT"."""
        local = moment.astimezone(ZoneInfo(self.zone))
        return f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}"

    def clock(self, moment: datetime) -> str:
        """Write the time of the day where the organization is."""
        return f"{moment.astimezone(ZoneInfo(self.zone)):%H:%M}"


@dataclass(frozen=True)
class Told:
    """One alert in words."""

    title: str
    facts: Sequence[tuple[str, str]]
    link: str


@dataclass(frozen=True)
class Section:
    """Alerts of which the same is told."""

    heading: str
    told: Sequence[Told]
    more: int
    """How many there are besides."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """Everything that a notification says.

    Attributes:
        kind: what it is, as the log calls it.
        subject: one line.
        sections: what it tells of, the worst first.
        sms: the whole of it in 160 letters.
        tone: ok, warn or err.
        opened, reminded, resolved: how many alerts it tells of in each way.
    """

    kind: NotificationKind
    subject: str
    sections: Sequence[Section]
    sms: str
    tone: str
    counts: dict[str, int] = field(default_factory=dict)


def clean(text: str) -> str:
    """Return a text on one line that neither ends a header nor turns the reading direction."""
    return " ".join(strip_controls(" ".join(text.split()), keep="").split())


def letter(entries: Sequence[Entry], *, mode: str, frame: Frame) -> Letter:
    """Return what a channel is told of these alerts."""
    ordered = sorted(entries, key=_urgency)
    by_kind = {kind: [each for each in ordered if each.kind is kind] for kind in NoticeKind}
    kind = _kind(by_kind, mode)
    left, sections = SHOWN, []
    for each, found in by_kind.items():
        if found:
            shown = found[:left]
            told = [_told(entry, frame) for entry in shown]
            sections.append(Section(HEADINGS[each][len(found) > 1], told, len(found) - len(shown)))
            left -= len(shown)
    return Letter(
        kind=kind,
        subject=_subject(kind, by_kind),
        sections=sections,
        sms=_sms(by_kind, frame),
        tone=_tone(by_kind),
        counts={str(each): len(found) for each, found in by_kind.items()},
    )


def _urgency(entry: Entry) -> tuple[str, datetime, str]:
    return (entry.alert.severity, entry.alert.since, str(entry.alert.id))


def _kind(by_kind: dict[NoticeKind, list[Entry]], mode: str) -> NotificationKind:
    if mode == Mode.DIGEST:
        return NotificationKind.DIGEST
    return NotificationKind(next(kind for kind in NoticeKind if by_kind[kind]))


def _tone(by_kind: dict[NoticeKind, list[Entry]]) -> str:
    live = by_kind[NoticeKind.OPENED] + by_kind[NoticeKind.REMINDER]
    if not live:
        return "ok"
    return "err" if any(each.alert.severity == Severity.CRITICAL for each in live) else "warn"


def brief(entry: Entry) -> str:
    """Return an alert in some words: what it hurts, and what it is about."""
    impact = entry.alert.impact or entry.alert.title
    return clean(f"{impact} ({entry.name})" if entry.name else impact)


def _subject(kind: NotificationKind, by_kind: dict[NoticeKind, list[Entry]]) -> str:
    if kind is NotificationKind.DIGEST:
        live = len(by_kind[NoticeKind.OPENED]) + len(by_kind[NoticeKind.REMINDER])
        parts = [f"{live:,} open" if live else "", _count(by_kind[NoticeKind.RESOLVED], "resolved")]
        return "Alerts today: " + ", ".join(filter(None, parts))
    told = by_kind[NoticeKind(kind)]
    first = brief(told[0])
    if len(told) == 1:
        return _cut({"opened": "Alert", "reminder": "Still open", "resolved": "Resolved"}[kind] + f": {first}")
    state = {"opened": "", "reminder": " still open", "resolved": " resolved"}[kind]
    behind = f", and {len(told) - 1:,} more"
    return _cut(f"{plural(len(told), 'alert')}{state}: {first}", behind)


def _count(found: Sequence[Entry], word: str) -> str:
    return f"{len(found):,} {word}" if found else ""


def _cut(text: str, behind: str = "") -> str:
    room = LONGEST_SUBJECT - len(behind)
    return (text if len(text) <= room else text[: room - 1].rstrip() + "…") + behind


def _told(entry: Entry, frame: Frame) -> Told:
    alert = entry.alert
    code = f" ({alert.code})" if alert.code else ""
    facts = [("Impact", alert.impact), ("Since", frame.time(alert.since))]
    if entry.kind is NoticeKind.RESOLVED:
        facts = [("It was", alert.impact), ("From", frame.time(alert.since)), ("To", frame.time(alert.resolved_at))]
        facts.append(("How", ENDINGS.get(alert.resolution, ENDINGS[Resolution.RECOVERED])))
    else:
        facts += [("What failed", alert.message + code), ("What to do", alert.hint)]
    shown = [(name, clean(value)) for name, value in facts if value]
    return Told(clean(alert.title), shown, frame.link(f"{PATH}/{alert.id}"))


def plain_text(letter: Letter, frame: Frame, *, why: str) -> str:
    """Return a letter for a mail program that shows no HTML.

    Args:
        letter: what there is to say.
        frame: where the organization and the portal are.
        why: why the reader gets it.
    """
    lines: list[str] = []
    for section in letter.sections:
        lines += [section.heading, ""]
        for each in section.told:
            lines += [each.title, *(f"  {name}: {value}" for name, value in each.facts)]
            lines += [f"  See or acknowledge it: {each.link}"] if each.link else []
            lines.append("")
        lines += [f"And {section.more:,} more.", ""] if section.more else []
    lines += [f"All alerts: {frame.link()}"] if frame.link() else []
    return "\n".join([*lines, why, ""])


def chat_text(letter: Letter) -> str:
    """Return what a chat message says below its title."""
    parts: list[str] = []
    for section in letter.sections:
        titles = [f"• {each.title}" for each in section.told]
        more = [f"And {section.more:,} more."] if section.more else []
        parts.append("\n".join([f"{section.heading}:", *titles, *more]))
    return "\n\n".join(parts)


def chat_facts(letter: Letter) -> list[list[str]]:
    """Return the facts of the only alert that a chat message tells of; of several it lists the titles."""
    told = [each for section in letter.sections for each in section.told]
    return [[name, value] for name, value in told[0].facts] if len(told) == 1 else []


def _sms(by_kind: dict[NoticeKind, list[Entry]], frame: Frame) -> str:
    """Return the text message: no names, since it lies open on a locked screen."""
    kind = next(kind for kind in NoticeKind if by_kind[kind])
    told = by_kind[kind]
    first = told[0].alert
    since = f"since {frame.clock(first.since)}"
    what = _what(first) if kind is not NoticeKind.RESOLVED else f"resolved: {lower_first(_what(first))}"
    said = {
        NoticeKind.OPENED: f"{what} {since}",
        NoticeKind.REMINDER: f"still open: {lower_first(what)} {since}",
        NoticeKind.RESOLVED: what,
    }[kind]
    more = f", and {len(told) - 1:,} more" if len(told) > 1 else ""
    return gsm.fitted(f"Integrations Portal: {said}{more}.", frame.link())


def _what(alert: Any) -> str:
    """Return what is wrong without names: what it hurts where that has none, else the kind of alert."""
    return str(alert.impact if alert.integration_id or not alert.webhook_id else LABELS.get(alert.rule, "An alert"))
