"""The event types that every organization has: those of its applications by group, and the portal's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PORTAL: Final = "INTEGRATIONS"
"""Group of what the portal tells about itself."""


@dataclass(frozen=True)
class KnownType:
    """One event type, with what a debugger fills in as its data."""

    name: str
    group: str
    description: str
    sample: Mapping[str, Any] = field(default_factory=dict)


def _job(name: str, description: str) -> KnownType:
    sample = {"id": "job_2041", "title": "Support worker, weekends", "location": "Parramatta", "status": "open"}
    return KnownType(f"job.{name}", "JOBS", description, sample)


def _candidate(name: str, description: str, **more: Any) -> KnownType:
    sample = {"id": "cand_8812", "name": "Amara Nwosu", "email": "amara.nwosu@example.org", **more}
    return KnownType(f"candidate.{name}", "CANDIDATES", description, sample)


def _submission(name: str, description: str, **more: Any) -> KnownType:
    sample = {"id": "sub_519", "candidate_id": "cand_8812", "job_id": "job_2041", **more}
    return KnownType(f"submission.{name}", "SUBMISSIONS", description, sample)


def _interview(name: str, description: str, **more: Any) -> KnownType:
    sample = {"id": "int_77", "candidate_id": "cand_8812", "starts_at": "2026-03-02T23:00:00Z", **more}
    return KnownType(f"interview.{name}", "INTERVIEWS", description, sample)


def _integration(name: str, description: str, **more: Any) -> KnownType:
    relay = {"id": "01957c2e-6b02-7d1a-8c35-1f4e5a9b0c77", "name": "Email relay", "provider": "smtp", "type": "email"}
    sample = {"integration": relay, "sandbox": False, **more}
    return KnownType(f"integration.{name}", PORTAL, description, sample)


def _message(name: str, description: str, **more: Any) -> KnownType:
    sample = {"id": "01957c2e-7a10-7c4e-9d57-2f0b3c1e6a55", "channel": "sms", "to": "+61491570006", **more}
    return KnownType(f"message.{name}", "MESSAGES", description, sample)


def _employee(name: str, description: str) -> KnownType:
    sample = {"id": "emp_304", "name": "Lena Kowalczyk", "department": "Care", "source": "bamboohr"}
    return KnownType(f"employee.{name}", "EMPLOYEES", description, sample)


_SINCE: Final = "2026-03-01T22:51:00.000Z"
_REFUSED: Final = {
    "class": "auth_rejected",
    "title": "login refused",
    "message": "The server refused the user name or the password.",
    "hint": "Replace the password.",
    "code": "535 5.7.8",
}

KNOWN: Final = (
    _job("created", "A job was created"),
    _job("updated", "A job was changed"),
    _job("closed", "A job was closed"),
    _candidate("created", "A candidate was created"),
    _candidate("updated", "A candidate was changed"),
    _candidate("status_changed", "A candidate has another status", status="interviewing", previous_status="new"),
    _submission("created", "A candidate was submitted for a job"),
    _submission("status_changed", "A submission has another status", status="shortlisted", previous_status="new"),
    _submission("placed", "A candidate was placed", start_date="2026-03-16"),
    _interview("scheduled", "An interview was scheduled"),
    _interview("completed", "An interview took place", outcome="passed"),
    _integration("error", "An integration stopped working", error=_REFUSED, since=_SINCE),
    _integration("recovered", "An integration works again", since=_SINCE, down_for_seconds=540),
    _integration("failover", "Sending moved to another integration", to={"name": "Backup relay", "provider": "smtp"}),
    _integration("reauth_required", "An integration needs new credentials", error=_REFUSED, since=_SINCE),
    KnownType(
        "webhook.disabled", "WEBHOOKS", "The portal disabled a webhook: it kept failing, or asked for no more",
        {
            "webhook": {
                "id": "01957c2e-5d41-7a20-b9e6-3c8d7f102a94", "name": "Payroll",
                "url": "https://payroll.example.org/hooks",
            },
            "reason": "It failed for 5 days.",
            "since": _SINCE,
        },
    ),
    _message("sent", "A message was handed to its provider"),
    _message("delivered", "A message arrived"),
    _message("failed", "A message could not be delivered", error={"class": "recipient_rejected"}),
    _message("received", "A message came in", text="Yes, I can take the shift."),
    _employee("created", "An employee was added at the HR system"),
    _employee("updated", "An employee was changed at the HR system"),
)  # fmt: skip
BY_NAME: Final[Mapping[str, KnownType]] = {each.name: each for each in KNOWN}
