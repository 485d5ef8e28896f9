"""A text that does not show itself by accident."""

import hmac
from typing import Final, NoReturn, Self


class Secret:
    """A decrypted credential on its way from the vault to the provider.

    It can be compared, copied and tested for being empty. Reading it takes an explicit ``reveal()``, which is easy to
    search for; turning it into text in any other way raises TypeError, so that it can't slip into a page or a log line.
    """

    __slots__ = ("_value",)
    _value: str

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> NoReturn:
        raise TypeError(_NOT_TEXT)

    def __format__(self, format_spec: str) -> NoReturn:
        raise TypeError(_NOT_TEXT)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret can't be changed; make a new one")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret can't be pickled: it would be written in the clear")


_NOT_TEXT: Final = "a Secret is not text; reveal() it where the provider needs it, mask() it for people"


def _bytes(value: str) -> bytes:
    """UTF-8 that also takes lone surrogates, which JSON can bring in."""
    return value.encode("utf-8", "surrogatepass")
