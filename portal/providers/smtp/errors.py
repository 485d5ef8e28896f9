"""SMTP's error table: every case that the driver can tell apart, with its outcome and words."""

from collections.abc import Mapping
from typing import Final

from portal.providers.outcomes import ErrorRow, Outcome
from portal.providers.transport import ROWS as TRANSPORT_ROWS

_NOT_YOUR_PASSWORD: Final = "This says nothing about the user name and password. Test again in a few minutes."  # noqa: S105

_CONNECTING: Final = (
    ErrorRow(
        reason="not_smtp",
        outcome=Outcome.INVALID_REQUEST,
        title="not a mail server",
        message="What answers at {host} on port {port} is not a mail server{service}.",
        hint="Check host and port. Mail is handed over on port 587 with STARTTLS or on 465 with TLS.",
        field="host",
    ),
    ErrorRow(
        reason="wants_tls_first",
        outcome=Outcome.TIMEOUT,
        title="no greeting",
        message="{host} took the connection on port {port} but sent no complete greeting within {seconds} s.",
        hint="A server that stays silent usually expects TLS from the first byte: choose TLS, with port 465 as a rule.",
        field="security",
    ),
    ErrorRow(
        reason="wants_starttls",
        outcome=Outcome.INVALID_REQUEST,
        title="wrong security for this port",
        message="{host} does not begin with TLS on port {port}.",
        hint="Choose STARTTLS, with port 587 as a rule, or take port 465 for TLS.",
        field="security",
    ),
    ErrorRow(
        reason="starttls_not_offered",
        outcome=Outcome.INVALID_REQUEST,
        title="STARTTLS not offered",
        message="{host} does not offer STARTTLS on port {port}.",
        hint="Try port 587, or TLS with port 465. The portal does not go on without encryption by itself.",
        field="security",
    ),
    ErrorRow(
        reason="starttls_refused",
        outcome=Outcome.PROVIDER_ERROR,
        title="STARTTLS refused",
        message="{host} offers STARTTLS but refused to begin it.",
        hint="Test again in a few minutes, or choose TLS with port 465.",
        field="security",
    ),
    ErrorRow(
        reason="rubbish",
        outcome=Outcome.PROVIDER_ERROR,
        title="answer not understood",
        message="{host} sent something that is not SMTP {when}.",
        hint="A firewall or proxy may be changing the connection. Ask who runs the server or the network.",
    ),
    ErrorRow(
        reason="not_taking_clients",
        outcome=Outcome.PROVIDER_ERROR,
        title="server refuses clients",
        message="{host} refuses to talk to the portal.",
        hint="The server may be closed for maintenance or block this network. Ask who runs it.",
    ),
    ErrorRow(
        reason="busy",
        outcome=Outcome.PROVIDER_ERROR,
        title="server has a temporary fault",
        message="{host} has a temporary fault {when}.",
        hint=_NOT_YOUR_PASSWORD,
    ),
    ErrorRow(
        reason="rate_limited",
        outcome=Outcome.RATE_LIMITED,
        title="too many requests",
        message="{host} takes no more for now: too many connections, logins or messages in a short time.",
        hint="Wait a few minutes. Lower the limits of this integration if it comes back.",
    ),
    ErrorRow(
        reason="quota_exceeded",
        outcome=Outcome.QUOTA_EXCEEDED,
        title="quota used up",
        message="The account at {host} has used up what it may send.",
        hint="Raise the plan at the provider, or wait until its quota starts again.",
    ),
)

_LOGIN: Final = (
    ErrorRow(
        reason="login_rejected",
        outcome=Outcome.AUTH_REJECTED,
        title="login failed",
        message="{host} refused the user name or the password.",
        hint="Enter both again. Many services want an app password or an API key instead of the account's password.",
        field="password",
    ),
    ErrorRow(
        reason="app_password_needed",
        outcome=Outcome.AUTH_REJECTED,
        title="app password needed",
        message="Google does not take the account's own password here.",
        hint="Make an app password at myaccount.google.com/apppasswords (after turning 2-Step Verification on).",
        field="password",
    ),
    ErrorRow(
        reason="web_login_needed",
        outcome=Outcome.AUTH_REJECTED,
        title="login blocked",
        message="Google blocked this login until somebody confirms it in a browser.",
        hint="Sign in to the account in a browser and confirm the attempt, or make an app password.",
        field="password",
    ),
    ErrorRow(
        reason="smtp_switched_off",
        outcome=Outcome.PERMISSION_MISSING,
        title="authenticated SMTP is off",
        message="Microsoft 365 has authenticated SMTP switched off for this mailbox or organization.",
        hint="An administrator switches it on (aka.ms/smtp_auth_disabled). The password was not the reason.",
    ),
    ErrorRow(
        reason="passwords_switched_off",
        outcome=Outcome.PERMISSION_MISSING,
        title="password login is off",
        message="Microsoft 365 does not allow a login with a password for this mailbox.",
        hint="Connect Microsoft with OAuth, or ask an administrator to allow it. The password was not the reason.",
    ),
    ErrorRow(
        reason="policy_blocked",
        outcome=Outcome.PERMISSION_MISSING,
        title="login blocked by a policy",
        message="A policy of the Microsoft 365 organization blocked this login.",
        hint="An administrator finds the reason in the sign-in logs; usually security defaults or conditional access.",
    ),
    ErrorRow(
        reason="login_not_offered",
        outcome=Outcome.INVALID_REQUEST,
        title="no login offered",
        message="{host} offers no login on this connection.",
        hint="Many offer it only with encryption: choose STARTTLS or TLS. If no login is needed, clear the user name.",
        field="username",
    ),
    ErrorRow(
        reason="login_unknown_way",
        outcome=Outcome.INVALID_REQUEST,
        title="no common login",
        message="{host} only offers ways to log in that a user name and password cannot use: {offered}.",
        hint="Ask who runs the server to allow PLAIN or LOGIN over TLS, or connect the service with OAuth.",
    ),
    ErrorRow(
        reason="encryption_required",
        outcome=Outcome.INVALID_REQUEST,
        title="encryption required",
        message="{host} asks for encryption first.",
        hint="Choose STARTTLS with port 587, or TLS with port 465.",
        field="security",
    ),
    ErrorRow(
        reason="login_required",
        outcome=Outcome.INVALID_REQUEST,
        title="login required",
        message="{host} wants a login before it takes mail.",
        hint="Enter a user name and a password.",
        field="username",
    ),
)

