"""What annotators are served: videos that every browser plays and scrubs, pictures without anything but the picture.

A video is copied if it is already fit to be served, else packed anew if only its packing is at fault, else transcoded
from its source: once at most. Nothing of its tags goes along: they would tell who made it.
"""

import os
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from annotate import links
from annotate.home import BoardHome
from flows.stages.decode import Decoded, Display, VideoUnreadable, decode
from warehouse import files
from warehouse.errors import MediaMissing

Kind = Literal["video", "picture"]

KEY_FRAME_MOST = Fraction(1)
"""Seconds from one key frame to the next, at most: so far a browser must decode to show a time that was scrubbed to."""
_KEY_FRAME_EVERY = Fraction(3, 4)
_TICK = Fraction(1, 90_000)
_CODEC_OPTIONS = {
    "crf": "18",
    "preset": "veryfast",
    "bf": "0",
    "forced-idr": "1",
    "threads": "1",
    "x264-params": "cpu-independent=1:mbtree=0",
}
"""No B-frames: every frame's time is then the same in all players. The last two: see `flows.stages.encode`."""
_CONTAINER_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}
_BT601, _LIMITED = 6, 1

_BRANDS = {"major_brand", "minor_version", "compatible_brands"}
_STREAM_TAGS = {"language", "handler_name", "vendor_id"}
_PLAIN_VALUES = {"und", "VideoHandler", "[0][0][0][0]"}
_PICTURE_FORMATS = {"JPEG": ".jpg", "PNG": ".png"}
_PICTURE_ONLY = {
    *("jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "progressive", "progression", "adobe"),
    *("adobe_transform", "icc_profile", "gamma", "srgb", "transparency", "interlace", "aspect", "chromaticity"),
}


def publish_media(home: BoardHome, sources: Mapping[str, Path], *, kind: Kind) -> dict[str, str]:
    """Put files, by their sha256, where annotators get them, each once; their names there, by sha256.

    Several processes may do so at once: each writes whole files, and the same ones. `MediaMissing` names the first file
    that is gone or cannot be read; those that were done before stay.
    """
    key = home.secrets().link_key
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        names = pool.map(lambda sha256: _published(home.media, sha256, sources[sha256], kind, key), sources)
        return dict(zip(sources, names, strict=True))


def _published(folder: Path, sha256: str, source: Path, kind: Kind, key: str) -> str:
    if not source.is_file():
        raise MediaMissing(f"{source}: is not there; run the step that made it again")
    suffix, show = (".mp4", show_video) if kind == "video" else (picture_suffix(source), show_picture)
    name = links.media_name(sha256, suffix, key=key)
    if not (folder / name).exists():
        show(source, folder / name)
    return name


def show_video(source: Path, target: Path) -> None:
    """Write what is served of a video: MP4 with its index first, H.264 yuv420p of even size, a key frame at least each
    second, neither sound nor tags; every frame at its own time. `MediaMissing` if the source cannot be read."""
    try:
        looked = _look(source)
        if looked.is_fit:
            content = source.read_bytes()
        else:
            content = _made(_repack if looked.is_well_coded else _transcode, source)
    except (VideoUnreadable, av.FFmpegError, OSError) as error:
        raise _unreadable(source, error) from error
    files.write(target, content)


def picture_suffix(source: Path) -> str:
    """`.jpg` for a JPEG file, else `.png`."""
    try:
        with Image.open(source) as image:
            return _PICTURE_FORMATS.get(str(image.format), ".png")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise _unreadable(source, error) from error


def show_picture(source: Path, target: Path) -> None:
    """Copy a JPEG or PNG file that holds a picture only; write others anew, upright, in the format of the target's
    suffix. `MediaMissing` if the source cannot be read."""
    try:
        with Image.open(source) as image:
            image.load()  # to the end: there PNG may have more text
            is_upright = image.getexif().get(0x0112, 1) == 1
            has_suffix = _PICTURE_FORMATS.get(str(image.format)) == target.suffix
            is_fit = has_suffix and is_upright and set(image.info) <= _PICTURE_ONLY
            content = source.read_bytes() if is_fit else _drawn(image, target.suffix)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise _unreadable(source, error) from error
    files.write(target, content)


def _drawn(image: Any, suffix: str) -> bytes:
    upright = ImageOps.exif_transpose(image)
    wanted = "RGB" if suffix == ".jpg" else "RGBA" if upright.has_transparency_data else "RGB"
    bare = Image.fromarray(np.asarray(upright.convert(wanted)))  # pixels, and nothing else
    with tempfile.TemporaryFile() as file:
        options = {"quality": 95, "subsampling": 0} if suffix == ".jpg" else {}
        bare.save(file, "JPEG" if suffix == ".jpg" else "PNG", **options)
        file.seek(0)
        return file.read()


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a file was found to be."""

    is_well_coded: bool
    """Its pictures can be served as they are coded."""
    is_well_packed: bool
    """So can the file around them."""

    @property
    def is_fit(self) -> bool:
        return self.is_well_coded and self.is_well_packed


def _look(source: Path) -> _Looked:
    """By what is in the file, not by what it is called: every packet is read."""
    first = next(decode(source))
    with av.open(str(source), metadata_errors="replace") as container:
        if "mp4" not in container.format.name:
            return _Looked(is_well_coded=False, is_well_packed=False)
        stream, is_alone = container.streams.video[0], len(container.streams) == 1
        is_bare = set(container.metadata) <= _BRANDS and _is_plain(stream.metadata)
        is_well_coded = _is_well_coded(stream, first) and _has_near_key_frames(container.demux(stream))
    return _Looked(is_well_coded=is_well_coded, is_well_packed=is_alone and is_bare and _is_index_first(source))


def _is_plain(tags: Mapping[str, str]) -> bool:
    return set(tags) <= _STREAM_TAGS and set(tags.values()) <= _PLAIN_VALUES


def _is_well_coded(stream: Any, first: Decoded) -> bool:
    context = stream.codec_context
    is_playable = context.name == "h264" and context.pix_fmt == "yuv420p"
    is_even = not (context.width % 2 or context.height % 2)
    return is_playable and is_even and first.display == Display() and stream.start_time in (None, 0)


def _has_near_key_frames(packets: Iterable[Any]) -> bool:
    """Whether key frames are near enough, or as near as the frames themselves are."""
    taken = sorted((p.pts * p.time_base, p.is_keyframe) for p in packets if p.pts is not None)
    starts = [index for index, (_, is_key) in enumerate(taken) if is_key]
    if not taken or starts[:1] != [0]:
        return False
    spans = pairwise([*starts, len(taken) - 1])
    return all(taken[end][0] - taken[start][0] <= KEY_FRAME_MOST or end - start <= 1 for start, end in spans)


def _is_index_first(source: Path) -> bool:
    with source.open("rb") as file:
        kinds = list(_box_kinds(file))
    return b"moov" in kinds and kinds.index(b"moov") < kinds.index(b"mdat") if b"mdat" in kinds else False


def _box_kinds(file: BinaryIO) -> Iterator[bytes]:
    """The kinds of an MP4 file's outermost boxes, in order."""
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        yield kind
        head_bytes = 8
        if size == 1:
            (size,), head_bytes = struct.unpack(">Q", file.read(8)), 16
        if size < head_bytes:
            return  # 0: to the end of the file; anything else is damage
        file.seek(size - head_bytes, os.SEEK_CUR)


def _made(make: Callable[[Path, Path], None], source: Path) -> bytes:
    """What `make` writes, from a real file: the muxer reads it again to move the index to the front."""
    with tempfile.TemporaryDirectory(prefix="likeness-shown-") as folder, files.full_disk_told(Path(folder)):
        path = Path(folder) / "video.mp4"
        make(source, path)
        return path.read_bytes()


def _repack(source: Path, path: Path) -> None:
    """The same coded pictures, alone and untagged."""
    with (
        av.open(str(source), metadata_errors="replace") as given,
        av.open(path, "w", format="mp4", options=_CONTAINER_OPTIONS) as container,
    ):
        taken = given.streams.video[0]
        stream = container.add_stream_from_template(taken)
        stream.metadata.clear()
        for packet in given.demux(taken):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)


