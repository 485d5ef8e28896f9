"""The header Idempotency-Key: a write that is repeated within a day is answered as the first time, and does nothing."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from flask import request
from sqlalchemy.exc import IntegrityError

from portal.accounts import idempotency
from portal.accounts.idempotency import LONGEST
from portal.together import together
from portal.web.access import identity
from portal.web.problems import Problem

__all__ = ["HEADER", "LONGEST", "once"]

HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

T = TypeVar("T")
Answer = tuple[Any, int]
"""What is answered, with its status."""


def once(sent: Mapping[str, Any], work: Callable[[], T], answer: Callable[[T], Answer]) -> Answer:
    """Do what a request asks for in one unit of work, and only once under its key; owns that transaction.

    A refusal is not kept: it changed nothing, so that the corrected request may use the same key.

    Args:
        sent: the request's body.
        work: does it, within the unit of work. It may run in another thread, with other requests' works in one commit,
            so it takes what it needs to know of its request with it.
        answer: from what it did to what is answered; the same holds for it.

    Raises:
        Problem: 422 the key will not do.
        KeyInUseError: another request with this key is under way.
        KeyReusedError: the key stood for another request.
    """
    key = _key()
    if not key:
        return answer(_twice(work))
    token_id, mark = identity().session_id, _fingerprint(sent)

    def guarded() -> Answer:
        found = idempotency.earlier(token_id=token_id, key=key, fingerprint=mark)
        if found is None:
            found = answer(work())
            kept, status = found
            idempotency.keep(token_id=token_id, key=key, fingerprint=mark, answer=kept, status=status)
        return found

    with idempotency.alone(token_id=token_id, key=key):
        return _twice(guarded)


def _twice(work: Callable[[], T]) -> T:
    """Run a unit of work, and once more if another one stored the same ids meanwhile: then it finds them."""
    try:
        return together(work)
    except IntegrityError:
        return together(work)


def _key() -> str:
    key = request.headers.get(HEADER)
    if key is None:
        return ""
    if len(key) > LONGEST or not _KEY.fullmatch(key):
        raise Problem(422, errors=[(HEADER, f"Use 1 to {LONGEST} plain characters.")])
    return key


def _fingerprint(sent: Mapping[str, Any]) -> bytes:
    text = json.dumps([request.endpoint, sent], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()
