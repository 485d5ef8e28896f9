"""What can go wrong in the accounts room; every message is a sentence for the person who can mend it."""


class AccountsError(Exception):
    """Parent of the errors of this room."""


class WrongCredentialsError(AccountsError):
    """Email or password is wrong, or the user is disabled: deliberately one answer."""

    def __init__(self) -> None:
        super().__init__("Email or password is wrong. Check both and try again.")


class WrongPasswordError(AccountsError):
    """A signed-in person gave a wrong password."""

    def __init__(self) -> None:
        super().__init__("This is not your current password. Check it and try again.")


class WrongCodeError(AccountsError):
    """The second factor was wrong, or already used."""

    def __init__(self) -> None:
        super().__init__("This code is wrong or was already used. Try a new one.")


class WrongAnswerError(AccountsError):
    """Neither the password nor a fresh code, where either would do."""

    def __init__(self) -> None:
        super().__init__("Neither your password nor a fresh code. Check it and try again.")


class TooManyTriesError(AccountsError):
    """Guessing is slowed down.

    Attributes:
        retry_after: seconds until the next try counts.
    """

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many tries. Try again in {_wait(retry_after)}.")


class SignInExpiredError(AccountsError):
    """The second step came too late, or the first one was never done."""

    def __init__(self) -> None:
        super().__init__("The second step took too long. Sign in again.")


class NoOrganizationError(AccountsError):
    """The person belongs to no organization any more."""

    def __init__(self) -> None:
        super().__init__("Your account belongs to no organization. Ask an owner to add you.")


class SetupClosedError(AccountsError):
    """There is an owner already."""

    def __init__(self) -> None:
        super().__init__("This portal is already set up. Sign in, or ask its owner to add you.")


class WrongSetupCodeError(AccountsError):
    """The one-time code of the first run is wrong."""

    def __init__(self) -> None:
        super().__init__("This is not the code of the latest start. Copy it from the portal's log.")


class WeakPasswordError(AccountsError):
    """The new password is easy to guess; the message says why."""


class EmailTakenError(AccountsError):
    """There is a user with this address."""

    def __init__(self, email: str) -> None:
        super().__init__(f"There is already a user with the email {email}.")


class NoPendingEnrolmentError(AccountsError):
    """No enrolment of an authenticator app is under way."""

    def __init__(self) -> None:
        super().__init__("The set-up of two-factor authentication was not started, or is already done.")


class TwoFactorNeededError(AccountsError):
    """Two-factor authentication cannot be turned off for this role or organization."""

    def __init__(self) -> None:
        super().__init__("Your role or your organization needs two-factor authentication, so it stays on.")


class BadTokenError(AccountsError):
    """An API token cannot be made like this.

    Attributes:
        field: the field that is wrong.
    """

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class KeyInUseError(AccountsError):
    """A request with this idempotency key is under way."""

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is under way. Wait for its answer, then repeat it.")


class KeyReusedError(AccountsError):
    """An idempotency key stood for another request before."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with another body. Use a new key for a new request.")


class NotFoundError(AccountsError):
    """There is no such thing for this person."""


def _wait(seconds: int) -> str:
    """Write a time to wait, rounded up to what a person would say."""
    for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds > size or size == 1:
            count = max(1, -(-seconds // size))
            return f"{count} {unit}{'s' if count != 1 else ''}"
    raise AssertionError("unreachable")
