"""Recent authentication inside a form of another room: asks for password or code there, without leaving the form."""

from portal.accounts import browser, hashing, sign_in
from portal.accounts.errors import AccountsError
from portal.web import access


def ask(answer: str) -> str:
    """Return what is still missing, in words; "" where password or code were given just now or with this answer.

    It owns its transactions. A right answer counts for ten minutes. The session keeps its token, since
    the page with the form goes on asking for its parts while the form is being worked on.

    Args:
        answer: password or code of the authenticator app, as typed into the form.
    """
    if access.is_recent(access.identity()):
        return ""
    if not answer:
        return "Enter your password or a code from your authenticator app."
    try:
        sign_in.confirm_within(browser.member(), answer=answer, hasher=hashing.hasher())
    except AccountsError as error:
        return str(error)
    return ""
