"""A running sandbox."""

from collections.abc import Callable, Iterator

import pytest

from portal.providers.base import Value
from portal.sandbox import PASSWORD, Sandbox

Credentials = dict[str, Value]


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    """One sandbox for all tests, on free ports."""
    with Sandbox().start(port=0, smtp_port=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The sandbox, with nothing remembered and no fault on."""
    running.reset()
    yield running
    running.reset()


@pytest.fixture
def credentials() -> Callable[..., Credentials]:
    """A maker of credentials that the sandbox accepts."""

    def make(**changes: Value) -> Credentials:
        return {
            "preset": "sendgrid",
            "host": "smtp.sendgrid.net",
            "port": 587,
            "security": "starttls",
            "username": "apikey",
            "password": PASSWORD,
            "from_email": "noreply@northline.example",
            "from_name": "Northline",
            **changes,
        }

    return make
