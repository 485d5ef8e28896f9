"""Reading a mail server's refusals: which row of the error table a code and its text mean."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Stage(StrEnum):
    """Where in the dialogue something happened; the value completes "… closed the connection"."""

    CONNECT = "before it was used"
    GREETING = "before its greeting"
    HELLO = "after its greeting"
    TLS = "while encryption was being set up"
    LOGIN = "during the login"
    NOOP = "after the login"
    SENDER = "when it was told the sender"
    RECIPIENT = "when it was told the recipient"
    DATA = "when it was given the message"


@dataclass(frozen=True)
class Rule:
    """Replies that mean one row: by stage (none: all), code (a pattern) and text (a pattern, in any case)."""

    reason: str
    code: str
    text: str = ""
    stages: tuple[Stage, ...] = ()

    def fits(self, stage: Stage, code: int, text: str) -> bool:
        """Return whether a reply is meant."""
        return (
            (not self.stages or stage in self.stages)
            and re.fullmatch(self.code, str(code)) is not None
            and re.search(self.text, text, re.IGNORECASE) is not None
        )


_LOGIN = (Stage.LOGIN,)
_SENDER = (Stage.SENDER,)
_MAIL = (Stage.SENDER, Stage.RECIPIENT, Stage.DATA)
_RATE = r"too (many|much)|rate.?limit|throttl|slow down|exceeded.*(rate|connections)|sending rate|connection limit"
_QUOTA = r"quota|maximum credits|credits exceeded|5\.4\.5|(daily|hourly|monthly)\b.*\blimit"
_NOT_YOUR_SENDER = (
    r"verified sender identity|not verified|not owned by user|sender address rejected|SendAsDenied"
    r"|not allowed to send as"
)
_BLOCKED = r"client host .*(rejected|blocked)|blocked using|spamhaus|black.?list|block.?list|deny.?list"

# The first rule that fits decides, so the exact ones stand before the general. Codes: RFC 5321 4.2.3, RFC 4954 6,
# RFC 3463; texts: what SendGrid, Gmail, Microsoft 365, Mailgun and Amazon SES answer.
RULES: Final = (
    # Microsoft 365 gives 535 5.7.139 for many reasons, of which the password is only one.
    Rule("smtp_switched_off", r"5\d\d", r"SmtpClientAuthentication is disabled", _LOGIN),
    Rule("passwords_switched_off", r"5\d\d", r"basic authentication is disabled", _LOGIN),
    Rule("policy_blocked", r"5\d\d", r"did not meet the criteria|conditional access|security defaults", _LOGIN),
    # Google.
    Rule("app_password_needed", r"53[45]", r"application-specific password|5\.7\.9", _LOGIN),
    Rule("web_login_needed", r"53[45]", r"5\.7\.14|via your web browser", _LOGIN),
    # What is used up or too fast, wherever it is said.
    Rule("message_too_large", r"552|523|5\d\d", r"5\.3\.4|too (large|big)|exceeds.*size|size limit", _MAIL),
    Rule("recipient_rejected", r"[45]\d\d", r"[45]\.2\.2\b|mailbox (is )?full|over ?quota", (Stage.RECIPIENT,)),
    Rule("quota_exceeded", r"[45]\d\d", _QUOTA),
    Rule("rate_limited", r"4\d\d", _RATE),
    Rule("rate_limited", r"5\d\d", r"too many (login|connection|message|request)|rate.?limit|throttl"),
    Rule("rate_limited", r"421", r"4\.7\.\d"),
    # Missing encryption or login.
    Rule("encryption_required", r"530|538", r"starttls|encrypt|secure (connection|channel)|tls"),
    Rule("encryption_required", r"538"),
    Rule("login_required", r"530|5\d\d", r"authentication required|5\.7\.57|not authenticated|auth.* first", _MAIL),
    Rule("login_required", r"530", "", (Stage.NOOP, *_MAIL)),
    # The login itself. 454 and every other 4xx are faults of the server (RFC 4954), not a wrong password: last rule.
    Rule("login_not_offered", r"50[0234]", "", _LOGIN),
    Rule("login_rejected", r"5\d\d", "", _LOGIN),
    # Before the login.
    Rule("not_taking_clients", r"5\d\d", "", (Stage.GREETING, Stage.HELLO)),
    Rule("starttls_refused", r"[45]\d\d", "", (Stage.TLS,)),
    # Sender, recipient, message.
    # Many servers judge the sender only when they know a recipient (Postfix by default), hence at every stage.
    Rule("sender_rejected", r"5\d\d", _NOT_YOUR_SENDER, _MAIL),
    Rule("not_taking_clients", r"5\d\d", _BLOCKED, _MAIL),
    Rule("sender_malformed", r"501|553|555", r"syntax|malformed|5\.1\.7|5\.5\.[24]", _SENDER),
    Rule("sender_rejected", r"5\d\d", "", _SENDER),
    Rule("relay_denied", r"5\d\d", r"relay|5\.7\.1 .*not permitted", (Stage.RECIPIENT,)),
    Rule("recipient_rejected", r"5\d\d", "", (Stage.RECIPIENT,)),
    Rule("message_too_large", r"552|523", "", (Stage.DATA,)),
    Rule("message_refused", r"5\d\d", "", (Stage.DATA,)),
    Rule("busy", r"4\d\d"),
)


def reason_of(stage: Stage, code: int, text: str) -> str:
    """Return which row of SMTP's error table a refusing answer means.

    Args:
        stage: where in the dialogue it came.
        code: its three digits.
        text: its text on one line.
    """
    for rule in RULES:
        if rule.fits(stage, code, text):
            return rule.reason
    return "unexpected_reply"


_ENHANCED: Final = re.compile(r"\s*-?([245]\.\d{1,3}\.\d{1,3})\b")


def full_code(code: int, text: str) -> str:
    """Return the server's code with its enhanced status code, if it gave one (RFC 3463): "535 5.7.8"."""
    enhanced = _ENHANCED.match(text)
    return f"{code} {enhanced[1]}" if enhanced else str(code)


_WAIT: Final = re.compile(r"\b(?:in|after|wait)\s+(\d{1,5})\s*(s|m|h)", re.IGNORECASE)
_UNIT: Final = {"s": 1, "m": 60, "h": 3600}


def retry_after(text: str) -> int | None:
    """Return the seconds to wait, where the answer's text says so ("try again in 5 minutes"), at most a day."""
    found = _WAIT.search(text)
    return min(int(found[1]) * _UNIT[found[2].lower()], 86400) if found else None


_OTHER_SERVICES: Final = (
    (re.compile(rb"HTTP/|<(!doctype|html)|(HTTP|400) Bad Request", re.IGNORECASE), "a web server"),
    (re.compile(rb"SSH-"), "an SSH server"),
    (re.compile(rb"\* (OK|PREAUTH|BYE)"), "an IMAP server, which is for reading mail"),
    (re.compile(rb"\+OK|-ERR"), "a POP3 server, which is for reading mail"),
)


def service_named(sample: bytes) -> str:
    """Return how to call what answered instead of a mail server: ", but a web server", or nothing."""
    return next((f", but {name}" for pattern, name in _OTHER_SERVICES if pattern.match(sample)), "")
