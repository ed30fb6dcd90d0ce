"""MAGREF, 14B: a Wan 2.1 image-to-video transformer whose first frame is a white canvas with all references on it.

Written from the released sampling code: MAGREF-Video/MAGREF at e3c71b2, magref/subject2video.py, magref/modules/clip.py
and generate.py. What it does:

- the references share one canvas of the video's size, each in a block of its own, on white; a mask tells where on the
  canvas a reference is, not its white margin: a latent position is marked if any of its pixels is;
- the canvas, followed by frames of zeros, is encoded; mask (a channel for each frame of a slot; the canvas's own
  counted as often as a slot has frames) and latents are joined to the noisy ones as further channels;
- the whole canvas goes to CLIP, pressed into its square, and is attended to beside the text, in both branches;
- the beginning of what is drawn is the canvas: the release cuts off four frames. Here four more are drawn for it.

The release throws the references into the blocks at random. Here they stand in their order, from left to right: the
same request must give the same video. Four and more fill two rows. The release's loop was run beside this one once,
on tiny weights, without the throw (tests/golden/wan_released.json). Not verified: anything with the released weights,
which are not to be had here, and with them CLIP in the format of transformers beside Wan's own; other sizes than 832
x 480 and other lengths than 81 frames, of which the release knows none.

Weights: MAGREF's own shards, with text encoder, codec and CLIP from `base` (such as
Wan-AI/Wan2.1-I2V-14B-480P-Diffusers), or a folder in the format of `WanImageToVideoPipeline`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.engines import wan
from flows.engines.ports import Generated, Picture, Request
from flows.engines.wan import Canvas, Sampling, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from flows.engines.wan_networks import Networks
    from flows.engines.wan_sampling import Condition

MOST_REFERENCES = 8
"""Blocks of its largest canvas."""
NEGATIVE_PROMPT = "镜头晃动，" + wan.NEGATIVE_PROMPT  # noqa: RUF001
"""Its magref/configs/magref_14B.py: Wan's, and no shaking camera."""


class WanMAGREF:
    """`Generator`. Steps, shift and guidance are those of its generate.py.

    `model`: a file or folder of weights, or a name on the hub; `file`: which one, where there are several; `base`: text
    encoder, codec and CLIP in the format of diffusers, needed unless `model` has them. `is_offloaded`:
    as `WanVACE`.
    """

    def __init__(
        self,
        *,
        model: str,
        revision: str = "main",
        file: str = "",
        base: str = "",
        base_revision: str = "main",
        device: str = "auto",
        dtype: str = "auto",
        is_offloaded: bool = False,
        steps: int = 40,
        shift: float = 3.0,
        guidance: float = 5.0,
        solver: str = "wan-unipc",
        negative_prompt: str = NEGATIVE_PROMPT,
        num_videos: int = 1,
        most_pixels: int = wan.MOST_PIXELS,
    ) -> None:
        self._weights = Weights(
            model=model,
            revision=revision,
            file=file,
            base=base,
            base_revision=base_revision,
            device=device,
            dtype=dtype,
            is_offloaded=is_offloaded,
        )
        self._sampling = Sampling(
            steps=steps,
            shift=shift,
            solver=solver,
            negative_prompt=negative_prompt,
            num_videos=num_videos,
            most_pixels=most_pixels,
        )
        self._guidance = guidance
        self.revision = wan.revision("wan-magref 1", self._weights, self._sampling, [guidance])

    def load(self) -> None:
        """Load the weights now; otherwise they load at first use. `EngineUnavailable` where they cannot."""
        self._networks()

    def generate(self, request: Request) -> Iterator[Generated]:
        from flows.engines import wan_sampling

        networks = self._networks()
        shown = 2 * networks.vae.config.z_dim + networks.time_scale
        networks.check_channels(networks.transformer.config.in_channels, shown)
        canvas = wan.canvas_of(request, networks, most_pixels=self._sampling.most_pixels)
        condition = condition_of(networks, request, canvas, self._sampling.negative_prompt, self._guidance)
        name = f"wan-magref-{networks.size}"
        yield from wan_sampling.generated(networks, condition, request, canvas, self._sampling, name=name)

    def _networks(self) -> "Networks":
        from flows.engines import wan_networks

        return wan_networks.load(self._weights, architecture="WanTransformer3DModel", has_image_encoder=True)


def condition_of(
    networks: "Networks", request: Request, canvas: Canvas, negative_prompt: str, guidance: float
) -> "Condition":
    """Mask and latents of the canvas as further channels, one slot longer than the video; the canvas through CLIP."""
    import torch

    from flows.engines.wan_networks import as_tensor
    from flows.engines.wan_sampling import Condition, guided

    composed, is_reference = compose(wan.checked(request, most=MOST_REFERENCES), canvas.size_px)
    picture_3HW = as_tensor(composed)
    later = torch.zeros(1, 3, canvas.num_frames - 1 + networks.time_scale, *canvas.size_px)
    with torch.no_grad():
        prompt_LD, negative_LD = networks.embed([request.prompt, negative_prompt])
        picture_LD = networks.embed_picture(picture_3HW)[0]
        latents_CNHW = networks.encode(torch.cat([picture_3HW[None, :, None], later], 2))[0]
    channels, num_slots, rows, columns = latents_CNHW.shape
    mask = torch.zeros(networks.time_scale, num_slots, rows, columns, device=latents_CNHW.device)
    mask[:, 0] = marked(is_reference, networks.space_scale).to(mask.device)
    return Condition(
        branches=guided(guidance, prompt_LD=prompt_LD, negative_LD=negative_LD),
        latent_shape=(channels, num_slots, rows, columns),
        channels_CNHW=torch.cat([mask, latents_CNHW]),
        picture_LD=picture_LD,
        num_leading_frames=networks.time_scale,
    )


def compose(references: Sequence[Picture], size_px: tuple[int, int]) -> tuple[Picture, NDArray[np.bool_]]:
    """The canvas (height, width) with every reference in its block, row by row, and where on it they are."""
    height, width = size_px
    num_rows = 1 if len(references) <= 3 else 2
    num_columns = -(-len(references) // num_rows)
    canvas, is_reference = np.full((height, width, 3), 255, np.uint8), np.zeros((height, width), np.bool_)
    for index, picture in enumerate(references):
        row, column = divmod(index, num_columns)
        rows, columns = _part(height, row, num_rows), _part(width, column, num_columns)
        block_px = (rows.stop - rows.start, columns.stop - columns.start)
        canvas[rows, columns], is_reference[rows, columns] = wan.letterboxed(picture, block_px)
    return canvas, is_reference


def marked(is_reference: NDArray[np.bool_], scale: int) -> "Tensor":
    """(H, W) in latent positions: 1 where any pixel of the position is a reference's."""
    import torch
    import torch.nn.functional as F

    return F.max_pool2d(torch.from_numpy(is_reference).float()[None], scale)[0]


def _part(side: int, index: int, count: int) -> slice:
    """The last part takes what is left over."""
    return slice(side // count * index, side if index == count - 1 else side // count * (index + 1))
