"""What the SMTP tests share: credentials, scripts of servers, and finding the step that failed."""

from collections.abc import Callable

from portal.providers.base import Context, Report, Step, StepState, Value
from tests.providers.servers import Peer, Script

PASSWORD = "cAnArY/pass word-7f3b9e"
LOGIN = "AUTH PLAIN LOGIN"
MakeContext = Callable[..., Context]


def credentials(port: int, security: str = "none", **changes: Value) -> dict[str, Value]:
    """Credentials for a server on loopback."""
    return {
        "host": "mail.example.com",
        "port": port,
        "security": security,
        "username": "user",
        "password": PASSWORD,
        "from_email": "noreply@example.com",
        **changes,
    }


def failed(report: Report) -> Step:
    """The failed step; those before it passed or had nothing to do, those after it did not run."""
    at = next(n for n, step in enumerate(report.steps) if step.state is StepState.FAILED)
    assert all(step.state in (StepState.PASSED, StepState.NOT_RUN) for step in report.steps[:at])
    assert all(step.state is StepState.NOT_RUN for step in report.steps[at + 1 :])
    return report.steps[at]


def play(*acts: Script) -> Script:
    """Do one thing after the other."""

    def script(peer: Peer) -> None:
        for act in acts:
            act(peer)

    return script


def send(data: bytes) -> Script:
    """Send bytes."""
    return lambda peer: peer.send(data)


def say(*lines: str) -> Script:
    """Send lines."""
    return lambda peer: peer.say(*lines)


def greet(*extensions: str) -> Script:
    """Greet and answer EHLO."""
    return lambda peer: peer.greet(*extensions)


def take(*answers: str) -> Script:
    """Answer so many commands."""
    return lambda peer: peer.take(*answers)


def hear(peer: Peer) -> None:
    """Read a command and do not answer."""
    peer.hear()


def hang(peer: Peer) -> None:
    """Be silent until the client goes."""
    peer.hang()


def drip(data: bytes) -> Script:
    """Send a byte now and then until the client goes."""
    return lambda peer: peer.drip(data)


def leave(peer: Peer) -> None:
    """Close the connection, whatever stands after this."""
    raise ConnectionResetError


def refuse_login(*answer: str) -> Script:
    """Answer AUTH with these lines."""
    return play(greet(LOGIN), hear, say(*answer), hang)


def fine(*extensions: str, answers: int = 4) -> Script:
    """Agree to everything."""
    return play(greet(*extensions), take(*["250 fine"] * answers))
