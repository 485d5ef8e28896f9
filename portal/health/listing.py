"""Reads health logs: one statement for each set of filters, built and compiled the first time that it is asked for."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)  # fmt: skip
from sqlalchemy.orm import InstrumentedAttribute

from portal import paging
from portal.health.models import NOT_PASSED, HealthLog, HealthWords
from portal.integrations.models import Integration
from portal.plans import among, aside
from portal.prepared import Prepared


class Log(NamedTuple):
    """One health check of one integration, as HealthLog has it, and what the integration is called."""

    id: uuid.UUID
    organization_id: uuid.UUID
    integration_id: uuid.UUID
    run_id: uuid.UUID | None
    check_type: str
    status: str
    response_time_ms: int | None
    error_class: str | None
    error_code: str | None
    error_message: str | None
    detail: dict[str, Any]
    checked_at: datetime
    name: str
    """Of the integration; a deleted one keeps its name here."""
    deleted_at: datetime | None
    """When the integration was deleted."""


Values = Mapping[str, Any]
"""What logs are compared with, by the names in _CONDITIONS; `of`, the organization, is always among them."""


def rows(values: Values, most: int) -> list[Log]:
    """Return the newest logs of which all that is given holds.

    Args:
        values: what is compared.
        most: so many at most.
    """
    return _rows(frozenset(values)).all(Log, **values, most=most)


def count(values: Values) -> int:
    """Return of how many logs all that is given holds, up to paging.COUNT_LIMIT and one."""
    return next(iter(_count(frozenset(values)).all(int, **values, most=paging.COUNT_LIMIT + 1)))


def by_words(values: Values) -> Values:
    """Return what stands for values with `text` where the words of all logs of the organization are noted."""
    others = {name: each for name, each in values.items() if name not in ("text", "not_passed")}
    return {**others, "words": values["text"]}


def search(values: Values, most: int) -> tuple[list[Log], int]:
    """Return the newest logs with a text, and how many there are, up to paging.COUNT_LIMIT and one.

    What is rare is found by its words. What is common is met soon where logs are read from the last one on.

    Args:
        values: what is compared, `text` among them; the words of all logs of the organization are noted.
        most: so many logs at most.
    """
    found = count(by_words(values))
    if found > paging.COUNT_LIMIT:
        return rows({**values, "till": values["text"]}, most), found
    return rows(by_words(values), most) if found else [], found


def pattern(text: str) -> str:
    """Return what `text` is to be for a text that is looked for as it is, with what else would stand for any other."""
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


@cache
def _rows(names: frozenset[str]) -> Prepared:
    of_log = [getattr(HealthLog, name) for name in Log._fields if name not in ("name", "deleted_at")]
    query = select(*of_log, _integrations(Integration.name), _integrations(Integration.deleted_at))
    narrowed = _few(names) if "words" in names else and_(*_conditions(names))
    return Prepared(query.where(narrowed).order_by(*_NEWEST).limit(_MOST))


def _few(names: frozenset[str]) -> ColumnElement[bool]:
    """Return the condition for the newest of logs that are known to be few: all are found first, and sorted then."""
    every = select(HealthLog.id, HealthLog.checked_at).where(*_conditions(names))
    found = every.limit(literal_column(str(paging.COUNT_LIMIT))).subquery()
    newest = select(found.c.id).order_by(found.c.checked_at.desc(), found.c.id.desc()).limit(_MOST)
    return HealthLog.id.in_(newest)


@cache
def _count(names: frozenset[str]) -> Prepared:
    return Prepared(paging.counting(select(HealthLog).where(*_conditions(names)), _MOST))


def _integrations(column: InstrumentedAttribute[Any]) -> ScalarSelect[Any]:
    """Return a column of a log's integration; by no join, which might be read from its other end."""
    of_log: Select[Any] = select(column).where(Integration.id == HealthLog.integration_id)
    return of_log.scalar_subquery()


def _conditions(names: frozenset[str]) -> list[ColumnElement[bool]]:
    return [_of(names), *(condition for name, condition in _CONDITIONS.items() if name in names)]


def _of(names: frozenset[str]) -> ColumnElement[bool]:
    """Return the condition that keeps to the organization; not what is looked up where something narrower is named."""
    narrower = names & {"integration", "words"}
    column = aside(HealthLog.organization_id) if narrower else HealthLog.organization_id
    return column == bindparam("of", type_=HealthLog.organization_id.type)


def _given(name: str, column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    return bindparam(name, type_=column.type)


def _contains(column: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    return column.icontains(_given("text", HealthWords.words), escape="/")


def _of_words(name: str, what: ColumnElement[Any]) -> Select[Any]:
    """Return the query for something of the words that have the text which is given by a name."""
    mine = HealthWords.organization_id == _given("of", HealthWords.organization_id)
    has_it = HealthWords.words.contains(func.lower(_given(name, HealthWords.words)), escape="/")
    return select(what).where(mine, has_it)


_MOST: Final = bindparam("most", type_=Integer)
_PLACE: Final = (HealthLog.checked_at, HealthLog.id)
_NEWEST: Final = (HealthLog.checked_at.desc(), HealthLog.id.desc())
_SAID: Final = (HealthLog.error_message, HealthLog.error_class, HealthLog.error_code)
_CONDITIONS: Final[Mapping[str, ColumnElement[bool]]] = {
    "integration": HealthLog.integration_id == _given("integration", HealthLog.integration_id),
    "kind": HealthLog.check_type == _given("kind", HealthLog.check_type),
    "status": HealthLog.status == _given("status", HealthLog.status),
    "error": HealthLog.error_class == _given("error", HealthLog.error_class),
    "not_passed": NOT_PASSED,
    "since": HealthLog.checked_at >= _given("since", HealthLog.checked_at),
    "until": HealthLog.checked_at < _given("until", HealthLog.checked_at),
    "text": or_(*map(_contains, _SAID)),
    "words": among(HealthLog.words_id, _of_words("words", HealthWords.id.expression)),
    "till": HealthLog.checked_at <= _of_words("till", func.max(HealthWords.until)).scalar_subquery(),
    "row": tuple_(*_PLACE) < tuple_(_given("at", HealthLog.checked_at), _given("row", HealthLog.id)),
}
