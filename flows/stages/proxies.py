"""Proxies: every frame of a video, small, as luma and chroma; colours are worked out only where somebody asks."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import IO, Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from flows.stages.decode import Decoded

PROXY_SIDE_PX = 256
MAX_BYTES_IN_MEMORY = 64 << 20
"""Of one video's proxies; when they grow beyond, all of them go to a file. 64 MB are about 1200 frames of 16:9."""

Plane = NDArray[np.uint8]

_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
"""Red's and blue's share of the luma by the number of ITU-T H.273, MatrixCoefficients; all others as BT.601 has it."""
_BT_601 = (0.299, 0.114)
_SMPTE_170M = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One small picture of a video, as displayed."""

    index: int
    """0-based, in decode order."""
    time: Fraction
    """Seconds since the first frame, from the container's timestamps."""
    planes: Plane
    """(3 height / 2, width), read-only: the luma, then blue's and red's chroma at half its size. Full range."""
    matrix: int
    """By which luma and chroma were made: the number of ITU-T H.273, MatrixCoefficients."""

    @property
    def luma(self) -> Plane:
        """(height, width), both even. 0 (black) to 255, by the video's own matrix."""
        return self.planes[: 2 * len(self.planes) // 3]

    @property
    def chroma(self) -> Plane:
        """(2, height / 2, width / 2): blue's, then red's; grey is 128."""
        height, width = self.luma.shape
        return self.planes[height:].reshape(2, height // 2, width // 2)

    @property
    def rgb(self) -> Plane:
        """(height, width, 3). Worked out anew at every call."""
        size = self.luma.shape[::-1]
        blue, red = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in self.chroma)
        return _rgb(self.luma, blue, red, self.matrix)

    @property
    def half_rgb(self) -> Plane:
        """(height / 2, width / 2, 3): at the size that the chroma has, for a fraction of `rgb`'s cost."""
        blue, red = self.chroma
        luma = cv2.resize(self.luma, blue.shape[::-1], interpolation=cv2.INTER_AREA)
        return _rgb(luma, blue, red, self.matrix)


class ProxyScaler:
    """Makes a picture's proxy planes: longest side at most `PROXY_SIDE_PX`, sides even."""

    def __init__(self) -> None:
        self._reformatter = av.video.reformatter.VideoReformatter()

    def __call__(self, decoded: Decoded) -> Plane:
        """(3 height / 2, width), averaged over the source pixels' areas."""
        raw = decoded.raw
        size = even_fitted(raw.width, raw.height, PROXY_SIDE_PX)
        scaled = self._reformatter.reformat(
            raw,
            *size,
            "yuv420p",
            interpolation="AREA",
            dst_color_range="JPEG",
            dst_colorspace="ITU601" if raw.format.is_rgb else None,
            threads=1,
        )
        return _joined(*(decoded.display.apply(_plane(plane)) for plane in scaled.planes))


def _plane(plane: Any) -> Plane:
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _joined(luma: Plane, blue: Plane, red: Plane) -> Plane:
    """A copy of the planes, one below the other."""
    height, width = luma.shape
    joined = np.empty((3 * height // 2, width), np.uint8)
    joined[:height] = luma
    chroma = joined[height:].reshape(2, height // 2, width // 2)
    chroma[0], chroma[1] = blue, red
    return joined


def matrix_of(raw: Any) -> int:
    """Of the proxies of such an `av.VideoFrame`."""
    return _SMPTE_170M if raw.format.is_rgb else int(raw.colorspace)


class Film:
    """Keeps proxy planes, all of one shape, as they come: in memory while they are few, else in an unnamed file."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._kept: list[Plane] = []
        self._num = 0
        self._file: IO[bytes] | None = None

    def add(self, planes: Plane) -> None:
        self._shape = planes.shape
        self._num += 1
        self._kept.append(planes)
        if self._num * planes.nbytes > MAX_BYTES_IN_MEMORY:
            self._spill()

    @property
    def num_held(self) -> int:
        """Pictures in memory."""
        return len(self._kept)

    def developed(self) -> Sequence[Plane]:
        """All that were added, in order, read-only."""
        if self._file is None:
            for planes in self._kept:
                planes.flags.writeable = False
            return self._kept
        with self._file as file:
            file.flush()
            pixels = np.asarray(np.memmap(file, np.uint8, "r", shape=(self._num, *self._shape)))
        return [pixels[index] for index in range(self._num)]

    def _spill(self) -> None:
        self._file = self._file or tempfile.TemporaryFile(prefix="likeness-proxies-")  # noqa: SIM115  # closed at the end
        for planes in self._kept:
            self._file.write(planes.data)
        self._kept.clear()


@lru_cache
def even_fitted(width_px: int, height_px: int, longest_side_px: int) -> tuple[int, int]:
    """`fitted`, to even sides: the nearest ones that do not enlarge. A side of one pixel becomes two."""
    scale = min(Fraction(1), Fraction(longest_side_px, max(width_px, height_px)))
    return _even(width_px, scale), _even(height_px, scale)


def _even(side_px: int, scale: Fraction) -> int:
    return max(2, min(2 * round(side_px * scale / 2), side_px - side_px % 2))


def _rgb(luma: Plane, blue: Plane, red: Plane, matrix: int) -> Plane:
    return np.asarray(cv2.transform(cv2.merge([luma, blue, red]), _to_rgb(matrix)), np.uint8)


@cache
def _to_rgb(matrix: int) -> NDArray[np.float64]:
    """(3, 4): from luma, blue's chroma, red's chroma and 1, full range, to RGB. ITU-T H.273, 8.3."""
    kr, kb = _LUMA_WEIGHTS.get(matrix, _BT_601)
    kg = 1 - kr - kb
    rows = np.array(
        [
            [1, 0, 2 * (1 - kr)],
            [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1, 2 * (1 - kb), 0],
        ]
    )
    return np.column_stack([rows, -128 * rows[:, 1:].sum(axis=1)])
