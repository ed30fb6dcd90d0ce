"""Pictures to a video file, byte for byte the same for the same pictures."""

import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

_CODEC_OPTIONS = {
    "crf": "18",
    "preset": "veryfast",
    "threads": "1",
    "x264-params": "cpu-independent=1:mbtree=0",
}
"""x264 gives other bytes with another number of threads or another kind of processor, and with macroblock trees it
gives three different files for the same 60 pictures (40 encodes: 23, 16 and 1 times)."""
_CONTAINER_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}
_BT601, _LIMITED = 6, 1
"""FFmpeg's AVCOL_SPC_SMPTE170M and AVCOL_RANGE_MPEG: written down, so that every player shows the same colours."""


def encode(pictures: Iterable[NDArray[np.uint8]], *, frame_rate: Fraction) -> bytes:
    """An MP4 file (H.264, yuv420p, BT.601 limited range, index first) of pictures (H, W, 3) in RGB, all of one size.

    Sizes are rounded up to even by repeating the last row or column. Nothing of the time or the machine goes into the
    file. `ValueError` if there is no picture, or if one differs in size from the first.
    """
    with tempfile.TemporaryDirectory(prefix="likeness-encode-") as folder:
        path = Path(folder) / "video.mp4"  # a real file: the muxer reads it again to move the index to the front
        _write(path, pictures, frame_rate)
        return path.read_bytes()


def _write(path: Path, pictures: Iterable[NDArray[np.uint8]], frame_rate: Fraction) -> None:
    with av.open(path, "w", format="mp4", options=_CONTAINER_OPTIONS) as container:
        stream = None
        for index, picture in enumerate(pictures):
            even = _padded_to_even(picture)
            if stream is None:
                stream = container.add_stream("libx264", rate=frame_rate, options=_CODEC_OPTIONS)
                stream.height, stream.width = even.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.thread_count = 1
                stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, _LIMITED
                stream.codec_context.flags |= av.codec.context.Flags.bitexact
            elif even.shape[:2] != (stream.height, stream.width):
                size = f"{stream.width} x {stream.height} px"
                raise ValueError(f"picture {index} has shape {picture.shape}; the first gave {size}")
            frame = av.VideoFrame.from_ndarray(even, format="rgb24")
            frame.pts, frame.time_base = index, 1 / frame_rate
            container.mux(stream.encode(frame))
        if stream is None:
            raise ValueError("no pictures to encode; give at least one")
        container.mux(stream.encode())


def _padded_to_even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