def _transcode(source: Path, path: Path) -> None:
    with av.open(path, "w", format="mp4", options=_CONTAINER_OPTIONS) as container:
        stream, last_key = None, Fraction(0)
        for decoded in decode(source):
            picture = _even(decoded)
            if stream is None:
                stream = _stream(container, decoded, picture)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(decoded.time / _TICK), _TICK
            if decoded.time - last_key >= _KEY_FRAME_EVERY:
                frame.pict_type, last_key = av.video.frame.PictureType.I, decoded.time
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())


def _stream(container: Any, decoded: Decoded, picture: NDArray[np.uint8]) -> Any:
    stream = container.add_stream("libx264", rate=decoded.frame_rate, options=_CODEC_OPTIONS)
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt, stream.thread_count = "yuv420p", 1
    context = stream.codec_context
    context.time_base = _TICK
    context.colorspace, context.color_range = _BT601, _LIMITED
    context.flags |= av.codec.context.Flags.bitexact
    return stream


def _even(decoded: Decoded) -> NDArray[np.uint8]:
    """(H, W, 3) in RGB, upright, the last row or column repeated where the size is odd."""
    picture = decoded.display.apply(decoded.raw.to_ndarray(format="rgb24"))
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _unreadable(source: Path, error: Exception) -> MediaMissing:
    return MediaMissing(f"{source}: cannot be shown to annotators ({error}); make it again, or leave its pair out")
