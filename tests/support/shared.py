"""An application that tests use one after another: to build it and compile its queries takes most of a test's time."""

from typing import Any

from flask import Flask

from portal.database import db


class SharedApp:
    """An application, and how it was when it was built: what a test changes is undone."""

    def __init__(self, app: Flask) -> None:
        """Remember how it is."""
        self.app = app
        self._rules = len(list(app.url_map.iter_rules()))
        self._listeners = _listeners(app)
        self._held: list[tuple[dict[Any, Any], dict[Any, Any]]] = [(each, _copy(each)) for each in _parts(app)]

    def restore(self) -> None:
        """Put everything back."""
        assert len(list(self.app.url_map.iter_rules())) == self._rules, (
            "use start_app for an application with more routes"
        )
        assert _listeners(self.app) == self._listeners, "take away again what listens to the database's engine"
        for part, before in self._held:
            part.clear()
            part.update(_copy(before))


def _parts(app: Flask) -> list[dict[Any, Any]]:
    return [
        app.config,
        app.extensions,
        app.view_functions,
        app.error_handler_spec,
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
        app.jinja_env.globals,
        app.jinja_env.filters,
    ]


def _listeners(app: Flask) -> int:
    """Count what listens to the engine: what one test left there would change what another one finds."""
    if "sqlalchemy" not in app.extensions:
        return 0
    with app.app_context():
        engine = db.engine
    heard = (engine.dispatch.before_cursor_execute, engine.pool.dispatch.connect, engine.pool.dispatch.checkout)
    return sum(len(list(each)) for each in heard)


def _copy(part: dict[Any, Any]) -> dict[Any, Any]:
    """Return a copy in which lists are copied too."""
    return {name: list(value) if isinstance(value, list) else value for name, value in part.items()}
