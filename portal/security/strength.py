"""Whether a password is hard enough to guess, said in one sentence.

No list of leaked passwords is shipped. Nearly all of the common ones are shorter than twelve characters, and the
longer ones are built from a few habits: a well-known word with digits behind, a run over the keyboard, the same again
and again, the names of the place and the person. So the rule looks for the habits: every stretch that a guesser tries
first counts as a single character, and what is left has to add up to eight. There is no rule about kinds of
characters; long sentences pass.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 1024
_ENOUGH: Final = 8
_FEWEST_CHARACTERS: Final = 6
_SHORTEST_CONTEXT: Final = 3

# Chosen here: what people type when asked for a password, words of this product, times of the year.
_COMMON: Final = """
access account admin administrator angel baseball basket batman beautiful business butterfly changeme charlie cheese
chocolate company computer config connect cookie correct customer daniel default demo diamond dragon email flower
football forever freedom friend guest hello hockey hunter iloveyou integration integrations internet jordan killer
letmein life login london love mail manager master matrix michael monkey mustang office owner pass passphrase passwd
password passwort phoenix portal prince princess private pumpkin ranger root school secret security sendgrid server
service shadow soccer sommer starwars strong sunshine super superman support sysadmin system temp temporary test
tester tigger trust twilio unbelievable user username welcome whatever willkommen wizard work january february march
april june july august september october november december spring summer autumn winter monday tuesday wednesday
thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag sonntag
"""
_WORDS: Final = frozenset(_COMMON.split())
_LINES: Final = (
    "abcdefghijklmnopqrstuvwxyz 01234567890 qwertyuiop qwertzuiop azertyuiop asdfghjkl zxcvbnm yxcvbnm"
    " 1qaz 2wsx 3edc 4rfv 5tgb 6yhn 7ujm 8ik, 9ol. 0p;/"
)
_RUNS: Final = tuple(line[::way] for line in _LINES.split() for way in (1, -1))
_SHORTEST_RUN: Final = 3
_SHORTEST_WALK: Final = 6
_KEYBOARD: Final = ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./")
_PLACES: Final = {key: (x, y) for y, row in enumerate(_KEYBOARD) for x, key in enumerate(row)}
_SHIFTED: Final = str.maketrans('!@#$%^&*()_+{}:"<>?', "1234567890-=[];',./")
_LEET: Final = str.maketrans("013457@$!", "oleastasi")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_PARTS: Final = re.compile(r"[^\W_]+")


def check_strength(password: str, context_words: Iterable[str] = ()) -> str | None:
    """A sentence about what is wrong with a new password, None when it is good.

    Args:
        password: as typed.
        context_words: names that a guesser knows: organization, person, email address; their parts count too.
    """
    if len(password) < MIN_LENGTH:
        return f"Use at least {MIN_LENGTH} characters. A sentence of several words works well."
    if len(password) > MAX_LENGTH:
        return f"Use at most {MAX_LENGTH:,} characters."
    lower, context = password.lower(), _context(context_words)
    unit = _shortest_unit(lower)
    if len(set(unit)) < _FEWEST_CHARACTERS or (unit != lower and _unpredictable(unit, context) < _ENOUGH):
        return "This password repeats itself. Use several different words."
    return None if _unpredictable(unit, context) >= _ENOUGH else _reason(lower, context)


def _reason(lower: str, context: frozenset[str]) -> str:
    if any(word in lower or word in lower.translate(_LEET) for word in context):
        return "This password contains your name, email or organization. Use words that others can't connect with you."
    return "This password is made of common words, years or runs of keys. Use several unrelated words."


def _context(words: Iterable[str]) -> frozenset[str]:
    found = [_PARTS.findall(text.lower()) for text in words]
    together = ["".join(parts) for parts in found]
    return frozenset(part for part in chain(together, *found) if len(part) >= _SHORTEST_CONTEXT)


def _unpredictable(text: str, context: frozenset[str]) -> int:
    """How many characters a guesser has to find when each predictable stretch counts as one.

    Greedy from left to right, the longest stretch at each place.
    """
    words, keys = _WORDS | context, text.translate(_SHIFTED)
    count = at = 0
    while at < len(text):
        count += 1
        at += max(_repeated(text, at), _run(keys, at), _walk(keys, at), *_known(text, at, words))
    return count


def _known(text: str, at: int, words: frozenset[str]) -> Iterator[int]:
    """Lengths of the words and years that begin at a place."""
    if _YEAR.match(text, at):
        yield 4
    for size in range(_SHORTEST_CONTEXT, min(len(text) - at, 40) + 1):
        piece = text[at : at + size]
        if piece in words or piece.translate(_LEET) in words:
            yield size


def _repeated(text: str, at: int) -> int:
    """How often the character at a place stands there in a row."""
    return len(text[at:]) - len(text[at:].lstrip(text[at]))


def _run(keys: str, at: int) -> int:
    """Length of a run along the alphabet, the digits or a line of keys, forwards or backwards."""
    size = 1
    while at + size < len(keys) and any(keys[at : at + size + 1] in line for line in _RUNS):
        size += 1
    return size if size >= _SHORTEST_RUN else 1


def _walk(keys: str, at: int) -> int:
    """Length of a walk from key to neighbouring key, like 1q2w3e4r."""
    end = at + 1
    while end < len(keys) and _neighbours(keys[end - 1], keys[end]):
        end += 1
    return end - at if end - at >= _SHORTEST_WALK else 1


def _neighbours(first: str, second: str) -> bool:
    if first not in _PLACES or second not in _PLACES:
        return False
    (x1, y1), (x2, y2) = _PLACES[first], _PLACES[second]
    return abs(x1 - x2) <= 1 and abs(y1 - y2) <= 1


def _shortest_unit(text: str) -> str:
    """The piece that the text repeats from end to end, perhaps cut short at last; else the text itself."""
    for size in range(1, len(text) // 2 + 1):
        if text.startswith(text[size:]):
            return text[:size]
    return text
