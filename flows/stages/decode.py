"""Passes over a video file: its first video stream's pictures, with exact times, or the reason why there are none.

What counts as unreadable: see `VideoUnreadable`. A file that decodes only partly is unreadable as a whole, so that no
clip is ever cut from what a decoder guessed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from flows.stages.footage import Footage

_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
"""By default decoders paint over damage; `explode` makes them say so."""
_NO_VIDEO = ("tty", "image2", "_pipe")
"""Demuxers that make a one-picture or a text "video" of files that are none."""


class VideoUnreadable(Exception):
    """A file, or a part of it, that could not be decoded.

    `reason` is one of: `cannot be opened`, `not a video`, `no video stream`, `no decoder`, `decoder error`,
    `corrupt frame`, `no frames`, `truncated`, `no frame rate`, `timestamps do not increase`, `picture size changes`.
    `detail` says what was met in this one file.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """One decoded picture, not yet converted: a `Scaler` does that."""

    time: Fraction
    """Seconds since the first frame."""
    duration: Fraction | None
    """Seconds, as the container says; None where it does not."""
    frame_rate: Fraction
    """The container's average, frames a second: the same for all pictures."""
    raw: Any
    """The `av.VideoFrame`, as coded: rotation not applied."""
    display: "Display"
    entry: "Entry | None"
    """Where to enter the file so as to decode from this picture on; None unless it is a key frame with a timestamp."""

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) as displayed. Pixels are taken to be square."""
        size = (self.raw.width, self.raw.height)
        return size[::-1] if self.display.is_transposed else size


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A place in the file from which a decoder can begin, as far as the container knows."""

    pts: int
    """The key frame's timestamp, in the stream's own unit."""
    origin: int
    """The container's timestamp of our second 0, in the stream's own unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """How a coded picture is turned and mirrored for display: transposed first, then flipped."""

    is_transposed: bool = False
    is_flipped_x: bool = False
    is_flipped_y: bool = False

    @classmethod
    def of(cls, raw: Any) -> "Display":
        """Read the display matrix (a b u; c d v; x y w), x' = a x + c y, y' = b x + d y, to the nearest right angle."""
        for side_data in raw.side_data:
            if side_data.type.name == "DISPLAYMATRIX":
                a, b, _, c, d, *_ = np.frombuffer(bytes(side_data), np.int32).tolist()
                if abs(b) > abs(a):
                    return cls(is_transposed=True, is_flipped_x=c < 0, is_flipped_y=b < 0)
                return cls(is_flipped_x=a < 0, is_flipped_y=d < 0)
        return cls()

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(height, width, ...) as coded, to the same as displayed."""
        picture = picture.swapaxes(0, 1) if self.is_transposed else picture
        picture = picture[:, ::-1] if self.is_flipped_x else picture
        return np.ascontiguousarray(picture[::-1] if self.is_flipped_y else picture)


class Scaler:
    """Converts pictures to RGB so that the longest side has at most so many pixels; never enlarges."""

    def __init__(self, longest_side_px: int) -> None:
        self._longest_side_px = longest_side_px
        self._reformatter = av.video.reformatter.VideoReformatter()

    def __call__(self, decoded: Decoded) -> NDArray[np.uint8]:
        """(height, width, 3), as displayed; averaged over the source pixels' areas."""
        raw = decoded.raw
        width, height = fitted(raw.width, raw.height, self._longest_side_px)
        scaled = self._reformatter.reformat(raw, width, height, "rgb24", interpolation="AREA", threads=1)
        return decoded.display.apply(scaled.to_ndarray())


def fitted(width_px: int, height_px: int, longest_side_px: int) -> tuple[int, int]:
    """The size with the same aspect, rounded, whose longest side is at most `longest_side_px`."""
    scale = min(Fraction(1), Fraction(longest_side_px, max(width_px, height_px)))
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def decode(path: Path | Footage) -> Iterator[Decoded]:
    """All pictures in order, decoded in one thread. `VideoUnreadable` where damage is met: at worst at the end."""
    with _opened(path) as container:
        stream = _video_stream(container, path)
        reel = _Reel(path=path, frame_rate=_rate(stream, path))
        reached: dict[int, int] = {}
        try:
            for packet in container.demux():
                pts, index = packet.pts, packet.stream.index
                if pts is not None:  # whole numbers here: a fraction a packet is a good part of what demuxing costs
                    reached[index] = max(reached.get(index, pts), pts + (packet.duration or 0))
                if index == stream.index:
                    yield from reel.pictures(packet)
        except av.error.FFmpegError as error:
            raise reel.unreadable(error) from error
        if reel.last is None:
            raise VideoUnreadable("no frames", f"{path.name}: the video stream holds no picture")
        ends = [ticks * container.streams[index].time_base for index, ticks in reached.items()]
        _check_length(container, max(ends, default=Fraction(0)), reel.frame_rate, path)


