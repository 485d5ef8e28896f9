"""Fields: what a provider asks for, declared once for form, validation, masking, encryption, API and documentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as member
from enum import StrEnum

Value = str | int | bool
"""What a field holds once it is validated."""

SECRET_LOOKS = ("token", "secret", "password", "key")
"""Parts of a name that announce a secret; the conformance suite fails a field that has one and is not of that kind."""


class FieldKind(StrEnum):
    """What a field takes. `confirm` is a tick that only a person is asked for; `switch` is a stored yes or no."""

    TEXT = "text"
    SECRET = "secret"  # noqa: S105 - a kind, not a password
    EMAIL = "email"
    HOST = "host"
    NUMBER = "number"
    CHOICE = "choice"
    SWITCH = "switch"
    CONFIRM = "confirm"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One option of a choice. While it is chosen it may set other, empty fields and word them differently.

    Attributes:
        fills: field name to value; taken over where that field is empty. Only later fields can be filled.
        suffixes, helps, placeholders: field name to text shown instead of the field's own.
    """

    value: str
    label: str
    help: str = ""
    fills: Mapping[str, str] = member(default_factory=dict)
    suffixes: Mapping[str, str] = member(default_factory=dict)
    helps: Mapping[str, str] = member(default_factory=dict)
    placeholders: Mapping[str, str] = member(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Return the choice as JSON."""
        return {
            "value": self.value,
            "label": self.label,
            "help": self.help,
            "fills": dict(self.fills),
            "suffixes": dict(self.suffixes),
            "helps": dict(self.helps),
            "placeholders": dict(self.placeholders),
        }


@dataclass(frozen=True)
class ShowIf:
    """A field is asked for only while another field holds one of these values."""

    field: str
    values: tuple[str, ...]

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Return whether the condition is met."""
        return values.get(self.field) in self.values


@dataclass(frozen=True, kw_only=True)
class Field:
    """One thing a provider asks for.

    Attributes:
        pattern: a regular expression the whole value must match; `example` must match it too.
        suffix: a word beside the label, such as "API key".
        group: legend of the fieldset it stands in.
        full: takes the whole width of the form.
        binds_secrets: changing it sends a kept secret somewhere else or less protected, so a change deserves the same
            care as replacing a secret.
    """

    name: str
    label: str
    kind: FieldKind = FieldKind.TEXT
    required: bool = False
    help: str = ""
    placeholder: str = ""
    choices: tuple[Choice, ...] = ()
    pattern: str = ""
    example: str = ""
    default: Value | None = None
    suffix: str = ""
    show_if: ShowIf | None = None
    max_length: int = 255
    minimum: int | None = None
    maximum: int | None = None
    full: bool = False
    group: str = ""
    autocomplete: str = "off"
    binds_secrets: bool = False

    @property
    def secret(self) -> bool:
        """Whether the value is encrypted, masked and never shown again."""
        return self.kind is FieldKind.SECRET

    def choice(self, value: object) -> Choice | None:
        """Return the option of that value, if the field has it."""
        return next((option for option in self.choices if option.value == value), None)

    def as_dict(self) -> dict[str, object]:
        """Return the declaration as JSON."""
        return {
            "name": self.name,
            "label": self.label,
            "kind": str(self.kind),
            "secret": self.secret,
            "required": self.required,
            "help": self.help,
            "placeholder": self.placeholder,
            "choices": [choice.as_dict() for choice in self.choices],
            "pattern": self.pattern or None,
            "default": self.default,
            "suffix": self.suffix,
            "show_if": {"field": self.show_if.field, "values": list(self.show_if.values)} if self.show_if else None,
            "max_length": self.max_length,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "group": self.group,
        }
