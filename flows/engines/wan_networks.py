"""The networks around and in a Wan 2.1 transformer, loaded once a worker and shared by every generator that names them.

Text encoder and transformer run in the engine's dtype, the transformer's norms and times in float32 as diffusers keeps
them; codec and image encoder always run in float32.
"""

# Shape letters: B videos, C channels, N slots of latent time, T frames, H, W; L tokens, D

import functools
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import accelerate
import diffusers
import torch
import torch.nn.functional as F
import transformers
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from diffusers.pipelines.wan.pipeline_wan_vace import prompt_clean
from torch import Tensor
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from flows.engines import devices, loading, wan, wan_files
from flows.engines.ports import Picture
from flows.engines.wan import Weights
from trainers.policies.wan_vace import MOST_TOKENS, NOTE, REFERENCE_ORDER
from warehouse.errors import EngineUnavailable

HEAD_DIM = 128
"""Of every Wan 2.1 transformer; the one number of its shape that its weights do not tell."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Networks:
    """All that one generator runs."""

    tokenizer: Any
    text_encoder: Any
    vae: Any
    """Small enough to stay on the device."""
    transformer: Any
    image_encoder: Any | None
    """CLIP's vision model; None where the transformer takes no embedded picture."""
    device: torch.device
    resting: torch.device
    """Where the large ones are while they do not run."""

    @contextmanager
    def running(self, network: Any) -> Iterator[Any]:
        """The network, on the device for that long."""
        try:
            yield network.to(self.device)
        finally:
            network.to(self.resting)

    @property
    def space_scale(self) -> int:
        """Pixels a latent position, along one side."""
        return int(2 ** len(self.vae.temperal_downsample))

    @property
    def time_scale(self) -> int:
        """Frames a slot, after the first."""
        return int(2 ** sum(self.vae.temperal_downsample))

    @property
    def grid_px(self) -> int:
        return self.space_scale * int(self.transformer.config.patch_size[1])

    @property
    def size(self) -> str:
        return wan.size_of(self.transformer.config)

    def check_channels(self, found: int, expected: int) -> None:
        """That the transformer takes what the engine shows it: weights of another Wan model load as well."""
        if found != expected:
            raise EngineUnavailable(
                f"the transformer takes {found} channels, this engine shows {expected}: other weights"
            )

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """(B, L, D): nothing but zeros beyond a prompt's end, as Wan was trained.

        Beside an embedded picture L is always Wan's 512: diffusers takes whatever stands before them to be the picture.
        """
        tokenizer = self.tokenizer
        tokens = tokenizer(
            [prompt_clean(prompt) for prompt in prompts],
            padding="max_length",
            max_length=min(tokenizer.model_max_length, MOST_TOKENS),
            truncation=True,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(self.device)
        with self.running(self.text_encoder) as encoder:
            embedded: Tensor = encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        within: Tensor = tokens.attention_mask[..., None].to(embedded.dtype)
        num_absent = MOST_TOKENS - embedded.shape[1] if self.image_encoder is not None else 0
        return F.pad(embedded * within, (0, 0, 0, num_absent))

    def embed_picture(self, picture_3HW: Tensor) -> Tensor:
        """(1, L, D) of a picture from -1 to 1, the whole of it pressed into CLIP's square: its last layer but one.

        diffusers' own processor cuts the middle out instead, and people at the sides would not be seen.
        """
        assert self.image_encoder is not None  # the engine asked for it
        side = self.image_encoder.config.image_size
        square = F.interpolate(picture_3HW[None], size=(side, side), mode="bicubic", align_corners=False)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
        normal = ((square + 1) / 2 - mean) / std
        with self.running(self.image_encoder) as encoder:
            hidden: Tensor = encoder(normal.to(self.device), output_hidden_states=True).hidden_states[-2]
        return hidden

    def encode(self, video_B3THW: Tensor) -> Tensor:
        """Videos from -1 to 1 to normalised latents (B, C, N, H, W)."""
        mean, std = self._statistics()
        latent: Tensor = self.vae.encode(video_B3THW.to(self.device)).latent_dist.mode()
        return (latent - mean) / std

    def decode(self, latent_BCNHW: Tensor) -> Tensor:
        """Normalised latents to videos (B, 3, T, H, W) from -1 to 1."""
        mean, std = self._statistics()
        video: Tensor = self.vae.decode(latent_BCNHW * std + mean).sample
        return video

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each latent channel, as the codec's configuration records them."""
        config = self.vae.config
        mean, std = (torch.tensor(config[name], device=self.device) for name in ("latents_mean", "latents_std"))
        return mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)


def load(weights: Weights, *, architecture: str, has_image_encoder: bool = False) -> Networks:
    """The networks; each is loaded once. `architecture` is the transformer's class in diffusers."""
    device = devices.pick(weights.device)
    name = weights.dtype if weights.dtype != "auto" else "bfloat16" if device.type == "cuda" else "float32"
    dtype: torch.dtype = getattr(torch, name)
    resting = torch.device("cpu") if weights.is_offloaded else device
    place = (weights.base, weights.base_revision) if weights.base else (weights.model, weights.revision)
    tokenizer, text_encoder, vae = _encoders(*place, resting, dtype)
    return Networks(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=vae.to(device),
        image_encoder=_image_encoder(*place, resting) if has_image_encoder else None,
        transformer=_transformer(weights, architecture, resting, dtype),
        device=device,
        resting=resting,
    )


