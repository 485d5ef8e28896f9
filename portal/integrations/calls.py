"""Calls to providers: each on the guarded network, in bounded time, and never inside a transaction."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import current_app

from portal.database import in_transaction
from portal.integrations.models import Integration
from portal.providers import catalogue
from portal.providers.base import (
    Context,
    OutgoingChat,
    OutgoingEmail,
    OutgoingSms,
    Provider,
    Report,
    SendOutcome,
    SendsChat,
    SendsEmail,
    SendsSms,
)
from portal.providers.network import GuardedNetwork
from portal.providers.sandboxed import sandbox_context
from portal.security.network import AddressPolicy
from portal.settings import Settings

DEADLINE = 15.0
"""Seconds that one call to a provider may take in total."""
WAITING = 4
"""So many people may wait for a provider at the same time in one process; the other threads keep serving pages."""

R = TypeVar("R")
_places = threading.BoundedSemaphore(WAITING)


class TooBusy(Exception):
    """Every place for people who wait for a provider is taken; try again in some seconds."""


@dataclass(frozen=True)
class Call:
    """A provider with the credentials and the network to call it with. Secrets stay out of its repr."""

    provider: Provider
    credentials: Mapping[str, Any]
    sandbox: bool

    def __repr__(self) -> str:
        """Name the provider alone."""
        return f"Call({self.provider.slug})"

    def probe(self) -> Report:
        """Run the health check, which sends nothing."""
        return self._reported(self.provider.probe)

    def test(self) -> Report:
        """Run the staged test."""
        return self._reported(self.provider.test)

    def send_email(self, message: OutgoingEmail) -> SendOutcome:
        """Send one email.

        Raises:
            TypeError: the provider carries no email.
        """
        provider = self.provider
        if not isinstance(provider, SendsEmail):
            raise TypeError(f"{provider.name} carries no email")
        return self._run(lambda credentials, context: provider.send_email(credentials, context, message))

    def send_sms(self, message: OutgoingSms) -> SendOutcome:
        """Send one text message.

        Raises:
            TypeError: the provider carries no text messages.
        """
        provider = self.provider
        if not isinstance(provider, SendsSms):
            raise TypeError(f"{provider.name} carries no text messages")
        return self._run(lambda credentials, context: provider.send_sms(credentials, context, message))

    def send_chat(self, message: OutgoingChat) -> SendOutcome:
        """Post one message to a chat channel.

        Raises:
            TypeError: the provider posts to no chat.
        """
        provider = self.provider
        if not isinstance(provider, SendsChat):
            raise TypeError(f"{provider.name} posts to no chat")
        return self._run(lambda credentials, context: provider.send_chat(credentials, context, message))

    def _reported(self, method: Callable[[Mapping[str, Any], Context], Report]) -> Report:
        """Return a report with what was said on the way."""
        return self._run(lambda values, context: replace(method(values, context), transcript=context.transcript))

    def _run(self, method: Callable[[Mapping[str, Any], Context], R]) -> R:
        if in_transaction():
            raise RuntimeError("a provider is never called inside a transaction")
        context = self._context()
        context.transcript.know(str(self.credentials.get(each) or "") for each in self.provider.secret_names)
        return method(self.credentials, context)

    def _context(self) -> Context:
        settings: Settings = current_app.extensions["portal_settings"]
        name = urlsplit(settings.base_url).hostname or "localhost"
        if self.sandbox:
            return sandbox_context(settings.sandbox_url, client_name=name)
        network = GuardedNetwork(AddressPolicy(allowed=settings.allowed_networks))
        return Context(network=network, deadline=DEADLINE, client_name=name)


def prepare(integration: Integration, credentials: Mapping[str, Any]) -> Call:
    """Return the call of a stored integration, with its opened values."""
    return Call(catalogue.get(integration.provider), credentials, integration.sandbox)


@contextmanager
def place() -> Iterator[None]:
    """Hold one of the places for people who wait for a provider's answer.

    Raises:
        TooBusy: none is free.
    """
    if not _places.acquire(timeout=1):
        raise TooBusy
    try:
        yield
    finally:
        _places.release()


def sandbox_is_there() -> bool:
    """Return whether integrations may be marked sandbox on this installation."""
    settings: Settings = current_app.extensions["portal_settings"]
    return bool(settings.sandbox_url)
