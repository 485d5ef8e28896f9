"""Fixtures of the message tests."""

import pytest
from flask import Flask

from tests.messaging.kit import Post
from tests.support.people import Team


@pytest.fixture
def post(app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch) -> Post:
    """Carriers that answer as told."""
    return Post(app, team).install(monkeypatch)
