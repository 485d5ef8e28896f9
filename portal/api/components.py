"""The schemas of the API that have names: what is answered, and what requests carry for each provider."""

from typing import Final

from portal.alerts.endings import Resolution
from portal.alerts.models import AlertState, Severity
from portal.alerts.rules import LABELS
from portal.api import alert_components, webhook_components, written
from portal.api import schema as s
from portal.api.schema import Schema
from portal.api.written import ENABLED, INTERVAL, LIMIT, NAME, PROVIDER, SANDBOX
from portal.audit.actor import Kind
from portal.health.models import LogStatus
from portal.health.windows import Repeats
from portal.integrations.models import CheckKind, Condition, Status
from portal.providers.base import Capability
from portal.providers.fields import FieldKind
from portal.providers.outcomes import Outcome, StepState

CONDITIONS: Final = (*Condition, "checking")
ACTORS: Final = Kind.__args__  # type: ignore[attr-defined]
SHOWN_VALUE: Final[Schema] = {"type": ["string", "integer", "boolean", "null"]}

SUMMARY: Final[dict[str, Schema]] = {
    "id": s.identifier(),
    "provider": PROVIDER,
    "type": s.one_of(tuple(Capability), "Its first capability."),
    "name": NAME,
    "enabled": ENABLED,
    "status": s.one_of(tuple(Status), "inactive: disabled, or not yet verified. error: two checks in a row failed."),
    "last_health_check": s.maybe(s.moment()),
    "last_sync": s.maybe(s.moment("Last send, sync run or check, whichever came last.")),
    "error_message": s.maybe(s.text("What the last check found wrong.")),
}
FAULT: Final = s.record(
    "retry_after",
    code=s.text("The provider's own code, or the portal's where it gave none."),
    message=s.text("What happened."),
    hint=s.text("What to do."),
    outcome=s.one_of(tuple(Outcome)),
    retry_after=s.whole("Seconds to wait."),
)
STEP: Final = s.record(
    name=s.text(),
    ok=s.yes_or_no(),
    state=s.one_of(tuple(StepState)),
    detail=s.text(),
    verbatim=s.yes_or_no("Whether the detail is the provider's own text."),
    code=s.text(),
    hint=s.text(),
    duration_ms=s.maybe(s.whole()),
)
DECLARED_FIELD: Final = s.record(
    name=s.text(),
    label=s.text(),
    kind=s.one_of(tuple(FieldKind)),
    secret=s.yes_or_no("Whether it is stored sealed, and only ever shown masked."),
    required=s.yes_or_no(),
    help=s.text(),
    placeholder=s.text(),
    choices=s.many(s.anything("value, label, help, and what choosing it changes in other fields.")),
    pattern=s.maybe(s.text("A regular expression that the whole value matches.")),
    default={"type": ["string", "integer", "boolean", "null"]},
    suffix=s.text(),
    show_if=s.maybe(s.told(s.record(field=s.text(), values=s.many(s.text())), "Asked for only then.")),
    max_length=s.whole(),
    minimum=s.maybe({"type": "integer"}),
    maximum=s.maybe({"type": "integer"}),
    group=s.text(),
)
STRETCH: Final = s.record(starts_at=s.moment(), ends_at=s.moment())
FIXED: Final[dict[str, Schema]] = {
    "IntegrationSummary": s.record(**SUMMARY),
    "Integration": s.record(
        **SUMMARY,
        capabilities=s.many(s.one_of(tuple(Capability))),
        condition=s.maybe(s.one_of(CONDITIONS, "What to know beyond the status.")),
        sandbox=SANDBOX,
        credentials={
            **s.anything("The provider's fields by name. Secrets are masked; null is not set."),
            "examples": [{"host": "smtp.example.com", "password": "••••1234", "from_name": None}],
            "additionalProperties": SHOWN_VALUE,
        },
        limits=s.record(max_per_hour=LIMIT, max_per_day=LIMIT),
        usage=s.maybe(
            s.told(s.record(this_hour=s.whole(), today=s.whole()), "Sent so far; null where it sends no messages.")
        ),
        error_count=s.whole("Failed checks in a row."),
        health_check_interval_minutes=INTERVAL,
        maintenance=s.maybe(s.told(STRETCH, "The maintenance that is under way or comes next.")),
        created_by=s.maybe(s.identifier("The member who made it.")),
        created_at=s.moment(),
        updated_at=s.moment(),
    ),
    "Provider": s.record(
        slug=s.text(),
        name=s.text(),
        capabilities=s.many(s.one_of(tuple(Capability))),
        summary=s.text("What it is for."),
        needs=s.text("What one needs to connect it."),
        docs=s.maybe(s.text("Where the provider explains how to get the credentials.")),
        fields=s.many(DECLARED_FIELD),
        limits=s.many(s.record(what=s.text(), count=s.whole(), seconds=s.whole())),
    ),
    "Stats": s.record(
        total=s.whole(), active=s.whole(), error=s.whole(), inactive=s.whole("Disabled, or not yet verified.")
    ),
    "CriticalAlert": s.record(
        integration_id=s.identifier(),
        name=NAME,
        provider=PROVIDER,
        type=SUMMARY["type"],
        title=s.text("The error in a few words."),
        message=s.maybe(s.text("What happened.")),
        hint=s.maybe(s.text("What to do.")),
        code=s.maybe(s.text("The provider's own code.")),
        impact=s.text("What does not work meanwhile."),
        since=s.maybe(s.moment()),
    ),
    "Alert": s.record(
        id=s.identifier(),
        rule=s.one_of(tuple(LABELS), "What kind of alert it is."),
        severity=s.one_of(tuple(Severity)),
        state=s.one_of(tuple(AlertState)),
        title=s.text("What fails, in a few words."),
        message=s.text("What happened."),
        impact=s.text("What does not work meanwhile."),
        hint=s.text("What to do."),
        code=s.text("The provider's own code; empty where there is none."),
        integration_id=s.maybe(s.identifier()),
        webhook_id=s.maybe(s.identifier()),
        since=s.moment("Since when it fails."),
        opened_at=s.moment(),
        acknowledged_at=s.maybe(s.moment()),
        acknowledged_by=s.text("Name of who knows of it."),
        acknowledge_note=s.text(),
        muted=s.yes_or_no("Whether nobody is told of it."),
        muted_until=s.maybe(s.moment("Null while it is muted: until it recovers.")),
        resolved_at=s.maybe(s.moment()),
        resolution=s.maybe(s.one_of(tuple(Resolution))),
        occurrences=s.whole("How often it opened; it is the same alert where it comes back within ten minutes."),
    ),
    "AlertChannel": alert_components.CHANNEL,
    "AlertSettings": alert_components.ALERT_SETTINGS,
    "TestResult": s.record(
        ok=s.yes_or_no(),
        outcome=s.one_of(tuple(Outcome)),
        steps=s.many(STEP),
        error=s.maybe(FAULT),
        response_time_ms=s.whole(),
    ),
    "ChecksStarted": s.record(checks=s.whole("Integrations that are being checked.")),
    "HealthLog": s.record(
        id=s.identifier(),
        check_type=s.one_of(tuple(CheckKind)),
        status=s.one_of(tuple(LogStatus)),
        response_time_ms=s.maybe(s.whole()),
        error_class=s.maybe(s.text("How the call ended, of a closed set of outcomes.")),
        error_code=s.maybe(s.text("The provider's own code.")),
        error_message=s.maybe(s.text()),
        metadata=s.anything(
            "The steps of the check, who asked for it, and what it changed; `exchange` is what was sent and received,"
            " without secrets, of checks that failed or that did not come by schedule; `maintenance` says that it was."
        ),
        checked_at=s.moment(),
    ),
    "MaintenanceWindow": s.record(
        id=s.identifier(),
        starts_at=s.moment("Of its first time."),
        ends_at=s.moment("Of its first time."),
        repeats=s.one_of(tuple(Repeats)),
        zone=s.text("The time zone in which its time of day counts."),
        reason=s.text(),
        created_by=s.text("Name of who planned it."),
        created_at=s.moment(),
        next=s.maybe(s.told(STRETCH, "The time that is under way or comes next.")),
    ),
    "Metrics": s.record(
        uptime_pct=s.maybe(s.number("Observed time without outage, in percent; null without any.", high=100)),
        error_rate=s.maybe(s.number("Share of failed checks; null without checks.", high=1)),
        p50_ms=s.maybe(s.whole("Of the checks that passed, off by less than 7 %; null where none did.")),
        p95_ms=s.maybe(s.whole()),
        p99_ms=s.maybe(s.whole()),
        checks=s.whole(),
        failures=s.whole("How many of the checks failed."),
        down_seconds=s.whole("Time in outage: from a failed check to the next one."),
        observed_seconds=s.whole("Time for which it is known how things were."),
        maintenance_seconds=s.whole("Time that was left out of every figure, since it was maintenance."),
    ),
    "AuditEntry": s.record(
        id=s.identifier(),
        at=s.moment(),
        action=s.text("What happened, as group.what_happened."),
        actor=s.record(kind=s.one_of(ACTORS), id=s.maybe(s.identifier()), name=s.text()),
        ip=s.text(),
        target=s.record(type=s.text(), id=s.text(), name=s.text()),
        before=s.maybe(s.anything("The fields that changed, as they were.")),
        after=s.maybe(s.anything("The same fields afterwards.")),
        request_id=s.text(),
    ),
    "CredentialAccess": s.record(
        id=s.identifier(),
        integration_id=s.identifier(),
        integration_name=s.text(),
        purpose=s.text("What for."),
        outcome=s.one_of(("allowed", "refused")),
        actor=s.record(kind=s.one_of(ACTORS), id=s.maybe(s.identifier()), name=s.text()),
        ip=s.text(),
        count=s.whole("Uses that this row sums up; those by the portal itself are counted by the hour.", low=1),
        first_at=s.moment(),
        last_at=s.moment(),
    ),
    **webhook_components.SCHEMAS,
    "Problem": {
        **s.record(
            "errors",
            type=s.text(),
            title=s.text("What kind of problem."),
            status=s.whole(),
            detail=s.text("What happened, then what to do."),
            errors=s.many(s.record(field=s.text("Dots lead into objects."), message=s.text())),
            request_id=s.maybe(s.text("To name when you report it.")),
        ),
        "additionalProperties": True,
    },
}


def all_schemas() -> dict[str, Schema]:
    """Return every schema that has a name, those of the providers made from their declarations."""
    return FIXED | written.of_providers()
