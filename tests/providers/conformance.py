"""What every provider must fulfil; each check takes a provider and fails with a sentence."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from socket import socket
from string import Formatter
from typing import NoReturn

from portal.providers.base import (
    METHODS,
    Context,
    Outcome,
    OutgoingChat,
    OutgoingEmail,
    OutgoingSms,
    Provider,
    Report,
    SendOutcome,
    SendsChat,
    SendsEmail,
    SendsSms,
    Value,
)
from portal.providers.fields import SECRET_LOOKS, Field, FieldKind
from portal.providers.parsing import parse
from portal.providers.rest.errors import ROWS as HTTP_ROWS
from portal.providers.validation import validate
from portal.security.network import Address, HostNotFound, ResolverFailed, ResolverTimeout, canonical_host

CANARY = "cAnArY-7f3b9e-do-not-show"
MUST_BE_TOLD_APART = {
    Outcome.AUTH_REJECTED,
    Outcome.RATE_LIMITED,
    Outcome.UNREACHABLE,
    Outcome.TIMEOUT,
    Outcome.PROVIDER_ERROR,
    Outcome.INVALID_REQUEST,
}
PLACES = {"name", "host", "port", "seconds", "when", "names", "until", "cause", "kind", "status", "sender"}
"""What the words of an HTTP provider's errors may leave to be filled."""
_NOT_A_FIELD_OF_SECRETS = {FieldKind.CHOICE, FieldKind.SWITCH, FieldKind.CONFIRM}
_PLACE_OF_SECRET = re.compile("X{8,}")
"""In the example of a secret that must have a form, such as an address, stands where the secret part is."""
_FORBIDDEN_WORDS = re.compile(r"!|\bplease\b|\boops\b|successfully", re.IGNORECASE)


class DeadNetwork:
    """A network on which every look-up ends with the same error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def resolve(self, host: str, port: int, timeout: float) -> NoReturn:
        raise self._error

    def connect(self, addresses: object, timeout: float) -> tuple[socket, Address]:
        raise AssertionError("connected without an address")


def example_credentials(provider: Provider, secret: str = CANARY) -> Mapping[str, Value]:
    """Credentials from the fields' own examples, with the canary in every secret."""
    raw = {
        field.name: _PLACE_OF_SECRET.sub(secret, field.example or "X" * 8) if field.secret else field.example
        for field in provider.fields
        if field.secret or (field.example and field.kind is not FieldKind.CONFIRM)
    }
    if any(field.name == "username" for field in provider.fields):
        raw["username"] = "user"
    return validate(provider, raw).values


