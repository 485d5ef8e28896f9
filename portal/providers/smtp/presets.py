"""Mail services one can choose from: their servers, and what they call user name and password."""

from collections.abc import Mapping
from typing import Final

from portal.providers.fields import Choice, Value

CUSTOM: Final = "custom"

PRESETS: Final = (
    Choice(
        value="sendgrid",
        label="SendGrid",
        fills={"host": "smtp.sendgrid.net", "security": "starttls", "username": "apikey"},
        suffixes={"username": "API key", "password": "API secret"},
        helps={
            "username": "Always the word apikey.",
            "password": "An API key with the permission Mail Send, from Settings, API keys. It starts with SG.",
            "from_email": "A sender that is verified in SendGrid, under Settings, Sender authentication.",
        },
        placeholders={"username": "apikey"},
    ),
    Choice(
        value="gmail",
        label="Gmail",
        fills={"host": "smtp.gmail.com", "security": "starttls"},
        suffixes={"username": "full address", "password": "app password"},
        helps={
            "username": "The whole Gmail or Workspace address.",
            "password": "An app password of 16 letters, from myaccount.google.com/apppasswords.",
            "from_email": "The same address, or an alias of it that Gmail knows.",
        },
        placeholders={"username": "you@gmail.com"},
    ),
    Choice(
        value="outlook",
        label="Outlook",
        fills={"host": "smtp.office365.com", "security": "starttls"},
        suffixes={"username": "full address"},
        helps={
            "username": "The address of the mailbox that sends.",
            "password": "The mailbox's password. Microsoft 365 must allow authenticated SMTP for this mailbox.",
            "from_email": "The mailbox's address, or one that it may send as.",
        },
        placeholders={"username": "you@example.com"},
    ),
    Choice(
        value="mailgun",
        label="Mailgun",
        fills={"host": "smtp.mailgun.org", "security": "starttls"},
        suffixes={"username": "SMTP login", "password": "SMTP password"},
        helps={
            "host": "Domains in the EU region use smtp.eu.mailgun.org.",
            "username": "The SMTP login of the domain, such as postmaster@mg.example.com.",
            "password": "The SMTP password of that login, from Sending, Domain settings. It is not the API key.",
            "from_email": "An address of the domain that is verified in Mailgun.",
        },
        placeholders={"username": "postmaster@mg.example.com"},
    ),
    Choice(
        value="ses",
        label="Amazon SES",
        fills={"host": "email-smtp.us-east-1.amazonaws.com", "security": "starttls"},
        suffixes={"username": "SMTP user name", "password": "SMTP password"},
        helps={
            "host": "The region is part of the name: email-smtp.eu-west-1.amazonaws.com for Ireland.",
            "username": "From SMTP settings in the SES console. It is not an AWS access key.",
            "password": "The SMTP password shown once with that user name. It is not the AWS secret key.",
            "from_email": "An address or domain that is verified in SES, in this region.",
        },
    ),
    Choice(value=CUSTOM, label="Custom"),
)

_HOSTS: Final = {
    "sendgrid.net": "sendgrid",
    "gmail.com": "gmail",
    "googlemail.com": "gmail",
    "office365.com": "outlook",
    "outlook.com": "outlook",
    "mailgun.org": "mailgun",
    "amazonaws.com": "ses",
}


def service_of(values: Mapping[str, Value]) -> str:
    """Return which mail service the settings belong to, by the host and else by the preset; "custom" for others."""
    host = str(values.get("host", "")).lower()
    for suffix, service in _HOSTS.items():
        if host.endswith(suffix) and host.removesuffix(suffix)[-1:] in ("", "."):
            return service
    return str(values.get("preset") or CUSTOM)
