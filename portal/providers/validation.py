"""Validation: what a form, the API or the command line gave becomes typed values or sentences that name the field."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from portal.providers.base import Provider
from portal.providers.fields import Field, FieldKind, Value
from portal.providers.parsing import Refused, parse
from portal.security.redaction import strip_controls

_MOST_UNKNOWN: Final = 20


@dataclass
class Validation:
    """The result: every value that is given and right, and one sentence for each field that is not."""

    values: dict[str, Value] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the values can be used."""
        return not self.errors


def validate(
    provider: Provider, raw: Mapping[str, object], *, kept: Collection[str] = (), person: bool = False
) -> Validation:
    """Check what was entered for a provider. Pure: nothing is looked up, nothing is stored.

    Args:
        provider: whose fields.
        raw: field name to what was entered; None and empty texts count as not given.
        kept: names of secret fields whose stored value stays. They count as given but are not among the values.
        person: whether somebody can be asked; only then must fields of the kind confirm be ticked.
    """
    found = Validation()
    _name_unknown(provider, raw, found.errors)
    fills: dict[str, str] = {}
    for each in provider.fields:
        if each.show_if is None or each.show_if.holds(found.values):
            _take(each, raw.get(each.name), fills, kept, found)
    given = {*found.values, *(name for name in kept if name in provider.secret_names)}
    for name, sentence in provider.check(found.values, given).items():
        if person or provider.field(name).kind is not FieldKind.CONFIRM:
            found.errors.setdefault(name, sentence)
    return found


def initial(provider: Provider) -> dict[str, Value]:
    """Return the values an empty form starts with: the defaults and what they fill."""
    values: dict[str, Value] = {}
    for each in provider.fields:
        if each.default is not None:
            values.setdefault(each.name, each.default)
        if chosen := each.choice(values.get(each.name)):
            for name, text in chosen.fills.items():
                values.setdefault(name, parse(provider.field(name), text) or text)
    return values


def merge(provider: Provider, stored: Mapping[str, Value], changes: Mapping[str, object]) -> dict[str, object]:
    """Return stored values with changes laid over them, for updates that name only what changes.

    When a choice changes, stored values that only stood there because the old choice filled them in are left out, so
    that the new one fills them: a change from STARTTLS to TLS takes port 587 along, but not a port somebody chose.
    """
    merged: dict[str, object] = {**stored, **changes}
    for each in provider.fields:
        old = each.choice(stored.get(each.name))
        if old is None or merged.get(each.name) == old.value:
            continue
        for name, text in old.fills.items():
            if name not in changes and str(stored.get(name)) == text:
                merged.pop(name, None)
    return merged


def changes_destination(provider: Provider, old: Mapping[str, Value], new: Mapping[str, Value]) -> bool:
    """Return whether the change would send kept secrets to another place or over a less protected way."""
    return any(each.binds_secrets and old.get(each.name) != new.get(each.name) for each in provider.fields)


def _take(each: Field, entered: object, fills: dict[str, str], kept: Collection[str], found: Validation) -> None:
    """Parse one field into `found`, falling back to what an earlier choice fills in and to the default."""
    try:
        value = parse(each, entered)
        if value is None and each.name in fills:
            value = parse(each, fills[each.name])
    except Refused as refused:
        found.errors[each.name] = str(refused)
        return
    if value is None:
        value = each.default
    if value is not None:
        found.values[each.name] = value
    elif each.required and not (each.secret and each.name in kept):
        found.errors[each.name] = f"{each.label} is required."
    if chosen := each.choice(value):
        fills.update(chosen.fills)


def _name_unknown(provider: Provider, raw: Mapping[str, object], errors: dict[str, str]) -> None:
    known = {each.name for each in provider.fields}
    for name in [name for name in raw if name not in known][:_MOST_UNKNOWN]:
        shown = strip_controls(str(name), keep="").strip()[:60] or "(empty)"
        errors[shown] = f"{provider.name} has no field named “{shown}”."
