"""Wan 2.1 VACE: a Wan transformer with a control branch that sees the references. Weights in the format of diffusers.

It departs from `WanVACEPipeline`, which draws one video at a time: here a condition is encoded once and shared by a
batch. And the order of references is VACE's own, first to last; the pipeline prepends them one by one, so that the last
comes first.
"""

# Shape letters as in protocol.py

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from diffusers.pipelines.wan.pipeline_wan_vace import prompt_clean
from peft import LoraConfig
from torch import Tensor
from transformers import AutoTokenizer, UMT5EncoderModel
from transformers.utils import logging as transformers_logging

from trainers.errors import CheckpointDamaged
from trainers.policies.protocol import Condition

REFERENCE_ORDER = "first to last"
NOTE = "likeness.json"
MOST_TOKENS = 512
"""Wan's own limit on a prompt."""
TIME_UNIT = 1000
"""The transformer counts t in thousandths."""
LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2")
ADAPTER = "policy"


class WanVACE:
    """`VideoPolicy` of the Wan 2.1 VACE family, of any size."""

    name = "wan_vace"

    def __init__(self, *, tokenizer: Any, text_encoder: Any, vae: Any, transformer: Any) -> None:
        self.tokenizer, self.text_encoder = tokenizer, text_encoder.eval().requires_grad_(False)
        self.vae, self.transformer = vae.eval().requires_grad_(False), transformer.eval()
        self.num_tokens = min(tokenizer.model_max_length, MOST_TOKENS)

    @classmethod
    def load(cls, folder: Path | str) -> "WanVACE":
        """From a folder (or a name on the hub) in the format of `WanVACEPipeline`."""
        note = Path(folder) / NOTE
        if note.exists() and (order := json.loads(note.read_text())["reference_order"]) != REFERENCE_ORDER:
            raise CheckpointDamaged(f"{folder}: takes references {order!r}; this version: {REFERENCE_ORDER!r}")
        with _without_bars():
            return cls(
                tokenizer=AutoTokenizer.from_pretrained(folder, subfolder="tokenizer"),
                text_encoder=UMT5EncoderModel.from_pretrained(folder, subfolder="text_encoder"),
                vae=AutoencoderKLWan.from_pretrained(folder, subfolder="vae"),
                transformer=WanVACETransformer3DModel.from_pretrained(folder, subfolder="transformer"),
            )

    def save(self, folder: Path, *, shift: float, note: Mapping[str, Any]) -> None:
        """In the format of `WanVACEPipeline`, with the shift of times and a note that pins the references' order."""
        pipeline = WanVACEPipeline(
            tokenizer=self.tokenizer,
            text_encoder=self.text_encoder,
            vae=self.vae,
            transformer=self.transformer,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
        )
        with _without_bars():
            pipeline.save_pretrained(folder)
        (folder / NOTE).write_text(json.dumps({"reference_order": REFERENCE_ORDER, **note}, indent=1, sort_keys=True))

    @torch.no_grad()
    def condition(
        self, prompt: str, references: Sequence[Tensor], *, num_frames: int, size_px: tuple[int, int]
    ) -> Condition:
        prompt_LD, empty_LD = self._embed([prompt, ""])
        absent = self.encode(torch.zeros(1, 3, num_frames, *size_px))[0]
        pictures = [self.encode(on_canvas(picture, size_px)[None, :, None])[0] for picture in references]
        references_CNHW = torch.cat([absent[:, :0], *pictures], 1)
        control = torch.cat(
            [
                torch.cat([references_CNHW, torch.zeros_like(references_CNHW)]),
                torch.cat([absent, absent]),
            ],
            1,
        )
        mask = torch.ones(self._spatial_scale**2, *control.shape[1:])
        mask[:, : len(pictures)] = 0
        return Condition(
            prompt_LD=prompt_LD,
            empty_LD=empty_LD,
            control_CNHW=torch.cat([control, mask]),
            references_CNHW=references_CNHW,
        )

    @torch.no_grad()
    def encode(self, video_B3THW: Tensor) -> Tensor:
        mean, std = self._statistics()
        latent: Tensor = (self.vae.encode(video_B3THW).latent_dist.mode() - mean) / std
        return latent

    @torch.no_grad()
    def decode(self, latent_BCNHW: Tensor) -> Tensor:
        mean, std = self._statistics()
        video: Tensor = self.vae.decode(latent_BCNHW * std + mean).sample
        return video

    def latent_shape(self, condition: Condition) -> tuple[int, int, int, int]:
        num_slots, height, width = condition.control_CNHW.shape[1:]
        return self.vae.config.z_dim, num_slots, height, width

    def predict(self, latent_BCNHW: Tensor, t_B: Tensor, text_BLD: Tensor, control_BCNHW: Tensor) -> Tensor:
        velocity: Tensor = self.transformer(
            hidden_states=latent_BCNHW,
            timestep=t_B * TIME_UNIT,
            encoder_hidden_states=text_BLD,
            control_hidden_states=control_BCNHW,
        ).sample
        return velocity

    def add_lora(self, *, rank: int, alpha: int, seed: int) -> Mapping[str, Tensor]:
        self.transformer.requires_grad_(False)
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(LORA_TARGETS), init_lora_weights=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.transformer.add_adapter(config, adapter_name=ADAPTER)
        adapters = {
            name.replace(f".{ADAPTER}.", "."): parameter
            for name, parameter in self.transformer.named_parameters()
            if parameter.requires_grad
        }
        return {name: adapters[name] for name in sorted(adapters)}

    @contextmanager
    def without_lora(self) -> Iterator[None]:
        self.transformer.disable_adapters()
        try:
            yield
        finally:
            self.transformer.enable_adapters()

    def _embed(self, prompts: Sequence[str]) -> Tensor:
        """(B, L, D): nothing but zeros beyond a prompt's end, as Wan was trained."""
        tokens = self.tokenizer(
            [prompt_clean(prompt) for prompt in prompts],
            padding="max_length",
            max_length=self.num_tokens,
            truncation=True,
            return_attention_mask=True,
            return_tensors="pt",
        )
        embedded: Tensor = self.text_encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        within: Tensor = tokens.attention_mask[..., None]
        return embedded * within

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each latent channel, as the codec's configuration records them."""
        mean, std = (torch.tensor(self.vae.config[name]) for name in ("latents_mean", "latents_std"))
        return mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)

    @property
    def _spatial_scale(self) -> int:
        return int(2 ** len(self.vae.temperal_downsample))


def on_canvas(picture_3HW: Tensor, size_px: tuple[int, int]) -> Tensor:
    """A reference in the middle of a white canvas (height, width), as large as fits: VACE's own way. RGB -1 to 1."""
    scale = min(size_px[0] / picture_3HW.shape[1], size_px[1] / picture_3HW.shape[2])
    height, width = (max(int(side * scale), 1) for side in picture_3HW.shape[1:])
    resized = F.interpolate(picture_3HW[None], size=(height, width), mode="bilinear", align_corners=False)[0]
    top, left = (size_px[0] - height) // 2, (size_px[1] - width) // 2
    canvas = torch.ones(3, *size_px)
    canvas[:, top : top + height, left : left + width] = resized
    return canvas


@contextmanager
def _without_bars() -> Iterator[None]:
    """Progress belongs to the caller: transformers would draw a bar for every file it reads or writes."""
    were_shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_shown:
            transformers_logging.enable_progress_bar()
