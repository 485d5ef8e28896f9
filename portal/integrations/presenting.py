"""What the pages of this room say: words for tests, saves, usage and the catalogue."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from portal import clock
from portal.integrations import usage as counters
from portal.integrations.credentials import StoredSecret
from portal.integrations.drafts import Submission
from portal.integrations.forms import LIMITS, DrawerForm
from portal.integrations.listing import Listed
from portal.integrations.models import Condition, Integration, Status
from portal.integrations.sending import CHANNELS, Sent
from portal.integrations.usage import Usage
from portal.providers import catalogue
from portal.providers.base import Capability, Failure, Outcome, Provider, Report
from portal.providers.fields import FieldKind
from portal.providers.outcomes import StepState

STATUS_WORDS = {Status.ACTIVE: "Active", Status.ERROR: "Error"}
CONDITION_WORDS = {
    Condition.REAUTH: "Re-authenticate",
    Condition.UNVERIFIED: "Unverified",
    Condition.LIMITED: "Limited",
}


@dataclass(frozen=True)
class Shown:
    """What the drawer shows above the form: the result of a test or of a test email."""

    title: str = ""
    tone: str = "err"
    text: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    receipt: str = ""
    tested: bool = False
    """Whether the values in the form were tested and failed, so that Save reads "Save as unverified"."""
    copy: str = ""


def status_word(integration: Integration | Listed) -> str:
    """Return the one word for how an integration is (ui.md: no other words for these states)."""
    if not integration.enabled:
        return "Disabled"
    if integration.check_token is not None:
        return "Checking"
    if integration.next_check_run_id is not None:
        return "Queued"
    return settled_word(integration)


def settled_word(integration: Integration | Listed) -> str:
    """Return the word for how an integration is, apart from any check under way."""
    if not integration.enabled:
        return "Disabled"
    if integration.in_maintenance(clock.now()):
        return "Maintenance"
    if integration.condition is not None:
        return CONDITION_WORDS[Condition(integration.condition)]
    return STATUS_WORDS.get(Status(integration.status), "Disabled")


def provider_label(integration: Integration | Listed) -> str:
    """Return the provider as lists name it, such as "SMTP, Mailgun"."""
    return catalogue.get(integration.provider).label(integration.config)


def provider_name(integration: Integration) -> str:
    """Return the provider's name alone, such as "SMTP"."""
    return catalogue.get(integration.provider).name


def impact(integration: Integration) -> str:
    """Return what does not work for the business while this integration is down."""
    return impact_of(integration.capabilities or [integration.type])


def impact_of(capabilities: Iterable[str]) -> str:
    """Return what does not work for the business without these capabilities, each said once."""
    return ". ".join(dict.fromkeys(Capability(each).impact for each in capabilities))


def first_name(provider: Provider, taken: Collection[str]) -> str:
    """Return a name to start with that is still free."""
    base = provider.capabilities[0].label
    names = (base if number == 1 else f"{base} {number}" for number in count(1))
    return next(name for name in names if name.casefold() not in taken)


def capability_choices() -> list[tuple[str, str]]:
    """Return the options of a filter by capability: those that some provider has."""
    return [("", "Any capability"), *((str(each), each.label) for each in catalogue.by_capability())]


def catalogue_groups(text: str, capability: str) -> list[tuple[str, list[Provider]]]:
    """Return the providers by capability, narrowed to what a person looks for."""
    words = text.casefold()
    groups = []
    for each, providers in catalogue.by_capability().items():
        found = [one for one in providers if words in f"{one.name} {one.summary} {each.label}".casefold()]
        if found and capability in ("", each):
            groups.append((each.label, found))
    return groups


def unchanged(form: DrawerForm) -> Submission:
    """Return the submission that changes nothing: what is stored, every secret kept."""
    raw = {name: form.values.get(name, "") for name in (each.name for each in form.provider.fields)}
    return Submission(
        name=str(form.values["name"]),
        raw={name: value for name, value in raw.items() if name not in form.provider.secret_names},
        verbs={},
        limits={name: str(form.values.get(name) or "") for name in LIMITS},
        sandbox=bool(form.values.get("sandbox")),
        version=form.version,
        person=False,
    )


def with_report(form: DrawerForm, report: Report) -> DrawerForm:
    """Return the form with the field marked that the failed test names, in other words than the result above it."""
    if report.error is None or not report.error.field:
        return form
    return replace(form, errors={**form.errors, report.error.field: _beside_the_field(report, report.error)})


def _beside_the_field(report: Report, failure: Failure) -> str:
    """Say what the failed step does not: it has the provider's own words if there are some, and what to do."""
    step = next((each for each in report.steps if each.state is StepState.FAILED), None)
    if step is None or not step.hint:
        return f"{failure.message} {failure.hint}"
    return failure.message if step.verbatim else f"See the step {step.name} of the test above."


