"""The SendGrid driver: its requests, what it makes of the answers, and its stages."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from portal.providers.base import Outcome, OutgoingEmail, Report, SendOutcome, Step, Value
from portal.providers.sendgrid import SENDGRID
from portal.providers.validation import changes_destination, validate
from tests.providers.golden import same
from tests.providers.web_kit import Asked, Maker, Play, answer

CREDENTIALS: dict[str, Value] = {
    "api_key": "SG.golden",
    "verified_sender": "noreply@example.com",
    "from_name": "Northline, Ltd",
    "region": "global",
}
MAIL = OutgoingEmail(
    to=("dana@example.org", "sam@example.org", "dana@example.org"),
    subject="Zeit für Kaffee ☕",
    text="Grüße",
    html="<p>Grüße</p>",
    reply_to="desk@example.com",
    message_id="<one@example.com>",
    headers={"List-Unsubscribe": "<https://example.com/u>"},
)
FORBIDDEN = answer(403, {"errors": [{"message": "access forbidden", "field": None, "help": None}]})
SENDER = {"id": 1, "from_email": "NoReply@example.com", "verified": True}
DOMAIN = {"domain": "example.com", "valid": True}

Run = Callable[..., tuple[Any, list[Asked]]]


@pytest.fixture
def run(play: Play) -> Run:
    """Return a caller of one of the driver's methods; keywords change the credentials."""

    def call(
        method: str, answers: Mapping[str, bytes], *arguments: object, **changes: Value
    ) -> tuple[Any, list[Asked]]:
        return play(getattr(SENDGRID, method), CREDENTIALS | changes, answers, *arguments)

    return call


def answers(
    scopes: object = ("mail.send",), senders: object = (), domains: object = (), send: bytes = b""
) -> dict[str, bytes]:
    """What SendGrid answers; bytes are a whole answer."""
    return {
        "/v3/scopes": scopes if isinstance(scopes, bytes) else answer(200, {"scopes": scopes}),
        "/v3/verified_senders": senders if isinstance(senders, bytes) else answer(200, {"results": senders}),
        "/v3/whitelabel/domains": domains if isinstance(domains, bytes) else answer(200, domains),
        "/v3/mail/send": send or answer(202, X_Message_Id="14c5d75ce93.dfd.64b469"),
    }


def step(report: Report, name: str) -> Step:
    return next(each for each in report.steps if each.name == name)


def test_golden_requests_of_the_test(run: Run) -> None:
    report, asked = run("test", answers(domains=[DOMAIN]))
    assert report.ok
    assert len(asked) == 3
    for request, call in zip(asked, ("scopes", "verified_senders", "domains"), strict=True):
        same(request, "sendgrid", call)


def test_golden_request_of_the_probe(run: Run) -> None:
    report, asked = run("probe", answers())
    assert report.ok
    (request,) = asked
    same(request, "sendgrid", "scopes")


def test_golden_request_of_an_email(run: Run) -> None:
    sent, (request,) = run("send_email", answers(), MAIL)
    same(request, "sendgrid", "send")
    assert [part["type"] for part in json.loads(request.body)["content"]] == ["text/plain", "text/html"]
    assert (sent.outcome, sent.provider_id) == (Outcome.OK, "14c5d75ce93.dfd.64b469")
    assert sent.message_id == "<one@example.com>"
    assert [each.address for each in sent.recipients] == ["dana@example.org", "sam@example.org"]


def test_golden_request_of_a_plain_email_from_another_sender(run: Run) -> None:
    """The integration's own name does not go with somebody else's address."""
    mail = OutgoingEmail(
        to=("dana@example.org",),
        subject="Hi",
        text="Hello",
        from_email="other@example.com",
        message_id="<two@example.com>",
    )
    _, (request,) = run("send_email", answers(), mail)
    same(request, "sendgrid", "send_plain")


