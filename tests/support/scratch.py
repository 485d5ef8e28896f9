"""Chooses where tests keep their files: in memory where that is roomy, for thousands of small databases live there."""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a mount point to look at; what is made below it has a random name
ROOM = 4 * 1024**3
"""Bytes that must be free: four times what the tests of all workers hold at once."""


def use_memory(folder: Path = MEMORY, *, room: int = ROOM) -> bool:
    """Put every temporary folder of this process and its children into memory, unless the user chose another place.

    Args:
        folder: a file system in memory.
        room: bytes that must be free there.

    Returns:
        Whether it is used.
    """
    if os.environ.get("TMPDIR") or not _fits(folder, room):
        return False
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    return True


def _fits(folder: Path, room: int) -> bool:
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        return False
    # Containers often mount it so that no program in it may run, and PostgreSQL's may have to be copied.
    runs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return runs and shutil.disk_usage(folder).free >= room
