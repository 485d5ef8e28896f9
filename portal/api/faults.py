"""What services refuse, as problems of the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from portal.accounts.errors import KeyInUseError, KeyReusedError
from portal.alerts.notification_errors import ChannelNotFound
from portal.alerts.notification_errors import Invalid as InvalidChannel
from portal.alerts.service import Resolved
from portal.api.reading import MOST_ERRORS
from portal.health.service import Disabled
from portal.integrations.calls import TooBusy
from portal.integrations.drafts import CHANGED, Invalid
from portal.integrations.upsert import SeveralFound
from portal.web.problems import Problem
from portal.webhooks import errors as webhooks

OWN_FIELDS = {
    "name": "name", "sandbox": "sandbox", "interval": "health_check_interval_minutes",
    "starts_at": "starts_at", "ends_at": "ends_at", "reason": "reason",
}  # fmt: skip
"""Fields of a draft that are no credentials, as the API calls them."""
LIMITS = ("max_per_hour", "max_per_day")
WAIT = 5
"""Seconds after which a place for a test may be free again."""


@contextmanager
def as_problems() -> Iterator[None]:
    """Turn what a service refuses into a problem.

    Raises:
        Problem: a service refused.
    """
    with _of_integrations(), _of_webhooks(), _of_alerts(), _of_keys():
        yield


@contextmanager
def _of_keys() -> Iterator[None]:
    try:
        yield
    except KeyInUseError as error:
        raise Problem(409, title="Still in progress", detail=str(error), headers={"Retry-After": "1"}) from None
    except KeyReusedError as error:
        raise Problem(409, title="Key used for another request", detail=str(error)) from None


@contextmanager
def _of_webhooks() -> Iterator[None]:
    try:
        yield
    except webhooks.NotFoundError:
        raise Problem(404) from None
    except webhooks.InvalidError as error:
        raise Problem(422, errors=list(error.errors.items())[:MOST_ERRORS]) from None
    except webhooks.TooLargeError as error:
        raise Problem(413, title="Event too large", detail=str(error)) from None
    except webhooks.DuplicateEventError as error:
        raise Problem(409, title="Another event of this id", detail=str(error)) from None
    except webhooks.WebhooksError as error:
        raise Problem(409, detail=str(error)) from None


@contextmanager
def _of_alerts() -> Iterator[None]:
    try:
        yield
    except ChannelNotFound:
        raise Problem(404) from None
    except InvalidChannel as error:
        raise Problem(422, errors=list(error.errors.items())[:MOST_ERRORS]) from None
    except Resolved:
        raise Problem(409, title="Alert resolved", detail="It is over, so there is nothing left to do.") from None


@contextmanager
def _of_integrations() -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        raise _invalid(error) from None
    except SeveralFound as error:
        detail = "Name the one that you mean, or another name to add one."
        raise Problem(
            409, title="Several integrations of this provider", detail=detail, integrations=error.found
        ) from None
    except Disabled:
        detail = "A disabled integration is not checked. Enable it first."
        raise Problem(409, title="Integration disabled", detail=detail) from None
    except TooBusy:
        detail = "Several tests are running. Try again in some seconds."
        raise Problem(429, title="Too many tests at once", detail=detail, headers={"Retry-After": str(WAIT)}) from None


def _invalid(error: Invalid) -> Problem:
    if error.errors.get("form") == CHANGED:
        return changed()
    return Problem(422, errors=[(_field(name), sentence) for name, sentence in error.errors.items()])


def changed() -> Problem:
    """Return the problem of an integration that somebody else changed or switched off meanwhile."""
    return Problem(
        409, title="Changed meanwhile", detail="Somebody changed this integration meanwhile. Send this again."
    )


def _field(name: str) -> str:
    if name in LIMITS:
        return f"limits.{name}"
    return OWN_FIELDS.get(name) or f"credentials.{name}"
