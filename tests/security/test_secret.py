"""Secret: nothing but reveal() shows it."""

import copy
import json
import pickle
from collections.abc import Callable

import pytest

from portal.security.secret import Secret

VALUE = "hunter2-hunter2"


def test_reveal_is_the_only_way_to_the_text() -> None:
    secret = Secret(VALUE)
    assert secret.reveal() == VALUE
    assert repr(secret) == "Secret(***)"
    assert VALUE not in repr({"password": [secret]})
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("show", [str, "{:>20}".format, "%s".__mod__])
def test_turning_it_into_text_is_refused(show: Callable[[Secret], str]) -> None:
    with pytest.raises(TypeError, match="not text"):
        show(Secret(VALUE))


def test_it_is_not_json_and_not_a_pickle() -> None:
    with pytest.raises(TypeError):
        json.dumps({"password": Secret(VALUE)})
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(Secret(VALUE))


def test_copies_are_the_secret_itself() -> None:
    secret = Secret(VALUE)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_it_compares_by_value_and_is_false_when_empty() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("\ud800") == Secret("\ud800")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a")
    assert not Secret("")


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="can't be changed"):
        Secret("a")._value = "b"
