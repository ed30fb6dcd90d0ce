"""Looks: the few pictures of a video that are kept large, for whoever searches them for people."""

from collections import deque
from collections.abc import Container
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from flows.stages.decode import Decoded, Scaler

LOOK_SIDE_PX = 768
LOOK_STRIDE = Fraction(1, 4)
"""Seconds between kept looks, at first."""
MAX_LOOKS = 128
"""When more were kept, every second one is let go and the stride doubles."""
MAX_RAW_BYTES = 192 << 20
"""Of looks whose colours nobody has asked for yet; when they grow beyond, the oldest are converted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture of a video."""

    index: int
    """0-based, in decode order."""
    time: Fraction
    """Seconds since the first frame, from the container's timestamps."""
    rgb: NDArray[np.uint8]
    """(height, width, 3)."""


@dataclass(slots=True, kw_only=True)
class Look:
    """A kept picture. Scaled and converted only when somebody asks for it, or when it takes too much as decoded."""

    index: int
    time: Fraction
    decoded: Decoded | None
    """None once `frame` was asked for."""
    _frame: Frame | None = None

    @property
    def raw_bytes(self) -> int:
        """About what it takes as decoded; 0 once it is converted."""
        return sum(plane.buffer_size for plane in self.decoded.raw.planes) if self.decoded else 0

    @property
    def frame(self) -> Frame:
        """Longest side at most `LOOK_SIDE_PX`: at most 1.8 MB."""
        if self.decoded:
            rgb = Scaler(LOOK_SIDE_PX)(self.decoded)
            self._frame = Frame(index=self.index, time=self.time, rgb=rgb)
            self.decoded = None
        assert self._frame
        return self._frame


class Looks:
    """The first frame of every stretch of `stride` seconds, at most `MAX_LOOKS`; and those asked for by index."""

    def __init__(self, wanted: Container[int] = ()) -> None:
        self.spread: dict[int, Look] = {}
        """By index."""
        self.wanted: dict[int, Look] = {}
        """What was asked for by index; these change no answer about the others."""
        self._asked = wanted
        self._stride, self._due = LOOK_STRIDE, Fraction(0)
        self._raw: deque[Look] = deque()
        self._raw_bytes = 0

    def offer(self, index: int, decoded: Decoded) -> None:
        is_due, is_asked = decoded.time >= self._due, index in self._asked
        if not is_due and not is_asked:
            return
        look = Look(index=index, time=decoded.time, decoded=decoded)
        if is_asked:
            self.wanted[index] = look
        if is_due:
            self.spread[index] = look
            self._due = (decoded.time // self._stride + 1) * self._stride
        if len(self.spread) > MAX_LOOKS:
            self._thin_out()
        self._weigh(look)

    def _thin_out(self) -> None:
        """Keep the first of every stretch of twice the stride."""
        self._stride *= 2
        times = {index: look.time for index, look in self.spread.items()}
        first = {time // self._stride: index for index, time in reversed(times.items())}
        self.spread = {index: self.spread[index] for index in sorted(first.values())}
        self._due = (max(first) + 1) * self._stride
        self._raw = deque(look for look in self._raw if look.index in self.spread or look.index in self.wanted)
        self._raw_bytes = sum(look.raw_bytes for look in self._raw)

    def _weigh(self, look: Look) -> None:
        self._raw.append(look)
        self._raw_bytes += look.raw_bytes
        while self._raw_bytes > MAX_RAW_BYTES:
            oldest = self._raw.popleft()
            self._raw_bytes -= oldest.raw_bytes
            _ = oldest.frame
