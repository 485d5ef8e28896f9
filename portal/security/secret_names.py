"""Names that announce a secret: of fields, headers, parameters and columns."""

import re
from typing import Final

_SECRET_WORDS: Final = re.compile(
    r"pass(?:word|wd|phrase|code)|passwort|pwd|secret|token|authorization|cookie|credential|assertion|totp"
    r"|(?:api|auth|access|private|signing|master|session)_?keys?|recovery_?codes?|session_?id"
    r"|(?:^|_)(?:auth|signature|pin|otp|pass|pw)$"
)
_ABOUT: Final = (
    "age algorithm at class count date digits enabled endpoint error expires expiry field fields hint id ids in is kind"
    " label last length limit max message min missing name names ok purpose required scope scopes set state status step"
    " type types uri url used valid version"
)
_HARMLESS_ENDINGS: Final = frozenset(_ABOUT.split())
_WORD_BREAK: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")


def is_sensitive(name: str) -> bool:
    """Whether something of this name holds a secret.

    ``X-Api-Key`` and ``newPassword`` do; ``token_type`` and ``password_changed_at`` tell about a secret without
    holding it.
    """
    words = [word for word in _WORD_BREAK.sub("_", name).lower().split("_") if word]
    if not words:
        return False
    about_a_secret = words[-1] in _HARMLESS_ENDINGS and words[-2:] != ["session", "id"]
    return not about_a_secret and _SECRET_WORDS.search("_".join(words)) is not None