def of_test(report: Report, receipt: str, *, saving: bool = False) -> Shown:
    """Return what the drawer shows of a staged test."""
    steps = [shown_step(each.as_dict()) for each in report.steps]
    if report.error is None:
        took = f"Tested in {report.response_time_ms:,} ms."
        return Shown("Connection works", "ok", took, steps, receipt, copy=_copied(report))
    failed = "Not saved" if saving else "Not working"
    return Shown(f"{failed}: {report.error.title}", "err", "", steps, "", tested=True, copy=_copied(report))


def of_stored_test(report: Report) -> Shown:
    """Return what the Troubleshoot page shows of a staged test; cause and mend besides, where no step says so."""
    shown = of_test(report, "")
    if report.error is None or any(step.hint for step in report.steps):
        return shown
    return replace(shown, text=f"{report.error.message} {report.error.hint}".strip())


def shown_step(step: dict[str, Any]) -> dict[str, Any]:
    """Return a step as the page's macro takes it: the provider's own words as code."""
    verbatim = step.get("verbatim")
    return {
        "name": step["name"],
        "state": step["state"],
        "detail": None if verbatim else step["detail"],
        "code": step["detail"] if verbatim else None,
        "duration_ms": step["duration_ms"],
        "hint": step.get("hint") or None,
    }


def dialogue(parts: Iterable[Mapping[str, str]]) -> str:
    """Return what a call sent and got as one text: a sign before each line says which way it went."""
    signs = {"sent": "> ", "got": "< "}
    return "\n".join(
        f"{signs.get(part['way'], '  ')}{line}".rstrip() for part in parts for line in part["text"].split("\n")
    )


def _copied(report: Report) -> str:
    lines = [f"{step.name}: {step.state} {step.detail}".rstrip() for step in report.steps]
    return "\n".join(lines)


def of_sending(sent: Sent, receipt: str) -> Shown:
    """Return what the drawer shows of a test message; one that was accepted is as good as a passed test."""
    title, outcome = sent.channel.title, sent.outcome
    if outcome.error is None:
        said = sent.channel.accepted.format(answer=outcome.provider_id or "accepted")
        accepted = f"{title} accepted for {sent.to}" if sent.to else f"{title} accepted"
        return Shown(accepted, "ok", said, receipt=receipt)
    # What may have been sent is not called unsent: sending it again could cost money twice.
    unsent = "unconfirmed" if outcome.outcome is Outcome.UNKNOWN_OUTCOME else "not sent"
    # A recipient who cannot be reached says nothing about the values of the integration.
    failed = outcome.outcome is not Outcome.RECIPIENT_REJECTED
    return Shown(f"{title} {unsent}: {outcome.error.title}", "err", _refusal(outcome.error), tested=failed)


def _refusal(error: Failure) -> str:
    code = f" Code {error.code}." if error.code not in ("", error.reason) and error.code not in error.said else ""
    said = f' The server said: "{error.said}"' if error.said else ""
    return f"{error.message} {error.hint}{code}{said}"


def saved_words(integration: Integration, report: Report | None) -> str:
    """Return what a toast adds to "Integration saved."."""
    if report is not None:
        return f"Tested in {report.response_time_ms:,} ms."
    if integration.condition == Condition.UNVERIFIED:
        return "It is unverified: not used for sending until a check passes."
    return ""


def usage(form: DrawerForm, zone: str) -> Usage | None:
    """Return what a stored integration sent this hour and today."""
    if not form.integration_id or not form.has_limits:
        return None
    return counters.of(UUID(form.integration_id), day_starts=_midnight(zone))


def usage_of(integration: Integration, zone: str) -> Usage | None:
    """Return what an integration sent this hour and today, where it carries messages."""
    if CHANNELS.keys().isdisjoint(integration.capabilities):
        return None
    return counters.of(integration.id, day_starts=_midnight(zone))


def facts(integration: Integration, secrets: Mapping[str, StoredSecret]) -> list[tuple[str, str]]:
    """Return the configuration as label and value, secrets masked; fields that hold nothing say so."""
    shown = []
    for each in catalogue.get(integration.provider).fields:
        if each.kind is FieldKind.CONFIRM:
            continue
        value = secrets[each.name].mask if each.name in secrets else integration.config.get(each.name, "")
        choice = each.choice(value)
        shown.append((each.label, choice.label if choice else str(value)))
    return shown


def _midnight(zone: str) -> datetime:
    return clock.now().astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)


def capability_label(slug: str) -> str:
    """Return how a capability is written, such as "Email"."""
    return Capability(slug).label
