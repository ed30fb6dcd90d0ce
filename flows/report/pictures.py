"""Pictures and short videos as `data:` addresses, small enough to carry many in one page."""

import base64
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from flows.engines.ports import Picture as Pixels
from flows.report.charts import Outline
from flows.report.content import Picture
from flows.stages import masks
from flows.stages.decode import Display, VideoUnreadable
from flows.stages.encode import encode
from flows.stages.footage import Footage
from flows.stages.frames import Video
from flows.stages.tracks import Sighting
from warehouse.errors import MediaMissing
from warehouse.media import MediaStore
from warehouse.records import Box

THUMBNAIL_PX, REFERENCE_PX, SCENE_PX, VIDEO_PX = 256, 192, 640, 320
"""Longest sides."""
QUALITY = 80
"""Of WebP, 1 to 100."""
MAX_FRAMES = 49
"""Of a video shown: what a candidate has by default."""


def at_time(
    path: Path | Footage, seconds: Fraction, alt: str, *, longest_side_px: int = THUMBNAIL_PX
) -> Picture | None:
    """The frame of a file shown at this time after its first; None where it cannot be read (again)."""
    try:
        return _picture(_frame(path, seconds, longest_side_px), alt)
    except (OSError, av.FFmpegError, IndexError, StopIteration):
        return None


def stored(media: MediaStore, sha256: str, alt: str, *, longest_side_px: int = REFERENCE_PX) -> Picture | None:
    """A picture of the media store, made smaller; None where it is gone."""
    try:
        content = np.frombuffer(media.path_of(sha256).read_bytes(), np.uint8)
    except MediaMissing:
        return None
    pixels = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB)
    return None if pixels is None else _picture(_fitted(np.asarray(pixels, np.uint8), longest_side_px), alt)


def video(path: Path, alt: str) -> Picture | None:
    """The first frames of a file as a small MP4; None where it cannot be read."""
    source = Video(path)
    try:
        frames = [frame.rgb for frame in source.read(0, MAX_FRAMES, longest_side_px=VIDEO_PX)]
        content = encode(frames, frame_rate=source.frame_rate)
    except (OSError, VideoUnreadable):
        return None
    height_px, width_px = frames[0].shape[:2]
    poster = _picture(frames[0], alt).uri
    return Picture(uri=_uri("video/mp4", content), width_px=width_px, height_px=height_px, alt=alt, poster=poster)


def outline_of(sighting: Sighting, size_px: tuple[int, int]) -> Outline | None:
    """A subject in one frame, `size_px` being the source's (width, height); None: it is not seen there."""
    if sighting.box_px is None:
        return None
    return Outline(
        box=_share(sighting.box_px, size_px),
        face=_share(sighting.face_box_px, size_px) if sighting.face_box_px else None,
        mask=polygons(masks.decode(sighting.mask)) if sighting.mask else (),
    )


def polygons(mask: masks.Mask) -> tuple[tuple[tuple[float, float], ...], ...]:
    """The outer edges of a mask's parts, simplified, in shares of its sides: a polygon a part, specks left out."""
    height_px, width_px = mask.shape
    edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    least_area, tolerance = mask.size / 2000, max(mask.shape) / 400
    simplified = [cv2.approxPolyDP(edge, tolerance, True)[:, 0] for edge in edges if cv2.contourArea(edge) > least_area]
    return tuple(
        tuple((float(x + 0.5) / width_px, float(y + 0.5) / height_px) for x, y in edge.tolist())
        for edge in simplified
        if len(edge) > 2
    )


def _frame(path: Path | Footage, seconds: Fraction, longest_side_px: int) -> Pixels:
    """Seeks, so that a frame late in a long film costs no more than one early on."""
    file = path.for_decoder() if isinstance(path, Footage) else str(path)
    with av.open(file, metadata_errors="ignore") as container:
        stream = container.streams.video[0]
        start = stream.start_time or 0
        try:
            container.seek(start + int(seconds / stream.time_base), stream=stream)
        except av.FFmpegError:  # formats without an index, such as GIF: from the start then
            container.seek(0)
        raw = _reached(container.decode(stream), start + seconds / stream.time_base)
        return _fitted(Display.of(raw).apply(raw.to_ndarray(format="rgb24")), longest_side_px)


def _reached(frames: Iterator[Any], ticks: Fraction) -> Any:
    """The last frame that begins no later than `ticks`; the first one where all begin later."""
    reached = next(frames)
    for frame in frames:
        if frame.pts is not None and frame.pts > ticks:
            break
        reached = frame
    return reached


def _fitted(pixels: Pixels, longest_side_px: int) -> Pixels:
    scale = min(1.0, longest_side_px / max(pixels.shape[:2]))
    if scale == 1:
        return pixels
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _picture(pixels: Pixels, alt: str) -> Picture:
    _, content = cv2.imencode(".webp", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    return Picture(
        uri=_uri("image/webp", content.tobytes()), width_px=pixels.shape[1], height_px=pixels.shape[0], alt=alt
    )


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _share(box_px: Box, size_px: Sequence[int]) -> Box:
    width_px, height_px = size_px
    x0, y0, x1, y1 = box_px
    return x0 / width_px, y0 / height_px, x1 / width_px, y1 / height_px
