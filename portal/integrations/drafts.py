"""Drafts: what a form or the API wants an integration to be, checked and tested before anything is stored."""

import hashlib
import json
import re
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from portal import clock, keyring
from portal.database import reading, unit_of_work
from portal.integrations import calls, credentials, queries
from portal.integrations.models import Integration
from portal.providers.base import Provider, Report
from portal.providers.validation import changes_destination, validate
from portal.security.errors import SecurityError
from portal.security.redaction import strip_controls
from portal.security.signatures import same

Verb = Literal["keep", "replace", "remove"]
NAME_LENGTH = 100
HIGHEST_LIMIT = 100_000_000
RECEIPT_SECONDS = 900
"""How long a passed test vouches for the values it tested."""


CHANGED = "Somebody changed this integration meanwhile."
UNREADABLE = "The stored value cannot be opened any more. Replace it."


class Invalid(Exception):
    """Values that cannot be stored; `errors` maps each field to one sentence."""

    def __init__(self, errors: dict[str, str]) -> None:
        """Keep the sentences."""
        super().__init__(", ".join(sorted(errors)))
        self.errors = errors


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What was sent: raw values by field name, and for each secret what to do with the stored one."""

    name: str
    raw: Mapping[str, Any] = field(repr=False)
    verbs: Mapping[str, Verb]
    limits: Mapping[str, str]
    sandbox: bool = False
    version: str = ""
    """What the form was opened on, where it was opened on something."""
    person: bool = True
    """Whether a person sent it, who can be asked to confirm a risk."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Checked values, ready to be tested or stored. Secrets stay out of its repr."""

    provider: Provider
    integration_id: uuid.UUID | None
    name: str
    values: Mapping[str, Any] = field(repr=False)
    """Every value that was given; kept secrets are not among them."""
    kept: frozenset[str]
    removed: frozenset[str]
    max_per_hour: int | None
    max_per_day: int | None
    sandbox: bool
    version: str
    """What is stored while it is checked: it may be saved over this, and over nothing else."""
    needs_recent: bool
    """Whether password or code must be given again: a stored secret is replaced, or would travel elsewhere."""

    @property
    def config(self) -> dict[str, Any]:
        """The values that are not secret."""
        return {name: value for name, value in self.values.items() if name not in self.provider.secret_names}

    @property
    def secrets(self) -> dict[str, str | None]:
        """The secrets to store, and as None those to remove."""
        given = {name: str(value) for name, value in self.values.items() if name in self.provider.secret_names}
        return {**dict.fromkeys(self.removed), **given}


def check(provider: Provider, submission: Submission, integration: Integration | None) -> Draft:
    """Check what was sent against the provider's declaration.

    Args:
        provider: whose fields they are.
        submission: what was sent.
        integration: the stored one on edit; its secrets are kept where the verb says so.

    Raises:
        Invalid: with one sentence per field.
    """
    version = version_of(integration) if integration else ""
    if submission.version and submission.version != version:
        raise Invalid({"form": CHANGED})
    stored = frozenset(credentials.stored(integration)) if integration else frozenset()
    kept = frozenset(name for name in stored if submission.verbs.get(name, "keep") == "keep")
    raw = {name: value for name, value in submission.raw.items() if name not in kept}
    checked = validate(provider, raw, kept=kept, person=submission.person)
    errors = dict(checked.errors)
    name = _name(submission.name, errors)
    hour = _limit(submission.limits.get("max_per_hour", ""), "max_per_hour", errors)
    day = _limit(submission.limits.get("max_per_day", ""), "max_per_day", errors)
    if hour and day and hour > day:
        errors["max_per_hour"] = "The limit per hour is higher than the limit per day. Lower it, or raise the other."
    if submission.sandbox and not calls.sandbox_is_there():
        errors["sandbox"] = "No sandbox runs here. PORTAL_SANDBOX_URL says where it is."
    if errors:
        raise Invalid(errors)
    travels = (
        integration is not None
        and bool(kept)
        and _travels(provider, integration, checked.values, sandbox=submission.sandbox)
    )
    return Draft(
        provider=provider,
        integration_id=integration.id if integration else None,
        name=name,
        values=checked.values,
        kept=kept,
        removed=stored - kept - frozenset(checked.values),
        max_per_hour=hour,
        max_per_day=day,
        sandbox=submission.sandbox,
        version=version,
        needs_recent=travels or bool(stored - kept),
    )