def has_words(provider: Provider) -> None:
    """It says what it is for and what it needs."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", provider.slug), "slug"
    assert provider.name, "name"
    assert provider.capabilities, "capabilities"
    for text in (provider.summary, provider.needs):
        assert re.fullmatch(r"[A-Z].+\.", text), f"not a sentence: {text}"
    texts = [text for field in provider.fields for text in (field.label, field.help, field.suffix)]
    texts += [text for row in provider.errors for text in (row.title, row.message, row.hint)]
    for text in texts:
        assert not _FORBIDDEN_WORDS.search(text), f"wording: {text}"


def marks_secrets(provider: Provider) -> None:
    """Whatever is named like a secret is one."""
    for field in provider.fields:
        if field.kind not in _NOT_A_FIELD_OF_SECRETS and any(look in field.name for look in SECRET_LOOKS):
            assert field.secret, f"{field.name} is named like a secret but not marked as one"
    assert provider.secret_names, "a provider without any secret"


def declares_sound_fields(provider: Provider) -> None:
    """Names are unique, and examples, defaults, conditions and fills fit the fields they speak of."""
    names = [field.name for field in provider.fields]
    assert len(names) == len(set(names)), "two fields of one name"
    for at, field in enumerate(provider.fields):
        assert field.label, f"{field.name} has no label"
        if field.kind is FieldKind.HOST:
            assert field.binds_secrets, f"{field.name} chooses where secrets go and does not say so"
        _fits(field, field.example)
        _fits(field, field.default)
        if field.show_if:
            assert field.show_if.field in names[:at], f"{field.name} depends on a field that does not stand before it"
            other = provider.field(field.show_if.field)
            assert all(other.choice(value) for value in field.show_if.values), f"{field.name} waits for no choice"
        for choice in field.choices:
            for name, text in choice.fills.items():
                assert name in names[at + 1 :], f"{field.name} fills {name}, which does not come later"
                _fits(provider.field(name), text)
            for name in (*choice.suffixes, *choice.helps, *choice.placeholders):
                assert name in names, f"{field.name} words {name}, which is not there"


def _fits(field: Field, value: Value | None) -> None:
    if value not in (None, ""):
        assert parse(field, value) is not None, f"{field.name} does not take its own {value!r}"


def words_every_error(provider: Provider) -> None:
    """Every case has an outcome and words, and the cases that health and failover decide on are told apart."""
    reasons = [row.reason for row in provider.errors]
    assert len(reasons) == len(set(reasons)), "two error rows of one reason"
    for row in provider.errors:
        assert row.outcome is not Outcome.OK, f"{row.reason} is no error"
        assert re.fullmatch(r".+[^.]", row.title), f"{row.reason} has no title"
        assert row.message.endswith("."), f"{row.reason} has no sentence"
        assert row.hint.endswith("."), f"{row.reason} has no hint"
        if row.field:
            provider.field(row.field)
    missing = MUST_BE_TOLD_APART - {row.outcome for row in provider.errors}
    assert not missing, f"cannot tell: {missing}"


def agrees_with_capabilities(provider: Provider) -> None:
    """It has the methods of what it declares, and declares what it has methods for."""
    for capability, protocol in METHODS.items():
        declared, able = capability in provider.capabilities, isinstance(provider, protocol)
        assert declared == able, f"{capability}: declared {declared}, able {able}"


def survives_a_dead_network(provider: Provider) -> None:
    """Probe and test report every fault of the network, and never as bad credentials."""
    for error in (HostNotFound("h"), ResolverFailed("h"), ResolverTimeout("h"), TimeoutError(), OSError("no route")):
        for report in _reports(provider, error):
            assert not report.ok, f"{error!r} passed"
            assert report.outcome in {Outcome.UNREACHABLE, Outcome.TIMEOUT}, f"{error!r} is {report.outcome}"
            assert report.error, f"{error!r} has no words"
            assert report.error.message.endswith("."), f"{error!r} has no sentence"
            assert report.error.hint.endswith("."), f"{error!r} has no hint"
            assert any(step.state == "failed" for step in report.steps), "no step failed"
        for sent in send_all(provider, Context(network=DeadNetwork(error), deadline=1.0)):
            assert sent.outcome in {Outcome.UNREACHABLE, Outcome.TIMEOUT}, f"{error!r} is {sent.outcome} when sending"


def names_its_hosts(provider: Provider) -> None:
    """Hosts are plain names, and a driver that names some has words for all that happens over HTTP."""
    for host in provider.hosts:
        assert canonical_host(host) == host, f"{host} is not in its plain form"
    assert not provider.docs or provider.docs.startswith("https://"), "docs"
    if provider.hosts:
        missing = {row.reason for row in HTTP_ROWS} - {row.reason for row in provider.errors}
        assert not missing, f"no words for: {sorted(missing)}"
        for row in provider.errors:
            used = {name for _, name, _, _ in Formatter().parse(row.message + row.hint) if name is not None}
            assert used <= PLACES, f"{row.reason} has places that nobody fills: {used - PLACES}"


def never_shows_a_secret(provider: Provider) -> None:
    """No report, outcome or declaration holds a secret that was given."""
    shown: list[object] = [provider, provider.as_dict()]
    for report in _reports(provider, HostNotFound("h")):
        shown += [report, report.as_dict(), *report.steps]
    shown += send_all(provider, Context(network=DeadNetwork(HostNotFound("h")), deadline=1.0))
    for each in shown:
        assert CANARY not in f"{each!r} {each}", f"secret in {type(each).__name__}"
    values = {field.name: "••••1234" if field.secret else "\0bad\n" for field in provider.fields}
    for sentence in validate(provider, values | dict.fromkeys(provider.secret_names, CANARY + "\0x")).errors.values():
        assert CANARY not in sentence, f"secret in: {sentence}"


def describes_itself(provider: Provider) -> None:
    """Its declaration is JSON without anything that only the server should know."""
    shown = json.loads(json.dumps(provider.as_dict()))
    assert [field["name"] for field in shown["fields"]] == [field.name for field in provider.fields]
    assert provider.label(example_credentials(provider)).startswith(provider.name)


def _reports(provider: Provider, error: Exception) -> list[Report]:
    context = Context(network=DeadNetwork(error), deadline=1.0)
    credentials = example_credentials(provider)
    return [provider.probe(credentials, context), provider.test(credentials, context)]


def send_all(provider: Provider, context: Context) -> list[SendOutcome]:
    """Send one message of every kind that the provider carries."""
    credentials = example_credentials(provider)
    sent = []
    if isinstance(provider, SendsEmail):
        sent.append(
            provider.send_email(credentials, context, OutgoingEmail(to=("a@example.com",), subject="s", text="t"))
        )
    if isinstance(provider, SendsSms):
        sent.append(provider.send_sms(credentials, context, OutgoingSms(to="+15550100199", text="t")))
    if isinstance(provider, SendsChat):
        sent.append(provider.send_chat(credentials, context, OutgoingChat(title="t", text="t")))
    return sent


CHECKS: tuple[Callable[[Provider], None], ...] = (
    has_words,
    marks_secrets,
    declares_sound_fields,
    words_every_error,
    agrees_with_capabilities,
    names_its_hosts,
    survives_a_dead_network,
    never_shows_a_secret,
    describes_itself,
)


def with_field(provider: Provider, field: Field) -> Provider:
    """A copy of the provider with one field more."""
    return replace(provider, fields=(*provider.fields, field))
