"""Where a video's bytes are, when they are no file of their own: a range of a tar, itself perhaps cut into splits.

A tar is never unpacked: what a decoder or a hash asks for is read from the splits that hold it. Splits are cut
anywhere, so that a member may begin in one and end in another.
"""

import hashlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from warehouse.records import Source

_SPLIT = re.compile(r"(?P<tar>.+\.tar)\.split\.(?P<number>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """One video file: a file of its own, or a member of a tar."""

    path: Path
    """The file; of a member: the tar, or its first split."""
    member: str | None = None
    """Its name inside the tar; None: no tar."""
    offset: int | None = None
    """Byte of the tar, all splits joined, at which the member begins."""
    num_bytes: int | None = None
    """Of the member."""

    @classmethod
    def of(cls, source: Source) -> "Footage":
        """A source's bytes."""
        if source.offset is None:
            return cls(path=Path(source.path))
        return cls(path=Path(source.path), member=source.member, offset=source.offset, num_bytes=source.num_bytes)

    @property
    def name(self) -> str:
        """For people: the last part of the name."""
        return (self.member or self.path.name).rpartition("/")[2]

    def open(self) -> io.RawIOBase:
        """The bytes, as a file to read and seek in. `OSError` if they are not there, or not all of them."""
        if self.offset is None:
            return io.FileIO(self.path)
        return SplitRange(self.path, self.offset, self.num_bytes or 0, self.name)

    def for_decoder(self) -> "str | io.RawIOBase":
        """What `av.open` takes. `OSError` as in `open`."""
        return str(self.path) if self.offset is None else self.open()

    def stat(self) -> tuple[int, int]:
        """(size in bytes, time of the last change in ns). `OSError` if it is not there."""
        if self.offset is None:
            found = self.path.stat()
            return found.st_size, found.st_mtime_ns
        num_bytes = self.num_bytes or 0
        return num_bytes, max(mtime_ns for _, _, mtime_ns in _covering(self.path, self.offset + num_bytes))

    def digest(self) -> str:
        """The sha256 of its bytes: 64 hex digits. `OSError` if it cannot be read."""
        with self.open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def splits(first: Path) -> Iterator[tuple[Path, int, int]]:
    """A tar's splits in order, from the first on, as far as the numbers run: (path, bytes, mtime in ns).

    Of a tar in one piece: itself. `OSError` if the first is not there.
    """
    named = _SPLIT.fullmatch(first.name)
    found = first.stat()
    yield first, found.st_size, found.st_mtime_ns
    digits = named["number"] if named else ""
    number = int(digits or 0)
    while named:
        number += 1
        path = first.with_name(f"{named['tar']}.split.{number:0{len(digits)}}")
        if not path.is_file():
            return
        found = path.stat()
        yield path, found.st_size, found.st_mtime_ns


def tar_of(name: str) -> tuple[str, int] | None:
    """The tar that a file is, or is a split of, and the split's number; None: it is neither."""
    named = _SPLIT.fullmatch(name)
    if named:
        return named["tar"], int(named["number"])
    return (name, 0) if name.endswith(".tar") else None


class SplitRange(io.RawIOBase):
    """A range of bytes of a tar in one piece or in splits, as a file of its own: read only, and seekable."""

    def __init__(self, first: Path, offset: int, num_bytes: int, name: str) -> None:
        self.name = name
        """Decoders that look at a file's name find the member's."""
        self._offset, self._num_bytes, self._position = offset, num_bytes, 0
        self._pieces: list[tuple[int, int, Path]] = []
        start = 0
        for path, size, _ in _covering(first, offset + num_bytes):
            self._pieces.append((start, start + size, path))
            start += size
        self._open: dict[Path, int] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._num_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"{self.name}: seek to byte {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]  # any writable buffer
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self._num_bytes - self._position))
        at, done = self._offset + self._position, 0
        for start, end, path in self._pieces:
            if done < wanted and start <= at + done < end:
                done += self._read_piece(path, at + done - start, view[done : min(wanted, end - at)])
        self._position += done
        return done

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
        super().close()

    def _read_piece(self, path: Path, at: int, view: memoryview) -> int:
        """Fill `view` from one split; all of it, as the split is known to be long enough."""
        if path not in self._open:
            self._open[path] = os.open(path, os.O_RDONLY)
        done = 0
        while done < len(view):
            num = os.preadv(self._open[path], [view[done:]], at + done)
            if num == 0:
                raise OSError(f"{path.name}: shorter than it was")
            done += num
        return done


def _covering(first: Path, end: int) -> list[tuple[Path, int, int]]:
    """The splits that hold the first `end` bytes of the tar."""
    found, length = [], 0
    for split in splits(first):
        found.append(split)
        length += split[1]
        if length >= end:
            return found
    raise OSError(f"{first.name}: its splits hold {length} bytes of {end}; a split is missing or not whole")
