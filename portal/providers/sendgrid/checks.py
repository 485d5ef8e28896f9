"""The stages of SendGrid's test behind the connection: key, permission, sender."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from portal.http import Answer
from portal.providers.base import Credentials
from portal.providers.outcomes import ProviderError
from portal.providers.rest import Visit, items, refused_outright
from portal.providers.staged import NotRun

SEND: Final = "mail.send"
_PAGE: Final = 100
_MOST_PAGES: Final = 10
# What a key for sending has beside mail.send; SendGrid itself adds the ones in the second line to every key.
_USUAL: Final = ("mail.", "verified_senders.", "senders.", "whitelabel.", "2fa_required", "sender_verification")
_MANY: Final = 10
_UNCHECKED: Final = "Not checked: the key may not read the verified senders. That is fine, if the sender is verified"


class Checks:
    """What to ask SendGrid; each method is a stage: it returns what to show, or raises ProviderError."""

    def __init__(self, visit: Visit, credentials: Credentials) -> None:
        from portal.providers.sendgrid.package import answer_of, client_of

        self._visit = visit
        self._client = client_of(visit, str(credentials.get("api_key") or "")).client
        self._answer_of = answer_of
        self._sender = str(credentials.get("verified_sender") or "").lower()
        self._scopes: tuple[str, ...] = ()

    def login(self) -> str:
        """Ask what the key may do (GET /v3/scopes): the cheapest call, for which every key is good enough."""
        document = self._visit.document(self._get("scopes"), dict)
        scopes = document.get("scopes")
        if not isinstance(scopes, list):
            raise self._visit.error("unexpected_answer")
        self._scopes = tuple(str(each) for each in scopes)
        return f"Accepted, a key with {len(self._scopes)} {'permission' if len(self._scopes) == 1 else 'permissions'}"

    def permission(self) -> str:
        """See that the key may send, and say so when it may do far more than that."""
        if SEND not in self._scopes:
            raise self._visit.error("cannot_send")
        more = sum(not scope.startswith(_USUAL) for scope in self._scopes)
        if more > _MANY:
            return f"{SEND}; it may do {more} other things as well, a key for Mail Send alone is safer"
        return SEND

    def sender(self) -> str | NotRun:
        """See that the sender is verified by itself or through its domain, as far as the key may read that."""
        own = self._readable(self._verified_by_itself)
        if own:
            return f"{self._sender} is a verified sender"
        domain = self._readable(self._domain_is_authenticated)
        if domain:
            return f"{self._sender} may send, its domain is authenticated"
        if own is None or domain is None:
            return NotRun(_UNCHECKED)
        raise self._visit.error("sender_rejected")

    def _verified_by_itself(self) -> bool:
        """Read the single senders page by page (GET /v3/verified_senders) until the sender is found."""
        last: Any = None
        for _ in range(_MOST_PAGES):
            query = {"limit": _PAGE} if last is None else {"limit": _PAGE, "lastSeenID": last}
            page = items(self._visit.document(self._get("verified_senders", query), dict), "results")
            if any(self._is_sender(each) for each in page):
                return True
            if len(page) < _PAGE or page[-1].get("id") in (None, last):
                return False
            last = page[-1]["id"]
        return False

    def _domain_is_authenticated(self) -> bool:
        domain = self._sender.rpartition("@")[2]
        found = items(self._visit.document(self._get("whitelabel/domains", {"domain": domain}), list))
        return any(str(each.get("domain")).lower() == domain and each.get("valid") is True for each in found)

    def _is_sender(self, entry: Mapping[str, Any]) -> bool:
        return str(entry.get("from_email")).lower() == self._sender and entry.get("verified") is True

    def _readable(self, ask: Callable[[], bool]) -> bool | None:
        """Return an answer, or None where the key may not ask."""
        try:
            return ask()
        except ProviderError as error:
            if refused_outright(error):
                return None
            raise

    def _get(self, path: str, query: Mapping[str, object] | None = None) -> Answer:
        call = self._client
        for part in path.split("/"):
            call = call._(part)
        return self._answer_of(call.get(query_params=dict(query or {})))
