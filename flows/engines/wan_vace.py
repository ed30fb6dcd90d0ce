"""WanVACE, 1.3B or 14B: a Wan 2.1 transformer with a control branch that sees the references, each in a slot.

The condition is VACE's own (Wan-Video/Wan2.1 at 9737cba, wan/vace.py) without a source video: the whole video is
masked, and the references stand before it, first to last. `WanVACEPipeline` of diffusers prepends them one by one, so
that the last comes first, and it draws one video at a time; with its references turned round it draws what this engine
draws. Slots of references are sampled with the video's and cut off.

Our own policies are saved in the same format; they were trained with `solver = "euler"`, shift 3, and "" as the
negative prompt.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows.engines import wan
from flows.engines.ports import Generated, Request
from flows.engines.wan import Canvas, Sampling, Weights

if TYPE_CHECKING:
    from flows.engines.wan_networks import Networks
    from flows.engines.wan_sampling import Condition

MOST_REFERENCES = 8
"""A bound of ours: every reference costs as much as four frames."""


class WanVACE:
    """`Generator`. `model`: a folder, or a name on the hub, in the format of `WanVACEPipeline`.

    Steps, shift and guidance are those that Wan-Video/Wan2.1 at 9737cba samples VACE with (generate.py). With
    `is_offloaded` the large networks are on the GPU only while they run: for one card that several generators share.
    `name`: what its videos' generator is called, where that is not `wan-vace-1.3b` or the like: for our own policies.
    """

    def __init__(
        self,
        *,
        model: str,
        revision: str = "main",
        name: str = "",
        device: str = "auto",
        dtype: str = "auto",
        is_offloaded: bool = False,
        steps: int = 50,
        shift: float = 16.0,
        guidance: float = 5.0,
        solver: str = "unipc",
        negative_prompt: str = wan.NEGATIVE_PROMPT,
        num_videos: int = 1,
        most_pixels: int = wan.MOST_PIXELS,
    ) -> None:
        self._weights = Weights(model=model, revision=revision, device=device, dtype=dtype, is_offloaded=is_offloaded)
        self._sampling = Sampling(
            steps=steps,
            shift=shift,
            solver=solver,
            negative_prompt=negative_prompt,
            num_videos=num_videos,
            most_pixels=most_pixels,
        )
        self._guidance, self._name = guidance, name
        self.revision = wan.revision(f"wan-vace 1 {name}".rstrip(), self._weights, self._sampling, [guidance])

    def load(self) -> None:
        """Load the weights now; otherwise they load at first use. `EngineUnavailable` where they cannot."""
        self._networks()

    def generate(self, request: Request) -> Iterator[Generated]:
        from flows.engines import wan_sampling

        networks = self._networks()
        shown = 2 * networks.vae.config.z_dim + networks.space_scale**2
        networks.check_channels(networks.transformer.config.vace_in_channels, shown)
        canvas = wan.canvas_of(request, networks, most_pixels=self._sampling.most_pixels)
        condition = condition_of(networks, request, canvas, self._sampling.negative_prompt, self._guidance)
        name = self._name or f"wan-vace-{networks.size}"
        yield from wan_sampling.generated(networks, condition, request, canvas, self._sampling, name=name)

    def _networks(self) -> "Networks":
        from flows.engines import wan_networks

        return wan_networks.load(self._weights, architecture="WanVACETransformer3DModel")


def condition_of(
    networks: "Networks", request: Request, canvas: Canvas, negative_prompt: str, guidance: float
) -> "Condition":
    """Control of 2 C + scale^2 channels: what is kept (references), what is drawn anew (nothing is known), the mask."""
    import torch

    from flows.engines.wan_networks import as_tensor
    from flows.engines.wan_sampling import Condition, guided
    from trainers.policies.wan_vace import on_canvas

    with torch.no_grad():
        prompt_LD, negative_LD = networks.embed([request.prompt, negative_prompt])
        pictures = [on_canvas(as_tensor(each), canvas.size_px) for each in wan.checked(request, most=MOST_REFERENCES)]
        kept_CNHW = torch.cat([networks.encode(picture[None, :, None])[0] for picture in pictures], 1)
        absent_CNHW = networks.encode(torch.zeros(1, 3, canvas.num_frames, *canvas.size_px))[0]
    references = torch.cat([kept_CNHW, torch.zeros_like(kept_CNHW)])
    latents = torch.cat([references, torch.cat([absent_CNHW, absent_CNHW])], 1)
    mask = torch.ones(networks.space_scale**2, *latents.shape[1:], device=latents.device)
    mask[:, : len(pictures)] = 0
    return Condition(
        branches=guided(guidance, prompt_LD=prompt_LD, negative_LD=negative_LD),
        latent_shape=(kept_CNHW.shape[0], *latents.shape[1:]),
        control_CNHW=torch.cat([latents, mask]),
        num_leading_slots=len(pictures),
    )
