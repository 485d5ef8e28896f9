"""A provider that nobody planned for: one driver, here, and one line in the catalogue bring everything else along."""

import json
from dataclasses import replace
from typing import Final

import pytest

from portal.http import Answer
from portal.providers import catalogue
from portal.providers.base import (
    Capability,
    Choice,
    Context,
    Credentials,
    Field,
    FieldKind,
    Provider,
    Report,
)
from portal.providers.rest import Api, Complaint, Visit, table_with
from portal.providers.staged import Stage, run_stages
from portal.providers.validation import validate
from tests.providers import conformance
from tests.providers.conformance import CANARY, CHECKS, example_credentials
from tests.providers.web_faults import FAULTS, Fault, in_words
from tests.providers.web_kit import Maker, always, answer
from tests.support.people import Browser, Team, words

on_sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)

HOST: Final = "api.example.com"


class Pigeon(Provider):
    """The whole driver."""

    def probe(self, credentials: Credentials, context: Context) -> Report:
        """Ask for the loft."""
        token = str(credentials["token"])
        api = Api(name=self.name, host=HOST, errors=self.errors, complaint=_complaint)
        with Visit(api, context, secrets=(token,)) as visit:

            def login() -> str:
                called: Answer = visit.call("GET", f"https://{HOST}/loft", {"Authorization": f"Bearer {token}"})
                if not visit.document(called, dict).get("pigeons"):
                    raise visit.unexpected(called)
                return "Accepted"

            stages = (*visit.stages(), Stage("Login", login))
            return run_stages(stages, facts=visit.facts, monotonic=context.monotonic)


def _complaint(status: int, document: object) -> Complaint | None:
    error = document.get("error") if isinstance(document, dict) else None
    return Complaint(text=json.dumps(error)) if error else None


PIGEON: Final = Pigeon(
    slug="pigeon_post",
    name="Pigeon Post",
    capabilities=(Capability.STORAGE,),
    summary="Carries notes between lofts.",
    needs="A token of the loft.",
    fields=(
        Field(name="token", label="Loft token", kind=FieldKind.SECRET, required=True, group="The loft"),
        Field(name="loft", label="Loft name", required=True, pattern="[a-z]+", example="north", group="The loft"),
        Field(
            name="grain",
            label="Grain",
            kind=FieldKind.CHOICE,
            default="maize",
            choices=(Choice(value="maize", label="Maize"), Choice(value="millet", label="Millet")),
            group="The loft",
        ),
    ),
    errors=table_with(),
    hosts=(HOST,),
)


@pytest.fixture(autouse=True)
def _in_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "PROVIDERS", (*catalogue.PROVIDERS, PIGEON))


@on_sqlite
def test_catalogue_and_drawer_know_it(team: Team, admin: Browser) -> None:
    page = admin.get("/admin/integrations/new")
    assert "Pigeon Post" in words(page)
    assert "Carries notes between lofts." in words(page)
    assert "Pigeon Post" in words(admin.get("/admin/integrations/new?capability=storage"))
    drawer = admin.get("/admin/integrations/new/pigeon_post")
    assert "File storage integration (Pigeon Post)" in words(drawer)
    for shown in ("The loft", "Loft token", "Loft name", "Grain", "Maize", "Millet"):
        assert shown in words(drawer)
    assert 'name="token"' in drawer.text
    assert 'type="password"' in drawer.text


@on_sqlite
def test_every_drawer_opens_with_all_fields(team: Team, admin: Browser) -> None:
    for provider in catalogue.all():
        drawer = admin.get(f"/admin/integrations/new/{provider.slug}")
        for field in provider.fields:
            assert f'name="{field.name}"' in drawer.text, f"{provider.slug} {field.name}"
            assert field.label in words(drawer)


@on_sqlite
def test_a_wrong_value_is_named_and_the_secret_not_shown(team: Team, admin: Browser) -> None:
    typed = {"name": "Pigeons", "token": CANARY, "loft": "North 1", "grain": "maize", "intent": "save"}
    answered = admin.post("/admin/integrations/new/pigeon_post", data=typed)
    assert answered.status_code == 422
    assert "Loft name does not look right. Example: north." in words(answered)
    assert CANARY not in answered.text


def test_validation_reads_its_fields() -> None:
    assert validate(PIGEON, {"token": "t", "loft": "north"}).values == {"token": "t", "loft": "north", "grain": "maize"}
    wrong = validate(PIGEON, {"loft": "north", "grain": "rye", "wing": "1"})
    assert wrong.errors == {
        "wing": "Pigeon Post has no field named “wing”.",
        "token": "Loft token is required.",
        "grain": "Grain must be one of: maize, millet.",
    }


def test_it_conforms() -> None:
    for check in CHECKS:
        check(PIGEON)


SAMPLE = [fault for fault in FAULTS if fault.name in {"401", "429 date", "502 page", "200 error inside", "200 cut"}]


@pytest.mark.parametrize("fault", SAMPLE, ids=lambda fault: fault.name)
def test_the_fault_matrix_holds_without_a_word_of_its_own(fault: Fault, web: Maker, ca_pem: str) -> None:
    with web(always(fault.reply)) as server:
        report = PIGEON.probe(example_credentials(PIGEON), server.context(ca_pem))
    in_words(report, fault.outcome, fault.retry_after)


def test_it_works(web: Maker, ca_pem: str) -> None:
    with web(always(answer(200, {"pigeons": 3}))) as server:
        report = PIGEON.test(example_credentials(PIGEON), server.context(ca_pem))
    assert report.ok
    assert server.asked[0].headers["host"] == HOST


def test_without_secret_marks_it_would_not_pass() -> None:
    careless = replace(PIGEON, fields=(Field(name="token", label="Loft token"), *PIGEON.fields[1:]))
    with pytest.raises(AssertionError, match="named like a secret"):
        conformance.marks_secrets(careless)