def test_an_email_without_an_id_gets_one_in_the_sender_s_domain(run: Run) -> None:
    sent, (request,) = run("send_email", answers(), replace(MAIL, message_id=""))
    assert sent.message_id.endswith("@example.com>")
    assert json.loads(request.body)["headers"]["Message-ID"] == sent.message_id


def test_the_european_region_is_another_host(run: Run) -> None:
    report, asked = run("probe", answers(), region="eu")
    assert report.ok
    assert asked[0].headers["host"] == "api.eu.sendgrid.com"
    assert step(report, "DNS").detail.startswith("api.eu.sendgrid.com, ")
    assert changes_destination(SENDGRID, CREDENTIALS, CREDENTIALS | {"region": "eu"})
    assert SENDGRID.label({"region": "eu"}) == "SendGrid, EU"
    assert SENDGRID.label(CREDENTIALS) == "SendGrid"


@pytest.mark.parametrize(
    ("senders", "domains", "state", "words"),
    [
        ([SENDER], FORBIDDEN, "passed", "noreply@example.com is a verified sender"),
        ([SENDER | {"verified": False}], [DOMAIN], "passed", "its domain is authenticated"),
        ([], [DOMAIN], "passed", "its domain is authenticated"),
        ([], [DOMAIN | {"valid": False}], "failed", "noreply@example.com is not a verified sender in SendGrid."),
        ([SENDER | {"from_email": "other@example.com"}], [], "failed", "not a verified sender"),
        ([], [DOMAIN | {"domain": "notexample.com"}], "failed", "not a verified sender"),
        # Who may not look cannot say no.
        (FORBIDDEN, [], "not_run", "the key may not read the verified senders"),
        ([], FORBIDDEN, "not_run", "the key may not read the verified senders"),
        (FORBIDDEN, FORBIDDEN, "not_run", "the key may not read the verified senders"),
        (FORBIDDEN, [DOMAIN], "passed", "its domain is authenticated"),
        (answer(500, {}), [DOMAIN], "failed", "HTTP 500"),
        (["odd", {"from_email": 5}], ["odd"], "failed", "not a verified sender"),
    ],
)
def test_sender(run: Run, senders: object, domains: object, state: str, words: str) -> None:
    report, _ = run("test", answers(senders=senders, domains=domains))
    assert (step(report, "Sender").state, report.ok) == (state, state != "failed")
    assert words in step(report, "Sender").detail


def test_senders_are_read_page_by_page(web: Maker, ca_pem: str) -> None:
    others = [{"id": number, "from_email": f"{number}@example.com", "verified": True} for number in range(1, 101)]

    def pages(asked: Asked) -> bytes:
        if "verified_senders" in asked.target:
            return answer(200, {"results": [SENDER | {"id": 101}] if "lastSeenID=100" in asked.target else others})
        return answers()[asked.target.partition("?")[0]]

    with web(pages) as server:
        report = SENDGRID.test(CREDENTIALS, server.context(ca_pem))
    assert "is a verified sender" in step(report, "Sender").detail
    assert [asked.target for asked in server.asked[1:]] == [
        "/v3/verified_senders?limit=100",
        "/v3/verified_senders?lastSeenID=100&limit=100",
    ]


@pytest.mark.parametrize("method", ["probe", "test"])
def test_a_key_that_may_not_send_fails(run: Run, method: str) -> None:
    report, asked = run(method, answers(scopes=["mail.batch.create", "user.profile.read"]))
    assert report.error
    assert (report.outcome, report.error.reason) == (Outcome.PERMISSION_MISSING, "cannot_send")
    assert step(report, "Login").state == "passed"
    assert report.error.field == "api_key"
    assert len(asked) == 1


def test_a_key_that_may_do_far_more_is_said(run: Run) -> None:
    report, _ = run("probe", answers(scopes=["mail.send", "2fa_required", *(f"api_keys.{n}" for n in range(40))]))
    assert report.ok
    assert "it may do 40 other things" in step(report, "Permission").detail
    report, _ = run("probe", answers(scopes=["mail.send", "2fa_required", "sender_verification_eligible"]))
    assert step(report, "Permission").detail == "mail.send"


