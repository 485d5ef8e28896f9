"""Passwords that must never be seen again once they are typed, and the search for them."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

GOOD = "canary-7Qm2xWv9-sings-in-the-mine-4Tz8"
"""The one password that the tests' mail server accepts."""
WRONG = "canary-3Hk6pLd5-was-refused-at-the-gate-9Rb1"
"""A password that it refuses."""
SECRETS = (GOOD, WRONG)


def leaks(content: bytes | str) -> list[str]:
    """Return in which forms a secret stands in the content; empty where it does not."""
    data = content.encode() if isinstance(content, str) else content
    return [f"{secret[:12]}… as {name}" for secret in SECRETS for name, form in _forms(secret.encode()) if form in data]


def leaks_in_folder(folder: Path) -> list[str]:
    """Search every file of a folder and of the folders in it; each finding begins with the file's name."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files, f"{folder} holds no file: the search would prove nothing"
    return [f"{path.relative_to(folder)}: {found}" for path in files for found in leaks(path.read_bytes())]


def _forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    yield "text", secret
    yield "UTF-16", secret.decode().encode("utf-16-le")
    yield "hex", secret.hex().encode()
    yield "text backwards", secret[::-1]
    for before in range(3):
        # What stands before the secret shifts its base64 by up to three bytes; the ends mix with their neighbours.
        encoded = b64encode(b"x" * before + secret)
        yield "base64", encoded[-(-8 * before // 6) : 8 * (before + len(secret)) // 6]
