"""JSON that a person typed: read strictly, and what is wrong with it in a sentence."""

import json
from typing import Any, NoReturn


def read(text: str) -> Any:
    """Return the value that a text holds.

    Raises:
        ValueError: it is no JSON that every reader understands; the message says where and why.
    """
    try:
        value = json.loads(text, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"This is no JSON: line {error.lineno}, column {error.colno}. {error.msg}.") from None
    except (ValueError, RecursionError):  # infinite numbers, halves of surrogate pairs, a thousand brackets
        raise ValueError("This is no JSON that others can read.") from None
    return value


def write(value: Any) -> str:
    """Return a value as text for reading and changing."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)
