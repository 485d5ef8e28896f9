"""The application's password hasher: one per process, since it bounds how much memory all hashing takes together."""

from flask import Flask, current_app

from portal.security.passwords import PasswordHasher

EXTENSION = "portal_password_hasher"


def use_hasher(app: Flask, hasher: PasswordHasher) -> None:
    """Let an application hash with this hasher; tests bring a cheap one."""
    app.extensions[EXTENSION] = hasher


def hasher() -> PasswordHasher:
    """Return the hasher of the running application."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, PasswordHasher)  # noqa: S101 - for the type checker
    return found
