"""What happens at a staffing agency in some days, as its application tells: jobs, candidates, interviews."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_JOBS: Final = (
    ("Support worker, weekends", "Parramatta"),
    ("Registered nurse, nights", "Liverpool"),
    ("Payroll officer", "North Sydney"),
    ("Forklift driver, afternoons", "Wetherill Park"),
    ("Early childhood educator", "Hornsby"),
    ("Site supervisor", "Penrith"),
    ("Kitchen hand", "Surry Hills"),
    ("Disability support coordinator", "Blacktown"),
)
_NAMES: Final = (
    "Amara Nwosu", "Lena Kowalczyk", "Tomás Herrera", "Mei-Ling Zhou", "Jarrah Simpson", "Sofia Rossi",
    "Daniel Okafor", "Anh Nguyen", "Grace Taufa", "Ravi Menon", "Hannah Fitzgerald", "Youssef Haddad",
    "Chloe Brennan", "Viktor Petrov", "Isabel Santos", "Liam Connolly", "Fatima Rahman", "Noah Williams",
    "Aiko Tanaka", "Marta Lindqvist", "Samuel Adeyemi", "Zara Hussain",
)  # fmt: skip
_JOB_LASTS: Final = 0.6
"""Jobs are opened in this share of the time, so that candidates find some."""
_NEWEST: Final = timedelta(minutes=9)
"""So long before the end the newest candidate applied."""


@dataclass(order=True)
class Told:
    """An event as the application tells it."""

    at: datetime
    event_type: str
    data: dict[str, Any] = field(compare=False)


def stories(since: datetime, until: datetime, source: random.Random) -> list[Told]:
    """Return what happened, in its order.

    Args:
        since: no event is older.
        until: no event is newer.
        source: of chance.
    """
    span = until - since
    jobs = [_job(number, since + span * _JOB_LASTS * source.random()) for number in range(len(_JOBS))]
    told = [Told(opened, "job.created", job) for job, opened in jobs]
    told += [_changed(job, opened, source) for job, opened in jobs[::2]]
    begins = [since + span * (number + source.random()) / len(_NAMES) for number in range(len(_NAMES) - 1)]
    for number, begun in enumerate([*begins, until - _NEWEST]):
        open_jobs = [job for job, opened in jobs if opened < begun] or [jobs[0][0]]
        told += _candidate(number, begun, source.choice(open_jobs), source)
    told += [each for job, _ in jobs for each in _closed(job, told)]
    return sorted(each for each in told if since <= each.at <= until)


def _job(number: int, opened: datetime) -> tuple[dict[str, Any], datetime]:
    title, location = _JOBS[number]
    return {"id": f"job_{2041 + 7 * number}", "title": title, "location": location, "status": "open"}, opened


def _changed(job: dict[str, Any], opened: datetime, source: random.Random) -> Told:
    return Told(opened + _hours(source, 2, 9), "job.updated", {**job, "positions": source.randint(2, 4)})


def _closed(job: dict[str, Any], told: Sequence[Told]) -> Iterator[Told]:
    """Tell that a job was closed, where somebody was placed and nobody else is on the way to it."""
    about = sorted(each for each in told if each.data.get("job_id") == job["id"])
    if about and about[-1].event_type == "submission.placed":
        yield Told(about[-1].at + timedelta(minutes=4), "job.closed", {**job, "status": "filled"})


def _candidate(number: int, begun: datetime, job: dict[str, Any], source: random.Random) -> Iterator[Told]:
    """Tell how one candidate fares, up to being placed or not."""
    name = _NAMES[number]
    mail = name.lower().replace(" ", ".").replace("á", "a")
    person = {"id": f"cand_{8812 + 3 * number}", "name": name, "email": f"{mail}@example.org"}
    sent = {"id": f"sub_{519 + number}", "candidate_id": person["id"], "job_id": job["id"]}
    yield Told(begun, "candidate.created", person)
    at = begun + _hours(source, 0.2, 2)
    yield Told(at, "candidate.updated", {**person, "phone": f"+614915701{number:02}"})
    at += _hours(source, 0.5, 4)
    yield Told(at, "submission.created", sent)
    if source.random() < 0.25:
        at += _hours(source, 2, 8)
        yield Told(at, "submission.status_changed", {**sent, "status": "rejected", "previous_status": "new"})
        return
    at += _hours(source, 1, 5)
    yield Told(at, "submission.status_changed", {**sent, "status": "shortlisted", "previous_status": "new"})
    moved = {**person, "status": "interviewing", "previous_status": "new"}
    yield Told(at + timedelta(seconds=2), "candidate.status_changed", moved)
    yield from _interview(number, at, (person, sent), source)


def _interview(number: int, at: datetime, about: tuple[dict[str, Any], ...], source: random.Random) -> Iterator[Told]:
    person, sent = about
    starts_at = (at + _hours(source, 4, 14)).replace(minute=0, second=0, microsecond=0)
    talk = {"id": f"int_{77 + number}", "candidate_id": person["id"], "starts_at": _iso(starts_at)}
    yield Told(at + _hours(source, 0.2, 2), "interview.scheduled", talk)
    passed = source.random() < 0.6
    at = starts_at + timedelta(minutes=source.uniform(30, 75))
    yield Told(at, "interview.completed", {**talk, "outcome": "passed" if passed else "not_passed"})
    if not passed:
        return
    at += _hours(source, 1, 6)
    yield Told(at, "submission.placed", {**sent, "start_date": (at + timedelta(days=9)).date().isoformat()})
    moved = {**person, "status": "placed", "previous_status": "interviewing"}
    yield Told(at + timedelta(seconds=1), "candidate.status_changed", moved)


def _hours(source: random.Random, least: float, most: float) -> timedelta:
    return timedelta(hours=source.uniform(least, most))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
