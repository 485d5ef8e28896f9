"""The settings of one SMTP integration, read from its credentials."""

from dataclasses import dataclass
from typing import Final, Self

from portal.providers.base import Credentials
from portal.providers.smtp.presets import service_of

_TEXTS: Final = ("host", "security", "username", "password", "from_email", "from_name")


@dataclass(frozen=True, repr=False)
class Login:
    """Where to connect, as whom, for which sender; `service` is the mail service behind it. No repr on purpose."""

    host: str
    port: int
    security: str
    username: str
    password: str
    from_email: str
    from_name: str
    service: str

    @classmethod
    def of(cls, credentials: Credentials) -> Self:
        """Read the settings; what is missing is empty."""
        text = {name: str(credentials.get(name) or "") for name in _TEXTS}
        return cls(port=int(credentials.get("port") or 587), service=service_of(credentials), **text)
