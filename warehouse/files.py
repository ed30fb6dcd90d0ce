"""Files that are whole or absent, whenever the process or the machine dies; and a full disk told as what it is."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.errors import DiskFull

READABLE = 0o644
"""Servers of other users read what we write."""


def write(path: Path, content: bytes, *, mode: int = READABLE) -> None:
    """Write the whole file or nothing: beside its place under a hidden name, synced, renamed."""
    with full_disk_told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make what was renamed in a folder outlive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """A full disk, met while writing at `path` by us or by DuckDB, as `DiskFull`."""
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise DiskFull(f"{path}: no space left on its disk; free some and run the same command again") from error
        raise


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, of the system or of DuckDB (which has no number for it), says that no space is left."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)
