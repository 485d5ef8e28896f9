"""The sandbox: providers that behave like the real ones, inside one process and without any account."""

import signal
import socket
from types import TracebackType
from typing import Self

from werkzeug.wrappers import Response

from portal.sandbox.apis import APIS
from portal.sandbox.certificates import Authority
from portal.sandbox.control import control_app
from portal.sandbox.playing import ApiService
from portal.sandbox.services import HOST, MailService
from portal.sandbox.state import MAIL_PASSWORD as PASSWORD
from portal.sandbox.state import WEBHOOKS, Fault, State, modes_of
from portal.sandbox.webhooks.playing import PREFIX, Receiver
from portal.sandbox.webserver import Environ, WebServer

__all__ = ["PASSWORD", "Sandbox", "SandboxError", "serve"]

WEB_PORT = 8025
SMTP_PORT = 8026
MOST_CONNECTIONS = 256
"""To the receiver and the control at the same time: twice what the portal's dispatcher opens by itself."""


class SandboxError(Exception):
    """The sandbox cannot start; the text says why in one line."""


class Sandbox:
    """The sandbox's servers, on this machine's loopback address alone. start() and stop() once each."""

    def __init__(self, *, mail_password: str = PASSWORD) -> None:
        self.state = State(("smtp", *(api.slug for api in APIS), WEBHOOKS), mail_password=mail_password)
        self._authority = Authority()
        self._mail = MailService(self.state, self._authority)
        self._apis = ApiService(self.state, self._authority, APIS)
        self.receiver = Receiver(self.state)
        self._control = control_app(self.state, self.receiver, self._info)
        self._web = WebServer(self._play, most=MOST_CONNECTIONS)
        self.port = self.smtp_port = self.smtp_tls_port = self.https_port = 0
        self.state.on_change(self._mail.release)
        self.state.on_change(self._apis.release)
        self.state.on_change(self.receiver.release)

    def start(self, port: int = WEB_PORT, smtp_port: int = SMTP_PORT) -> Self:
        """Listen; port 0 means any free one.

        Raises:
            SandboxError: a port is taken.
        """
        try:
            self.smtp_port, self.smtp_tls_port = self._mail.start(smtp_port)
        except OSError as error:
            raise SandboxError(_taken(smtp_port, "--smtp-port", error)) from None
        try:
            self.port = self._web.start(port)
        except OSError as error:
            self._mail.stop()
            raise SandboxError(_taken(port, "--port", error)) from None
        self.https_port = self._apis.start(0)
        return self

    def stop(self) -> None:
        """End every connection and wait for the threads."""
        self._web.stop()
        self._apis.stop()
        self._mail.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the sandbox is controlled; the value of PORTAL_SANDBOX_URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def ca_pem(self) -> str:
        """The certificate authority behind the certificates of the mail server and the web APIs."""
        return self._authority.pem

    @property
    def outbox(self) -> list[dict[str, object]]:
        """What was sent, newest first."""
        return self.state.outbox()

    @property
    def requests(self) -> list[dict[str, object]]:
        """What was received, newest first."""
        return self.state.requests()

    def fault(self, provider: str, *, mode: str, delay_ms: int | None = None, times: int | None = None) -> None:
        """Switch a fault on (mode none: off), as PUT /_sandbox/faults/{provider} does.

        Raises:
            BadFault: there is no such fault.
        """
        asked = Fault.read({"mode": mode, "delay_ms": delay_ms, "times": times}, modes_of(provider))
        self.state.set_fault(provider, asked)

    def reset(self) -> None:
        """Forget everything and switch every fault off."""
        self.receiver.inbox.reset()
        self.state.reset()

    def _play(self, environ: Environ, body: bytes, connection: socket.socket) -> Response | None:
        """Answer a request to the sandbox's own address: a webhook, or the control."""
        if str(environ["PATH_INFO"]).startswith(PREFIX):
            return self.receiver.play(environ, body, connection)
        return Response.from_app(self._control, environ, buffered=True)

    def _info(self) -> dict[str, object]:
        return {
            "smtp": {"host": HOST, "port": self.smtp_port, "tls_port": self.smtp_tls_port},
            "https": {"host": HOST, "port": self.https_port, "plays": {api.slug: list(api.hosts) for api in APIS}},
            "webhooks": f"{self.url}{PREFIX}",
            "accounts": _accounts(),
            "ca_pem": self.ca_pem,
        }


def serve(port: int = WEB_PORT, smtp_port: int = SMTP_PORT) -> None:
    """Run the sandbox until the process is told to end; the command `portal sandbox`.

    Raises:
        SandboxError: a port is taken.
    """
    ending = {signal.SIGINT, signal.SIGTERM}
    # Blocked before any thread starts, so that they wait for sigwait() wherever they arrive.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        with Sandbox().start(port, smtp_port) as sandbox:
            print(f"Sandbox on {sandbox.url}, mail server on {HOST}:{sandbox.smtp_port}")  # noqa: T201
            print(f"Webhooks to {sandbox.url}{PREFIX}<any name>, shown at {sandbox.url}/webhooks")  # noqa: T201
            print(f"Web APIs on {HOST}:{sandbox.https_port}. Accepted:")  # noqa: T201
            for provider, account in _accounts().items():
                for name, value in account.items():
                    print(f"  {provider:9} {name}: {value}")  # noqa: T201
            print("Ctrl+C ends it.", flush=True)  # noqa: T201
            signal.sigwait(ending)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _accounts() -> dict[str, dict[str, str]]:
    """Return what each provider accepts; all of it is published and opens nothing else."""
    return {"smtp": {"username": "any", "password": PASSWORD}, **{api.slug: dict(api.accounts) for api in APIS}}


def _taken(port: int, option: str, error: OSError) -> str:
    return f"The sandbox cannot listen on {HOST}:{port} ({error.strerror}). Choose another port with {option}."
