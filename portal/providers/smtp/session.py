"""One visit to a mail server, stage by stage; whatever goes wrong in a stage comes out as a ProviderError in words."""

import ssl
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self

from portal.providers.base import Context, Credentials
from portal.providers.certificates import client_context, describe
from portal.providers.outcomes import Failure, ProviderError
from portal.providers.smtp.client import AUTH_OK, Client, NoLoginOffered, Reply
from portal.providers.smtp.login import Login
from portal.providers.smtp.replies import Stage
from portal.providers.smtp.wire import Rubbish, Wire
from portal.providers.smtp.wording import Wording
from portal.providers.staged import Deadline, NotRun
from portal.security.network import Address

CONNECT_LIMIT: Final = 10.0
"""Seconds that connecting may take at most, so that some of the call's time is left to say why."""
GOODBYE_LIMIT: Final = 1.0


class Session:
    """The dialogue with one server. Use it as a context manager; leaving it closes the connection.

    Each stage method returns what to show beside it, or raises ProviderError.
    """

    def __init__(self, credentials: Credentials, context: Context) -> None:
        self.settings = Login.of(credentials)
        self.context = context
        context.transcript.know([self.settings.password])
        self.facts: dict[str, str | int] = {}
        self._deadline = Deadline(context.deadline, context.monotonic)
        self._words = Wording(self.settings, self._deadline)
        self._addresses: list[Address] = []
        self._server_name = self.settings.host
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client:
            self._client.close()

    @property
    def client(self) -> Client:
        """The client, once connected."""
        if self._client is None:
            raise RuntimeError("not connected yet")
        return self._client

    def resolve(self) -> str:
        """Find the server's addresses."""
        host, port = self.settings.host, self.settings.port
        with self._words.during(Stage.CONNECT):
            self._addresses = list(self.context.network.resolve(host, port, self._deadline.remaining(CONNECT_LIMIT)))
        many = len(self._addresses)
        return f"{host}, {many} {'address' if many == 1 else 'addresses'}"

    def connect(self) -> str:
        """Open the TCP connection; where the server speaks first in the clear, also hear its greeting."""
        with self._words.during(Stage.CONNECT):
            network = self.context.network
            connection, address = network.connect(self._addresses, self._deadline.remaining(CONNECT_LIMIT))
            wire, name = Wire(connection, self._deadline), _client_name(self.context.client_name)
            self._client = Client(wire, name, self.context.transcript)
        self._server_name = address.host
        self.facts["address"] = str(address.ip)
        if self.settings.security != "tls":
            self._greet()
        return f"{address.ip}, port {address.port}"

    def encrypt(self) -> str | NotRun:
        """Change to TLS as the settings say, and greet again or for the first time."""
        security = self.settings.security
        if security == "none":
            return NotRun("No encryption chosen")
        if security == "starttls":
            self._ask_for_tls()
        with self._words.during(Stage.TLS):
            connection = self.client.encrypt(client_context(self.context.extra_ca_pem), self._server_name)
        shown = describe(connection, self.facts)
        self.context.transcript.note(f"Encrypted from here: {shown}")
        if security == "tls":
            self._greet()
            return f"TLS from the start, {shown}"
        self._hello()
        return f"STARTTLS, {shown}"

    def login(self) -> str | NotRun:
        """Log in, where the settings have a user name."""
        data = self.settings
        if not data.username:
            return NotRun("No user name given; the server is reachable")
        with self._words.during(Stage.LOGIN):
            try:
                reply = self.client.authenticate(data.username, data.password)
            except NoLoginOffered as missing:
                reason = "login_unknown_way" if missing.offered else "login_not_offered"
                raise self._words.error(reason, offered=self._words.shown(missing.offered, 100)) from None
        self._expect(Stage.LOGIN, reply, AUTH_OK)
        return "Accepted"

    def noop(self) -> str:
        """Ask for nothing, to see that the server answers after the login."""
        reply = self._command(Stage.NOOP, "NOOP")
        self._expect(Stage.NOOP, reply, 250)
        return "The server answers"

    def try_sender(self) -> str:
        """Name the sender and take it back: the server says whether it may send, and nothing is sent."""
        self.name_sender(self.settings.from_email)
        self._command(Stage.SENDER, "RSET")
        return f"{self.settings.from_email} may send"

    def name_sender(self, sender: str, size: int = 0) -> None:
        """Begin a message from this sender of so many bytes; one too large is refused before it is sent (RFC 1870)."""
        most = str(self.client.esmtp_features.get("size", "")).strip()
        if most.isdecimal() and 0 < int(most[:15]) < size:
            raise self._words.error("message_too_large")
        options = [f"SIZE={size}"] if size and self.client.has_extn("size") else []
        with self._words.during(Stage.SENDER):
            reply = Reply(*self.client.mail(sender, options))
        self._expect(Stage.SENDER, reply, 250, sender=sender)

    def name_recipient(self, recipient: str) -> Failure | None:
        """Name one recipient; return why the server refuses it, if it does."""
        with self._words.during(Stage.RECIPIENT):
            reply = Reply(*self.client.rcpt(recipient))
        return None if reply.code // 100 == 2 else self._words.refusal(Stage.RECIPIENT, reply)

    def hand_over(self, payload: bytes) -> str:
        """Send the message (RFC 5321, 4.1.1.4) and return the server's own words of acceptance.

        Raises:
            ProviderError: refused; with the outcome unknown_outcome when all of it was sent and no answer came.
        """
        reply = self._command(Stage.DATA, "DATA")
        self._expect(Stage.DATA, reply, 354)
        with self._words.during(Stage.DATA):
            self.client.send(payload)
        try:
            with self._words.during(Stage.DATA):
                reply = self.client.getreply()
        except ProviderError:
            raise self._words.error("unconfirmed") from None
        if reply.code < 200 or 300 <= reply.code < 400:
            raise self._words.error("unconfirmed")
        self._expect(Stage.DATA, reply, 250)
        return self._words.shown(reply.text, 300)

    def goodbye(self) -> None:
        """Take leave, as politeness asks; what comes back does not matter any more."""
        try:
            self._deadline = Deadline(min(GOODBYE_LIMIT, self._deadline.remaining()), self.context.monotonic)
            self.client.wire.limit(self._deadline)
            self.client.command("QUIT")
        except (OSError, ssl.SSLError, Rubbish):
            pass

    def _greet(self) -> None:
        with self._words.during(Stage.GREETING):
            reply = self.client.getreply()
        self._expect(Stage.GREETING, reply, 220)
        self._hello()

    def _hello(self) -> None:
        with self._words.during(Stage.HELLO):
            reply = Reply(*self.client.ehlo())
            if 500 <= reply.code < 600:
                reply = Reply(*self.client.helo())
        self._expect(Stage.HELLO, reply, 250)

    def _ask_for_tls(self) -> None:
        if not self.client.has_extn("starttls"):
            raise self._words.error("starttls_not_offered")
        reply = self._command(Stage.TLS, "STARTTLS")
        self._expect(Stage.TLS, reply, 220)

    def _command(self, stage: Stage, verb: str) -> Reply:
        with self._words.during(stage):
            return self.client.command(verb)

    def _expect(self, stage: Stage, reply: Reply, code: int, **places: object) -> None:
        """Refuse an answer of another kind; the first digit decides, as RFC 5321 4.2.1 asks."""
        if reply.code // 100 != code // 100:
            raise ProviderError(self._words.refusal(stage, reply, **places))


def _client_name(name: str) -> str:
    """Return the name for EHLO: a host name, or an address literal in brackets (RFC 5321, 4.1.3)."""
    try:
        address = ip_address(name)
    except ValueError:
        return name if name.isascii() and name.isprintable() and " " not in name and name else "localhost"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
