"""The APIs that the sandbox plays over HTTPS: one file and one line each."""

from typing import Final

from portal.sandbox.apis.base import Api
from portal.sandbox.apis.sendgrid import SENDGRID
from portal.sandbox.apis.slack import SLACK
from portal.sandbox.apis.teams import TEAMS
from portal.sandbox.apis.twilio import TWILIO

__all__ = ["APIS", "Api"]

APIS: Final[tuple[Api, ...]] = (
    SENDGRID,
    TWILIO,
    SLACK,
    TEAMS,
)
