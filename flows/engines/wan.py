"""What the generators on Wan 2.1 transformers share, as far as it needs no network: arguments, sizes, pictures.

WanVACE, Phantom and MAGREF are one transformer that is shown the references in three ways; each way is one file beside
this one. Text and references are encoded once a request, and the branches of guidance run as one batch.

A video is drawn at the size wanted, rounded up to the transformer's grid (16 px), and the middle is cut out: nothing is
stretched. Above `most_pixels` it is drawn smaller by one factor and enlarged again. Wan was trained at 16 frames a
second (Phantom's 14B at 24): played at another rate its people move faster or slower, and that is left as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flows.engines import devices, wan_files
from flows.engines.ports import Picture, Request
from flows.engines.weights import revision_of, short

NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，"  # noqa: RUF001
    "丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，"  # noqa: RUF001
    "静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"  # noqa: RUF001
)
"""Wan's own, which all three were sampled with: Wan-Video/Wan2.1 at 9737cba, wan/configs/shared_config.py."""
MOST_PIXELS = 832 * 480
"""A frame of the smaller size that every model here was trained at."""
SOLVERS = ("unipc", "wan-unipc", "euler")
"""All three releases sample with UniPC: `wan-unipc` at the times of Wan's own code, from 0.999 to 0 before the shift,
`unipc` at those of diffusers' pipelines, from 1 to 0.001. `euler` is what our own policies are trained with."""
SIZES = {1536: "1.3b", 5120: "14b"}
"""By the transformer's width. The numbers are the names' own: VACE-1.3B has 2.15 B parameters, its control included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where the networks lie, and how they are held. What was loaded is kept by it."""

    model: str
    """A folder in the format of diffusers, a file or folder in Wan's own, or a name on the hub."""
    revision: str = "main"
    file: str = ""
    """Weights in Wan's own format within `model`, where it holds several."""
    base: str = ""
    """A folder or name on the hub, in the format of diffusers, that has the text encoder, codec and image encoder;
    empty: `model` has them."""
    base_revision: str = "main"
    device: str = "auto"
    dtype: str = "auto"
    """`auto`: bfloat16 on a GPU, float32 on the CPU."""
    is_offloaded: bool = False
    """The large networks wait in the machine's memory and are on the GPU only while they run."""

    def __post_init__(self) -> None:
        devices.check(self.device, self.dtype)
        if self.is_original and not self.base:
            raise ValueError(
                f"{self.model}: not in the format of diffusers (no `transformer` in it). Weights in Wan's own format, "
                "of Phantom or MAGREF, need `base`: a folder or hub name in that format with text encoder and codec, "
                "such as Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
            )

    @property
    def is_original(self) -> bool:
        """Whether the transformer is in Wan's own format."""
        path = Path(self.model)
        return bool(self.file) or path.is_file() or (path.is_dir() and not (path / "transformer").is_dir())

    @property
    def content(self) -> str:
        """What tells these weights from others."""
        if self.is_original:
            own = wan_files.revision_of_original(self.model, self.file, self.revision)
        else:
            own = revision_of(self.model, self.revision)
        return f"{own}, base {revision_of(self.base, self.base_revision)}" if self.base else own


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How videos are drawn."""

    steps: int
    shift: float
    """Of the times, to the noisy end."""
    solver: str
    negative_prompt: str
    num_videos: int
    """A request; the first starts from the request's seed, each other from the next one."""
    most_pixels: int
    """Of a frame as it is drawn."""

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise ValueError(f"solver is {self.solver!r}; take one of {', '.join(SOLVERS)}")
        if min(self.steps, self.num_videos, self.most_pixels) < 1 or self.shift <= 0:
            raise ValueError("steps, num_videos and most_pixels must be at least 1, shift above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The size that a request is drawn at, and the way back to the size wanted."""

    size_px: tuple[int, int]
    """Height and width, multiples of the grid."""
    num_frames: int
    """4k + 1."""
    wanted_px: tuple[int, int]
    wanted_frames: int

    def fitted(self, video: NDArray[np.uint8]) -> tuple[Picture, ...]:
        """The frames wanted, at the size wanted, of a video (T, H, W, 3) as it was drawn."""
        return tuple(self._fitted(picture) for picture in video[: self.wanted_frames])

    def _fitted(self, picture: Picture) -> Picture:
        height, width = self.wanted_px
        scale = max(height / picture.shape[0], width / picture.shape[1])
        if scale > 1:
            enlarged = (math.ceil(picture.shape[1] * scale), math.ceil(picture.shape[0] * scale))
            picture = np.asarray(cv2.resize(picture, enlarged, interpolation=cv2.INTER_CUBIC), np.uint8)
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        return np.ascontiguousarray(picture[top : top + height, left : left + width])


class Grid(Protocol):
    """In what steps of size and time a transformer draws."""

    @property
    def grid_px(self) -> int: ...
    @property
    def time_scale(self) -> int: ...


def canvas_of(request: Request, grid: Grid, *, most_pixels: int) -> Canvas:
    """The canvas of a request: as large as its original, or by one factor smaller where that has too many pixels."""
    height, width = request.original[0].rgb.shape[:2]
    scale = min(1.0, math.sqrt(most_pixels / (height * width)))
    return Canvas(
        size_px=(_up_to(height * scale, grid.grid_px), _up_to(width * scale, grid.grid_px)),
        num_frames=_up_to(len(request.original) - 1, grid.time_scale) + 1,
        wanted_px=(height, width),
        wanted_frames=len(request.original),
    )


def checked(request: Request, *, most: int) -> tuple[Picture, ...]:
    """The request's references, one a subject, in their order; `ValueError` for none, or more than the model takes."""
    if not 1 <= len(request.references) <= most:
        raise ValueError(f"{len(request.references)} references; this generator takes 1 to {most}")
    return request.references


def letterboxed(picture: Picture, size_px: tuple[int, int]) -> tuple[Picture, NDArray[np.bool_]]:
    """A picture in the middle of a white canvas (height, width), as large as fits, and where on the canvas it is.

    As Phantom and MAGREF do it: sides rounded down, Lanczos. (VACE resizes bilinearly.)
    """
    height, width = size_px
    scale = min(height / picture.shape[0], width / picture.shape[1])
    inner_height, inner_width = (max(1, int(side * scale + 1e-6)) for side in picture.shape[:2])
    resized = Image.fromarray(picture).resize((inner_width, inner_height), Image.Resampling.LANCZOS)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    canvas, is_picture = np.full((height, width, 3), 255, np.uint8), np.zeros((height, width), np.bool_)
    inner = np.s_[top : top + inner_height, left : left + inner_width]
    canvas[inner], is_picture[inner] = np.asarray(resized), True
    return canvas, is_picture


def revision(engine: str, weights: Weights, sampling: Sampling, guidance: Sequence[float]) -> str:
    """Everything that changes what is drawn, but for the machine's rounding."""
    scales = " ".join(f"{scale:g}" for scale in guidance)
    how = f"{sampling.steps} steps {sampling.solver} shift {sampling.shift:g} guidance {scales}"
    what = f"{sampling.num_videos} videos up to {sampling.most_pixels} px, not {short(sampling.negative_prompt)}"
    return f"{engine}: {weights.content}; {weights.dtype}; {how}; {what}"


def size_of(config: Any) -> str:
    """A transformer's size as its release is called; of others width and number of layers."""
    width = config.num_attention_heads * config.attention_head_dim
    return SIZES.get(width, f"{width}x{config.num_layers}")


def _up_to(side: float, step: int) -> int:
    """A multiple of `step`, at least one; what lies above it by a rounding error does not count."""
    return max(1, math.ceil(side / step - 1e-6)) * step
