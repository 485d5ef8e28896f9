"""The one redaction: what reaches a log, an error page, a stored answer or the audit trail passes through here.

Three nets lie behind each other: the secret values that the caller knows, in every form in which they travel; the
shapes of well-known tokens; and names that announce a secret in JSON, query strings, headers and XML.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from portal.security.known_values import KnownValues
from portal.security.secret import Secret
from portal.security.secret_names import is_sensitive

__all__ = ["REDACTED", "RedactingFilter", "is_sensitive", "redact", "redact_mapping", "strip_controls"]

REDACTED: Final = "[redacted]"
_DEEPEST: Final = 20
_NOTHING_THERE: Final = frozenset({"", "null", "none", "true", "false", REDACTED})

_SHAPES: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
    r"|\bSG\.[\w-]{10,}\.[\w-]{10,}"
    r"|\b(?:AC|SK)[0-9a-fA-F]{32}\b"
    r"|\bprt_[A-Za-z0-9_-]{8,}"
    r"|\bwhsec_[A-Za-z0-9+/_=-]{8,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|\bxox[a-z]-[\w-]{8,}|https://hooks\.slack(?:-gov)?\.com/[^\s\"'<>]+"
    r"|\bya29\.[\w-]{10,}|\bAIza[\w-]{30,}|\bGOCSPX-[\w-]{10,}"
    r"|\bKEY[0-9A-F]{16,}(?:_\w+)?",
    re.DOTALL,
)
_AFTER: Final = re.compile(
    r"(?P<keep>\b(?:Bearer|Basic)[ \t]+|\bAUTH[ \t]+(?:PLAIN|LOGIN|XOAUTH2|CRAM-MD5)[ \t]+|[?&](?:code|key|sig)=)"
    r"[\w.~+/=%-]{6,}",
    re.IGNORECASE,
)
_URL_USER: Final = re.compile(
    r"(?P<keep>\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s/:@?#]{0,256}:)(?!\[redacted\]@)[^\s/@?#]+(?=@)"
)

_JSON_NAME: Final = re.compile(r"(?P<quote>\\{0,7}[\"'])(?P<name>[\w.$@ -]{1,64})(?P=quote)\s{0,8}:\s{0,8}b?")
_XML_NAME: Final = re.compile(r"<(?P<name>[\w:.-]{1,64})(?:\s[^<>]{0,200})?>")
_ASSIGNED_NAME: Final = re.compile(r"(?P<name>[\w.-]{1,64}(?:\[\w{0,64}\])?)\s?(?<![=!<>])=(?!=)\s?")
_HEADER_NAME: Final = re.compile(r"\b(?P<name>[A-Za-z][\w-]{0,63})\s?:[ \t]{0,8}")

_OPENING_QUOTE: Final = re.compile(r"\\{0,7}[\"']")
_JSON_BARE: Final = re.compile(r"[\w.+-]+|\[[^\[\]]*\]")
_WORD: Final = re.compile(r"[^\s&\"'<>]+")
_LINE: Final = re.compile(r"[^\r\n]+")
_ELEMENT: Final = re.compile(r"[^<]+(?=</)")
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)


class _Span(NamedTuple):
    start: int
    end: int
    replacement: str = REDACTED


def strip_controls(text: str, keep: str = "\n\t") -> str:
    """Text without control, zero-width and bidirectional characters, which can forge lines or hide what they say."""
    return _INVISIBLE.sub(lambda found: found[0] if found[0] in keep else "", text)


def redact(text: str, secrets: Iterable[str | Secret] = (), *, strip: bool = False) -> str:
    """Text with every secret replaced by ``[redacted]``.

    Args:
        text: anything: a log line, an answer's body, headers, a traceback.
        secrets: the values known to the caller; their base64, percent-encoded, hexadecimal and JSON forms go too.
        strip: also take out control and bidirectional characters, first, so that none can split a secret.
    """
    return _redact(strip_controls(text) if strip else text, KnownValues(secrets))


def redact_mapping(mapping: Mapping[str, object], secrets: Iterable[str | Secret] = ()) -> dict[str, object]:
    """A copy without secrets: values under sensitive names go whole, texts pass redact(), at any depth.

    None, booleans and empty texts stay under any name, since they tell that nothing is there. Numbers stay numbers;
    objects of other types become their redacted text.
    """
    return _mapping(mapping, KnownValues(secrets), 0)


class RedactingFilter(logging.Filter):
    """Redacts a log record as a whole: message, arguments, extra fields, traceback and stack.

    Add it to every handler; a filter on a logger would not see the records of its children. The exception itself is
    replaced by its redacted text, so that no formatter can print it again in the clear.
    """

    def __init__(self, secrets: Iterable[str | Secret] = ()) -> None:
        super().__init__()
        self._known = KnownValues(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: the record is changed, never dropped."""
        record.msg, record.args = _redact(_message(record, self._known), self._known), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        record.exc_text = record.exc_text and _redact(record.exc_text, self._known)
        record.stack_info = record.stack_info and _redact(record.stack_info, self._known)
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        vars(record).update(_mapping(extra, self._known, 0))
        return True