def error(status: int, message: str, field: str | None = None, **headers: str) -> bytes:
    return answer(status, {"errors": [{"message": message, "field": field, "help": None}]}, **headers)


REFUSALS = [
    (error(401, "The provided authorization grant is invalid, expired, or revoked"), Outcome.AUTH_REJECTED, "api_key"),
    (error(401, "Maximum credits exceeded"), Outcome.QUOTA_EXCEEDED, ""),
    (FORBIDDEN, Outcome.PERMISSION_MISSING, "api_key"),
    (
        error(403, "The from address does not match a verified Sender Identity. Mail cannot be sent.", "from"),
        Outcome.PERMISSION_MISSING,
        "verified_sender",
    ),
    (error(400, "Does not contain a valid address.", "personalizations.0.to.0.email"), Outcome.RECIPIENT_REJECTED, ""),
    (error(400, "Does not contain a valid address.", "from.email"), Outcome.INVALID_REQUEST, "verified_sender"),
    (error(400, "Bad Request", "content.0.value"), Outcome.INVALID_REQUEST, ""),
    (error(413, "too big"), Outcome.INVALID_REQUEST, ""),
    (error(429, "too many requests", X_RateLimit_Reset="1768910460"), Outcome.RATE_LIMITED, ""),
    (error(500, "internal"), Outcome.UNKNOWN_OUTCOME, ""),
]


@pytest.mark.parametrize(("reply", "outcome", "field"), REFUSALS, ids=[str(n) for n in range(len(REFUSALS))])
def test_refused_email(run: Run, reply: bytes, outcome: Outcome, field: str) -> None:
    sent: SendOutcome
    sent, asked = run("send_email", answers(send=reply), MAIL)
    assert sent.error
    assert (sent.outcome, sent.error.field) == (outcome, field)
    assert sent.error.code.isdigit()
    assert sent.error.said, "SendGrid's own words"
    assert sent.error.retry_after == (60 if outcome is Outcome.RATE_LIMITED else None)
    assert sent.message_id == "<one@example.com>"
    assert [each.outcome for each in sent.recipients] == [outcome, outcome]
    assert len(asked) == 1


def test_only_202_counts_as_sent(run: Run) -> None:
    sent, _ = run("send_email", answers(send=answer(200, {})), MAIL)
    assert sent.outcome is Outcome.UNKNOWN_OUTCOME
    sent, _ = run("send_email", answers(send=answer(202)), MAIL)
    assert (sent.outcome, sent.provider_id) == (Outcome.OK, "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to": ()}, "it has no recipient"),
        ({"to": ("nobody",)}, "a recipient is not an email address"),
        ({"subject": "  "}, "it has no subject"),
        ({"text": "", "html": ""}, "it has no text"),
        ({"reply_to": "nobody"}, "an address in it is not an email address"),
        ({"headers": {"X-A": "a\r\nBcc: b@example.com"}}, "characters that are not allowed"),
        ({"headers": {"Subject": "other"}}, "characters that are not allowed"),
        ({"message_id": "<a\n@b>"}, "characters that are not allowed"),
    ],
)
def test_a_message_that_cannot_be_sent_is_not_tried(run: Run, changes: dict[str, Any], words: str) -> None:
    sent, asked = run("send_email", answers(), replace(MAIL, **changes))
    assert asked == []
    assert sent.error
    assert (sent.outcome, sent.error.reason) == (Outcome.INVALID_REQUEST, "message_invalid")
    assert words in sent.error.message


def test_a_key_that_no_header_can_carry_is_said(run: Run) -> None:
    assert "api_key" in validate(SENDGRID, CREDENTIALS | {"api_key": "SG. ä"}).errors
    report, asked = run("probe", answers(), api_key="SG.☃")
    assert asked == []
    assert report.error
    assert (report.outcome, report.error.reason) == (Outcome.INVALID_REQUEST, "unsendable")