_SENDING: Final = (
    ErrorRow(
        reason="sender_rejected",
        outcome=Outcome.PERMISSION_MISSING,
        title="sender not accepted",
        message="{host} does not take mail from {sender}.",
        hint="Use a from email that this account may send as, or verify that address with the mail service.",
        field="from_email",
    ),
    ErrorRow(
        reason="sender_malformed",
        outcome=Outcome.INVALID_REQUEST,
        title="sender not understood",
        message="{host} does not understand the from email {sender}.",
        hint="Check the from email.",
        field="from_email",
    ),
    ErrorRow(
        reason="relay_denied",
        outcome=Outcome.PERMISSION_MISSING,
        title="relaying refused",
        message="{host} does not take mail for addresses elsewhere from this account.",
        hint="Enter an account that may send, or use the server that your mail service names for sending.",
        field="username",
    ),
    ErrorRow(
        reason="recipient_rejected",
        outcome=Outcome.RECIPIENT_REJECTED,
        title="recipient refused",
        message="{host} refused the recipient.",
        hint="Check the recipient's address.",
    ),
    ErrorRow(
        reason="message_refused",
        outcome=Outcome.PROVIDER_ERROR,
        title="message refused",
        message="{host} refused the message.",
        hint="The server's answer tells why; often a spam filter, or a sender's domain that is not set up.",
    ),
    ErrorRow(
        reason="message_too_large",
        outcome=Outcome.INVALID_REQUEST,
        title="message too large",
        message="The message is larger than {host} takes.",
        hint="Shorten it.",
    ),
    ErrorRow(
        reason="message_invalid",
        outcome=Outcome.INVALID_REQUEST,
        title="message not valid",
        message="The message cannot be sent: {cause}.",
        hint="Correct it and send it again.",
    ),
    ErrorRow(
        reason="unconfirmed",
        outcome=Outcome.UNKNOWN_OUTCOME,
        title="sending not confirmed",
        message="{host} was given the whole message but did not confirm it; it may have been sent.",
        hint="Look into the mailbox or the log of the mail service before sending it again.",
    ),
    ErrorRow(
        reason="unexpected_reply",
        outcome=Outcome.PROVIDER_ERROR,
        title="unexpected answer",
        message="{host} gave an unexpected answer {when}.",
        hint="Test again; if it stays, show the answer to whoever runs the server.",
    ),
)

ROWS: Final = (*TRANSPORT_ROWS, *_CONNECTING, *_LOGIN, *_SENDING)
TABLE: Final[Mapping[str, ErrorRow]] = {row.reason: row for row in ROWS}

LOGIN_HINTS: Final[Mapping[str, str]] = {
    "sendgrid": (
        "SendGrid does not accept this key. Create one with the Mail Send permission in SendGrid, under Settings,"
        " API keys, and enter it as the password."
    ),
    "gmail": (
        "Enter the whole address and an app password from myaccount.google.com/apppasswords; Google refuses the"
        " account's own password."
    ),
    "outlook": (
        "Check the mailbox's address and password. An account with two-factor authentication needs an app password or"
        " OAuth."
    ),
    "mailgun": (
        "Use the SMTP login of the domain and its SMTP password, from Sending, Domain settings; the API key does not"
        " work here."
    ),
    "ses": (
        "Use the SMTP user name and password from SMTP settings in the SES console, made for this region; AWS access"
        " keys do not work here."
    ),
}
"""What to do about a refused login, by mail service; the table's own hint is for all others."""
SENDGRID_USER_HINT: Final = "With SendGrid the user name is always the word apikey; the API key goes into the password."
