"""Slack's error table, and the reader of its error answers, which are one word of plain text."""

import re
from collections.abc import Mapping
from typing import Any, Final

from portal.providers.outcomes import ErrorRow, Outcome
from portal.providers.rest import Complaint, table_with
from portal.providers.rest.reading import parsed

_NEW_URL: Final = "Create a webhook in Slack, in the app's settings under Incoming Webhooks, and enter its URL here."

ROWS: Final = table_with(
    ErrorRow(
        reason="login_rejected",
        outcome=Outcome.AUTH_REJECTED,
        title="webhook refused",
        message="Slack does not accept this webhook URL.",
        hint=f"Copy the whole URL again. {_NEW_URL}",
        field="webhook_url",
    ),
    ErrorRow(
        reason="webhook_gone",
        outcome=Outcome.AUTH_REJECTED,
        title="webhook revoked",
        message="Slack no longer knows this webhook: it was removed, or its app or workspace was.",
        hint=_NEW_URL,
        field="webhook_url",
    ),
    ErrorRow(
        reason="channel_gone",
        outcome=Outcome.AUTH_REJECTED,
        title="channel gone",
        message="The channel that this webhook posts to is archived or no longer there.",
        hint=f"Bring the channel back, or use another. {_NEW_URL}",
        field="webhook_url",
    ),
    ErrorRow(
        reason="posting_not_allowed",
        outcome=Outcome.PERMISSION_MISSING,
        title="posting not allowed",
        message="The Slack workspace does not allow this webhook to post to its channel.",
        hint="Ask an admin of the workspace to allow it, or use a webhook for another channel.",
    ),
    ErrorRow(
        reason="message_refused",
        outcome=Outcome.INVALID_REQUEST,
        title="message not accepted",
        message="Slack does not take this message.",
        hint="Report this to whoever runs the portal, with Slack's answer.",
    ),
    ErrorRow(
        reason="url_unusable",
        outcome=Outcome.INVALID_REQUEST,
        title="webhook URL not usable",
        message="What is stored as webhook URL is none of Slack's.",
        hint=_NEW_URL,
        field="webhook_url",
    ),
    sends=True,
)

# https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, "Handling errors"; there are more.
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "login_rejected": ("invalid_token",),
    "webhook_gone": ("no_service", "no_service_id", "no_team", "no_active_hooks", "team_disabled"),
    "channel_gone": ("channel_not_found", "channel_is_archived", "user_not_found"),
    "posting_not_allowed": ("action_prohibited", "posting_to_general_channel_denied", "restricted_action"),
    "message_refused": (
        *("no_text", "invalid_payload", "invalid_blocks", "invalid_blocks_format", "invalid_attachments"),
        *("missing_text_or_fallback_or_attachments", "too_many_attachments", "msg_too_long"),
    ),
    "rate_limited": ("rate_limited", "ratelimited", "message_limit_exceeded"),
}
_BY_WORD: Final = {word: reason for reason, words in _WORDS.items() for word in words}
_ONE_WORD: Final = re.compile(rb"\s{0,8}([a-z][a-z0-9_]{1,60})\s{0,8}")


def read(body: bytes) -> Any:
    """Return the word that an answer consists of, or the JSON in it; None where it has neither."""
    word = _ONE_WORD.fullmatch(body)
    return word[1].decode("ascii") if word else parsed(body)


def complaint(status: int, word: Any) -> Complaint | None:
    """Return what an answer complains about."""
    if status < 300 or not isinstance(word, str):
        return None
    return Complaint(text=word, code=word, reason=_BY_WORD.get(word, ""))
