"""Sending an email: what arrives, and exactly what became of one that does not."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_string, policy
from email.message import EmailMessage

import pytest

from portal.providers.base import Context, Outcome, OutgoingEmail, SendOutcome, Value
from portal.providers.smtp import SMTP
from tests.providers.servers import Peer, Script, Server
from tests.providers.smtp_kit import LOGIN, PASSWORD, MakeContext, credentials, greet, hang, leave, play, say, take

MESSAGE = OutgoingEmail(to=("dana@example.org",), subject="Test", text="Hello\n")
UP_TO_DATA = ("235 fine", "250 sender", "250 recipient", "354 go on")


def read_mail(peer: Peer) -> None:
    """Read up to the lone dot, without answering."""
    while peer.hear() != ".":
        pass


def mail_of(server: Server) -> EmailMessage:
    """The message as a receiver reads it, dots taken off again."""
    lines = server.heard
    begin = lines.index("DATA") if "DATA" in lines else lines.index("data")
    body = lines[begin + 1 : lines.index(".", begin)]
    message = message_from_string("\r\n".join(line.removeprefix(".") for line in body), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


QUEUED = say("250 2.0.0 Ok: queued as 4F9D195432C")


def takes(final: Script = QUEUED, *extensions: str) -> Script:
    return play(greet(LOGIN, *extensions), take(*UP_TO_DATA), read_mail, final, take("221 bye"))


def send(script: Script, context: Context, message: OutgoingEmail = MESSAGE, **changes: Value) -> SendOutcome:
    with Server(script) as server:
        outcome = SMTP.send_email({**credentials(server.port), **changes}, context, message)
    outcome_and_wire[outcome.message_id] = server
    return outcome


outcome_and_wire: dict[str, Server] = {}


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    outcome_and_wire.clear()


def wire(outcome: SendOutcome) -> Server:
    return outcome_and_wire[outcome.message_id]


def test_message_is_taken_with_the_servers_own_answer(context: Context) -> None:
    outcome = send(takes(), context)
    assert (outcome.ok, outcome.outcome, outcome.error) == (True, Outcome.OK, None)
    assert outcome.provider_id == "2.0.0 Ok: queued as 4F9D195432C"
    assert [(each.address, each.outcome) for each in outcome.recipients] == [("dana@example.org", Outcome.OK)]
    assert outcome.refused == ()


def test_message_has_all_that_a_mail_needs(context: Context) -> None:
    message = OutgoingEmail(
        to=("dana@example.org", "Ömer@BÜCHER.example".replace("Ö", "O")),
        subject="Grüße aus Köln – 日本語",
        text="Zeile eins\n.punkt\nschön\n",
        html="<p>schön</p>",
        reply_to="help@example.com",
        headers={"X-Portal-Kind": "test"},
    )
    script = play(
        greet(LOGIN), take("235 ok", "250 ok", "250 ok", "250 ok", "354 go"), read_mail, say("250 ok"), take("221 bye")
    )
    outcome = send(script, context, message, from_name='Müller & Söhne, "Büro"')
    mail = mail_of(wire(outcome))
    assert mail["From"].addresses[0].display_name == 'Müller & Söhne, "Büro"'
    assert mail["From"].addresses[0].addr_spec == "noreply@example.com"
    assert [each.addr_spec for each in mail["To"].addresses] == ["dana@example.org", "Omer@xn--bcher-kva.example"]
    assert mail["Subject"] == "Grüße aus Köln – 日本語"
    assert mail["Reply-To"] == "help@example.com"
    assert mail["X-Portal-Kind"] == "test"
    assert mail["Message-ID"] == outcome.message_id
    assert outcome.message_id.endswith("@example.com>")
    assert abs((mail["Date"].datetime - datetime.now(UTC)).total_seconds()) < 60
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert text.get_content().splitlines() == ["Zeile eins", ".punkt", "schön"]
    assert html is not None
    assert html.get_content().strip() == "<p>schön</p>"
    assert all(line.isascii() for line in wire(outcome).heard)


def test_given_message_id_and_sender_are_kept(context: Context) -> None:
    message = OutgoingEmail(
        to=("a@example.org",), subject="s", text="t", message_id="<fixed-1@example.com>", from_email="other@example.com"
    )
    outcome = send(takes(), context, message, from_name="Not used for another sender")
    assert outcome.message_id == "<fixed-1@example.com>"
    mail = mail_of(wire(outcome))
    assert mail["Message-ID"] == "<fixed-1@example.com>"
    assert str(mail["From"]) == "other@example.com"
    assert "mail FROM:<other@example.com>".lower() in [line.lower() for line in wire(outcome).heard]


@pytest.mark.parametrize("text", [".", "..\n.\n", "a\n.\nb", ".\r\nRCPT TO:<x@example.org>\r\n", "no end", ""])
def test_dots_cannot_end_the_message_early(text: str, context: Context) -> None:
    outcome = send(takes(), context, OutgoingEmail(to=("a@example.org",), subject="s", text=text))
    assert outcome.ok
    content = mail_of(wire(outcome)).get_content()
    assert content.splitlines() == (text.splitlines() or [""])[: len(content.splitlines())]
    assert sum(line.upper().startswith("RCPT TO") for line in wire(outcome).heard[:5]) == 1


def test_some_recipients_refused_is_told_of_each(context: Context) -> None:
    message = OutgoingEmail(to=("a@example.org", "b@example.org", "c@example.org"), subject="s", text="t")
    script = play(
        greet(LOGIN),
        take("235 ok", "250 ok", "250 ok", "550 5.1.1 No such user", "452 4.2.2 Mailbox full", "354 go"),
        read_mail,
        say("250 queued"),
        take("221 bye"),
    )
    outcome = send(script, context, message)
    assert outcome.ok
    assert [each.outcome for each in outcome.recipients] == [
        Outcome.OK,
        Outcome.RECIPIENT_REJECTED,
        Outcome.RECIPIENT_REJECTED,
    ]
    assert (outcome.refused[0].address, outcome.refused[0].code) == ("b@example.org", "550 5.1.1")
    assert outcome.refused[0].detail == "550 5.1.1 No such user"


def test_all_recipients_refused_sends_nothing(context: Context) -> None:
    outcome = send(play(greet(LOGIN), take("235 ok", "250 ok", "550 5.1.1 No such user"), hang), context)
    assert outcome.outcome is Outcome.RECIPIENT_REJECTED
    assert outcome.error
    assert outcome.error.code == "550 5.1.1"
    assert not any(line.upper() == "DATA" for line in wire(outcome).heard)


AFTER_DATA: list[tuple[str, Script, Outcome, str]] = [
    ("drop", leave, Outcome.UNKNOWN_OUTCOME, "unconfirmed"),
    ("silence", hang, Outcome.UNKNOWN_OUTCOME, "unconfirmed"),
    ("rubbish", say("what?"), Outcome.UNKNOWN_OUTCOME, "unconfirmed"),
    ("another go-ahead", say("354 more"), Outcome.UNKNOWN_OUTCOME, "unconfirmed"),
    ("another yes", say("251 ok"), Outcome.OK, ""),
    ("spam", say("554 5.7.1 Looks like spam"), Outcome.PROVIDER_ERROR, "message_refused"),
    ("later", say("451 4.3.0 try later"), Outcome.PROVIDER_ERROR, "busy"),
    ("too large", say("552 5.3.4 Message too big"), Outcome.INVALID_REQUEST, "message_too_large"),
    ("quota", say("550 5.4.5 Daily user sending quota exceeded"), Outcome.QUOTA_EXCEEDED, "quota_exceeded"),
]


@pytest.mark.parametrize(("name", "final", "outcome", "reason"), AFTER_DATA, ids=[each[0] for each in AFTER_DATA])
def test_end_of_a_message_that_was_handed_over(
    name: str, final: Script, outcome: Outcome, reason: str, make_context: MakeContext
) -> None:
    sent = send(takes(final), make_context(0.5 if name == "silence" else 5))
    assert sent.outcome is outcome
    assert (sent.error.reason if sent.error else "") == reason
    assert sent.recipients[0].outcome is outcome


NOT_SENT: list[tuple[str, Script, Outcome]] = [
    ("drop before DATA", play(greet(LOGIN), take("235 ok", "250 ok", "250 ok"), leave), Outcome.UNREACHABLE),
    ("DATA refused", play(greet(LOGIN), take(*UP_TO_DATA[:3], "451 4.3.0 not now")), Outcome.PROVIDER_ERROR),
    ("login refused", play(greet(LOGIN), take("535 no"), hang), Outcome.AUTH_REJECTED),
    ("relay", play(greet(LOGIN), take("235 ok", "250 ok", "554 5.7.1 Relay denied")), Outcome.PERMISSION_MISSING),
    ("sender", play(greet(LOGIN), take("235 ok", "250 ok", "553 Sender address rejected")), Outcome.PERMISSION_MISSING),
    ("silence", play(greet(LOGIN), take("235 ok"), hang), Outcome.TIMEOUT),
    ("greylisted", play(greet(LOGIN), take("235 ok", "250 ok", "450 4.2.0 Greylisted")), Outcome.PROVIDER_ERROR),
]


@pytest.mark.parametrize(("name", "script", "outcome"), NOT_SENT, ids=[each[0] for each in NOT_SENT])
def test_what_surely_was_not_sent_is_never_called_unknown(
    name: str, script: Script, outcome: Outcome, make_context: MakeContext
) -> None:
    assert send(script, make_context(0.5 if name == "silence" else 5)).outcome is outcome


def test_size_is_announced_and_a_larger_message_is_not_begun(context: Context) -> None:
    outcome = send(takes(say("250 ok"), "SIZE 100000"), context)
    assert any(" SIZE=" in line.upper() for line in wire(outcome).heard)
    big = OutgoingEmail(to=("a@example.org",), subject="s", text="x" * 5000)
    refused = send(play(greet(LOGIN, "SIZE 1000"), take("235 ok"), hang), context, big)
    assert refused.error
    assert (refused.error.reason, refused.outcome) == ("message_too_large", Outcome.INVALID_REQUEST)
    assert not any("MAIL" in line.upper().split(":")[0] for line in wire(refused).heard)


INVALID: list[OutgoingEmail] = [
    OutgoingEmail(to=(), subject="s", text="t"),
    OutgoingEmail(to=("no address",), subject="s", text="t"),
    OutgoingEmail(to=("a@example.org\r\nBcc: all@example.org",), subject="s", text="t"),
    OutgoingEmail(to=("jürgen@example.org",), subject="s", text="t"),
    OutgoingEmail(to=("a@example.org",), subject="s\r\nBcc: all@example.org", text="t"),
    OutgoingEmail(to=("a@example.org",), subject="s\u2028Bcc: all", text="t"),
    OutgoingEmail(to=("a@example.org",), subject="s", text="t", from_name="N\r\nBcc: all@example.org"),
    OutgoingEmail(to=("a@example.org",), subject="s", text="t", from_email="x\r\ny@example.org"),
    OutgoingEmail(to=("a@example.org",), subject="s", text="t", reply_to="nobody"),
    OutgoingEmail(to=("a@example.org",), subject="s", text="t", message_id="<a@b>\r\nBcc: all@example.org"),
    OutgoingEmail(to=("a@example.org",), subject="s", text="t", headers={"Bcc": "all@example.org"}),
    OutgoingEmail(to=("a@example.org",), subject="s", text="t", headers={"X-A\r\nBcc": "all@example.org"}),
    OutgoingEmail(to=("a@example.org",), subject="s", text="t", headers={"X-A": "b\r\nBcc: all@example.org"}),
]


@pytest.mark.parametrize("message", INVALID, ids=range(len(INVALID)))
def test_message_that_cannot_be_made_never_reaches_the_network(message: OutgoingEmail, context: Context) -> None:
    outcome = SMTP.send_email(credentials(1), context, message)
    assert outcome.outcome is Outcome.INVALID_REQUEST
    assert outcome.error
    assert outcome.error.reason == "message_invalid"
    assert outcome.error.message.endswith(".")


@pytest.mark.parametrize("text", ["half \ud800 pair", "\x00\x07", "🎉" * 100, "tab\tand bell\x07", "x" * 20_000])
def test_any_text_can_be_sent(text: str, context: Context) -> None:
    assert send(takes(), context, OutgoingEmail(to=("a@example.org",), subject="s", text=text, html=text)).ok


def test_server_that_repeats_the_password_while_sending_does_not_reveal_it(context: Context) -> None:
    finals: list[Callable[[], Script]] = [
        lambda: takes(say(f"250 queued for {PASSWORD}")),
        lambda: takes(say(f"554 5.7.1 {PASSWORD}")),
        lambda: play(greet(LOGIN), take("235 ok", "250 ok", f"550 5.1.1 {PASSWORD}")),
    ]
    for final in finals:
        assert PASSWORD not in repr(send(final(), context))


def test_same_recipient_twice_is_written_to_once(context: Context) -> None:
    outcome = send(takes(), context, OutgoingEmail(to=("a@example.org", "a@EXAMPLE.org"), subject="s", text="t"))
    assert len(outcome.recipients) == 1
