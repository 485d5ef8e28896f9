"""What requests carry, as schemas: made from the fields that each provider declares."""

from collections.abc import Mapping
from typing import Any, Final

from portal.api import schema as s
from portal.api.schema import Schema
from portal.integrations.drafts import HIGHEST_LIMIT, NAME_LENGTH
from portal.providers import catalogue
from portal.providers.base import Provider
from portal.providers.fields import Field, FieldKind

JSON_TYPES: Final[Mapping[FieldKind, str]] = {
    FieldKind.NUMBER: "integer",
    FieldKind.SWITCH: "boolean",
    FieldKind.CONFIRM: "boolean",
}
"""JSON's type of what a field holds; every other kind holds a text."""

NAME: Final = s.text("What people call it.", minLength=1, maxLength=NAME_LENGTH, examples=["Email relay"])
PROVIDER: Final = s.text("The provider's slug, as GET /api/admin/providers lists it.", examples=["smtp"])
LIMIT: Final = s.maybe(s.whole("null is no limit.", low=1, high=HIGHEST_LIMIT))
ENABLED: Final = s.yes_or_no("Off: no checks, never used for sending.")
SANDBOX: Final = s.yes_or_no("Talks to the provider sandbox instead of the provider.")
INTERVAL: Final = s.whole("Minutes between two checks.", low=1, high=60)
CREDENTIALS: Final = s.anything(
    "The provider's fields by name. A missing or empty secret keeps what is stored, null removes it."
)
CHANGED_LIMITS: Final = s.told(
    s.changes(max_per_hour=LIMIT, max_per_day=LIMIT), "How many messages an integration may send."
)
CHANGES: Final = s.changes(
    enabled=ENABLED,
    name=NAME,
    credentials=CREDENTIALS,
    health_check_interval_minutes=INTERVAL,
    limits=CHANGED_LIMITS,
)


def of_providers() -> dict[str, Schema]:
    """Return every provider's schemas by name."""
    found = {}
    for each in catalogue.all():
        found[f"{each.slug}Credentials"] = credentials_of(each)
        found[f"{each.slug}Changes"] = changes_of(each)
        found[f"{each.slug}Integration"] = integration_of(each)
        found[f"{each.slug}Test"] = test_of(each)
    return found


def integration_of(provider: Provider) -> Schema:
    """Return the schema of a provider's integration as it is written."""
    return _for(provider, enabled=ENABLED, name=NAME, sandbox=SANDBOX)


def test_of(provider: Provider) -> Schema:
    """Return the schema of a provider's values to test."""
    return _for(provider, sandbox=SANDBOX)


def by_provider(suffix: str) -> Schema:
    """Return the schema that leaves the choice between all providers' schemas of one kind."""
    slugs = [each.slug for each in catalogue.all()]
    mapping = {slug: s.ref(slug + suffix)["$ref"] for slug in slugs}
    return {
        "oneOf": [s.ref(slug + suffix) for slug in slugs],
        "discriminator": {"propertyName": "provider", "mapping": mapping},
    }


def changes_of_any() -> Schema:
    """Return the schema of changes to an integration, whose provider is known by what is stored."""
    credentials = {"anyOf": [s.ref(f"{each.slug}Changes") for each in catalogue.all()]}
    return _with_credentials(CHANGES, s.told(credentials, CREDENTIALS["description"]))


def credentials_of(provider: Provider) -> Schema:
    """Return the schema of a provider's credentials as a whole; a stored secret may be left out."""
    found = changes_of(provider)
    must = {each.name: _given(found["properties"][each.name]) for each in provider.fields if _is_needed(each, provider)}
    return {**found, "properties": found["properties"] | must} | ({"required": list(must)} if must else {})


def _is_needed(each: Field, provider: Provider) -> bool:
    """Return whether the field must be there in any case: no default, choice or stored secret stands in for it."""
    filled = any(each.name in choice.fills for other in provider.fields for choice in other.choices)
    return each.required and not (each.secret or filled or each.show_if) and each.default is None


def _given(schema: Schema) -> Schema:
    kind = schema["type"][0]
    return {**schema, "type": kind} | ({"minLength": 1} if kind == "string" else {})


def changes_of(provider: Provider) -> Schema:
    """Return the schema of some of a provider's credentials."""
    properties = {each.name: _field(each) for each in provider.fields}
    return s.told(s.changes(**properties), f"Fields of {provider.name}.")


def integration_shape(sent: Mapping[str, Any]) -> Schema:
    """Return what one body that writes an integration is held against."""
    return _shape(sent, enabled=ENABLED, name=NAME, sandbox=SANDBOX)


def test_shape(sent: Mapping[str, Any]) -> Schema:
    """Return what one body with values to test is held against."""
    return _shape(sent, sandbox=SANDBOX)


def changes_shape(provider: Provider) -> Schema:
    """Return what changes to an integration of this provider are held against."""
    return _with_credentials(CHANGES, _types(provider))


def _shape(sent: Mapping[str, Any], **optional: Schema) -> Schema:
    slugs = s.one_of([each.slug for each in catalogue.all()])
    shape = s.record(*optional, provider=slugs, credentials=s.anything(), **optional)
    provider = next((each for each in catalogue.all() if each.slug == sent.get("provider")), None)
    return _with_credentials(shape, _types(provider)) if provider else shape


def _types(provider: Provider) -> Schema:
    """Return which fields there are and which JSON types they take: what else is wrong the provider says better."""
    return s.changes(**{each.name: {"type": _field(each)["type"]} for each in provider.fields})


def _with_credentials(shape: Schema, credentials: Schema) -> Schema:
    return {**shape, "properties": {**shape["properties"], "credentials": credentials}}


def _for(provider: Provider, **optional: Schema) -> Schema:
    slug = s.told(s.one_of((provider.slug,)), PROVIDER["description"])
    credentials = s.told(s.ref(f"{provider.slug}Credentials"), CREDENTIALS["description"])
    return s.record(*optional, provider=slug, credentials=credentials, **optional)


def _field(each: Field) -> Schema:
    found: Schema = {"type": [JSON_TYPES.get(each.kind, "string"), "null"], "title": each.label}
    if each.help:
        found["description"] = each.help
    if each.choices:
        found["enum"] = [*(choice.value for choice in each.choices), None]
    if found["type"][0] == "string" and not each.choices:
        found["maxLength"] = each.max_length
    if each.pattern:
        found["pattern"] = f"^(?:{each.pattern})?$"  # empty is as good as missing
    limits: dict[str, Any] = {"minimum": each.minimum, "maximum": each.maximum, "default": each.default}
    found |= {name: value for name, value in limits.items() if value is not None}
    if each.secret:
        found |= {"writeOnly": True, "format": "password"}
    elif each.example:
        found["examples"] = [int(each.example) if each.kind is FieldKind.NUMBER else each.example]
    return found
