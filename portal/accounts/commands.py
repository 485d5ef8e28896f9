"""The commands `portal user …` and `portal token …`, for the operator, inside an application context with keys."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import current_app
from sqlalchemy import select

from portal.accounts import api_tokens, enrolment, hashing, service, two_factor, values
from portal.accounts.errors import AccountsError
from portal.accounts.models import Organization, User
from portal.audit import trail
from portal.audit.actor import operator
from portal.database import db, reading, unit_of_work
from portal.web import access
from portal.web.access import Role

FIRST_ORGANIZATION = "My organization"
GENERATED_BYTES = 18


@click.group("user")
def user_group() -> None:
    """People who may sign in: create, new password, new second factor, disable."""


_email = click.option("--email", required=True, metavar="E", help="Email address of the user.")
_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is made.")


@user_group.command("create")
@_email
@click.option("--role", required=True, type=click.Choice([each.value for each in Role]))
@click.option(
    "--organization", default="", metavar="SLUG", help="Where they work; the first user's is made and named so."
)
@click.option("--name", default="", help="What to call them; else taken from the address.")
@_stdin
@click.option(
    "--with-totp", is_flag=True, help="Turn two-factor authentication on; its secret is the last line printed."
)
def create(*, email: str, role: str, organization: str, name: str, password_stdin: bool, with_totp: bool) -> None:
    """Create a user."""
    with _as_operator():
        address = values.email(email)
        shown = values.name(name or address.partition("@")[0])
        password, generated = _password(password_stdin)
        service.require_strong(password, address, shown, organization)
        password_hash = hashing.hasher().hash(password)
        with unit_of_work():
            place, made = _organization(organization)
            user = service.create_user(
                email=address, name=shown, password_hash=password_hash, time_zone=place.time_zone
            )
            service.add_member(user=user, organization=place, role=Role(role))
            secret = two_factor.enrol_at_once(user) if with_totp else ""
            lines = [f"Organization: {place.slug} ({place.name})"] if made else []
        lines += [f"User: {address}, {role} in {place.name}"]
        lines += [f"Password: {password}"] if generated else []
        click.echo("\n".join(lines + ([secret] if secret else [])))


@user_group.command("reset-password")
@_email
@_stdin
def reset_password(email: str, password_stdin: bool) -> None:
    """Give a user a new password and sign them out everywhere; their second factor stays."""
    with _as_operator():
        with reading():
            user = _user(email)
        password, generated = _password(password_stdin)
        service.require_strong(password, user.email, user.name)
        password_hash = hashing.hasher().hash(password)
        with unit_of_work():
            service.reset_password(user.id, password_hash=password_hash)
        click.echo(f"{user.email} has a new password and is signed out everywhere.")
        if generated:
            click.echo(f"Password: {password}")


@user_group.command("reset-2fa")
@_email
def reset_two_factor(email: str) -> None:
    """Forget a user's second factor and sign them out everywhere; they enrol anew at the next sign-in."""
    with _as_operator():
        with unit_of_work():
            user = _user(email)
            was_on = enrolment.reset(user.id)
        state = "is off" if was_on else "was not on"
        click.echo(f"Two-factor authentication of {user.email} {state}. They are signed out everywhere.")


@user_group.command("disable")
@_email
def disable(email: str) -> None:
    """Keep a user from signing in, at once."""
    with _as_operator():
        with unit_of_work():
            user = _user(email)
            changed = service.disable(user.id)
        click.echo(f"{user.email} {'is disabled' if changed else 'was disabled before'} and cannot sign in.")


@user_group.command("enable")
@_email
def enable(email: str) -> None:
    """Let a disabled user sign in again."""
    with _as_operator():
        with unit_of_work():
            user = _user(email)
            changed = service.enable(user.id)
        click.echo(f"{user.email} {'can sign in again' if changed else 'was not disabled'}.")


@click.group("token")
def token_group() -> None:
    """Tokens for the JSON API."""


@token_group.command("create")
@click.option(
    "--email", required=True, metavar="E", help="Owner or admin, with two-factor authentication, for whom it works."
)
@click.option("--name", required=True, metavar="N", help="What it is for.")
@click.option("--scopes", required=True, metavar="A,B", help="What it may do, such as admin.")
@click.option("--expires-days", default=api_tokens.DEFAULT_DAYS, show_default=True, metavar="D", help="1 to 366.")
@click.option("--organization", default="", metavar="SLUG", help="Where it works, for whoever belongs to several.")
def create_token(*, email: str, name: str, scopes: str, expires_days: int, organization: str) -> None:
    """Make a token and print it, this once, as the last line."""
    with _as_operator():
        wanted = [each.strip() for each in scopes.split(",") if each.strip()]
        _require_known(wanted)
        with unit_of_work():
            user = _user(email)
            place = _place_of(user, organization)
            row, text = api_tokens.create(
                user_id=user.id,
                organization_id=place.organization_id,
                name=values.name(name),
                scopes=wanted,
                days=expires_days,
            )
        click.echo(
            f"Token {row.name} for {place.name}, scopes {', '.join(row.scopes)}, until {row.expires_at:%d %b %Y}."
        )
        click.echo(text)


def _require_known(scopes: list[str]) -> None:
    known = access.scopes(current_app)
    unknown = [each for each in scopes if each not in known]
    if unknown:
        raise ValueError(f"There is no scope {unknown[0]}. There is: {', '.join(known)}.")


def _place_of(user: User, slug: str) -> service.Place:
    """Return where a token of this user works: they must be an admin there, with a second factor."""
    places = [each for each in service.places(user.id) if each.role is not Role.AGENT]
    if slug:
        wanted = db.session.scalar(select(Organization.id).where(Organization.slug == slug))
        places = [each for each in places if each.organization_id == wanted]
    if not places:
        raise ValueError(f"{user.email} is neither owner nor admin{f' of {slug}' if slug else ''}.")
    if len(places) > 1:
        names = ", ".join(each.name for each in places)
        raise ValueError(f"{user.email} belongs to {names}. Choose one with --organization.")
    if not user.two_factor_enrolled:
        raise ValueError(f"{user.email} has no two-factor authentication yet, which tokens for admins need.")
    return places[0]


@contextmanager
def _as_operator() -> Iterator[None]:
    """Act as the person in the shell; what they can mend ends in one line and exit code 1."""
    try:
        with trail.acting_as(operator()):
            yield
    except (AccountsError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _password(from_stdin: bool) -> tuple[str, bool]:
    """Return a password and whether it was made here."""
    if not from_stdin:
        return secrets.token_urlsafe(GENERATED_BYTES), True
    return sys.stdin.readline().rstrip("\r\n"), False


def _user(email: str) -> User:
    user = service.user_by_email(values.email(email))
    if user is None:
        raise ValueError(f"There is no user with the email {email}.")
    return user


def _organization(named: str) -> tuple[Organization, bool]:
    """Return the organization of a new user and whether it was made for them: the first one's is."""
    known = list(db.session.scalars(select(Organization).order_by(Organization.slug)))
    if not known:
        return service.create_organization(name=values.name(named or FIRST_ORGANIZATION)), True
    found = [each for each in known if each.slug == named] if named else known
    if len(found) == 1:
        return found[0], False
    choices = ", ".join(each.slug for each in known)
    what = f"There is no organization {named}" if named else "There are several organizations"
    raise ValueError(f"{what}. Use --organization with one of: {choices}.")
