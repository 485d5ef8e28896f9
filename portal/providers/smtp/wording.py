"""Everything that can go wrong in a visit to a mail server, turned into failures with words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from portal.providers.certificates import refused_certificate
from portal.providers.outcomes import Failure, ProviderError
from portal.providers.redaction import provider_words
from portal.providers.smtp import replies
from portal.providers.smtp.client import Reply
from portal.providers.smtp.errors import LOGIN_HINTS, SENDGRID_USER_HINT, TABLE
from portal.providers.smtp.login import Login
from portal.providers.smtp.replies import Stage
from portal.providers.smtp.wire import HandshakeFailed, Rubbish
from portal.providers.staged import Deadline
from portal.providers.transport import explain
from portal.security.network import NetworkError

LONGEST_SHOWN: Final = 300
"""Characters of a server's own text that are kept."""
# What OpenSSL says when the other side answered a TLS greeting in plain text.
_PLAIN_TEXT: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}
)


class Wording:
    """Knows the settings and the clock of a visit, and finds the words for what happens in it."""

    def __init__(self, login: Login, deadline: Deadline) -> None:
        self._login = login
        self._deadline = deadline

    @contextmanager
    def during(self, stage: Stage) -> Iterator[None]:
        """Turn every exception of network, TLS and dialogue into a ProviderError, without the original behind it."""
        try:
            yield
        except HandshakeFailed as failed:
            raise self._handshake(stage, failed) from None
        except Rubbish as rubbish:
            raise self._rubbish(stage, rubbish) from None
        except TimeoutError as error:
            silent = stage is Stage.GREETING and self._login.security != "tls"
            raise self.error("wants_tls_first") if silent else self._network(stage, error) from None
        except (NetworkError, OSError) as error:
            raise self._network(stage, error) from None
        except ValueError:
            # smtplib refuses to put a line break or a letter outside ASCII on the wire; only an address can have one.
            raise self.error("sender_malformed", stage) from None

    def error(self, reason: str, stage: Stage = Stage.CONNECT, **places: object) -> ProviderError:
        """Return the error of a row of the table."""
        return ProviderError(Failure.of(TABLE[reason], self._places(stage) | places))

    def refusal(self, stage: Stage, reply: Reply, **places: object) -> Failure:
        """Put a refusing answer into words."""
        text = " ".join(reply.text.decode("utf-8", "replace").split())
        failure = Failure.of(
            TABLE[replies.reason_of(stage, reply.code, text)],
            self._places(stage) | places,
            code=replies.full_code(reply.code, text),
            said=self.shown(f"{reply.code} {text}"),
            retry_after=replies.retry_after(text) if reply.code < 500 else None,
        )
        return self._for_service(failure)

    def shown(self, text: str | bytes, longest: int = LONGEST_SHOWN) -> str:
        """Return something the server said, safe to store and show."""
        return provider_words(text, (self._login.password,), longest)

    def _network(self, stage: Stage, error: Exception) -> ProviderError:
        return ProviderError(explain(error, self._places(stage), connecting=stage is Stage.CONNECT))

    def _handshake(self, stage: Stage, failed: HandshakeFailed) -> ProviderError:
        if failed.error.reason in _PLAIN_TEXT:
            return self.error("wants_starttls" if self._login.security == "tls" else "rubbish", stage)
        about = refused_certificate(failed.connection)
        places = self._places(stage) | {"names": self.shown(about.shown_names), "until": about.shown_expiry}
        return ProviderError(explain(failed.error, places, connecting=False))

    def _rubbish(self, stage: Stage, rubbish: Rubbish) -> ProviderError:
        if stage is Stage.GREETING:
            return self.error("not_smtp", service=replies.service_named(rubbish.sample))
        return self.error("rubbish", stage)

    def _places(self, stage: Stage) -> dict[str, object]:
        return {
            "host": self._login.host,
            "port": self._login.port,
            "when": stage.value,
            "seconds": f"{self._deadline.elapsed():.1f}".removesuffix(".0"),
            "sender": self._login.from_email,
            "names": "another host",
            "until": "",
        }

    def _for_service(self, failure: Failure) -> Failure:
        """Replace the hint about a refused login by one that fits the mail service."""
        if failure.reason != "login_rejected" or self._login.service not in LOGIN_HINTS:
            return failure
        wrong_user = self._login.service == "sendgrid" and self._login.username != "apikey"
        return failure.with_hint(SENDGRID_USER_HINT if wrong_user else LOGIN_HINTS[self._login.service])
