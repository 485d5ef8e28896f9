"""Works that come at the same time share one commit, and none pays for the fault of another."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from portal import together as module
from portal.accounts.models import Organization
from portal.database import db, reading
from portal.together import together
from tests.support.people import Team

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


class Crowd:
    """Works that line up behind one that is held at its commit."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.commits = 0
        self.held, self.let_go = threading.Event(), threading.Event()

    def run(self, works: list[Callable[[], object]]) -> list[object]:
        """Run one that waits, then the works while it does; returns what each came to."""
        event.listen(Session, "after_commit", self._count)
        try:
            with ThreadPoolExecutor(len(works) + 1) as pool:
                first = pool.submit(self._one, self._wait)
                assert self.held.wait(10)
                others = [pool.submit(self._one, work) for work in works]
                with self.app.app_context():
                    line = module._line()
                while len(line._waiting) < len(works):
                    pass
                self.let_go.set()
                first.result(10)
                return [each.exception(10) or each.result() for each in others]
        finally:
            event.remove(Session, "after_commit", self._count)

    def _one(self, work: Callable[[], object]) -> object:
        with self.app.app_context():
            return together(work)

    def _wait(self) -> None:
        self.held.set()
        assert self.let_go.wait(10)

    def _count(self, _session: Session) -> None:
        self.commits += 1


def rename(team: Team, name: str, *, fails: bool = False) -> Callable[[], str]:
    """Return a work that renames the organization to the old name and something more."""

    def work() -> str:
        organization = db.session.get_one(Organization, team.organization_id)
        organization.name += name
        db.session.flush()
        if fails:
            raise ValueError(name)
        return name

    return work


def name_of(app: Flask, team: Team) -> str:
    with app.app_context(), reading() as session:
        return str(session.scalar(select(Organization.name).where(Organization.id == team.organization_id)))


def test_those_who_wait_share_the_next_commit(app: Flask, team: Team) -> None:
    before, crowd = name_of(app, team), Crowd(app)
    assert crowd.run([rename(team, each) for each in "abcde"]) == list("abcde")
    assert crowd.commits == 2, "one for the first, one for all that waited"
    assert sorted(name_of(app, team).removeprefix(before)) == list("abcde")


def test_a_fault_stays_with_the_one_who_made_it(app: Flask, team: Team) -> None:
    before, crowd = name_of(app, team), Crowd(app)
    found = crowd.run([rename(team, "a"), rename(team, "b", fails=True), rename(team, "c")])
    assert [found[0], found[2]] == ["a", "c"]
    assert isinstance(found[1], ValueError)
    assert sorted(name_of(app, team).removeprefix(before)) == ["a", "c"], "nothing twice, nothing of the failed one"


def test_the_next_one_runs_after_a_fault(app: Flask, team: Team) -> None:
    before = name_of(app, team)
    with app.app_context():
        with pytest.raises(ValueError, match="b"):
            together(rename(team, "b", fails=True))
        assert together(rename(team, "c")) == "c"
    assert name_of(app, team) == before + "c"