def as_tensor(picture: Picture) -> Tensor:
    """(3, H, W) from -1 to 1."""
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 127.5 - 1


@functools.cache
def _encoders(place: str, revision: str, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any, Any]:
    """Tokenizer, text encoder and codec."""
    with loading.translated(place), _without_bars():
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, subfolder="tokenizer", revision=revision)
    text_encoder = _pretrained(transformers.UMT5EncoderModel, place, "text_encoder", revision, dtype)
    vae = _pretrained(diffusers.AutoencoderKLWan, place, "vae", revision, torch.float32)
    return tokenizer, _still(text_encoder, device), _still(vae, device)


@functools.cache
def _image_encoder(place: str, revision: str, device: torch.device) -> Any:
    return _still(_pretrained(transformers.CLIPVisionModel, place, "image_encoder", revision, torch.float32), device)


@functools.cache
def _transformer(weights: Weights, architecture: str, device: torch.device, dtype: torch.dtype) -> Any:
    kind = getattr(diffusers, architecture)
    if weights.is_original:
        files = wan_files.find(weights.model, weights.file, weights.revision)
        return _still(_from_original(files, kind, dtype), device)
    _check_order(Path(weights.model))
    return _still(_pretrained(kind, weights.model, "transformer", weights.revision, dtype), device)


def _check_order(folder: Path) -> None:
    """Our own policies note in which order they were trained to take references."""
    note = folder / NOTE
    if note.exists() and (order := json.loads(note.read_text())["reference_order"]) != REFERENCE_ORDER:
        raise EngineUnavailable(f"{folder}: takes references {order!r}, this engine gives them {REFERENCE_ORDER!r}")


def _pretrained(kind: Any, place: str, subfolder: str, revision: str, dtype: torch.dtype) -> Any:
    """A whole network: both libraries draw at random what a file lacks, and go on."""
    with loading.translated(f"{place}/{subfolder}"), _without_bars():
        network, report = kind.from_pretrained(
            place,
            subfolder=subfolder,
            revision=revision,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
        )
    _check_whole(f"{place}/{subfolder}", report["missing_keys"])
    return network


def _from_original(files: Sequence[Path], kind: Any, dtype: torch.dtype) -> Any:
    """A transformer from Wan's own names of weights, each in the dtype in which diffusers would hold it.

    What else the files hold is not looked at, as the releases' own code does not (`strict=False`).
    """
    exact, state = set(kind._keep_in_fp32_modules), {}
    with loading.translated(str(files[0])):
        for file in files:  # one at a time: the 14B's shards are 57 GB
            for name, value in convert_wan_transformer_to_diffusers(loading.read_checkpoint(file)).items():
                if isinstance(value, Tensor):
                    state[name] = value.to(dtype if exact.isdisjoint(name.split(".")) else torch.float32)
        with accelerate.init_empty_weights():
            transformer = kind.from_config(_config(state))
        names = transformer.state_dict().keys()
        _check_whole(str(files[0]), names - state.keys())
        transformer.load_state_dict({name: state[name] for name in names}, assign=True)
    return transformer


def _check_whole(what: str, missing: Collection[str]) -> None:
    if missing:
        raise EngineUnavailable(f"{what}: lacks {len(missing)} weights, {min(missing)} among them; fetch it again")


def _config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The shape of a transformer, read off its weights (diffusers' names)."""
    width, in_channels, *patch_size = state["patch_embedding.weight"].shape
    embedder = "condition_embedder"
    picture = state.get(f"{embedder}.image_embedder.norm1.weight")
    return {
        "patch_size": patch_size,
        "num_attention_heads": width // HEAD_DIM,
        "attention_head_dim": HEAD_DIM,
        "in_channels": in_channels,
        "out_channels": state["proj_out.weight"].shape[0] // math.prod(patch_size),
        "text_dim": state[f"{embedder}.text_embedder.linear_1.weight"].shape[1],
        "freq_dim": state[f"{embedder}.time_embedder.linear_1.weight"].shape[1],
        "ffn_dim": state["blocks.0.ffn.net.0.proj.weight"].shape[0],
        "num_layers": 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks.")),
        "cross_attn_norm": "blocks.0.norm2.weight" in state,
        "image_dim": None if picture is None else picture.shape[0],
        "added_kv_proj_dim": width if "blocks.0.attn2.add_k_proj.weight" in state else None,
    }


def _still(network: Any, device: torch.device) -> Any:
    return network.to(device).eval().requires_grad_(False)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Progress belongs to the caller: both libraries would draw a bar for every file they read."""
    libraries = (transformers.utils.logging, diffusers.utils.logging)
    shown = [library for library in libraries if library.is_progress_bar_enabled()]
    for library in shown:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bar()
