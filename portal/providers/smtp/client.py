"""The SMTP dialogue: smtplib's commands over our bounded connection, with a login that sends a password once only."""

import base64
import hmac
import smtplib
import ssl
from typing import Final, NamedTuple

from portal.providers.smtp.wire import LARGEST_ANSWER, Rubbish, Wire
from portal.providers.transcript import Transcript
from portal.security.redaction import REDACTED

AUTH_OK: Final = 235
AUTH_GO_ON: Final = 334
_MECHANISM_UNKNOWN: Final = 504


class Reply(NamedTuple):
    """A server's answer: its three-digit code and its text, lines joined by a line feed."""

    code: int
    text: bytes


class NoLoginOffered(Exception):
    """The server offers no way to log in that the portal knows; `offered` names the ones it has."""

    def __init__(self, offered: str) -> None:
        super().__init__("no login offered")
        self.offered = offered


class Client(smtplib.SMTP):
    """smtplib.SMTP that reads and writes through a Wire, so that nothing it does can exceed deadline or bounds.

    Commands, extensions and address quoting are smtplib's. Its own input and output, STARTTLS and login are
    replaced: they know no total time, read answers without limit, and try a refused password once per mechanism.
    """

    ehlo_msg = "EHLO"

    def __init__(self, wire: Wire, client_name: str, transcript: Transcript | None = None) -> None:
        super().__init__(local_hostname=client_name)
        self.wire = wire
        self._transcript = transcript or Transcript()
        self._logging_in = False

    def send(self, s: object) -> None:
        """Send a command or data; smtplib calls it."""
        self._take_down(s)
        self.wire.send(s.encode("ascii") if isinstance(s, str) else bytes(s))  # type: ignore[call-overload]

    def _take_down(self, sent: object) -> None:
        """Keep a command in the transcript; of a login only which way, whatever stands in it."""
        if not isinstance(sent, str):
            self._transcript.note(f"{len(bytes(sent)):,} bytes sent")  # type: ignore[call-overload]
        elif self._logging_in:
            verb, _, rest = sent.strip().partition(" ")
            way, _, secret = rest.partition(" ")
            known = verb == "AUTH"
            self._transcript.sent(f"{verb} {way} {REDACTED if secret else ''}".rstrip() if known else REDACTED)
        else:
            self._transcript.sent(sent)

    def getreply(self) -> Reply:
        """Read one answer, which may have many lines (RFC 5321, 4.2).

        Raises:
            Rubbish: it is not an answer, or larger than any may be.
        """
        heard: list[bytes] = []
        try:
            return self._heard(heard)
        finally:
            self._transcript.got(b"\n".join(heard))

    def _heard(self, heard: list[bytes]) -> Reply:
        """Read one answer; what was heard of it is kept even if it breaks off, codes of further lines left out."""
        lines: list[bytes] = []
        size = 0
        while True:
            line = self.wire.read_line()
            size += len(line)
            code = line[:3]
            heard.append(line[4:] if lines else line)
            if not code.isdigit() or line[3:4] not in (b"", b" ", b"-") or size > LARGEST_ANSWER:
                raise Rubbish(line)
            lines.append(line[4:].strip(b" \t"))
            if line[3:4] != b"-":
                return Reply(int(code), b"\n".join(lines))

    def close(self) -> None:
        """Close the connection without a word."""
        self.wire.close()

    def encrypt(self, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
        """Change to TLS. What the server offered before no longer counts (RFC 3207, 4.2); ehlo() forgets it."""
        return self.wire.encrypt(context, host)

    def authenticate(self, user: str, password: str) -> Reply:
        """Log in with the first mechanism that both know, and return the server's answer (RFC 4954).

        The next mechanism is tried only if the server does not know the one it offered, never after a refusal: two
        refused tries for one test would soon lock an account.

        Raises:
            NoLoginOffered: there is none.
        """
        offered = self.esmtp_features.get("auth", "").upper().split()
        reply: Reply | None = None
        for name, mechanism in _MECHANISMS.items():
            if name in offered:
                self._logging_in = True
                reply = mechanism(self, user, password)
                self._logging_in = False
                if reply.code != _MECHANISM_UNKNOWN:
                    return reply
        if reply is None:
            raise NoLoginOffered(" ".join(offered))
        return reply

    def command(self, verb: str, argument: str = "") -> Reply:
        """Send a command and return its answer."""
        return Reply(*self.docmd(verb, argument))


def _plain(client: Client, user: str, password: str) -> Reply:
    """RFC 4616; most servers take the answer with the command, some ask for it."""
    answer = _base64(f"\0{user}\0{password}")
    reply = client.command("AUTH", f"PLAIN {answer}")
    return client.command(answer) if reply.code == AUTH_GO_ON and not reply.text else reply


def _login(client: Client, user: str, password: str) -> Reply:
    """The old way of asking for user name and password one after the other; never a standard, spoken everywhere."""
    reply = client.command("AUTH", "LOGIN")
    for answer in (user, password):
        if reply.code == AUTH_GO_ON:
            reply = client.command(_base64(answer))
    return reply


def _cram_md5(client: Client, user: str, password: str) -> Reply:
    """RFC 2195: proves the password without sending it; the only way that some old servers have."""
    reply = client.command("AUTH", "CRAM-MD5")
    if reply.code != AUTH_GO_ON:
        return reply
    try:
        challenge = base64.b64decode(reply.text, validate=True)
    except ValueError:
        raise Rubbish(reply.text) from None
    digest = hmac.digest(_utf8(password), challenge, "md5").hex()
    return client.command(_base64(f"{user} {digest}"))


_MECHANISMS: Final = {"PLAIN": _plain, "LOGIN": _login, "CRAM-MD5": _cram_md5}


def _utf8(text: str) -> bytes:
    # An error about a character would carry the password in it, so such a character is replaced; the login fails.
    return text.encode("utf-8", "replace")


def _base64(text: str) -> str:
    return base64.b64encode(_utf8(text)).decode("ascii")
