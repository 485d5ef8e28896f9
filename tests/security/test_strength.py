"""Which new passwords are refused, and with what sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.security.strength import MAX_LENGTH, MIN_LENGTH, check_strength

CONTEXT = ("Acme Bakery GmbH", "Zoë Quimby", "zoe.quimby@acme-bakery.example")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "my dog eats blue cables",
        "vK9#mQ2$xL7p",
        "tramontana-velvet-88",
        "ich mag keine gurken",
        "Пароль из трёх слов",
        "密码锁钥匙门窗灯火山水云月",
        "Summer2026 at the lighthouse",
        "x" + "qmzt4vbw9k" * 2,
    ],
)
def test_good_passwords_pass(password: str) -> None:
    assert check_strength(password, CONTEXT) is None


@pytest.mark.parametrize("password", ["", "short", "vK9#mQ2$xL7"])
def test_short_ones_are_told_the_length(password: str) -> None:
    assert check_strength(password) == "Use at least 12 characters. A sentence of several words works well."


def test_the_longest_password_passes_and_a_longer_one_does_not() -> None:
    text = "".join(chr(0x4E00 + number) for number in range(MAX_LENGTH + 1))
    assert check_strength(text[:MAX_LENGTH]) is None
    assert check_strength(text) == "Use at most 1,024 characters."


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaaaaaa",
        " " * 12,
        "abababababab",
        "abcabcabcabcab",
        "xkq7xkq7xkq7",
        "kqzvwmkqzvwm",
        "aaaaaaaaaaab",
        "ababbabaabab",
    ],
)
def test_repetition_is_named(password: str) -> None:
    assert check_strength(password) == "This password repeats itself. Use several different words."


@pytest.mark.parametrize(
    "password",
    [
        "123456789012",
        "1234567890123",
        "987654321098",
        "abcdefghijkl",
        "zyxwvutsrqpo",
        "qwertyuiop123",
        "qwertzuiop12",
        "asdfghjkl1234",
        "1q2w3e4r5t6y",
        "q1w2e3r4t5y6",
        "zaq12wsxcde3",
        "!QAZ2wsx#EDC",
        "Password1234",
        "Passw0rd2026!",
        "P@ssw0rd!!!!",
        "passwordpassword1",
        "administrator",
        "Administrator1!",
        "Integrations2026",
        "PortalAdmin1!",
        "Portal-Portal-1",
        "letmein123456",
        "welcomeWelcome1",
        "Summer2026!!",
        "iloveyou1234",
        "monkeymonkey12",
        "trustno1trustno1",
        "superman123456",
        "changeme-2026",
        "Mondaytuesday1",
        "unbelievable",
        "111122223333",
        "aaaabbbbcccc",
    ],
)
def test_common_constructions_are_refused(password: str) -> None:
    assert check_strength(password) is not None


@pytest.mark.parametrize(
    "password",
    ["AcmeBakery2026", "acme-bakery-1", "Quimby123456", "zoe.quimby@acme-bakery", "4cm3B4k3ry!!1", "zoequimbyzoe1!"],
)
def test_names_that_a_guesser_knows_are_said(password: str) -> None:
    said = check_strength(password, CONTEXT)
    assert said is not None
    assert said.startswith("This password contains your name, email or organization.")


def test_the_context_may_be_any_iterable_and_very_short_words_do_not_count() -> None:
    assert check_strength("quimbyquimb1", iter(CONTEXT)) is not None
    assert check_strength("an is at in tx ws", ["an is at in tx ws".replace(" ", "-")[:2]]) is None


def test_context_words_inside_a_long_password_do_no_harm() -> None:
    assert check_strength("quimby found seven odd cables", CONTEXT) is None


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_gets_an_answer(password: str, context: list[str]) -> None:
    said = check_strength(password, context)
    assert said is None or said.endswith(".")
    if len(password) < MIN_LENGTH:
        assert said is not None