_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def _message(record: logging.LogRecord, known: KnownValues) -> str:
    """The formatted message; one that can't be formatted is kept with its arguments beside it."""
    template, args = str(_argument(record.msg, known)), record.args
    if not args:
        return template
    safe = _argument(args, known) if isinstance(args, Mapping) else tuple(_argument(each, known) for each in args)
    try:
        return template % safe
    except (TypeError, ValueError, KeyError):
        return f"{template} {safe!r}"


def _argument(value: object, known: KnownValues) -> object:
    """Makes safe before formatting what would lose its name or can't be text; the rest is redacted afterwards."""
    if isinstance(value, Secret):
        return REDACTED
    return _mapping(value, known, 0) if isinstance(value, Mapping) else value


def _mapping(mapping: Mapping[str, object], known: KnownValues, depth: int) -> dict[str, object]:
    return {_redact(str(name), known): _value(str(name), value, known, depth) for name, value in mapping.items()}


def _value(name: str, value: object, known: KnownValues, depth: int) -> object:
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, Secret) or depth > _DEEPEST or is_sensitive(name):
        return REDACTED
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return _mapping(value, known, depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return [_value("", each, known, depth + 1) for each in value]
    return _redact(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value), known)


def _redact(text: str, known: KnownValues) -> str:
    text = known.replace(text, REDACTED)
    text = _SHAPES.sub(REDACTED, text)
    text = _AFTER.sub(rf"\g<keep>{REDACTED}", text)
    text = _URL_USER.sub(rf"\g<keep>{REDACTED}", text)
    for names, value_of in _NAMED:
        text = _hide_named(text, names, value_of)
    return text


def _hide_named(text: str, names: re.Pattern[str], value_of: Callable[[str, re.Match[str]], _Span | None]) -> str:
    """Hides the values after sensitive names, also where such a name stands inside the value of a harmless one."""
    pieces: list[str] = []
    done = 0
    for found in names.finditer(text):
        if found.start() < done or not is_sensitive(found["name"]):
            continue
        span = value_of(text, found)
        if span is None or text[span.start : span.end].strip().lower() in _NOTHING_THERE:
            continue
        pieces += [text[done : span.start], span.replacement]
        done = span.end
    return "".join(pieces) + text[done:]


def _json_value(text: str, found: re.Match[str]) -> _Span | None:
    quote = found["quote"]
    return _quoted(text, found.end()) or _matched(_JSON_BARE, text, found.end(), f"{quote}{REDACTED}{quote}")


def _assigned_value(text: str, found: re.Match[str]) -> _Span | None:
    return _quoted(text, found.end()) or _matched(_WORD, text, found.end())


def _header_value(text: str, found: re.Match[str]) -> _Span | None:
    """The rest of the line where the name begins it, as in a header; one word where it stands inside a sentence."""
    before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
    pattern = _WORD if before.strip(" \t<>*") else _LINE
    return _quoted(text, found.end()) or _matched(pattern, text, found.end())


def _xml_value(text: str, found: re.Match[str]) -> _Span | None:
    return _matched(_ELEMENT, text, found.end())


def _matched(pattern: re.Pattern[str], text: str, start: int, replacement: str = REDACTED) -> _Span | None:
    value = pattern.match(text, start)
    return _Span(start, value.end(), replacement) if value else None


def _quoted(text: str, start: int) -> _Span | None:
    """The inside of a quoted text; to the very end when the closing quote is missing.

    JSON inside JSON puts 2**n - 1 backslashes before its quotes. A quote closes when as many stand before it as
    before the opening one, not counting pairs that stand for backslashes of the value.
    """
    opening = _OPENING_QUOTE.match(text, start)
    if opening is None:
        return None
    width, begin = len(opening[0]), opening.end()
    at = text.find(opening[0][-1], begin)
    while at >= 0:
        slashes = 0
        while at - slashes > begin and text[at - slashes - 1] == "\\":
            slashes += 1
        if slashes % (2 * width) == width - 1:
            return _Span(begin, at - width + 1)
        at = text.find(opening[0][-1], at + 1)
    return _Span(begin, len(text))


_NAMED: Final = (
    (_JSON_NAME, _json_value),
    (_XML_NAME, _xml_value),
    (_ASSIGNED_NAME, _assigned_value),
    (_HEADER_NAME, _header_value),
)
