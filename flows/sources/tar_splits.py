"""The videos inside tars, in one piece or in splits: listed from the tar's headers, never unpacked."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flows.stages.footage import SplitRange, splits


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file inside a tar."""

    name: str
    """As the tar spells it."""
    offset: int
    """Of its first byte, in the tar."""
    num_bytes: int
    is_whole: bool
    """False: the tar ends before it does, or it is stored with holes."""


class TarDamaged(Exception):
    """A tar's headers cannot be read on; what was listed before stands."""


def members(first: Path) -> Iterator[Member]:
    """The files of the tar whose first split (or only piece) this is, in order.

    `TarDamaged` where it cannot be read on: no tar, compressed, cut off, or a split is missing.
    """
    length = sum(size for _, size, _ in splits(first))
    try:
        with SplitRange(first, 0, length, first.name) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                tar.members = []  # type: ignore[attr-defined]  # which else keeps them all: tars of a million members are listed too
                if info.isreg():
                    is_whole = info.offset_data + info.size <= length and not info.issparse()
                    yield Member(name=info.name, offset=info.offset_data, num_bytes=info.size, is_whole=is_whole)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise TarDamaged(f"{first.name}: {error}") from error
