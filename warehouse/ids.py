"""Ids are made from content, so that the same thing found twice is one thing, on any machine and in any run."""

import hashlib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

DIGITS = 24
"""Hex digits of an id: 96 bits, so that among a billion items a collision has a chance of 1e-11."""


def digest(content: Any) -> str:
    """The sha256 of anything that JSON can say (fractions too), in canonical form: 64 hex digits."""
    text = json.dumps(
        content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_spell
    )
    return hashlib.sha256(text.encode()).hexdigest()


def make(noun: str, *content: Any) -> str:
    """An id such as `clip_0f3a...`: the noun, then the first digits of its content's digest."""
    return f"{noun}_{digest(list(content))[:DIGITS]}"


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes, read in pieces: 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _spell(value: Any) -> Any:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    raise TypeError(f"{type(value).__name__} has no canonical form; give text, numbers, lists or mappings")
