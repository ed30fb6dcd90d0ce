"""Tars in splits, as data sets come in them."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar of these files."""
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packing.getvalue()


def write_splits(path: Path, content: bytes, cuts: Sequence[int]) -> list[Path]:
    """The splits `<path>.split.000` and on, cut at these bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    edges = [0, *cuts, len(content)]
    made = []
    for number, (start, end) in enumerate(pairwise(edges)):
        made.append(path.with_name(f"{path.name}.split.{number:03}"))
        made[-1].write_bytes(content[start:end])
    return made