def version_of(integration: Integration) -> str:
    """Return a mark of what is stored: another one once values or secrets were changed by anybody."""
    secrets = {name: secret.at.isoformat() for name, secret in credentials.stored(integration).items()}
    facts = [integration.name, integration.config, integration.sandbox, secrets]
    facts += [integration.max_per_hour, integration.max_per_day]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def require_unchanged(draft: Draft, integration: Integration) -> None:
    """Refuse to save over something else than the draft was checked against.

    Raises:
        Invalid: somebody changed the integration meanwhile.
    """
    if version_of(integration) != draft.version:
        raise Invalid({"form": CHANGED})


def _travels(provider: Provider, integration: Integration, values: Mapping[str, Any], *, sandbox: bool) -> bool:
    """Return whether a kept secret would go to another server than the one it was stored for."""
    return integration.sandbox != sandbox or changes_destination(provider, integration.config, values)


def tidy(name: str) -> str:
    """Return a name as it is stored: without signs that nobody sees, blanks made one."""
    return " ".join(strip_controls(name).split())


def _name(text: str, errors: dict[str, str]) -> str:
    name = tidy(text)
    if not name:
        errors["name"] = "Give the integration a name, such as Email relay."
    elif len(name) > NAME_LENGTH:
        errors["name"] = f"Shorten the name to {NAME_LENGTH} characters."
    return name


def _limit(text: str, name: str, errors: dict[str, str]) -> int | None:
    text = text.strip().replace(",", "")
    if not text:
        return None
    digits = text.lstrip("0")
    if not re.fullmatch("[1-9][0-9]{0,8}", digits) or int(digits) > HIGHEST_LIMIT:
        errors[name] = f"Use a whole number from 1 to {HIGHEST_LIMIT:,}, or leave it empty for no limit."
        return None
    return int(digits)


def call_of(draft: Draft, *, organization_id: uuid.UUID, reason: str) -> calls.Call:
    """Return the call that tests the draft, kept secrets merged in. Owns its transaction, for the record of use."""
    values = dict(draft.values)
    if draft.integration_id and draft.kept:
        with unit_of_work():
            integration = queries.get(organization_id=organization_id, integration_id=draft.integration_id)
            require_unchanged(draft, integration)
            opened = _opened(integration, draft, reason)
        values |= {name: opened[name] for name in draft.kept}
    return calls.Call(draft.provider, values, draft.sandbox)


def _opened(integration: Integration, draft: Draft, reason: str) -> dict[str, Any]:
    try:
        return credentials.open_all(integration, reason=reason)
    except SecurityError:
        raise Invalid(dict.fromkeys(draft.kept, UNREADABLE)) from None


def test(draft: Draft, *, organization_id: uuid.UUID) -> Report:
    """Run the staged test on the draft. Owns its transactions; none is open while it calls out.

    Raises:
        Invalid: somebody changed the integration meanwhile, or a kept secret cannot be opened.
        TooBusy: too many people wait for providers right now.
    """
    call = call_of(draft, organization_id=organization_id, reason="Connection test")
    with calls.place():
        return call.test()


def receipt(draft: Draft) -> str:
    """Return a mark that says: these very values passed a test just now. It goes to the page and comes back on save."""
    at = str(int(clock.now().timestamp()))
    with reading():
        proof = keyring.mac(f"{at}|{_digest(draft)}".encode(), purpose=credentials.PURPOSE)
    return f"{at}.{urlsafe_b64encode(proof).decode()}"


def has_passed(draft: Draft, mark: str) -> bool:
    """Return whether the mark says that exactly these values passed a test in the last quarter of an hour."""
    at, _, proof = mark.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < 12) or clock.now().timestamp() - int(at) > RECEIPT_SECONDS:
        return False
    try:
        given = urlsafe_b64decode(proof)
    except (NotBase64, ValueError):
        return False
    with reading():
        return same(given, keyring.mac(f"{at}|{_digest(draft)}".encode(), purpose=credentials.PURPOSE))


def _digest(draft: Draft) -> str:
    tested = [
        draft.provider.slug,
        str(draft.integration_id),
        draft.version,
        draft.sandbox,
        sorted(draft.kept),
        dict(draft.values),
    ]
    return hashlib.sha256(json.dumps(tested, sort_keys=True).encode()).hexdigest()
