"""Pages of the second factor: why it is due, enrolling, recovery codes, turning it off."""

from flask import abort, session, url_for
from flask.wrappers import Response
from markupsafe import Markup

from portal.accounts import browser, enrolment, hashing, two_factor
from portal.accounts.errors import (
    AccountsError,
    NoPendingEnrolmentError,
    TooManyTriesError,
    TwoFactorNeededError,
    WrongPasswordError,
)
from portal.accounts.forms import CodeForm, SavedForm, TurnOffForm
from portal.accounts.models import User
from portal.accounts.routes import blueprint
from portal.database import db, reading, unit_of_work
from portal.security import totp
from portal.web.access import Who, allow
from portal.web.render import go_to, page

QR_PIXELS = 232


@blueprint.get("/profile/two-factor/required")
@allow(Who.MEMBER)
def two_factor_required() -> Response:
    """Say that two-factor authentication comes first, and go on where its set-up stopped."""
    who = browser.member()
    if not who.two_factor_due:
        return go_to(browser.target() or browser.home(who))
    with reading():
        enrolled = _user().totp_sealed is not None
    if enrolled:
        return go_to(url_for("accounts.recovery_codes"))
    return page("accounts/two_factor_required.html", organization=who.organization_name)


@blueprint.post("/profile/two-factor/start")
@allow(Who.MEMBER, recent=True)
def two_factor_start() -> Response:
    """Begin to enrol an authenticator app, the first or a new one."""
    with unit_of_work():
        enrolment.start(browser.member())
    return go_to(url_for("accounts.two_factor_enrol"))


@blueprint.route("/profile/two-factor/enrol", methods=["GET", "POST"])
@allow(Who.MEMBER, recent=True)
def two_factor_enrol() -> Response:
    """Show the secret to scan or type, and take the first code of the app."""
    form, who = CodeForm(), browser.member()
    if not form.validate_on_submit():
        return _enrolling(form)
    try:
        with unit_of_work():
            opened = enrolment.finish(who, code=str(form.code.data))
    except NoPendingEnrolmentError:
        return _nothing_to_enrol()
    except AccountsError as error:
        form.refuse("code", error)
        return _enrolling(form)
    browser.go_on(opened)
    return go_to(url_for("accounts.recovery_codes"))


def _enrolling(form: CodeForm) -> Response:
    try:
        with reading():
            user = _user()
            secret, replaces = two_factor.pending_secret(user), user.totp_sealed is not None
    except NoPendingEnrolmentError:
        return _nothing_to_enrol()
    return page(
        "accounts/enrol.html",
        status=422 if form.is_submitted() else 200,
        form=form,
        qr=_picture(totp.provisioning_uri(secret, user.email)),
        secret=totp.grouped(secret),
        replaces=replaces,
        first_run=bool(session.get(browser.SETUP)),
    )


def _picture(address: str) -> Markup:
    """Return the QR code in a size that a phone reads from a screen and that leaves room for the form below."""
    drawn = totp.qr_svg(address).replace("<svg ", f'<svg width="{QR_PIXELS}" height="{QR_PIXELS}" ', 1)
    return Markup(drawn)  # noqa: S704 - drawn by us, its only text is our own title


def _nothing_to_enrol() -> Response:
    """Lead on from an enrolment that is done or was never begun, as after a form sent twice."""
    with reading():
        unsaved = bool(two_factor.unsaved_recovery_codes(_user()))
    if unsaved:
        return go_to(url_for("accounts.recovery_codes"))
    due = browser.member().two_factor_due
    return go_to(url_for("accounts.two_factor_required" if due else "accounts.profile"))


@blueprint.get("/profile/recovery-codes")
@allow(Who.MEMBER, recent=True)
def recovery_codes() -> Response:
    """Show new recovery codes until they are said to be saved."""
    return _codes_page(SavedForm())


@blueprint.get("/profile/recovery-codes.txt")
@allow(Who.MEMBER, recent=True)
def recovery_codes_file() -> Response:
    """Hand out new recovery codes as a text file."""
    codes, who = _unsaved_codes(), browser.member()
    if not codes:
        abort(404)
    lines = [f"Recovery codes of {who.email} for the Integrations Portal. Each works once.", "", *codes, ""]
    response = Response("\n".join(lines), mimetype="text/plain")
    response.headers["Content-Disposition"] = "attachment; filename=recovery-codes.txt"
    return response


@blueprint.post("/profile/recovery-codes/saved")
@allow(Who.MEMBER)
def recovery_codes_saved() -> Response:
    """Take the word that the codes are saved; nobody can see them afterwards."""
    form, who = SavedForm(), browser.member()
    if not form.validate_on_submit():
        return _codes_page(form)
    with unit_of_work():
        saved = enrolment.save_recovery_codes(who)
    was_due, first_run = who.two_factor_due, session.pop(browser.SETUP, False)
    said = "Two-factor authentication is on." if saved and was_due else "Recovery codes saved."
    return go_to(browser.home(who) if was_due or first_run else url_for("accounts.profile"), toast=said)


@blueprint.post("/profile/recovery-codes/new")
@allow(Who.MEMBER, recent=True)
def recovery_codes_new() -> Response:
    """Make new recovery codes; the old ones end."""
    try:
        with unit_of_work():
            enrolment.replace_recovery_codes(browser.member())
    except TwoFactorNeededError:
        abort(404)
    return go_to(url_for("accounts.recovery_codes"))


@blueprint.route("/profile/two-factor/off", methods=["GET", "POST"])
@allow(Who.MEMBER)
def two_factor_off() -> Response:
    """Turn two-factor authentication off, where role and organization let it."""
    form, who = TurnOffForm(), browser.member()
    with reading():
        possible = _user().totp_sealed is not None and not two_factor.is_needed(who.user_id)
    if not possible:
        return go_to(url_for("accounts.profile"), toast="Two-factor authentication stays as it is.", tone="warn")
    if not form.validate_on_submit():
        return page("accounts/turn_off.html", status=422 if form.is_submitted() else 200, form=form)
    try:
        opened = enrolment.turn_off(who, hasher=hashing.hasher(), **form.values())
    except AccountsError as error:
        blamed = isinstance(error, (WrongPasswordError, TooManyTriesError))
        form.refuse("password" if blamed else "code", error)
        return browser.slow_down(page("accounts/turn_off.html", status=422, form=form), error)
    browser.go_on(opened)
    return go_to(url_for("accounts.profile"), toast="Two-factor authentication is off.")


def _codes_page(form: SavedForm) -> Response:
    codes = _unsaved_codes()
    if not codes:
        return _nothing_to_enrol()
    return page("accounts/recovery_codes.html", status=422 if form.is_submitted() else 200, form=form, codes=codes,
                first_run=bool(session.get(browser.SETUP)))  # fmt: skip


def _unsaved_codes() -> list[str]:
    with reading():
        return two_factor.unsaved_recovery_codes(_user())


def _user() -> User:
    return db.session.get_one(User, browser.member().user_id)
