"""What SendGrid accepts as a mail: the checks of POST /v3/mail/send, and the messages that come of it.

The members are those of the published reference; an error names the member it is about as `personalizations.0.to`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_HELP: Final = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."
_MOST: Final = 1000
_LONGEST_TEXT: Final = 32768
_FIRST: Final = ("text/plain", "text/html")
_ADDRESS: Final = re.compile(r"[^@\s<>()\[\],;:\"]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+")
_KINDS: Final[dict[type, str]] = {dict: "object", list: "array", str: "string", int: "integer", bool: "boolean"}
_MAIL: Final[Mapping[str, type]] = {
    "personalizations": list,
    "from": dict,
    "reply_to": dict,
    "reply_to_list": list,
    "subject": str,
    "content": list,
    "attachments": list,
    "template_id": str,
    "sections": dict,
    "headers": dict,
    "categories": list,
    "custom_args": dict,
    "send_at": int,
    "batch_id": str,
    "asm": dict,
    "ip_pool_name": str,
    "mail_settings": dict,
    "tracking_settings": dict,
}
_PERSONALIZATION: Final[Mapping[str, type]] = {
    "to": list,
    "cc": list,
    "bcc": list,
    "from": dict,
    "subject": str,
    "headers": dict,
    "substitutions": dict,
    "dynamic_template_data": dict,
    "custom_args": dict,
    "send_at": int,
}
_ADDRESSEE: Final[Mapping[str, type]] = {"email": str, "name": str}
_CONTENT: Final[Mapping[str, type]] = {"type": str, "value": str}
_ATTACHMENT: Final[Mapping[str, type]] = {
    "content": str,
    "type": str,
    "filename": str,
    "disposition": str,
    "content_id": str,
}
_SETTINGS: Final[Mapping[str, type]] = {
    "bypass_list_management": dict,
    "bypass_spam_management": dict,
    "bypass_bounce_management": dict,
    "bypass_unsubscribe_management": dict,
    "footer": dict,
    "sandbox_mode": dict,
}
_RESERVED: Final = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)
_WORDS: Final = {
    "personalizations": "The personalizations field is required and must have at least one personalization.",
    "too_many": "There is a limit of 1000 personalizations per request.",
    "recipients": "There is a limit of 1000 recipients per request.",
    "from": (
        "The from object must be provided for every email send. It is an object that requires the email parameter, "
        'but may also contain a name parameter.  e.g. {"email" : "example@example.com"}  or '
        '{"email" : "example@example.com", "name" : "Example Recipient"}.'
    ),
    "to": (
        "The to array is required for all personalization objects, and must have at least one email object with a "
        "valid email address."
    ),
    "address": "Does not contain a valid address.",
    "subject": (
        "The subject is required. You can get around this requirement if you use a template with a subject defined or "
        "if every personalization has a subject defined."
    ),
    "content": (
        "Unless a valid template_id is provided, the content parameter is required. There must be at least one defined "
        "content block. We typically suggest both text/plain and text/html blocks are included, but only one block is "
        "required."
    ),
    "value": "The content value must be a string at least one character in length.",
    "type": "The content type must be a string at least one character in length.",
    "order": "If present, text/plain and text/html must be the first contents, text/plain before text/html.",
    "strings": "All values of the headers object must be strings.",
    "reserved": "Header can't be one of the reserved keys.",
    "arguments": "All values of custom arguments object must be strings.",
    "categories": "Categories must be an array of at most 10 unique strings of at most 255 characters.",
}


@dataclass(frozen=True)
class Problem:
    """One of SendGrid's errors."""

    message: str
    field: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the error as SendGrid writes it."""
        anchor = re.sub(r"\.\d+", "", self.field or "")
        return {"message": self.message, "field": self.field, "help": _HELP + anchor if anchor else None}


def problems(mail: object) -> list[Problem]:
    """Return everything that is wrong with the body of a request to send; empty where it is fine."""
    if not isinstance(mail, dict):
        return [Problem("Bad Request")]
    return list(_shape(mail)) or list(_meaning(mail))


def is_trial(mail: Mapping[str, Any]) -> bool:
    """Return whether a checked mail asks to be checked only ("sandbox mode")."""
    return mail.get("mail_settings", {}).get("sandbox_mode", {}).get("enable") is True


def messages(mail: Mapping[str, Any], message_id: str) -> Iterator[dict[str, object]]:
    """Return what a checked mail sends, a message for each personalization, as the outbox keeps it."""
    texts = {part["type"]: part["value"] for part in mail.get("content", [])}
    for personal in mail["personalizations"]:
        sender = personal.get("from", mail["from"])
        headers = {**mail.get("headers", {}), **personal.get("headers", {})}
        addressees = [each for kind in ("to", "cc", "bcc") for each in personal.get(kind, [])]
        yield {
            "from": sender["email"],
            "from_header": _written(sender),
            "to": [each["email"] for each in addressees],
            "to_header": ", ".join(_written(each) for each in personal["to"]),
            "subject": personal.get("subject", mail.get("subject", ""))[:1000],
            "text": texts.get("text/plain", "")[:_LONGEST_TEXT],
            "html": texts.get("text/html", "")[:_LONGEST_TEXT],
            "template_id": mail.get("template_id"),
            "headers": [[name, value[:1000]] for name, value in headers.items()][:100],
            "message_id": next((value for name, value in headers.items() if name.lower() == "message-id"), message_id),
            "provider_id": message_id,
        }


def _written(person: Mapping[str, str]) -> str:
    return f"{person['name']} <{person['email']}>" if person.get("name") else person["email"]


def _shape(mail: Mapping[str, Any]) -> Iterator[Problem]:
    """Find members that nobody knows, and values of a wrong type."""
    yield from _members(mail, _MAIL, "")
    for name in ("from", "reply_to"):
        yield from _members(mail.get(name), _ADDRESSEE, f"{name}.")
    yield from _members(mail.get("mail_settings"), _SETTINGS, "mail_settings.")
    yield from _objects(mail.get("reply_to_list"), _ADDRESSEE, "reply_to_list")
    yield from _objects(mail.get("content"), _CONTENT, "content")
    yield from _objects(mail.get("attachments"), _ATTACHMENT, "attachments")
    yield from _objects(mail.get("personalizations"), _PERSONALIZATION, "personalizations")
    for number, personal in enumerate(_list(mail.get("personalizations"))):
        if isinstance(personal, dict):
            path = f"personalizations.{number}"
            yield from _members(personal.get("from"), _ADDRESSEE, f"{path}.from.")
            for kind in ("to", "cc", "bcc"):
                yield from _objects(personal.get(kind), _ADDRESSEE, f"{path}.{kind}")


def _objects(values: object, known: Mapping[str, type], path: str) -> Iterator[Problem]:
    for number, value in enumerate(_list(values)):
        if isinstance(value, dict):
            yield from _members(value, known, f"{path}.{number}.")
        else:
            yield Problem(f"Invalid type. Expected: object, given: {_kind(value)}.", f"{path}.{number}")


def _members(value: object, known: Mapping[str, type], prefix: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if name not in known:
            yield Problem(f"Additional property {name[:100]} is not allowed", f"{prefix}{name[:100]}")
        elif not isinstance(inner, known[name]) or isinstance(inner, bool):
            kind = _KINDS[known[name]]
            yield Problem(f"Invalid type. Expected: {kind}, given: {_kind(inner)}.", f"{prefix}{name}")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _kind(value: object) -> str:
    return "null" if value is None else _KINDS.get(type(value), "number")


def _meaning(mail: Mapping[str, Any]) -> Iterator[Problem]:
    """Check a mail of the right shape."""
    yield from _check_recipients(mail)
    if not mail.get("from", {}).get("email"):
        yield Problem(_WORDS["from"], "from.email")
    elif not _valid(mail["from"]):
        yield Problem(_WORDS["address"], "from.email")
    if "reply_to" in mail and not _valid(mail["reply_to"]):
        yield Problem(_WORDS["address"], "reply_to.email")
    if not mail.get("template_id"):
        yield from _check_words(mail)
    yield from _check_texts(mail, "")
    for number, attachment in enumerate(mail.get("attachments", [])):
        for name in ("content", "filename"):
            if not attachment.get(name):
                yield Problem(f"The attachment {name} is required.", f"attachments.{number}.{name}")
    categories = mail.get("categories", [])
    if len(categories) > 10 or not all(isinstance(each, str) and len(each) <= 255 for each in categories):
        yield Problem(_WORDS["categories"], "categories")


def _check_recipients(mail: Mapping[str, Any]) -> Iterator[Problem]:
    personalizations = mail.get("personalizations", [])
    if not personalizations:
        yield Problem(_WORDS["personalizations"], "personalizations")
    elif len(personalizations) > _MOST:
        yield Problem(_WORDS["too_many"], "personalizations")
    elif sum(len(each.get(kind, [])) for each in personalizations for kind in ("to", "cc", "bcc")) > _MOST:
        yield Problem(_WORDS["recipients"], "personalizations")
    for number, personal in enumerate(personalizations):
        path = f"personalizations.{number}"
        if not personal.get("to"):
            yield Problem(_WORDS["to"], f"{path}.to")
        yield from _check_addresses(personal, path)
        yield from _check_texts(personal, f"{path}.")


def _check_addresses(personal: Mapping[str, Any], path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for kind in ("to", "cc", "bcc"):
        for number, person in enumerate(personal.get(kind, [])):
            place, address = f"{path}.{kind}.{number}.email", person.get("email", "").lower()
            if not address:
                yield Problem(f"The {kind} email parameter is required.", place)
            elif not _valid(person):
                yield Problem(_WORDS["address"], place)
            elif address in seen:
                yield Problem(
                    "Each email address in the personalization block should be unique between to, cc, and bcc. "
                    f"We found the first duplicate instance of [{address}] in the {path}.{kind} field.",
                    path,
                )
            seen.add(address)


def _check_words(mail: Mapping[str, Any]) -> Iterator[Problem]:
    if not mail.get("subject") and not all(each.get("subject") for each in mail.get("personalizations", [{}])):
        yield Problem(_WORDS["subject"], "subject")
    content = mail.get("content", [])
    if not content:
        yield Problem(_WORDS["content"], "content")
    for number, part in enumerate(content):
        for name in ("type", "value"):
            if not part.get(name):
                yield Problem(_WORDS[name], f"content.{number}.{name}")
    kinds = [part.get("type") for part in content]
    if kinds != sorted(kinds, key=_place) or any(kinds.count(kind) > 1 for kind in _FIRST):
        yield Problem(_WORDS["order"], "content")


def _place(kind: str) -> int:
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)


def _check_texts(value: Mapping[str, Any], prefix: str) -> Iterator[Problem]:
    headers = value.get("headers", {})
    if not all(isinstance(each, str) for each in headers.values()):
        yield Problem(_WORDS["strings"], f"{prefix}headers")
    elif any(name.lower() in _RESERVED for name in headers):
        yield Problem(_WORDS["reserved"], f"{prefix}headers")
    if not all(isinstance(each, str) for each in value.get("custom_args", {}).values()):
        yield Problem(_WORDS["arguments"], f"{prefix}custom_args")


def _valid(person: Mapping[str, str]) -> bool:
    return _ADDRESS.fullmatch(person.get("email", "")) is not None
