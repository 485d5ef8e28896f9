"""Pages of signing in: first run, password, second step, confirmation, signing out."""

from typing import Any

from flask import Blueprint, request, session, url_for
from flask.wrappers import Response

from portal.accounts import browser, devices, hashing, setup, sign_in
from portal.accounts.errors import (
    AccountsError,
    EmailTakenError,
    SetupClosedError,
    SignInExpiredError,
    TooManyTriesError,
    WeakPasswordError,
    WrongSetupCodeError,
)
from portal.accounts.forms import CODE_LENGTH, CodeForm, ConfirmForm, Form, RecoveryForm, SetupForm, SignInForm
from portal.accounts.identity import Identity
from portal.database import reading
from portal.web import errors
from portal.web.access import Who, allow, signed_in
from portal.web.render import go_to, page

blueprint = Blueprint("accounts", __name__)
CLEAR = '"storage"'
"""What the browser clears on signing out. Not "cookies": that would empty the whole registered domain, with it other
applications of the customer's; the portal's own cookie is dropped by name."""


@blueprint.route("/setup", methods=["GET", "POST"])
@allow(Who.ANYONE)
def first_run() -> Response:
    """Create the owner, for whoever has the code from the log."""
    with reading():
        closed = not setup.is_open()
    if closed:
        return _closed()
    form = SetupForm(code=request.args.get("code", "")[:CODE_LENGTH])
    if not form.validate_on_submit():
        return _form_page("accounts/setup.html", form)
    try:
        opened = setup.claim(origin=browser.origin(), hasher=hashing.hasher(), **form.values())
    except SetupClosedError:
        return _closed()
    except AccountsError as error:
        blamed = {WrongSetupCodeError: "code", WeakPasswordError: "password", EmailTakenError: "email"}
        return _refused("accounts/setup.html", form, blamed.get(type(error), ""), error)
    browser.enter(opened)
    session[browser.SETUP] = True
    return go_to(url_for("accounts.two_factor_enrol"))


def _closed() -> Response:
    return errors.answer(404, title="This portal is already set up", text="Sign in, or ask its owner to add you.")


@blueprint.route("/login", methods=["GET", "POST"])
@allow(Who.ANYONE)
def login() -> Response:
    """Ask for email and password."""
    who = signed_in()
    if isinstance(who, Identity) and request.method != "POST":
        return go_to(browser.target() or browser.home(who))
    form = SignInForm()
    if not form.validate_on_submit():
        with reading():
            unowned = setup.is_open()
        return _form_page("accounts/login.html", form, next=browser.target(), unowned=unowned)
    email, password = str(form.email.data), str(form.password.data)
    try:
        opened = sign_in.sign_in(email=email, password=password, origin=browser.origin(email), hasher=hashing.hasher())
    except AccountsError as error:
        return _refused("accounts/login.html", form, "password", error, next=browser.target(), unowned=False)
    if isinstance(who, Identity):
        sign_in.sign_out(who)
    if opened.pending:
        browser.wait_for_second_step(opened)
        return go_to(url_for("accounts.second_step", next=browser.target() or None))
    return _arrive(browser.enter(opened))


@blueprint.route("/login/two-factor", methods=["GET", "POST"])
@allow(Who.PENDING)
def second_step() -> Response:
    """Ask for a code of the authenticator app, or a recovery code."""
    token = str(session.get(browser.PENDING, ""))
    try:
        with reading():
            email = sign_in.pending_email(token)
    except SignInExpiredError as error:
        return _expired(error)
    form, shown = _code_form(), {"email": email, "next": browser.target()}
    if not form.validate_on_submit():
        return _form_page("accounts/second_step.html", form, **shown)
    try:
        opened = sign_in.second_step(token=token, code=str(form.code.data), origin=browser.origin(email))
    except SignInExpiredError as error:
        return _expired(error)
    except AccountsError as error:
        return _refused("accounts/second_step.html", form, "code", error, **shown)
    return _arrive(browser.enter(opened))


def _code_form() -> Any:
    return RecoveryForm() if request.args.get("with") == "recovery" else CodeForm()


def _expired(error: AccountsError) -> Response:
    who = signed_in()
    if isinstance(who, Identity):
        return go_to(browser.target() or browser.home(who))
    browser.forget()
    return go_to(url_for("accounts.login", next=browser.target() or None), toast=str(error), tone="warn")


def _arrive(who: Identity) -> Response:
    """Go to where the person wanted to go; from now on this browser is known to them."""
    return devices.remember(go_to(browser.target() or browser.home(who)), who.email)


@blueprint.route("/confirm", methods=["GET", "POST"])
@allow(Who.MEMBER)
def confirm() -> Response:
    """Ask a signed-in person for password or code once more."""
    form, who = ConfirmForm(), browser.member()
    shown = {"next": browser.target(), "with_code": who.two_factor}
    if not form.validate_on_submit():
        return _form_page("accounts/confirm.html", form, **shown)
    try:
        opened = sign_in.confirm(who, answer=str(form.answer.data), hasher=hashing.hasher())
    except AccountsError as error:
        return _refused("accounts/confirm.html", form, "answer", error, **shown)
    browser.go_on(opened)
    return go_to(browser.target() or browser.home(who))


@blueprint.post("/logout")
@allow(Who.ANYONE)
def logout() -> Response:
    """End this session; harmless for whoever has none."""
    who = signed_in()
    if isinstance(who, Identity):
        sign_in.sign_out(who)
    browser.forget()
    response = go_to(url_for("accounts.login"), toast="Signed out.")
    if request.is_secure or request.host.partition(":")[0] in ("localhost", "127.0.0.1"):
        response.headers["Clear-Site-Data"] = CLEAR  # browsers take it over https and from this machine only
    return response


def _form_page(template: str, form: Form, **shown: Any) -> Response:
    return page(template, status=422 if form.is_submitted() else 200, form=form, wrong=None, **shown)


def _refused(template: str, form: Form, field: str, error: AccountsError, **shown: Any) -> Response:
    """Show the form again with what was wrong: beside a field, or above the form where none is to blame."""
    if isinstance(error, TooManyTriesError) or not field:
        response = page(template, status=422, form=form, wrong=str(error), **shown)
        return browser.slow_down(response, error)
    form.refuse(field, error)
    return page(template, status=422, form=form, wrong=None, **shown)
