"""The catalogue: every provider the portal knows, one line each."""

from portal.providers.base import Capability, Provider
from portal.providers.sendgrid import SENDGRID
from portal.providers.slack import SLACK
from portal.providers.smtp import SMTP
from portal.providers.teams import TEAMS
from portal.providers.twilio import TWILIO

PROVIDERS: tuple[Provider, ...] = (
    SMTP,
    SENDGRID,
    TWILIO,
    SLACK,
    TEAMS,
)


class UnknownProvider(KeyError):
    """There is no provider of that name."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug

    def __str__(self) -> str:
        return f"There is no provider called {self.slug[:60]!r}."


def all() -> tuple[Provider, ...]:  # noqa: A001 - reads as catalogue.all()
    """Return every provider."""
    return PROVIDERS


def get(slug: str) -> Provider:
    """Return the provider of that slug.

    Raises:
        UnknownProvider: there is none.
    """
    for provider in PROVIDERS:
        if provider.slug == slug:
            return provider
    raise UnknownProvider(slug)


def by_capability() -> dict[Capability, tuple[Provider, ...]]:
    """Return the providers of each capability that at least one has, in the order of the capabilities."""
    grouped = {each: tuple(p for p in PROVIDERS if each in p.capabilities) for each in Capability}
    return {capability: providers for capability, providers in grouped.items() if providers}
