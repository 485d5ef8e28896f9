"""The stages of Twilio's test behind the connection: account and number."""

from collections.abc import Callable
from typing import Any, Final

from portal.providers.base import Credentials
from portal.providers.outcomes import ProviderError
from portal.providers.rest import Visit, refused_outright
from portal.providers.staged import NotRun

_PAGE: Final = 20
_UNCHECKED: Final = "Not checked: these credentials may not read the account's numbers"


class Checks:
    """What to ask Twilio; each method is a stage: it returns what to show, or raises ProviderError."""

    def __init__(self, visit: Visit, credentials: Credentials) -> None:
        from portal.providers.twilio.package import asked, client_of

        self._visit = visit
        self._sid = str(credentials.get("account_sid") or "")
        self._client = client_of(visit, self._sid, str(credentials.get("auth_token") or ""))
        self._asked = asked
        self._number = str(credentials.get("from_number") or "")

    def login(self) -> str:
        """Read the account (GET /Accounts/{sid}) and see that it is active."""
        account = self._ask(lambda client: client.api.v2010.accounts(self._sid).fetch())
        if account.status in ("suspended", "closed"):
            raise self._visit.error(f"account_{account.status}", code=account.status)
        if account.status != "active":
            raise self._visit.error("unexpected_answer")
        trial = ", a trial account: it sends to verified numbers only" if account.type == "Trial" else ""
        return f"Accepted, the account is active{trial}"

    def number(self) -> str | NotRun:
        """See that the number, or the messaging service, belongs to the account and can send."""
        try:
            return self._service() if self._number.startswith("MG") else self._own_number()
        except ProviderError as error:
            if refused_outright(error):
                return NotRun(_UNCHECKED)
            raise

    def _own_number(self) -> str:
        """GET /Accounts/{sid}/IncomingPhoneNumbers with the number as filter, which also finds numbers like it."""
        found = self._ask(
            lambda client: client.incoming_phone_numbers.list(phone_number=self._number, limit=_PAGE, page_size=_PAGE)
        )
        number = next((each for each in found if each.phone_number == self._number), None)
        if number is None:
            raise self._visit.error("number_not_found")
        capabilities = number.capabilities if isinstance(number.capabilities, dict) else {}
        if not (capabilities.get("sms") or capabilities.get("SMS")):
            raise self._visit.error("number_without_sms")
        return f"{self._number} can send text messages"

    def _service(self) -> str:
        """GET messaging.twilio.com/v1/Services/{sid}."""
        try:
            service = self._ask(lambda client: client.messaging.v1.services(self._number).fetch())
        except ProviderError as error:
            if error.failure.reason in ("account_not_found", "not_found"):
                raise self._visit.error("service_not_found", code=error.code, said=error.failure.said) from None
            raise
        name = self._visit.shown(str(service.friendly_name or self._number), 60)
        return f"Messaging service {name}"

    def _ask(self, call: Callable[[Any], Any]) -> Any:
        return self._asked(self._visit, lambda: call(self._client))
