"""The Integrations Portal: create_app() puts settings, extensions, blueprints and wiring together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import create_engine, inspect
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import accounts, alerts, api, audit, health, integrations, keyring, messaging, overview, web, webhooks
from portal.database import db
from portal.extensions import csrf, htmx, login_manager, migrate
from portal.settings import Settings, ensure_keys, load

ROOT = Path(__file__).resolve().parent.parent
MAX_BODY = 1024 * 1024
"""Largest request body in bytes; forms of the portal are far smaller."""
FEATURES = (audit, accounts, webhooks, integrations, health, messaging, alerts, overview, api)


class Portal(Flask):
    """Flask without asynchronous functions: ours are none, and Flask asks that of each of ten at every request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is."""
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application. It touches no table: `portal.keyring.load` and the migrations come when it serves.

    Args:
        settings: what the operator decided; read from the environment where none are given.

    Raises:
        SettingsError: a setting is bad, or a key is missing.
    """
    settings = settings or load()
    settings = ensure_keys(settings, database_is_empty=_is_empty(settings))
    app = Portal("portal", root_path=str(ROOT / "portal"), template_folder=str(ROOT / "templates"))
    app.static_folder = str(ROOT / "static")
    app.extensions["portal_settings"] = settings
    _configure(app, settings)
    _bind(app, settings)
    for feature in FEATURES:
        feature.init_app(app)
    web.check_rules(app)
    return app


def _is_empty(settings: Settings) -> bool:
    """Return whether the embedded database has no tables yet; only then may keys be made."""
    file = settings.sqlite_file
    if file is None or not file.is_file():
        return True
    engine = create_engine(settings.database_url)
    try:
        return not inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _configure(app: Flask, settings: Settings) -> None:
    host_prefix = "__Host-" if settings.https else ""
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS={
            "hide_parameters": True,  # an error is logged, and rows hold messages and addresses
            "pool_use_lifo": True,  # SQLite's cache of a connection is void as soon as another one wrote
        },
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_MEMORY_SIZE=MAX_BODY,
        SESSION_COOKIE_NAME=f"{host_prefix}portal",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.https,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_CHECK_DEFAULT=False,  # the gate checks, since it knows who bears a token instead of a cookie
        PREFERRED_URL_SCHEME="https" if settings.https else "http",
        TRUSTED_HOSTS=_hosts(settings),
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]


def _hosts(settings: Settings) -> list[str] | None:
    """Return the host names that are answered; without a base address every name is."""
    if not settings.base_url:
        return None
    return [urlsplit(settings.base_url).hostname or "", "127.0.0.1", "localhost"]


def _bind(app: Flask, settings: Settings) -> None:
    if settings.sqlite_file:
        settings.sqlite_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    csrf.init_app(app)
    login_manager.init_app(app)
    htmx.init_app(app)
    web.init_app(app, https=settings.https)
    keyring.init_app(app, settings.master_keys)


def with_base_url(settings: Settings, host: str, port: int) -> Settings:
    """Return the settings with the address being served as base address, where the operator gave none."""
    if settings.base_url or host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return settings
    shown = f"[{host}]" if ":" in host else host
    return replace(settings, base_url=f"http://{shown}:{port}")
