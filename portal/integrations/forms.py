"""The configure drawer as a form: built from the provider's declaration, read back into a submission."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from portal.integrations.credentials import StoredSecret
from portal.integrations.drafts import Submission, Verb
from portal.integrations.models import Integration
from portal.providers.base import Capability, Provider
from portal.providers.fields import Choice, Field, FieldKind
from portal.providers.validation import initial

LIMIT_LABELS = {"max_per_hour": "Max emails per hour", "max_per_day": "Max emails per day"}
LIMITS = tuple(LIMIT_LABELS)
KINDS = {
    FieldKind.TEXT: "text",
    FieldKind.EMAIL: "email",
    FieldKind.HOST: "text",
    FieldKind.NUMBER: "number",
    FieldKind.CHOICE: "select",
    FieldKind.SWITCH: "checkbox",
    FieldKind.CONFIRM: "checkbox",
}
SHORT_CHOICE = 4
"""A choice with fewer options than this is shown as radio buttons."""


@dataclass(frozen=True, kw_only=True)
class DrawerForm:
    """What the drawer shows: values, stored secrets, errors."""

    provider: Provider
    values: Mapping[str, Any]
    stored: Mapping[str, StoredSecret] = field(default_factory=dict)
    verbs: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    integration_id: str = ""
    version: str = ""
    """What is stored when the form is opened, as drafts.version_of says it."""

    def value(self, name: str) -> Any:
        """Return what a field shows."""
        return self.values.get(name, "")

    def error(self, name: str) -> str | None:
        """Return the sentence that is wrong about a field."""
        return self.errors.get(name)

    def verb(self, name: str) -> str:
        """Return what is chosen for a stored secret."""
        return self.verbs.get(name, "keep")

    def kind(self, each: Field) -> str:
        """Return the kind of control that a field gets."""
        if each.kind is FieldKind.CHOICE and len(each.choices) < SHORT_CHOICE:
            return "radio"
        return KINDS[each.kind]

    def groups(self) -> list[tuple[str, list[Field]]]:
        """Return the fields by the legend they stand under, in the declared order."""
        found: dict[str, list[Field]] = {}
        for each in self.provider.fields:
            found.setdefault(each.group, []).append(each)
        return list(found.items())

    def words(self, each: Field, which: str, default: str) -> str:
        """Return a field's suffix, help or placeholder; a chosen option may have better words than the declaration."""
        for chooser in self.provider.fields:
            for choice in chooser.choices:
                if choice.value == str(self.value(chooser.name)) and each.name in getattr(choice, which):
                    return str(getattr(choice, which)[each.name])
        return default

    def options(self, each: Field) -> list[tuple[str, str, str]]:
        """Return the options of a choice with their explanations."""
        return [(choice.value, choice.label, choice.help) for choice in each.choices]

    def wordings(self, each: Field) -> dict[str, dict[str, dict[str, str]]] | None:
        """Return, by option, how choosing it words other fields: note beside the label, help, placeholder."""
        named = {name for choice in each.choices for name in (*choice.suffixes, *choice.helps, *choice.placeholders)}
        fields = [self.provider.field(name) for name in sorted(named)]
        return {choice.value: {one.name: _worded(one, choice) for one in fields} for choice in each.choices} or None

    def limits(self, each: Field) -> dict[str, Any]:
        """Return what the browser checks by itself: the lengths and bounds of the declaration."""
        given = {"maxlength": each.max_length, "autocomplete": each.autocomplete or "off", "spellcheck": "false"}
        if each.kind is FieldKind.NUMBER:
            given = {"min": each.minimum, "max": each.maximum, "inputmode": "numeric"}
        return {name: value for name, value in given.items() if value is not None}

    def fills(self, each: Field) -> dict[str, dict[str, Any]] | None:
        """Return, by option, what choosing it fills into other fields."""
        return {choice.value: dict(choice.fills) for choice in each.choices if choice.fills} or None

    @property
    def has_limits(self) -> bool:
        """Whether the provider carries email, whose amount per hour and day can be limited."""
        return Capability.EMAIL in self.provider.capabilities


