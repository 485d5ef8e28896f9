"""How a call to a provider ended: the closed set of outcomes, failures in words, steps and reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from portal.providers.transcript import Transcript


class Outcome(StrEnum):
    """The closed set of ways in which a call ends; health, failover, retries and alerts decide on it alone."""

    OK = "ok"
    AUTH_REJECTED = "auth_rejected"
    PERMISSION_MISSING = "permission_missing"
    INVALID_REQUEST = "invalid_request"
    RECIPIENT_REJECTED = "recipient_rejected"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXCEEDED = "quota_exceeded"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    PROVIDER_ERROR = "provider_error"
    UNKNOWN_OUTCOME = "unknown_outcome"

    @property
    def label(self) -> str:
        """A few words for a status line, in lower case: "login refused"."""
        return _WORDS[self][0]

    @property
    def hint(self) -> str:
        """What to do about it, for a case about which nothing more exact is known."""
        return _WORDS[self][1]


_WORDS: Final[dict[Outcome, tuple[str, str]]] = {
    Outcome.OK: ("worked", "There is nothing to do."),
    Outcome.AUTH_REJECTED: ("login refused", "Enter the credentials again; they may have been changed or revoked."),
    Outcome.PERMISSION_MISSING: (
        "permission missing",
        "Give the account the permission at the provider, then test again.",
    ),
    Outcome.INVALID_REQUEST: ("setting wrong or missing", "Check the settings of this integration."),
    Outcome.RECIPIENT_REJECTED: ("recipient refused", "Check the recipient's address."),
    Outcome.RATE_LIMITED: ("too many requests", "Wait; the provider takes requests again after a while."),
    Outcome.QUOTA_EXCEEDED: ("quota used up", "Raise the plan at the provider or wait until the quota starts again."),
    Outcome.UNREACHABLE: ("not reachable", "Check the address and the network between the portal and the provider."),
    Outcome.TIMEOUT: ("timed out", "Test again; if it stays, check the address and the provider's status page."),
    Outcome.PROVIDER_ERROR: ("provider error", "Test again later; the provider's status page may tell more."),
    Outcome.UNKNOWN_OUTCOME: ("outcome unknown", "Look it up at the provider before doing it again."),
}


@dataclass(frozen=True, kw_only=True)
class ErrorRow:
    """One row of an error table: a case that can happen, its outcome, and its words.

    `message` and `hint` are sentences with places such as {host}; what may stand there, the table's reader says.
    `field` names the field at which a form shows the error, if there is one.
    """

    reason: str
    outcome: Outcome
    title: str
    message: str
    hint: str
    field: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What went wrong, as a value: nothing in it holds a secret, so it may be stored and shown.

    `code` is the provider's own code or, where it gave none, the reason; `said` is the provider's own text, bounded and
    redacted; `retry_after` is in seconds.
    """

    outcome: Outcome
    reason: str
    title: str
    message: str
    hint: str
    code: str = ""
    said: str = ""
    field: str = ""
    retry_after: int | None = None

    @classmethod
    def of(
        cls,
        row: ErrorRow,
        places: Mapping[str, object],
        *,
        code: str = "",
        said: str = "",
        retry_after: int | None = None,
    ) -> "Failure":
        """Put the words of a table row together with what is known about this case."""
        return cls(
            outcome=row.outcome,
            reason=row.reason,
            title=row.title,
            message=row.message.format_map(places),
            hint=row.hint.format_map(places),
            code=code or row.reason,
            said=said,
            field=row.field,
            retry_after=retry_after,
        )

    def as_dict(self) -> dict[str, object]:
        """Return the `error` part of a test's answer in the JSON API."""
        shown: dict[str, object] = {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "outcome": str(self.outcome),
        }
        if self.retry_after is not None:
            shown["retry_after"] = self.retry_after
        return shown

    def with_hint(self, hint: str) -> "Failure":
        """Return the same failure with another hint, where more is known than the table says."""
        return replace(self, hint=hint)


class ProviderError(Exception):
    """Raised inside drivers when a call failed; `failure` is the value to keep. Its text is the failure's sentence."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure

    @property
    def outcome(self) -> Outcome:
        """The failure's outcome."""
        return self.failure.outcome

    @property
    def code(self) -> str:
        """The failure's code."""
        return self.failure.code

    @property
    def message(self) -> str:
        """The failure's sentence."""
        return self.failure.message

    @property
    def hint(self) -> str:
        """The failure's way to mend it."""
        return self.failure.hint

    @property
    def retry_after(self) -> int | None:
        """Seconds to wait, if the provider said so."""
        return self.failure.retry_after


class StepState(StrEnum):
    """How far one step of a staged test is."""

    PASSED = "passed"
    FAILED = "failed"
    RUNNING = "running"
    NOT_RUN = "not_run"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of a staged test: "DNS, passed, smtp.example.com, 3 addresses, 12 ms".

    `verbatim` says that `detail` is the provider's own text; `duration_ms` is None for a step that was not run.
    """

    name: str
    state: StepState
    detail: str = ""
    verbatim: bool = False
    code: str = ""
    hint: str = ""
    duration_ms: int | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the step as the JSON API shows it."""
        return {
            "name": self.name,
            "state": str(self.state),
            "ok": self.state is StepState.PASSED,
            "detail": self.detail,
            "verbatim": self.verbatim,
            "code": self.code,
            "hint": self.hint,
            "duration_ms": self.duration_ms,
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a test or a probe found: its steps, how it ended, how long it took, facts worth keeping, the dialogue."""

    steps: tuple[Step, ...]
    outcome: Outcome
    error: Failure | None = None
    response_time_ms: int = 0
    facts: Mapping[str, str | int] = field(default_factory=dict)
    transcript: Transcript = field(default_factory=Transcript, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the service would work."""
        return self.outcome is Outcome.OK

    def as_dict(self) -> dict[str, object]:
        """Return the report as the JSON API answers it."""
        return {
            "ok": self.ok,
            "outcome": str(self.outcome),
            "steps": [step.as_dict() for step in self.steps],
            "error": self.error.as_dict() if self.error else None,
            "response_time_ms": self.response_time_ms,
        }
