"""Tiny random checkpoints of the Wan 2.1 family, in the formats in which the real ones are released.

WanVACE: a folder in the format of diffusers. Phantom: one `.pth` with Wan's own names of weights. MAGREF: shards of
safetensors with an index, Wan's own names, the encoders' files of its release beside them. Text encoder, tokenizer and
codec are those of the tiny policy; the transformers of Phantom and MAGREF have one head of the real width.
"""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

from flows.engines.ports import Picture, Request
from flows.stages.frames import Frame
from trainers.policies import tiny

LATENT_CHANNELS, TIME_SCALE, TEXT_DIM, PICTURE_DIM, WIDTH = tiny.LATENT_CHANNELS, 4, 32, 32, 128
PROMPT = "a woman in a red coat and a man in a blue coat walk"
WAN_NAMES = (
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("condition_embedder.image_embedder.norm1", "img_emb.proj.0"),
    ("condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"),
    ("condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"),
    ("condition_embedder.image_embedder.norm2", "img_emb.proj.4"),
    ("proj_out", "head.head"),
    (".attn1.", ".self_attn."),
    (".attn2.", ".cross_attn."),
    (".add_k_proj.", ".k_img."),
    (".add_v_proj.", ".v_img."),
    (".norm_added_k.", ".norm_k_img."),
    (".to_q.", ".q."),
    (".to_k.", ".k."),
    (".to_v.", ".v."),
    (".to_out.0.", ".o."),
    (".norm2.", ".norm3."),
    (".ffn.net.0.proj.", ".ffn.0."),
    (".ffn.net.2.", ".ffn.2."),
)
"""diffusers' names and Wan's: Wan-Video/Wan2.1 at 9737cba, wan/modules/model.py."""


def vace(folder: Path) -> Path:
    """A whole `WanVACEPipeline`."""
    policy = tiny.build(0)
    sharpen(policy.transformer)
    policy.save(folder, shift=3.0, note={})
    return folder


def base(folder: Path) -> Path:
    """What weights in Wan's own format lack: text encoder, tokenizer, codec, and CLIP's vision model."""
    policy = tiny.build(0)
    policy.tokenizer.save_pretrained(folder / "tokenizer")
    policy.text_encoder.save_pretrained(folder / "text_encoder")
    policy.vae.save_pretrained(folder / "vae")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        config = CLIPVisionConfig(
            hidden_size=PICTURE_DIM,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            image_size=28,
            patch_size=14,
        )
        CLIPVisionModel(config).save_pretrained(folder / "image_encoder")
    return folder


def phantom(file: Path) -> Path:
    """One file that `torch.save` wrote."""
    torch.save(wan_state(phantom_transformer()), file)
    return file


def magref(folder: Path) -> Path:
    """Two shards, and files of the release that are no part of the transformer."""
    folder.mkdir(parents=True)
    state = wan_state(magref_transformer())
    shards = {f"diffusion_pytorch_model-0000{number}-of-00002.safetensors": number - 1 for number in (1, 2)}
    weight_map = {}
    for name, number in shards.items():
        part = {weight: state[weight] for weight in sorted(state)[number::2]}
        save_file(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    for name in ("Wan2.1_VAE.pth", "models_t5_umt5-xxl-enc-bf16.pth"):
        (folder / name).write_bytes(b"not read")
    return folder


def phantom_transformer() -> WanTransformer3DModel:
    return _transformer(LATENT_CHANNELS)


def magref_transformer() -> WanTransformer3DModel:
    """Its input: noisy latents, a mask channel for each frame of a slot, the canvas's latents."""
    return _transformer(2 * LATENT_CHANNELS + TIME_SCALE, image_dim=PICTURE_DIM, added_kv_proj_dim=WIDTH)


def wan_state(transformer: WanTransformer3DModel) -> dict[str, Tensor]:
    """A transformer's weights under Wan's own names."""
    return {wan_name(name): weight.clone() for name, weight in transformer.state_dict().items()}


def wan_name(name: str) -> str:
    if name == "scale_shift_table":
        return "head.modulation"
    for theirs, wans in WAN_NAMES:
        name = name.replace(theirs, wans)
    return name.replace("scale_shift_table", "modulation")


def picture(seed: int, height: int = 40, width: int = 24) -> Picture:
    """Broad stripes of random colours, so that a picture's coarse look is its own."""
    colours = np.random.default_rng(seed).integers(0, 256, (5, 3))
    return np.repeat(np.repeat(colours, height // 5, 0)[:, None], width, 1).astype(np.uint8)


def request(**override: Any) -> Request:
    """Two references, five frames of 30 x 46 px: neither side is a multiple of the tiny grid of 8."""
    frames = tuple(
        Frame(index=index, time=Fraction(index, 24), rgb=np.full((30, 46, 3), 90, np.uint8)) for index in range(5)
    )
    values: dict[str, Any] = {
        "prompt": PROMPT,
        "references": (picture(1), picture(2)),
        "original": frames,
        "face_boxes": ((),) * 5,
        "frame_rate": Fraction(24),
        "seed": 7,
    }
    return Request(**(values | override))


def _transformer(in_channels: int, **override: Any) -> WanTransformer3DModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        transformer = WanTransformer3DModel(
            num_attention_heads=1,
            attention_head_dim=WIDTH,
            in_channels=in_channels,
            out_channels=LATENT_CHANNELS,
            text_dim=TEXT_DIM,
            freq_dim=64,
            ffn_dim=64,
            num_layers=2,
            **override,
        )
    sharpen(transformer)
    return transformer


def sharpen(transformer: Any) -> None:
    """A new network looks everywhere alike; this one minds where things stand, so that pictures tell what it saw."""
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            if "norm_q" in name:
                parameter.mul_(4)
            elif parameter.ndim > 1:
                parameter.mul_(2)
