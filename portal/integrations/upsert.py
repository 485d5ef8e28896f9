"""Writing integrations from programs: the same provider again overwrites, a change names only what changes.

The caller's unit of work commits; nothing here calls out.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from portal.accounts.models import Organization
from portal.database import db
from portal.integrations import drafts, presenting, queries, service
from portal.integrations.drafts import Draft, Submission, Verb
from portal.integrations.models import Integration
from portal.providers import catalogue
from portal.providers.base import Provider
from portal.providers.validation import merge

Confirm = Callable[[], None]
"""Called before a stored secret is replaced, removed or sent elsewhere; it raises where that may not be."""
UNNAMED = "Connection test"
"""What values are called that are tested and never stored."""


class SeveralFound(Exception):
    """The provider has several integrations, and none was named; `found` lists them."""

    def __init__(self, found: Sequence[dict[str, str]]) -> None:
        """Keep id and name of each."""
        super().__init__("several integrations")
        self.found = found


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an integration of a provider shall be; None leaves a stored one as it is."""

    provider: Provider
    credentials: Mapping[str, Any] = field(repr=False)
    enabled: bool | None = None
    name: str | None = None
    sandbox: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What shall be different about a stored integration; None leaves it as it is."""

    enabled: bool | None = None
    name: str | None = None
    credentials: Mapping[str, Any] | None = field(default=None, repr=False)
    interval: int | None = None
    limits: Mapping[str, int | None] = field(default_factory=dict)


def put(
    *, organization_id: uuid.UUID, user_id: uuid.UUID, wanted: Wanted, confirm: Confirm
) -> tuple[Integration, bool]:
    """Overwrite the provider's integration (with several: the named one), or make it where there is none.

    Values that are not secret are replaced as a whole; a secret that is missing or empty keeps what is stored. What was
    not tested is stored as Unverified and checked at once.

    Returns:
        The integration, and whether it is new.

    Raises:
        Invalid: values are wrong.
        SeveralFound: there are several and none is named.
    """
    _one_after_the_other(organization_id)
    stored = _find(organization_id, wanted)
    if stored is None:
        made = _create(organization_id, user_id, wanted)
        if wanted.enabled is False:
            service.set_enabled(integration=made, enabled=False)
        return made, True
    sandbox = stored.sandbox if wanted.sandbox is None else wanted.sandbox
    submission = _submission(
        wanted.provider, wanted.credentials, name=stored.name, limits=_limits(stored), sandbox=sandbox
    )
    _save(stored, drafts.check(wanted.provider, submission, stored), wanted.enabled, confirm)
    return stored, False


def change(*, integration: Integration, changes: Changes, confirm: Confirm) -> None:
    """Change what is named, and nothing else; credentials are merged with what is stored.

    Args:
        integration: the stored one, locked.
        changes: what shall be different.
        confirm: asked before secrets are replaced.

    Raises:
        Invalid: values are wrong.
    """
    draft = None
    if changes.name is not None or changes.credentials is not None or changes.limits:
        draft = drafts.check(catalogue.get(integration.provider), _merged(integration, changes), integration)
    _save(integration, draft, changes.enabled, confirm)
    if changes.interval is not None:
        service.set_interval(integration=integration, minutes=changes.interval)


def draft_of(*, wanted: Wanted) -> Draft:
    """Return values as a draft to test; nothing is stored of them.

    Raises:
        Invalid: values are wrong.
    """
    sandbox = bool(wanted.sandbox)
    submission = _submission(wanted.provider, wanted.credentials, name=UNNAMED, limits={}, sandbox=sandbox)
    return drafts.check(wanted.provider, submission, None)


def stored_draft(*, integration: Integration) -> Draft:
    """Return what is stored as a draft to test, every secret kept.

    Raises:
        Invalid: what is stored is not complete any more.
    """
    return drafts.check(catalogue.get(integration.provider), _merged(integration, Changes()), integration)


def _one_after_the_other(organization_id: uuid.UUID) -> None:
    """Let no two calls of an organization find at the same time that an integration is not there yet."""
    # With key_share the checks under way go on: their logs refer to the organization.
    db.session.execute(
        select(Organization.id).where(Organization.id == organization_id).with_for_update(key_share=True)
    )


def _find(organization_id: uuid.UUID, wanted: Wanted) -> Integration | None:
    found = queries.of_provider(organization_id=organization_id, provider=wanted.provider.slug, lock=True)
    if wanted.name is not None:
        key = service.name_key(drafts.tidy(wanted.name))
        return next((each for each in found if each.name_key == key), None)
    if len(found) > 1:
        raise SeveralFound([{"id": str(each.id), "name": each.name} for each in found])
    return found[0] if found else None


def _create(organization_id: uuid.UUID, user_id: uuid.UUID, wanted: Wanted) -> Integration:
    name = (
        presenting.first_name(wanted.provider, _taken(organization_id, wanted)) if wanted.name is None else wanted.name
    )
    sandbox = bool(wanted.sandbox)
    submission = _submission(wanted.provider, wanted.credentials, name=name, limits={}, sandbox=sandbox)
    draft = drafts.check(wanted.provider, submission, None)
    return service.create(organization_id=organization_id, user_id=user_id, draft=draft, verified=False)


def _taken(organization_id: uuid.UUID, wanted: Wanted) -> set[str]:
    return queries.taken_names(organization_id=organization_id, provider=wanted.provider.slug)


def _save(integration: Integration, draft: Draft | None, enabled: bool | None, confirm: Confirm) -> None:
    if draft is not None:
        if draft.needs_recent:
            confirm()
        service.update(integration=integration, draft=draft, verified=False)
    if enabled is not None:
        service.set_enabled(integration=integration, enabled=enabled)


def _merged(integration: Integration, changes: Changes) -> Submission:
    provider, given = catalogue.get(integration.provider), changes.credentials or {}
    plain = {name: value for name, value in given.items() if name not in provider.secret_names}
    secrets = {name: value for name, value in given.items() if name in provider.secret_names}
    return _submission(
        provider,
        merge(provider, integration.config, plain) | secrets,
        name=integration.name if changes.name is None else changes.name,
        limits={**_limits(integration), **{name: _text(value) for name, value in changes.limits.items()}},
        sandbox=integration.sandbox,
    )


def _submission(
    provider: Provider, credentials: Mapping[str, Any], *, name: str, limits: Mapping[str, str], sandbox: bool
) -> Submission:
    verbs = {each: _verb(credentials[each]) for each in provider.secret_names if each in credentials}
    return Submission(name=name, raw=credentials, verbs=verbs, limits=limits, sandbox=sandbox, person=False)


def _verb(value: object) -> Verb:
    if value is None:
        return "remove"
    return "keep" if isinstance(value, str) and not value.strip() else "replace"


def _limits(integration: Integration) -> dict[str, str]:
    return {"max_per_hour": _text(integration.max_per_hour), "max_per_day": _text(integration.max_per_day)}


def _text(limit: int | None) -> str:
    return "" if limit is None else str(int(limit))
