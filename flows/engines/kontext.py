"""FLUX.1 Kontext re-synthesises a person from other perspectives (Batifol et al. 2025), by diffusers' own pipeline.

Identity-GRPO (2.1.1) makes its references with it. Every view has a seed of its own, drawn from the picture and the
prompt: the same picture gives the same views, alone or in a batch, whichever other prompts are asked.
"""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from flows.engines import devices, loading, perspectives, weights
from flows.engines.ports import Picture, View
from warehouse import ids

if TYPE_CHECKING:
    import torch

STEP_PX = 16
"""Sides are multiples of it: the VAE's eight, packed by two."""
_PROMPT_TOKENS = 512
"""As many as diffusers gives the T5 encoder."""


class Kontext:
    """`Synthesizer`. `model`: a folder, or a name on the hub, in the format of `FluxKontextPipeline`.

    `prompts`: names of `perspectives.PERSPECTIVES`, or own ones as `name: text`; none: all of them. Steps and guidance
    are those of the model's card (28, 2.5). `area_px`: pixels of a view; the model was trained at a million.
    `prompts_at_once`: views in one batch; 24 GB of weights and 10 GB of text encoder leave room for four in 80 GB.
    `is_offloaded`: keep in GPU memory only the network that computes, for cards below 40 GB (needs CUDA).
    """

    def __init__(
        self,
        *,
        model: str = "black-forest-labs/FLUX.1-Kontext-dev",
        revision: str = "main",
        device: str = "auto",
        dtype: str = "auto",
        prompts: Sequence[str] = (),
        steps: int = 28,
        guidance: float = 2.5,
        area_px: int = 1 << 20,
        prompts_at_once: int = 2,
        is_offloaded: bool = False,
        seed: int = 0,
    ) -> None:
        devices.check(device, dtype)
        if steps < 1 or prompts_at_once < 1 or area_px < STEP_PX**2:
            raise ValueError("steps and prompts_at_once must be at least 1, area_px at least 256")
        self._prompts = perspectives.chosen(prompts)
        self._source = model, revision, device, dtype, is_offloaded
        self._steps, self._guidance, self._area_px = steps, guidance, area_px
        self._prompts_at_once, self._seed = prompts_at_once, seed
        self.name = f"kontext {Path(model).name}"
        decisive = ids.digest([list(self._prompts.items()), steps, guidance, area_px, seed, dtype])[:12]
        self.revision = f"kontext-1-{weights.revision_of(model, revision)}-{decisive}"

    def load(self) -> None:
        """Load the weights now; otherwise they load at first use. `EngineUnavailable` where they cannot."""
        _loaded(*self._source)

    def views(self, picture: Picture) -> Sequence[View]:
        """One view a prompt, in their order; a `ValueError` where the network's numbers ran out of range."""
        pipeline = _loaded(*self._source)
        made: list[View] = []
        for some in _batches(self._prompts, self._prompts_at_once):
            seeds = [seed_of(picture, prompt, self._seed) for prompt in some.values()]
            drawn = pipeline.draw(
                fitted(picture, self._area_px),
                tuple(some.values()),
                seeds,
                steps=self._steps,
                guidance=self._guidance,
            )
            made += [
                View(name=name, picture=each, is_resynthesised=True, synthesizer=self.name, prompt=prompt)
                for (name, prompt), each in zip(some.items(), drawn, strict=True)
            ]
        return made


def seed_of(picture: Picture, prompt: str, seed: int) -> int:
    """Of one view: 63 bits drawn from the picture's pixels, the prompt and the engine's own seed."""
    drawn = hashlib.sha256(repr((picture.shape, prompt, seed)).encode())
    drawn.update(np.ascontiguousarray(picture).data)
    return int.from_bytes(drawn.digest()[:8]) >> 1


def fitted(picture: Picture, area_px: int) -> Picture:
    """A picture at about `area_px` pixels, sides multiples of 16, its shape kept to half a step.

    At a million these are the sizes that Kontext was trained on (`PREFERRED_KONTEXT_RESOLUTIONS` of diffusers).
    """
    height, width = picture.shape[:2]
    scale = (area_px / (height * width)) ** 0.5
    size = [max(STEP_PX, round(side * scale / STEP_PX) * STEP_PX) for side in (width, height)]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=method), dtype=np.uint8)


class _Pipeline:
    """The networks, and what the text encoders said of each prompt: those are the same for every picture."""

    def __init__(self, model: str, revision: str, device: str, dtype: str, is_offloaded: bool) -> None:
        with loading.translated(model):
            import torch
            from diffusers import FluxKontextPipeline

            place = devices.pick(device)
            is_half = dtype == "bfloat16" or (dtype == "auto" and place.type == "cuda")
            kind = torch.bfloat16 if is_half else torch.float32
            self._pipeline = FluxKontextPipeline.from_pretrained(
                model, revision=revision, dtype=kind, use_safetensors=True
            )
            if is_offloaded:
                self._pipeline.enable_model_cpu_offload(device=place)
            else:
                self._pipeline.to(place)
        self._pipeline.set_progress_bar_config(disable=True)
        self._embedded: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def draw(
        self, picture: Picture, prompts: Sequence[str], seeds: Sequence[int], *, steps: int, guidance: float
    ) -> list[Picture]:
        """One picture a prompt, of the size of the one given."""
        import torch

        height, width = picture.shape[:2]
        with torch.inference_mode():
            embedded = [self._embed(prompt) for prompt in prompts]
            drawn = self._pipeline(
                image=_as_tensor(picture),
                prompt_embeds=torch.cat([long for long, _ in embedded]),
                pooled_prompt_embeds=torch.cat([pooled for _, pooled in embedded]),
                height=height,
                width=width,
                max_area=height * width,
                _auto_resize=False,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
                output_type="np",
            ).images
        if not np.isfinite(drawn).all():
            raise ValueError(f"{len(prompts)} views hold what is no number; try dtype = 'float32'")
        return list(np.rint(drawn * 255).astype(np.uint8))

    def _embed(self, prompt: str) -> "tuple[torch.Tensor, torch.Tensor]":
        """(1, 512, width of T5) and (1, width of CLIP)."""
        if prompt not in self._embedded:
            long, pooled, _ = self._pipeline.encode_prompt(
                prompt=prompt, prompt_2=None, max_sequence_length=_PROMPT_TOKENS
            )
            self._embedded[prompt] = long, pooled
        return self._embedded[prompt]


def _as_tensor(picture: Picture) -> "torch.Tensor":
    """(1, 3, height, width) in 0 to 1, as the pipeline takes tensors."""
    import torch

    return torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]


def _batches(prompts: Mapping[str, str], size: int) -> Iterator[dict[str, str]]:
    left: Iterator[Any] = iter(prompts.items())
    while some := dict(islice(left, size)):
        yield some


@functools.cache
def _loaded(model: str, revision: str, device: str, dtype: str, is_offloaded: bool) -> _Pipeline:
    return _Pipeline(model, revision, device, dtype, is_offloaded)
