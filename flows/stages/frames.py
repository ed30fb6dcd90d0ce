"""A video, decoded once and shared by every stage of a worker."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from flows.stages.decode import Decoded, Entry, Scaler, VideoUnreadable, decode, decode_from
from flows.stages.footage import Footage
from flows.stages.looks import LOOK_SIDE_PX, Frame, Look, Looks
from flows.stages.proxies import PROXY_SIDE_PX, Film, Proxy, ProxyScaler, matrix_of

__all__ = ["LOOK_SIDE_PX", "PROXY_SIDE_PX", "Frame", "Proxy", "Video", "VideoUnreadable"]

NUM_ENTRIES = 2
"""Key frames tried, one before the other, until a span is read from the file's start."""


class Video:
    """A lazy reader of one file's first video stream. The first question decodes it, once, and answers all others.

    Kept until `release`: a proxy of every frame, at most 98 kB each, up to `proxies.MAX_BYTES_IN_MEMORY` in memory, and
    beyond that all of them in an unnamed temporary file mapped into memory (so that a long film fills the disk's cache
    and not the process); and at most `looks.MAX_LOOKS` looks in memory. One that was asked for takes 1.8 MB at most,
    all of them 226 MB; those that nobody has asked for yet wait as decoded, `looks.MAX_RAW_BYTES` together.

    Every property and method raises `VideoUnreadable` if any part of the file cannot be decoded.
    """

    def __init__(self, path: Path | Footage) -> None:
        self.path = path
        self.num_passes = 0
        """Times that decoding was begun so far: 1 as long as only proxies and kept looks were asked for."""
        self.num_decoded = 0
        """Frames decoded so far, in all passes."""
        self._content: _Content | None = None
        self._wanted: set[int] = set()

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
    def proxies(self) -> Sequence[Proxy]:
        """Every frame, its longest side at most `PROXY_SIDE_PX`."""
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
        kept = [look for look in content.looks.values() if start_frame <= look.index < end_frame]
        if kept:
            return tuple(kept[position].frame for position in _spread(len(kept), num))
        wanted = {start_frame + position for position in _spread(end_frame - start_frame, num)}
        again = self.read(min(wanted), max(wanted) + 1, longest_side_px=LOOK_SIDE_PX)
        return tuple(frame for frame in again if frame.index in wanted)

    def keep(self, index: int) -> None:
        """Asked before anything is decoded: `frame` will give this one without a pass of its own."""
        self._wanted.add(index)

    def frame(self, index: int) -> Frame:
        """One frame, longest side at most `LOOK_SIDE_PX`: as kept, or else decoded again."""
        content = self._read_once()
        kept = content.wanted.get(index) or content.looks.get(index)
        if kept:
            return kept.frame
        [frame] = self.look(index, index + 1, 1)
        return frame

    def read(self, start_frame: int, end_frame: int, *, longest_side_px: int) -> Iterator[Frame]:
        """The frames of `[start_frame, end_frame)` at a size of one's own, by a pass of their own.

        The pass begins at the key frame before the span and ends with it. Whatever the container's seeking or the
        decoder gives there must have the first pass's times and proxies, frame by frame; if not, the span is read from
        an earlier key frame, at last from the file's start.
        """
        scaler = Scaler(longest_side_px)
        for index, decoded in self._span(start_frame, end_frame):
            yield Frame(index=index, time=decoded.time, rgb=scaler(decoded))

    def release(self) -> None:
        """Drop all that is kept. The next question decodes again."""
        self._content = None

    def _read_once(self) -> "_Content":
        if self._content is None:
            self._content = _read(self._counted(decode(self.path)), self._wanted)
        return self._content

    def _span(self, start: int, end: int) -> Iterator[tuple[int, Decoded]]:
        for entry in self._entries(start):
            for index, decoded in self._entered(entry, start, end):
                start = index + 1
                yield index, decoded
            if start >= min(end, self.num_frames):
                return
        for index, decoded in enumerate(self._counted(decode(self.path))):
            if index >= start:
                yield index, decoded
            if index + 1 >= end:
                return

    def _entries(self, start: int) -> list[Entry]:
        """Where to enter the file for a frame, nearest first; none if the file's start is as near.

        A span from the start needs none, so that whoever reads but the start of a file pays no pass over the whole.
        """
        if start == 0:
            return []
        entries = [entry for index, entry in self._read_once().entries if 0 < index <= start]
        return entries[: -NUM_ENTRIES - 1 : -1]

    def _entered(self, entry: Entry, start: int, end: int) -> Iterator[tuple[int, Decoded]]:
        """The frames of the span from `entry` on, as far as they are those of the first pass."""
        scaler, proxies = ProxyScaler(), self.proxies[start:end]
        pictures = self._counted(decode_from(self.path, entry))
        for proxy in proxies:
            try:
                decoded = next(decoded for decoded in pictures if decoded.time >= proxy.time)
            except (StopIteration, VideoUnreadable):  # decoders stumble where a key frame is not where one can begin
                return
            if decoded.time != proxy.time or not np.array_equal(scaler(decoded), proxy.planes):
                return
            yield proxy.index, decoded

    def _counted(self, pictures: Iterator[Decoded]) -> Iterator[Decoded]:
        self.num_passes += 1
        for decoded in pictures:
            self.num_decoded += 1
            yield decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """What one pass leaves behind."""

    times: tuple[Fraction, ...]
    end: Fraction
    frame_rate: Fraction
    size_px: tuple[int, int]
    proxies: tuple[Proxy, ...]
    looks: Mapping[int, Look]
    wanted: Mapping[int, Look]
    """Frames that were asked for by index; they change no answer of `look`."""
    entries: tuple[tuple[int, Entry], ...]
    """Where the file can be entered, by frame."""


def _read(pictures: Iterator[Decoded], wanted: Container[int]) -> _Content:
    times: list[Fraction] = []
    entries: list[tuple[int, Entry]] = []
    looks, film, scaler = Looks(wanted), Film(), ProxyScaler()
    for index, decoded in enumerate(pictures):
        film.add(scaler(decoded))
        looks.offer(index, decoded)
        times.append(decoded.time)
        if decoded.entry:
            entries.append((index, decoded.entry))
    matrix = matrix_of(decoded.raw)
    return _Content(
        times=tuple(times),
        end=_end(times, decoded),
        frame_rate=decoded.frame_rate,
        size_px=decoded.size_px,
        proxies=tuple(
            Proxy(index=index, time=time, planes=planes, matrix=matrix)
            for index, (time, planes) in enumerate(zip(times, film.developed(), strict=True))
        ),
        looks=looks.spread,
        wanted=looks.wanted,
        entries=tuple(entries),
    )


def _end(times: Sequence[Fraction], last: Decoded) -> Fraction:
    interval = times[-1] - times[-2] if len(times) > 1 else 1 / last.frame_rate
    return times[-1] + (last.duration or interval)


def _spread(length: int, num: int) -> list[int]:
    """At most `num` positions in `range(length)`, in the middles of equal parts."""
    num = min(length, num)
    return [(2 * part + 1) * length // (2 * num) for part in range(num)]