def decode_from(path: Path | Footage, entry: Entry) -> Iterator[Decoded]:
    """Pictures in order from somewhere near `entry` on, mostly at or before it: containers seek as they please.

    Nothing says that these are the pictures that a pass from the file's start gives: the caller must compare.
    """
    with _opened(path) as container:
        stream = _video_stream(container, path)
        reel = _Reel(path=path, frame_rate=_rate(stream, path), origin=entry.origin)
        try:
            container.seek(entry.pts, stream=stream)
            for packet in container.demux(stream):
                yield from reel.pictures(packet)
        except av.error.FFmpegError as error:
            raise reel.unreadable(error) from error


@dataclass(slots=True, kw_only=True)
class _Reel:
    """The pictures so far, as far as the next one must agree with them."""

    path: Path | Footage
    frame_rate: Fraction
    last: Decoded | None = None
    origin: int | None = None
    """The container's timestamp of our second 0, in the stream's own unit."""

    def pictures(self, packet: Any) -> Iterator[Decoded]:
        for raw in packet.decode():
            yield self._decoded(raw)

    def unreadable(self, error: av.error.FFmpegError) -> VideoUnreadable:
        place = "at its start" if self.last is None else f"after {float(self.last.time):.3f} s"
        return VideoUnreadable("decoder error", f"{self.path.name}, {place}: {error.strerror}")

    def _decoded(self, raw: Any) -> Decoded:
        last, time = self.last, self._time(raw)
        if raw.is_corrupt:
            raise VideoUnreadable("corrupt frame", f"{self.path.name}: at {float(time):.3f} s")
        if last and time <= last.time:
            raise VideoUnreadable("timestamps do not increase", f"{self.path.name}: {time} s after {last.time} s")
        if last and (last.raw.width, last.raw.height) != (raw.width, raw.height):
            raise VideoUnreadable("picture size changes", f"{self.path.name}: at {float(time):.3f} s")
        self.last = Decoded(
            time=time,
            duration=Fraction(raw.duration * raw.time_base) if raw.duration else None,
            frame_rate=self.frame_rate,
            raw=raw,
            display=last.display if last else Display.of(raw),
            entry=self._entry(raw),
        )
        return self.last

    def _entry(self, raw: Any) -> Entry | None:
        if not raw.key_frame or raw.pts is None or self.origin is None:
            return None
        return Entry(pts=raw.pts, origin=self.origin)

    def _time(self, raw: Any) -> Fraction:
        """From the container's timestamp; a picture without one comes one mean frame after its predecessor."""
        pts, unit = raw.pts, raw.time_base
        if pts is None:
            return self.last.time + 1 / self.frame_rate if self.last else Fraction(0)
        if self.origin is None:
            self.origin = pts - (round((self.last.time + 1 / self.frame_rate) / unit) if self.last else 0)
        return Fraction((pts - self.origin) * unit.numerator, unit.denominator)


def _opened(path: Path | Footage) -> Any:
    try:
        file = path.for_decoder() if isinstance(path, Footage) else str(path)
        container = av.open(file, metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        reason = "cannot be opened" if isinstance(error, OSError) else "not a video"
        raise VideoUnreadable(reason, f"{path.name}: {error.strerror or error}") from error
    if container.format.name.endswith(_NO_VIDEO):
        container.close()
        raise VideoUnreadable("not a video", f"{path.name}: read as {container.format.name}")
    return container


def _video_stream(container: Any, path: Path | Footage) -> Any:
    """The first video stream that is no cover picture, ready to decode."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise VideoUnreadable("no video stream", f"{path.name}: {len(container.streams)} streams, none of them video")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoUnreadable("no decoder", f"{path.name}: stream {stream.index}")
    stream.codec_context.thread_count = 1
    stream.codec_context.options = _STRICT
    return stream


def _rate(stream: Any, path: Path | Footage) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise VideoUnreadable("no frame rate", f"{path.name}: stream {stream.index} names none")
    return Fraction(rate)


def _check_length(container: Any, reached: Fraction, rate: Fraction, path: Path | Footage) -> None:
    """`truncated` if the packets of all streams together end well before the length that the container names.

    Well: by more than 0.25 s, 2 % and two frames, whichever is most. Headers round, and last packets name no length.
    """
    if container.duration is None:
        return
    promised = Fraction(container.duration, av.time_base)
    counts_from_0 = "matroska" in container.format.name  # all others count from where the first stream begins
    found = reached - (0 if counts_from_0 else Fraction(container.start_time or 0, av.time_base))
    if promised - found > max(Fraction(1, 4), promised / 50, 2 / rate):
        raise VideoUnreadable("truncated", f"{path.name}: {float(found):.2f} s of {float(promised):.2f} s are there")
