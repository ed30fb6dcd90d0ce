"""Phantom, 1.3B or 14B: a Wan 2.1 text-to-video transformer that finds the references behind the video, in latent time.

Written from the released sampling code: Phantom-video/Phantom, phantom_wan/subject2video.py, read in the fork
svjack/Phantom at 51ef427; generate.py and README of Phantom-video/Phantom at 7e2997d. What it does:

- each reference, on a white canvas of the video's size, is encoded as one slot; the slots follow the video's, first to
  last, clean at every step, and what the transformer answers there is thrown away;
- three branches: no references and the negative prompt (n), references and the negative prompt (i), references and the
  prompt (it). The velocity is n + image (i - n) + text (it - i). "No references" are slots of zeros.

The release draws noise for the slots of references too and steps it along unseen; here none is drawn. The solver
works on each value by itself, so the same noise gives the same video: the release's loop was run beside this one
once, on tiny weights (tests/golden/wan_released.json). Not verified: anything with the released weights, which are
not to be had here; that the 14B is sampled with the 1.3B's two scales (generate.py has one default for both; the code
read knows the 1.3B alone); and what the 17 MB are by which `Phantom-Wan-1.3B.pth` is said to exceed its transformer:
the release reads the file with `strict=False`, and here too nothing but the transformer is looked at.

Weights: Phantom's own (`Phantom-Wan-1.3B.pth`, or `Phantom_Wan_14B.safetensors.index.json` with its shards beside it),
with text encoder and codec from `base`; or a folder in the format of `WanPipeline`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows.engines import wan
from flows.engines.ports import Generated, Request
from flows.engines.wan import Canvas, Sampling, Weights

if TYPE_CHECKING:
    from flows.engines.wan_networks import Networks
    from flows.engines.wan_sampling import Condition

MOST_REFERENCES = 4
"""Its README."""


class WanPhantom:
    """`Generator`. Steps, shift and both scales are those of its generate.py.

    `model`: a file or folder of weights, or a name on the hub; `file`: which one, where there are several; `base`: text
    encoder and codec in the format of diffusers, needed unless `model` has them. `is_offloaded`:
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
        steps: int = 50,
        shift: float = 5.0,
        image_guidance: float = 5.0,
        text_guidance: float = 7.5,
        solver: str = "wan-unipc",
        negative_prompt: str = wan.NEGATIVE_PROMPT,
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
        self._image_guidance, self._text_guidance = image_guidance, text_guidance
        self.revision = wan.revision("wan-phantom 1", self._weights, self._sampling, [image_guidance, text_guidance])

    def load(self) -> None:
        """Load the weights now; otherwise they load at first use. `EngineUnavailable` where they cannot."""
        self._networks()

    def generate(self, request: Request) -> Iterator[Generated]:
        from flows.engines import wan_sampling

        networks = self._networks()
        networks.check_channels(networks.transformer.config.in_channels, networks.vae.config.z_dim)
        canvas = wan.canvas_of(request, networks, most_pixels=self._sampling.most_pixels)
        condition = condition_of(
            networks,
            request,
            canvas,
            self._sampling.negative_prompt,
            image_guidance=self._image_guidance,
            text_guidance=self._text_guidance,
        )
        name = f"wan-phantom-{networks.size}"
        yield from wan_sampling.generated(networks, condition, request, canvas, self._sampling, name=name)

    def _networks(self) -> "Networks":
        from flows.engines import wan_networks

        return wan_networks.load(self._weights, architecture="WanTransformer3DModel")


def condition_of(
    networks: "Networks",
    request: Request,
    canvas: Canvas,
    negative_prompt: str,
    *,
    image_guidance: float,
    text_guidance: float,
) -> "Condition":
    """The three branches; with both scales at 1 the prompt's alone is left."""
    import torch

    from flows.engines.wan_networks import as_tensor
    from flows.engines.wan_sampling import Branch, Condition, weighed

    pictures = [wan.letterboxed(each, canvas.size_px)[0] for each in wan.checked(request, most=MOST_REFERENCES)]
    with torch.no_grad():
        prompt_LD, negative_LD = networks.embed([request.prompt, negative_prompt])
        slots_CNHW = torch.cat([networks.encode(as_tensor(picture)[None, :, None])[0] for picture in pictures], 1)
    none_CNHW = torch.zeros_like(slots_CNHW)
    channels, _, height, width = slots_CNHW.shape
    return Condition(
        branches=weighed(
            Branch(weight=text_guidance, text_LD=prompt_LD, slots_CNHW=slots_CNHW),
            Branch(weight=image_guidance - text_guidance, text_LD=negative_LD, slots_CNHW=slots_CNHW),
            Branch(weight=1 - image_guidance, text_LD=negative_LD, slots_CNHW=none_CNHW),
        ),
        latent_shape=(channels, (canvas.num_frames - 1) // networks.time_scale + 1, height, width),
    )
