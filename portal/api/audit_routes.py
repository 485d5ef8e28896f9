"""/api/admin: the audit trail, and who used which credentials."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from portal.api import lists, presenting
from portal.api import schema as s
from portal.api.declaring import Answer, admin
from portal.audit import access, search
from portal.audit.plain import clean
from portal.audit.search import Filters
from portal.paging import cursor_moment, decode_cursor, encode_cursor
from portal.web.access import identity

TAG: Final = "Audit"
TEXTS: Final = ("group", "actor", "target")
LONGEST: Final = 200
"""Characters that a text filter takes."""


@admin.endpoint(
    "GET",
    "/audit",
    tag=TAG,
    query={
        "group": s.text("The part of the action before the dot.", maxLength=LONGEST),
        "actor": s.text("Part of the name of who did it, or the start of the address it came from.", maxLength=LONGEST),
        "target": s.text("Part of the name of what changed, or its id.", maxLength=LONGEST),
        "since": s.moment("From this time on."),
        "until": s.moment("Before this time."),
        **s.paging(),
    },
    answers={200: Answer(about="The newest first.", schema=s.page_of(s.ref("AuditEntry")))},
)
def list_audit_entries(*, query: Mapping[str, Any]) -> presenting.Json:
    """List who changed what, and when."""
    texts = {name: clean(query[name], LONGEST) for name in TEXTS if name in query}
    filters = Filters(**lists.without_place(query) | texts)
    with lists.good_cursor():
        before = _number(query["cursor"]) if "cursor" in query else None
    found = search.list_entries(
        organization_id=identity().organization_id, filters=filters, before=before, limit=query["limit"]
    )
    cursor = encode_cursor(str(found.older)) if found.older else None
    return {"items": [presenting.audit_entry(each) for each in found.entries], "next_cursor": cursor}


@admin.endpoint(
    "GET",
    "/credential-access",
    tag=TAG,
    query=s.paging(),
    answers={200: Answer(about="The newest first.", schema=s.page_of(s.ref("CredentialAccess")))},
)
def list_credential_accesses(*, query: Mapping[str, Any]) -> presenting.Json:
    """List who used which stored credentials, and what for."""
    place = None
    if "cursor" in query:
        with lists.good_cursor():
            at, row_id = decode_cursor(query["cursor"], 2)
            place = (cursor_moment(at), uuid.UUID(row_id))
    found = access.list_accesses(organization_id=identity().organization_id, place=place, limit=query["limit"])
    last = found.rows[-1] if found.older else None
    cursor = encode_cursor(last.last_at, last.id) if last else None
    return {"items": [presenting.credential_access(each) for each in found.rows], "next_cursor": cursor}


def _number(cursor: str) -> int:
    number = int(decode_cursor(cursor, 1)[0])
    if not 0 < number < search.LAST:
        raise ValueError("no entry has this number")
    return number
