"""Makes a portal's database ready to be measured: an organization, its owner, a token, a signed-in browser, a webhook.

Run as a program in the settings' environment; prints the facts as one line of JSON. With --again it signs a browser in
where all the rest is there already.
"""

import json
import sys

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from sqlalchemy import select

from portal import create_app, serving
from portal.accounts import api_tokens, hashing, sessions, two_factor
from portal.accounts import service as accounts
from portal.accounts.models import Organization, User
from portal.accounts.sessions import Origin
from portal.database import unit_of_work
from portal.settings import load
from portal.web.access import Role
from portal.webhooks import service
from portal.webhooks.service import Draft


def seed(app: Flask, urls: list[str]) -> dict[str, str]:
    """Fill an empty database and return what others need to know of it."""
    with app.app_context(), unit_of_work():
        place = accounts.create_organization(name="Northline")
        user = accounts.create_user(
            email="dana@northline.example",
            name="Dana",
            password_hash=hashing.hasher().hash("measured"),
            time_zone="UTC",
        )
        accounts.add_member(user=user, organization=place, role=Role.OWNER)
        two_factor.enrol_at_once(user)
        _, token = api_tokens.create(user_id=user.id, organization_id=place.id, name="Bench", scopes=["events:write"])
        webhooks = [_webhook(place.id, user.id, url, number) for number, url in enumerate(urls)]
        return {"organization_id": place.id.hex, "webhook_id": webhooks[0] if webhooks else "", "token": token}


def sign_in(app: Flask) -> dict[str, str]:
    """Sign a browser in as the owner, and return the header with which it asks for pages."""
    with app.app_context(), unit_of_work() as session:
        user, place = session.scalars(select(User)).one(), session.scalars(select(Organization)).one()
        origin = Origin(ip="127.0.0.1", user_agent="bench")
        opened = sessions.open_session(user=user, organization_id=place.id, origin=origin, pending=True)
        opened = sessions.complete(sessions.pending_session(opened.token))
    return {"cookie": _cookie(app, opened.token)}


def _webhook(organization_id: object, user_id: object, url: str, number: int) -> str:
    draft = Draft(name=f"Payroll {number}", url=url, events=["*"])
    made, _ = service.create(organization_id=organization_id, user_id=user_id, draft=draft)  # type: ignore[arg-type]
    return made.id.hex


def _cookie(app: Flask, token: str) -> str:
    """Return the header with which a browser is signed in."""
    signer = SecureCookieSessionInterface().get_signing_serializer(app)
    if signer is None:
        raise RuntimeError("the portal has no secret key")
    return f"{app.config['SESSION_COOKIE_NAME']}={signer.dumps({'_user_id': token})}"


def main() -> None:
    """Seed the database that the settings name, with a webhook to each address given."""
    app = create_app(load())
    serving.prepare(app)
    facts = {} if "--again" in sys.argv else seed(app, sys.argv[1:])
    print(json.dumps({**facts, **sign_in(app)}), flush=True)


if __name__ == "__main__":
    main()
