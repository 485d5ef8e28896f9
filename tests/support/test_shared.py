"""The application that tests share: each finds it as it was built."""

import pytest
from flask import Flask

from portal.settings import Settings
from tests.conftest import close, make_app
from tests.support.plans import without_sorts_and_hashes
from tests.support.shared import SharedApp


def test_what_a_test_changed_is_undone() -> None:
    app = Flask("shared")
    shared = SharedApp(app)
    app.config["COLOUR"] = "blue"
    app.view_functions["static"] = lambda: "changed"
    app.before_request(lambda: "changed")
    app.jinja_env.globals["portal"] = "changed"
    shared.restore()
    assert "COLOUR" not in app.config
    assert app.test_client().get("/static/nothing.txt").status_code == 404
    assert app.before_request_funcs == {}
    assert "portal" not in app.jinja_env.globals


def test_lists_that_grew_shrink_again() -> None:
    app = Flask("shared")
    app.before_request(lambda: None)
    shared = SharedApp(app)
    app.before_request_funcs[None].append(lambda: "changed")
    shared.restore()
    assert len(app.before_request_funcs[None]) == 1


def test_another_route_is_refused() -> None:
    app = Flask("shared")
    shared = SharedApp(app)
    app.add_url_rule("/more", view_func=lambda: "more")
    with pytest.raises(AssertionError, match="start_app"):
        shared.restore()


def test_who_still_listens_to_the_engine_is_named(settings: Settings) -> None:
    app = make_app(settings)
    shared = SharedApp(app)
    with without_sorts_and_hashes(app), pytest.raises(AssertionError, match="listens"):
        shared.restore()
    shared.restore()
    close(app)