def _worded(each: Field, choice: Choice) -> dict[str, str]:
    """Return how a field is worded while that option is chosen."""
    return {
        "note": choice.suffixes.get(each.name, each.suffix) or ("" if each.required else "optional"),
        "help": choice.helps.get(each.name, each.help),
        "placeholder": choice.placeholders.get(each.name, each.placeholder),
    }


def empty(provider: Provider, *, name: str) -> DrawerForm:
    """Return the form of a new integration."""
    return DrawerForm(provider=provider, values={**initial(provider), "name": name})


def stored(
    provider: Provider, integration: Integration, secrets: Mapping[str, StoredSecret], *, version: str
) -> DrawerForm:
    """Return the form of a stored integration."""
    values = {
        **integration.config,
        "name": integration.name,
        "sandbox": integration.sandbox,
        "max_per_hour": integration.max_per_hour or "",
        "max_per_day": integration.max_per_day or "",
    }
    return DrawerForm(
        provider=provider, values=values, stored=secrets, integration_id=str(integration.id), version=version
    )


def sent(form: DrawerForm, posted: Mapping[str, str], errors: Mapping[str, str]) -> DrawerForm:
    """Return the form as it was sent, with what is wrong; secrets that were typed are not sent back."""
    secret_names = form.provider.secret_names
    values = {name: value for name, value in posted.items() if name not in secret_names}
    verbs = {name: posted.get(f"{name}__action", "keep") for name in secret_names}
    return DrawerForm(
        provider=form.provider,
        values=values,
        stored=form.stored,
        verbs=verbs,
        errors=errors,
        integration_id=form.integration_id,
        version=posted.get("version", form.version),
    )


def meanwhile(form: DrawerForm, posted: Mapping[str, str], said: str) -> DrawerForm:
    """Return the form as it was sent, to be saved over what somebody else stored since it was opened.

    Args:
        form: of what is stored now.
        posted: what was sent.
        said: what happened; where the two differ is added.
    """
    apart = (FieldKind.SECRET, FieldKind.SWITCH, FieldKind.CONFIRM)
    labels = {"name": "Name"} | {each.name: each.label for each in form.provider.fields if each.kind not in apart}
    labels |= LIMIT_LABELS
    differs = [
        f"{label}: {form.value(name) or 'empty'}"
        for name, label in labels.items()
        if name in posted and str(form.value(name)) != posted[name].strip()
    ]
    stored_now = f" Stored now: {', '.join(differs)}." if differs else ""
    words = f"{said} What you typed is still here: save it again to replace theirs.{stored_now}"
    return replace(sent(form, posted, {"form": words}), version=form.version)


def read(provider: Provider, posted: Mapping[str, str]) -> Submission:
    """Turn what the drawer's form posted into a submission.

    A stored secret whose new value was left empty is kept, whatever the verb: an empty field never removes one.
    """
    raw: dict[str, Any] = {}
    verbs: dict[str, Verb] = {}
    for each in provider.fields:
        value = posted.get(each.name, "")
        if each.kind is FieldKind.SECRET:
            verbs[each.name] = _verb(posted.get(f"{each.name}__action", ""), value)
            value = "" if verbs[each.name] == "remove" else value
        if each.kind in (FieldKind.SWITCH, FieldKind.CONFIRM):
            raw[each.name] = bool(value)
        else:
            raw[each.name] = value
    return Submission(
        name=posted.get("name", ""),
        raw=raw,
        verbs=verbs,
        limits={name: posted.get(name, "") for name in LIMITS},
        sandbox=bool(posted.get("sandbox")),
        version=posted.get("version", "")[:64],
    )


def _verb(chosen: str, value: str) -> Verb:
    if chosen == "remove":
        return "remove"
    if chosen == "keep":
        return "keep"
    return "replace" if value else "keep"
