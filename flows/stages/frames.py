"""A video, decoded once and shared by every stage of a worker."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.stages.decode import Decoded, Scaler, VideoUnreadable, decode

__all__ = ["LOOK_SIDE_PX", "PROXY_SIDE_PX", "Frame", "Video", "VideoUnreadable"]

PROXY_SIDE_PX = 256
LOOK_SIDE_PX = 768
LOOK_STRIDE = Fraction(1, 4)
"""Seconds between kept looks, at first."""
MAX_LOOKS = 128
"""When more were kept, every second one is let go and the stride doubles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture of a video."""

    index: int
    """0-based, in decode order."""
    time: Fraction
    """Seconds since the first frame, from the container's timestamps."""
    rgb: NDArray[np.uint8]
    """(height, width, 3)."""


class Video:
    """A lazy reader of one file's first video stream. The first question decodes it, once, and answers all others.

    Kept until `release`: a proxy of every frame, at most 196 kB each, in an unnamed temporary file mapped into memory
    (so that a long film fills the disk's cache and not the process); and at most `MAX_LOOKS` looks, 1.8 MB each and
    226 MB together at worst, in memory.

    Every property and method raises `VideoUnreadable` if any part of the file cannot be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.num_passes = 0
        """Decode passes begun so far: 1 as long as only proxies and kept looks were asked for."""
        self._content: _Content | None = None

    @property
    def num_frames(self) -> int:
        return len(self.times)

    @property
    def frame_rate(self) -> Fraction:
        """The container's average rate, frames a second. For display: times come from `times` and `end`."""
        return self._read_once().frame_rate

    @property
    def width_px(self) -> int:
        """As displayed: rotation flags are applied."""
        return self._read_once().size_px[0]

    @property
    def height_px(self) -> int:
        return self._read_once().size_px[1]

    @property
    def times(self) -> Sequence[Fraction]:
        """Each frame's time in seconds, strictly increasing from 0."""
        return self._read_once().times

    @property
    def end(self) -> Fraction:
        """When the last frame ends, in seconds: by its own length, else the last interval, else the frame rate."""
        return self._read_once().end

    @property
    def proxies(self) -> Sequence[Frame]:
        """Every frame, its longest side at most `PROXY_SIDE_PX`; read-only."""
        return self._read_once().proxies

    @property
    def look_scale(self) -> float:
        """Source pixels a look pixel: multiply a box found in a look by it to get the box in the source's pixels.

        Exact along the longest side; along the other one off by the rounding of the look's size, half a look pixel.
        """
        return max(1.0, max(self._read_once().size_px) / LOOK_SIDE_PX)

    def look(self, start_frame: int, end_frame: int, num: int) -> tuple[Frame, ...]:
        """Up to `num` frames spread evenly over `[start_frame, end_frame)`, longest side at most `LOOK_SIDE_PX`.

        They are picked from the looks kept, one every `LOOK_STRIDE` seconds (a longer stride where `MAX_LOOKS` was
        reached); so a span longer than the stride by a frame always has one. A span that has none is decoded again.
        """
        content = self._read_once()
        if not 0 <= start_frame < end_frame <= len(content.times) or num < 1:
            raise ValueError(f"{num} looks in frames [{start_frame}, {end_frame}) of {len(content.times)}")
        kept = [frame for frame in content.looks if start_frame <= frame.index < end_frame]
        if kept:
            return tuple(kept[position] for position in _spread(len(kept), num))
        wanted = {start_frame + position for position in _spread(end_frame - start_frame, num)}
        again = self.read(start_frame, end_frame, longest_side_px=LOOK_SIDE_PX)
        return tuple(frame for frame in again if frame.index in wanted)

    def read(self, start_frame: int, end_frame: int, *, longest_side_px: int) -> Iterator[Frame]:
        """The frames of `[start_frame, end_frame)` at a size of one's own: a pass of its own, from the file's start."""
        self.num_passes += 1
        scaler = Scaler(longest_side_px)
        for index, decoded in enumerate(decode(self.path)):
            if index >= end_frame:
                return
            if index >= start_frame:
                yield Frame(index=index, time=decoded.time, rgb=scaler(decoded))

    def release(self) -> None:
        """Drop all that is kept. The next question decodes again."""
        self._content = None

    def _read_once(self) -> "_Content":
        if self._content is None:
            self.num_passes += 1
            self._content = _read(self.path)
        return self._content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """What one pass leaves behind."""

    times: tuple[Fraction, ...]
    end: Fraction
    frame_rate: Fraction
    size_px: tuple[int, int]
    proxies: tuple[Frame, ...]
    looks: tuple[Frame, ...]


@dataclass(slots=True)
class _Looks:
    """The first frame of every stretch of `stride` seconds, at most `MAX_LOOKS` of them."""

    stride: Fraction = LOOK_STRIDE
    kept: list[Frame] = field(default_factory=list)
    scaler: Scaler = field(default_factory=lambda: Scaler(LOOK_SIDE_PX))

    def offer(self, index: int, decoded: Decoded) -> None:
        if self.kept and decoded.time // self.stride == self.kept[-1].time // self.stride:
            return
        self.kept.append(Frame(index=index, time=decoded.time, rgb=self.scaler(decoded)))
        if len(self.kept) > MAX_LOOKS:
            self.stride *= 2
            first = {frame.time // self.stride: frame for frame in reversed(self.kept)}
            self.kept = sorted(first.values(), key=lambda frame: frame.index)


def _read(path: Path) -> _Content:
    times: list[Fraction] = []
    looks = _Looks()
    scaler = Scaler(PROXY_SIDE_PX)
    with tempfile.TemporaryFile(prefix="likeness-proxies-") as file:
        for index, decoded in enumerate(decode(path)):
            proxy = scaler(decoded)
            file.write(proxy.tobytes())
            looks.offer(index, decoded)
            times.append(decoded.time)
        file.flush()
        pixels = np.asarray(np.memmap(file, np.uint8, "r", shape=(len(times), *proxy.shape)))
    return _Content(
        times=tuple(times),
        end=_end(times, decoded),
        frame_rate=decoded.frame_rate,
        size_px=decoded.size_px,
        proxies=tuple(Frame(index=index, time=time, rgb=pixels[index]) for index, time in enumerate(times)),
        looks=tuple(looks.kept),
    )


def _end(times: Sequence[Fraction], last: Decoded) -> Fraction:
    interval = times[-1] - times[-2] if len(times) > 1 else 1 / last.frame_rate
    return times[-1] + (last.duration or interval)


def _spread(length: int, num: int) -> list[int]:
    """At most `num` positions in `range(length)`, in the middles of equal parts."""
    num = min(length, num)
    return [(2 * part + 1) * length // (2 * num) for part in range(num)]
