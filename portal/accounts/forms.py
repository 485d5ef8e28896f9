"""Forms of the accounts room: what is asked for, and what is said about a value that will not do."""

from collections.abc import Callable
from typing import Any

from flask import current_app
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TelField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the published stubs
from wtforms.validators import DataRequired, Length, ValidationError

from portal.accounts import values
from portal.accounts.api_tokens import DEFAULT_DAYS, SCOPES
from portal.accounts.errors import AccountsError
from portal.security.strength import MAX_LENGTH, MIN_LENGTH
from portal.web import access

CODE_LENGTH = 100


class Form(FlaskForm):  # type: ignore[misc]
    """Parent of the forms; the token against forged requests is checked before a view runs."""

    def refuse(self, field: str, error: AccountsError) -> None:
        """Show an error of the service beside the field that it is about."""
        self[field].errors = [*self[field].errors, str(error)]

    def values(self) -> dict[str, Any]:
        """Return what was entered, by field, without the token."""
        return {name: value for name, value in self.data.items() if name != "csrf_token"}


class Clean:
    """Validator that puts a value into the form in which it is stored, by one of the functions of `values`."""

    def __init__(self, function: Callable[[str], str], *, optional: bool = False) -> None:
        self._function = function
        self.field_flags = {"optional" if optional else "required": True}

    def __call__(self, _form: object, field: Any) -> None:
        """Clean the field's value.

        Raises:
            ValidationError: the value will not do; the message says why.
        """
        try:
            field.data = self._function(field.data or "")
        except ValueError as error:
            raise ValidationError(str(error)) from None


def _password(label: str, missing: str, autocomplete: str, description: str = "") -> PasswordField:
    checks = [DataRequired(missing), Length(max=MAX_LENGTH, message=f"Use at most {MAX_LENGTH:,} characters.")]
    return PasswordField(label, checks, description=description, render_kw={"autocomplete": autocomplete})


def _new_password(label: str) -> PasswordField:
    return _password(label, "Choose a password.", "new-password", f"At least {MIN_LENGTH} characters.")


def _current_password(label: str = "Password") -> PasswordField:
    return _password(label, "Enter your password.", "current-password")


def _code(label: str) -> StringField:
    length = Length(max=CODE_LENGTH, message="This code is too long. Copy it again.")
    attributes = {"autocomplete": "one-time-code", "spellcheck": "false", "autocapitalize": "none"}
    return StringField(label, [DataRequired("Enter the code."), length], render_kw=attributes)


class SignInForm(Form):
    """First step of signing in."""

    email = EmailField(
        "Email",
        [
            DataRequired("Enter your email address."),
            Length(max=values.EMAIL_LENGTH, message=f"Shorten the email address to {values.EMAIL_LENGTH} characters."),
        ],
        render_kw={"autocomplete": "username"},
    )
    password = _current_password()


class CodeForm(Form):
    """A code of the authenticator app."""

    code = _code("Authentication code")


class RecoveryForm(Form):
    """A recovery code in place of a code of the app."""

    code = _code("Recovery code")


class ConfirmForm(Form):
    """Who is there, asked of a signed-in person."""

    answer = _password("Password or authentication code", "Enter one of the two.", "current-password")


class SetupForm(Form):
    """First run: the code, the organization and its owner."""

    code = StringField(
        "One-time code",
        [DataRequired("Enter the code from the portal's log."), Length(max=CODE_LENGTH, message="This is no code.")],
        description="The portal writes it to its log at each start until it has an owner.",
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )
    organization = StringField(
        "Organization",
        [Clean(values.name)],
        render_kw={"autocomplete": "organization", "maxlength": values.NAME_LENGTH},
    )
    name = StringField(
        "Your name", [Clean(values.name)], render_kw={"autocomplete": "name", "maxlength": values.NAME_LENGTH}
    )
    email = EmailField(
        "Email", [Clean(values.email)], render_kw={"autocomplete": "username", "maxlength": values.EMAIL_LENGTH}
    )
    password = _new_password("Password")


class ProfileForm(Form):
    """What a person says about themselves."""

    name = StringField(
        "Name", [Clean(values.name)], render_kw={"autocomplete": "name", "maxlength": values.NAME_LENGTH}
    )
    phone = TelField(
        "Phone",
        [Clean(values.phone, optional=True)],
        description="With + and the country code, like +61 400 000 000.",
        render_kw={"autocomplete": "tel"},
    )
    sms_alerts = BooleanField(
        "Text me about critical alerts",
        description="When integrations stop working, and when they work again. Your mobile provider may charge for it.",
    )
    time_zone = StringField(
        "Time zone",
        [Clean(values.time_zone)],
        description="Type a city, such as Lisbon. All times are shown in it.",
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )

    def validate_sms_alerts(self, field: BooleanField) -> None:
        """Ask for a phone where text messages are wanted.

        Raises:
            ValidationError: there is none.
        """
        if field.data and not (self.phone.data or "").strip():
            raise ValidationError("Enter the phone that gets the text messages.")


class PasswordForm(Form):
    """A new password, for the current one."""

    current = _current_password("Current password")
    new = _new_password("New password")


def _offered() -> list[SelectChoice]:
    return [SelectChoice(each, f"{each}: {SCOPES[each]}") for each in access.scopes(current_app)]


def _only() -> list[str]:
    """Return the scope that is chosen at first: the one there is."""
    offered = access.scopes(current_app)
    return offered if len(offered) == 1 else []


class TokenForm(Form):
    """A new API token."""

    name = StringField(
        "Name",
        [Clean(values.name)],
        description="What it is for, such as “Payroll export”.",
        render_kw={"autocomplete": "off", "maxlength": values.NAME_LENGTH},
    )
    scopes = SelectMultipleField(
        "Scopes", [DataRequired("Choose at least one scope.")], choices=_offered, default=_only
    )
    days = SelectField(
        "Expires",
        choices=[SelectChoice(days, f"in {days} days") for days in (7, 30, 90, 180, 366)],
        coerce=int,
        default=DEFAULT_DAYS,
    )


class TurnOffForm(Form):
    """Turning two-factor authentication off, for password and code."""

    password = _current_password()
    code = _code("Authentication or recovery code")


class SavedForm(Form):
    """The step that recovery codes cannot be left without."""

    saved = BooleanField(
        "I have saved these codes", [DataRequired("Save the codes, then tick this box. They are not shown again.")]
    )
