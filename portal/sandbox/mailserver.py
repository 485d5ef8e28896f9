"""The sandbox's mail server: real SMTP with STARTTLS and AUTH, and faults on demand."""

import asyncio
from contextlib import suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from ssl import SSLContext
from typing import Final
from uuid import uuid4

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from portal.sandbox.state import Fault, FaultMode, State

HOST_NAME: Final = "sandbox.portal.test"
LARGEST_MESSAGE: Final = 10 * 1024 * 1024
_LONGEST_TEXT: Final = 32768
_MOST_COMMANDS: Final = 100
_SLOW: Final = 3.0
_REFUSALS: Final = {
    FaultMode.BAD_CREDENTIALS: "535 5.7.8 Username and password not accepted",
    FaultMode.REVOKED: ("535 Authentication failed: The provided authorization grant is invalid, expired, or revoked"),
    FaultMode.ERROR_500: "451 4.3.0 Internal server error",
}


class Desk:
    """aiosmtpd's handler: decides about logins, senders, recipients and messages."""

    def __init__(self, state: State) -> None:
        self._state = state

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object
    ) -> AuthResult:
        """Accept any user name with the sandbox's password, unless a fault says otherwise."""
        assert isinstance(server, MailServer)  # noqa: S101 - only our own server has this desk
        if not isinstance(given, LoginPassword):
            return AuthResult(success=False, handled=False)
        server.note(f"AUTH {mechanism} {given.login.decode('utf-8', 'replace')}")
        refusal = _REFUSALS.get(server.fault.mode)
        if refusal is None and given.password != self._state.mail_password.encode():
            refusal = "535 5.7.8 Authentication failed: the sandbox does not know this password"
        return AuthResult(success=refusal is None, handled=False, message=refusal, auth_data=given.login)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd names it
        self, server: "MailServer", session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a sender, after a login."""
        server.note(f"MAIL FROM:<{address}>")
        if server.fault.mode is FaultMode.ERROR_500:
            return _REFUSALS[FaultMode.ERROR_500]
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender ok"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd names it
        self, server: "MailServer", session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient; one whose address begins with "refused" does not exist."""
        server.note(f"RCPT TO:<{address}>")
        if address.lower().startswith("refused"):
            return "550 5.1.1 The recipient does not exist"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd names it
        self, server: "MailServer", session: Session, envelope: Envelope
    ) -> str:
        """Put the message into the outbox."""
        server.note("DATA")
        queue_id = uuid4().hex[:12]
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self._state.sent(
            "email", {"provider": "smtp", **_readable(content), **_envelope(envelope), "queue_id": queue_id}
        )
        return f"250 2.0.0 Ok: queued as {queue_id}"

    async def handle_NOOP(  # noqa: N802 - aiosmtpd names it
        self, server: "MailServer", session: Session, envelope: Envelope, argument: str
    ) -> str:
        """Answer."""
        server.note("NOOP")
        return _REFUSALS[FaultMode.ERROR_500] if server.fault.mode is FaultMode.ERROR_500 else "250 2.0.0 Ok"


class MailServer(SMTP):
    """One connection. The fault that is switched on when it begins stays with it to the end."""

    def __init__(
        self,
        state: State,
        released: asyncio.Event,
        connections: "set[MailServer]",
        *,
        loop: asyncio.AbstractEventLoop,
        tls_context: SSLContext | None,
    ) -> None:
        desk = Desk(state)
        super().__init__(
            desk,
            authenticator=desk.authenticate,
            auth_require_tls=False,
            hostname=HOST_NAME,
            ident="Integrations Portal sandbox",
            data_size_limit=LARGEST_MESSAGE,
            enable_SMTPUTF8=True,
            timeout=60,
            loop=loop,
            tls_context=tls_context,
        )
        self.fault = Fault()
        self._state = state
        self._released = released
        self._connections = connections
        self._commands: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; asyncio calls it, after STARTTLS once more."""
        self._connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End; asyncio calls it."""
        self._connections.discard(self)
        super().connection_lost(error)

    def abort(self) -> None:
        """End the connection at once."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def note(self, command: str) -> None:
        """Remember a command of the dialogue; passwords never get here."""
        if len(self._commands) < _MOST_COMMANDS:
            self._commands.append(command[:400])

    async def _handle_client(self) -> None:
        self.fault = self._state.take_fault("smtp")
        self._state.received("smtp", {"kind": "connection", "fault": str(self.fault.mode), "commands": self._commands})
        try:
            if await self._goes_on():
                await super()._handle_client()
        finally:
            # Also when the client left while a fault made it wait: asyncio would keep the connection half open.
            if self.transport is not None:
                self.transport.close()

    async def _goes_on(self) -> bool:
        """Play the faults that come before any dialogue; return whether there will be one."""
        delay = self.fault.delay_ms
        match self.fault.mode:
            case FaultMode.TIMEOUT:
                await self._wait(None if delay is None else delay / 1000)
            case FaultMode.RATE_LIMIT:
                await self.push("421 4.7.0 Too many connections, try again in 60 seconds")
            case FaultMode.MALFORMED:
                self._writer.write(b"\x00\xff\x16{]]> nothing a mail client knows \xde\xad\r\n")
            case FaultMode.SLOW:
                await self._wait(_SLOW if delay is None else delay / 1000)
                return True
            case _:
                return True
        return False

    async def _wait(self, seconds: float | None) -> None:
        """Wait so long, or until the faults change."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._released.wait(), seconds)


def _readable(content: bytes) -> dict[str, object]:
    """Return what a person wants to see of a message, each part bounded."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101 - the default policy makes these
    return {
        "message_id": _header(message, "Message-ID"),
        "from_header": _header(message, "From"),
        "to_header": _header(message, "To"),
        "subject": _header(message, "Subject"),
        "text": _body(message, "plain"),
        "html": _body(message, "html"),
        "headers": [[name, str(value)[:1000]] for name, value in message.items()][:100],
        "size": len(content),
    }


def _header(message: EmailMessage, name: str) -> str:
    return str(message.get(name, ""))[:1000]


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())[:_LONGEST_TEXT]
    except (LookupError, ValueError):
        return "(the sandbox cannot read this text)"


def _envelope(envelope: Envelope) -> dict[str, object]:
    return {"from": envelope.mail_from or "", "to": list(envelope.rcpt_tos)}
