"""The error table of Teams' workflows, and the reader of the answers that Power Automate gives for them."""

from collections.abc import Mapping
from typing import Any, Final

from portal.providers.outcomes import ErrorRow, Outcome
from portal.providers.rest import Complaint, table_with

_NEW_URL: Final = "Create the workflow again in Teams, under Workflows, and enter its URL here."

ROWS: Final = table_with(
    ErrorRow(
        reason="dns_not_found",
        outcome=Outcome.UNREACHABLE,
        title="host not found",
        message="There is no host named {host}.",
        hint="Copy the webhook URL again from the workflow; if it is right, check the name service (DNS).",
        field="webhook_url",
    ),
    ErrorRow(
        reason="login_rejected",
        outcome=Outcome.AUTH_REJECTED,
        title="webhook URL refused",
        message="The workflow does not accept the signature in this webhook URL.",
        hint="Copy the whole URL again from the workflow's first step, and see there that anyone may trigger it.",
        field="webhook_url",
    ),
    ErrorRow(
        reason="not_found",
        outcome=Outcome.AUTH_REJECTED,
        title="workflow not found",
        message="The workflow behind this webhook URL is no longer there.",
        hint=f"A workflow belongs to a person and goes with them. {_NEW_URL}",
        field="webhook_url",
    ),
    ErrorRow(
        reason="workflow_off",
        outcome=Outcome.PERMISSION_MISSING,
        title="workflow turned off",
        message="The workflow behind this webhook URL is turned off.",
        hint="Turn it on in Power Automate, under My flows, then send a test message.",
    ),
    ErrorRow(
        reason="message_refused",
        outcome=Outcome.INVALID_REQUEST,
        title="message not accepted",
        message="The workflow does not take this message.",
        hint="Make it from the template for webhook requests; a step that was changed may want something else.",
    ),
    ErrorRow(
        reason="url_unusable",
        outcome=Outcome.INVALID_REQUEST,
        title="webhook URL not usable",
        message="The webhook URL is not complete, or none of a Teams workflow.",
        hint="Copy the whole URL again from the workflow's first step.",
        field="webhook_url",
    ),
    sends=True,
)

_CODES: Final[Mapping[str, tuple[str, ...]]] = {
    "login_rejected": (
        *("AuthorizationFailed", "DirectApiAuthorizationRequired", "DirectApiInvalidAuthorizationScheme"),
        *("DirectApiRequestHasMoreThanOneAuthorization", "MisMatchingOAuthClaims", "InvalidAuthenticationToken"),
    ),
    "not_found": ("WorkflowNotFound", "WorkflowTriggerNotFound", "ResourceNotFound", "EnvironmentNotFound"),
    "workflow_off": ("WorkflowTriggerIsNotEnabled", "WorkflowDisabled", "FlowSuspended"),
    "message_refused": ("TriggerInputSchemaMismatch", "InvalidRequestContent", "InvalidJson"),
    "url_unusable": ("MissingApiVersionParameter", "InvalidApiVersionParameter", "NoRegisteredProviderFound"),
    "rate_limited": ("TooManyRequests", "WorkflowRunThrottled", "WorkflowRequestThrottled"),
}
_BY_CODE: Final = {code: reason for reason, codes in _CODES.items() for code in codes}


def complaint(_status: int, document: Any) -> Complaint | None:
    """Return what an answer complains about: `{"error": {"code", "message"}}`, with any status."""
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return None
    code = str(error.get("code") or "")
    return Complaint(text=str(error.get("message") or ""), code=code, reason=_BY_CODE.get(code, ""))
