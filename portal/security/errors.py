"""The root of everything the security room refuses."""


class SecurityError(Exception):
    """Root of the room's errors; the text is a sentence for the person who can mend it and holds no key material."""
