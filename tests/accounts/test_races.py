"""Of several requests at the same moment with the same one-time thing, exactly one wins; on both databases."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal.accounts import enrolment, hashing, setup, sign_in, two_factor
from portal.accounts.errors import AccountsError, WrongSetupCodeError
from portal.accounts.models import Membership, Organization, RecoveryCode, User
from portal.database import db, reading, unit_of_work
from tests.accounts.conftest import ORIGIN, PASSWORD

AT_ONCE = 8


def outcomes(app: Flask, work: Callable[[int], object]) -> Counter[str]:
    """Run the work in several threads at the same moment; count "won" and the names of errors."""
    ready, found = threading.Barrier(AT_ONCE), Counter[str]()

    def run(number: int) -> None:
        with app.app_context():
            ready.wait()
            try:
                won = work(number)
                found["won" if won is not False else "lost"] += 1
            except AccountsError as error:
                found[type(error).__name__] += 1
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def pending(app: Flask, dana: Any) -> str:
    with app.app_context():
        opened = sign_in.sign_in(email=dana.email, password=PASSWORD, origin=ORIGIN, hasher=hashing.hasher())
        assert opened.pending
        return opened.token


def spending(dana: Any, code: str) -> Callable[[int], object]:
    def work(_number: int) -> object:
        with unit_of_work() as session:
            return two_factor.spend(session.get_one(User, dana.user_id), code=code) is not None

    return work


def test_one_code_of_the_app_signs_in_once(app: Flask, dana: Any) -> None:
    token, code = pending(app, dana), dana.code()
    found = outcomes(app, lambda _: sign_in.second_step(token=token, code=code, origin=ORIGIN))
    assert found["won"] == 1
    assert sum(found.values()) == AT_ONCE


def test_one_code_of_the_app_is_spent_once_and_its_predecessor_is_refused(
    app: Flask, dana: Any, time: time_machine.Traveller
) -> None:
    before = dana.code()
    time.shift(timedelta(seconds=30))
    assert outcomes(app, spending(dana, dana.code())) == {"won": 1, "lost": AT_ONCE - 1}
    assert outcomes(app, spending(dana, before)) == {"lost": AT_ONCE}


def test_one_recovery_code_is_spent_once(app: Flask, dana: Any) -> None:
    with app.app_context(), unit_of_work() as session:
        user = session.get_one(User, dana.user_id)
        two_factor.renew_recovery_codes(user)
        code = two_factor.unsaved_recovery_codes(user)[3]
    assert outcomes(app, spending(dana, code.lower().replace("-", " "))) == {"won": 1, "lost": AT_ONCE - 1}


def test_one_setup_code_makes_one_owner(app: Flask) -> None:
    with app.app_context():
        code = setup.issue_code()

    def claim(number: int) -> object:
        return setup.claim(
            code=code, organization=f"Org {number}", name="N", email=f"n{number}@x.example", password=PASSWORD,
            origin=ORIGIN, hasher=hashing.hasher(),
        )  # fmt: skip

    found = outcomes(app, claim)
    assert found["won"] == 1
    assert sum(found.values()) == AT_ONCE
    assert not found[WrongSetupCodeError.__name__]
    with app.app_context(), reading() as session:
        for table in (Organization, User, Membership):
            assert session.scalar(select(func.count()).select_from(table)) == 1


def test_an_enrolment_is_finished_once(app: Flask, person: Any, signed_in: Any) -> None:
    new = person("new@x.example", second_factor=False)
    identity = signed_in(new)
    with app.app_context(), unit_of_work() as session:
        secret = two_factor.begin(session.get_one(User, new.user_id))
    code = type(new)(new.user_id, new.organization_id, new.email, secret).code()

    def finish(_number: int) -> object:
        with unit_of_work():
            return enrolment.finish(identity, code=code)

    assert outcomes(app, finish) == {"won": 1, "NoPendingEnrolmentError": AT_ONCE - 1}


def test_recovery_codes_made_at_the_same_moment_leave_ten(app: Flask, dana: Any, signed_in: Any) -> None:
    identity = signed_in(dana)

    def renew(_number: int) -> object:
        with unit_of_work():
            enrolment.replace_recovery_codes(identity)
        return True

    assert outcomes(app, renew) == {"won": AT_ONCE}
    with app.app_context(), reading() as session:
        assert session.scalar(select(func.count()).select_from(RecoveryCode)) == 10
        user = session.get_one(User, dana.user_id)
        shown = two_factor.unsaved_recovery_codes(user)
    assert outcomes(app, spending(dana, shown[0]))["won"] == 1
