"""Every provider of the catalogue fulfils the conformance suite, and the suite fails those that do not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from portal.providers import catalogue
from portal.providers.base import Capability, Context, Credentials, Outcome, Provider, Report
from portal.providers.catalogue import UnknownProvider
from portal.providers.fields import Choice, Field, FieldKind, ShowIf
from portal.providers.outcomes import ErrorRow
from portal.providers.sendgrid import SENDGRID
from portal.providers.smtp import SMTP
from tests.providers import conformance
from tests.providers.conformance import CANARY, CHECKS, with_field

Check = Callable[[Provider], None]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("provider", catalogue.all(), ids=lambda provider: provider.slug)
def test_provider_conforms(provider: Provider, check: Check) -> None:
    check(provider)


class Careless(Provider):
    """A driver that raises, blames the credentials and tells the secret."""

    def probe(self, credentials: Credentials, context: Context) -> Report:
        try:
            context.network.resolve("h", 1, 1.0)
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - the fault this driver is made of
            return Report(steps=(), outcome=Outcome.AUTH_REJECTED, facts={"used": str(credentials["password"])})
        raise AssertionError("unreachable")


def _careless() -> Provider:
    return Careless(
        slug="careless",
        name="Careless",
        capabilities=(Capability.CHAT,),
        summary="Does things.",
        needs="A password.",
        fields=SMTP.fields,
        errors=SMTP.errors,
    )


_ROW = ErrorRow(reason="x", outcome=Outcome.TIMEOUT, title="x", message="It broke.", hint="Mend it.")

BROKEN: list[tuple[Provider, Check]] = [
    (replace(SMTP, slug="No slug"), conformance.has_words),
    (replace(SMTP, summary="no sentence"), conformance.has_words),
    (with_field(SMTP, Field(name="x", label="Please fill in")), conformance.has_words),
    (with_field(SMTP, Field(name="api_key", label="API key")), conformance.marks_secrets),
    (with_field(SMTP, Field(name="auth_token", label="Token", kind=FieldKind.NUMBER)), conformance.marks_secrets),
    (replace(SMTP, fields=(SMTP.field("host"),)), conformance.marks_secrets),
    (with_field(SMTP, SMTP.field("host")), conformance.declares_sound_fields),
    (with_field(SMTP, Field(name="h", label="H", kind=FieldKind.HOST)), conformance.declares_sound_fields),
    (
        with_field(SMTP, Field(name="x", label="X", show_if=ShowIf("nowhere", ("a",)))),
        conformance.declares_sound_fields,
    ),
    (
        with_field(SMTP, Field(name="x", label="X", show_if=ShowIf("security", ("no such",)))),
        conformance.declares_sound_fields,
    ),
    (
        with_field(
            SMTP,
            Field(
                name="c", label="C", kind=FieldKind.CHOICE, choices=(Choice(value="a", label="A", fills={"host": "h"}),)
            ),
        ),
        conformance.declares_sound_fields,
    ),
    (replace(SMTP, errors=(_ROW,)), conformance.words_every_error),
    (replace(SMTP, errors=(*SMTP.errors, replace(_ROW, hint=""))), conformance.words_every_error),
    (replace(SMTP, errors=(*SMTP.errors, replace(_ROW, outcome=Outcome.OK))), conformance.words_every_error),
    (replace(SMTP, errors=(*SMTP.errors, SMTP.errors[0])), conformance.words_every_error),
    (replace(SMTP, capabilities=(Capability.CHAT,)), conformance.agrees_with_capabilities),
    (replace(_careless(), capabilities=(Capability.EMAIL,)), conformance.agrees_with_capabilities),
    (replace(SENDGRID, hosts=("API.sendgrid.com",)), conformance.names_its_hosts),
    (replace(SENDGRID, errors=SENDGRID.errors[1:]), conformance.names_its_hosts),
    (replace(SENDGRID, errors=(*SENDGRID.errors, replace(_ROW, hint="{nobody}."))), conformance.names_its_hosts),
    (replace(SENDGRID, docs="http://example.com"), conformance.names_its_hosts),
    (_careless(), conformance.survives_a_dead_network),
    (_careless(), conformance.never_shows_a_secret),
]


@pytest.mark.parametrize(("provider", "check"), BROKEN, ids=[f"{n}-{c.__name__}" for n, (_, c) in enumerate(BROKEN)])
def test_suite_bites(provider: Provider, check: Check) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check(provider)


def test_field_that_refuses_its_own_example_is_found() -> None:
    field = Field(name="x", label="X", pattern="[0-9]+", example="abc")
    with pytest.raises(ValueError, match="does not look right"):
        conformance.declares_sound_fields(with_field(SMTP, field))


def test_provider_without_probe_cannot_be_made() -> None:
    class Lazy(Provider):
        pass

    with pytest.raises(TypeError, match="probe"):
        Lazy(  # type: ignore[abstract]
            slug="lazy", name="Lazy", capabilities=(), summary="", needs="", fields=(), errors=()
        )


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_words(outcome: Outcome) -> None:
    assert outcome.label
    assert outcome.hint.endswith(".")


@pytest.mark.parametrize("capability", Capability)
def test_every_capability_has_words(capability: Capability) -> None:
    assert capability.label[0].isupper()
    assert capability.impact[0].isupper()


def test_catalogue_finds_and_groups() -> None:
    assert catalogue.get("smtp") is SMTP
    assert SMTP in catalogue.by_capability()[Capability.EMAIL]
    assert all(catalogue.by_capability().values())
    with pytest.raises(UnknownProvider, match="no provider called 'nope'"):
        catalogue.get("nope")


def test_canary_would_be_found() -> None:
    assert conformance.example_credentials(SMTP)["password"] == CANARY
