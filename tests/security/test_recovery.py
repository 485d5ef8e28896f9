"""Recovery codes."""

import re

import pytest

from portal.security.recovery import hash_code, new_codes, normalise_code

CODE = "0123-4567-89AB-CDEF-GHJK-MNPQ"
PLAIN = CODE.replace("-", "")


def test_ten_codes_of_120_bits_in_groups_of_four() -> None:
    codes = new_codes()
    assert len(set(codes)) == 10
    for code in codes:
        assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}", code)
    assert len(new_codes(3)) == 3


@pytest.mark.parametrize(
    "typed",
    [
        CODE,
        PLAIN,
        CODE.lower(),
        f" {CODE} \n",
        CODE.replace("-", " "),
        CODE.replace("-", "\u2013"),
        CODE.replace("0", "O"),
        CODE.replace("1", "l"),
        CODE.replace("1", "I"),
        CODE.replace("0", "o"),
    ],
    ids=range(10),
)
def test_a_code_may_be_typed_in_many_ways(typed: str) -> None:
    assert normalise_code(typed) == PLAIN
    assert hash_code(typed, b"pepper") == hash_code(CODE, b"pepper")


@pytest.mark.parametrize(
    "typed", ["", "0123", CODE + "0", CODE[:-1], CODE.replace("2", "U"), "é" * 24, "\u0660" * 24, "123456"]
)
def test_what_cannot_be_a_code_has_no_hash(typed: str) -> None:
    assert normalise_code(typed) is None
    assert hash_code(typed, b"pepper") is None


def test_the_hash_depends_on_code_and_pepper() -> None:
    first, second = new_codes(2)
    hashed = hash_code(first, b"pepper")
    assert hashed is not None
    assert len(hashed) == 32
    assert hashed != hash_code(second, b"pepper")
    assert hashed != hash_code(first, b"salt")
