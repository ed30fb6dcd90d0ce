"""Bytes of JSON as Python writes them, in which a number that is none stands as NaN or Infinity, made plain JSON."""

import re
from typing import BinaryIO

_NO_NUMBER = re.compile(rb"((?:: |, )\[{0,40})-?(?:NaN|Infinity)(?=[,\]}])")
"""With the space that Python puts before a value: run lengths of masks have none, so that none of them is hit."""
_HINTS = (b" NaN", b"[NaN", b"Infinity")
_HELD_BACK = 64
"""Bytes: longer than anything that the pattern finds."""


class PlainJson:
    """A file for a JSON parser: NaN and the infinities are read as null, everything else as it stands.

    It does not know texts from values: where a caption has a lone NaN between a colon or comma with a space, and a
    comma or bracket, it reads null too.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        """The next bytes, about as many as asked for; none only at the end."""
        while piece := self._file.read(size):
            text = self._held + piece
            if any(hint in text for hint in _HINTS):
                text = _NO_NUMBER.sub(rb"\1null", text)
            self._held = text[-_HELD_BACK:]
            if len(text) > _HELD_BACK:
                return text[:-_HELD_BACK]
        rest, self._held = self._held, b""
        return rest
