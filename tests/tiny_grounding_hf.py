"""The tiny GroundingDINO of `tiny_grounding` as transformers publishes it: the same weights in the hub's format."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    AutoTokenizer,
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    SwinConfig,
)

from tests import tiny_grounding


def write(folder: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    """A folder as `IDEA-Research/grounding-dino-tiny` is one, from weights in the authors' names."""
    tiny_grounding.write_text_encoder(folder)
    _config().save_pretrained(folder)
    save_file(renamed(tensors), folder / "model.safetensors", metadata={"format": "pt"})
    GroundingDinoProcessor(GroundingDinoImageProcessor(), AutoTokenizer.from_pretrained(folder)).save_pretrained(folder)
    return folder


def _config() -> Any:
    swin_t = SwinConfig(
        image_size=224,
        embed_dim=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        out_indices=[2, 3, 4],
    )
    return GroundingDinoConfig(
        backbone_config=swin_t,
        text_config=tiny_grounding.bert_config(BertConfig),
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_queries=24,
    )


_BLOCK = r"^(model\.backbone\..*blocks\.\d\.)"
_ENHANCER = r"^(model\.encoder\.layers\.\d\.text_enhancer_layer\.)"
_DEFORMABLE = r"^(model\.encoder\.layers\.\d\.deformable_layer\.)"
_DECODER = r"^(model\.decoder\.layers\.\d\.)"
_RENAMES = [
    (r"^bert\.", "model.text_backbone."),
    (r"^feat_map\.", "model.text_projection."),
    (r"^input_proj\.", "model.input_proj_vision."),
    (r"^backbone\.0\.patch_embed\.proj\.", "backbone.0.embeddings.patch_embeddings.projection."),
    (r"^backbone\.0\.patch_embed\.", "backbone.0.embeddings."),
    (r"^backbone\.0\.norm(\d)\.", lambda at: f"backbone.0.hidden_states_norms.stage{int(at[1]) + 1}."),
    (r"^backbone\.0\.layers\.", "backbone.0.encoder.layers."),
    (r"^backbone\.0\.", "model.backbone.conv_encoder.model."),
    (_BLOCK + "norm1", r"\1layernorm_before"),
    (_BLOCK + "norm2", r"\1layernorm_after"),
    (_BLOCK + r"attn\.proj", r"\1attention.output.dense"),
    (_BLOCK + r"attn\.", r"\1attention.self."),
    (_BLOCK + r"mlp\.fc1", r"\1intermediate.dense"),
    (_BLOCK + r"mlp\.fc2", r"\1output.dense"),
    (r"^transformer\.encoder\.text_layers\.(\d)\.", r"model.encoder.layers.\1.text_enhancer_layer."),
    (r"^transformer\.encoder\.fusion_layers\.(\d)\.", r"model.encoder.layers.\1.fusion_layer."),
    (r"^transformer\.encoder\.layers\.(\d)\.", r"model.encoder.layers.\1.deformable_layer."),
    (r"^transformer\.enc_out_bbox_embed", "model.encoder_output_bbox_embed"),
    (r"^transformer\.tgt_embed", "model.query_position_embeddings"),
    (r"^transformer\.decoder\.ref_point_head", "model.decoder.reference_points_head"),
    (r"^transformer\.decoder\.norm", "model.decoder.layer_norm"),
    (r"^transformer\.", "model."),
    (_ENHANCER + "norm1", r"\1layer_norm_before"),
    (_ENHANCER + "norm2", r"\1layer_norm_after"),
    (_DEFORMABLE + "norm1", r"\1self_attn_layer_norm"),
    (_DEFORMABLE + "norm2", r"\1final_layer_norm"),
    (_DECODER + r"cross_attn\.", r"\1encoder_attn."),
    (_DECODER + r"ca_text\.", r"\1encoder_attn_text."),
    (_DECODER + "catext_norm", r"\1encoder_attn_text_layer_norm"),
    (_DECODER + "norm1", r"\1encoder_attn_layer_norm"),
    (_DECODER + "norm2", r"\1self_attn_layer_norm"),
    (_DECODER + "norm3", r"\1final_layer_norm"),
    (r"(_layer|decoder\.layers\.\d)\.linear(\d)", r"\1.fc\2"),
    (r"gamma_v$", "vision_param"),
    (r"gamma_l$", "text_param"),
    (r"layer_norm_v\.", "layer_norm_vision."),
    (r"layer_norm_l\.", "layer_norm_text."),
    (r"fusion_layer\.attn\.(\w*)\bv_proj", r"fusion_layer.attn.\1vision_proj"),
    (r"fusion_layer\.attn\.(\w*)\bl_proj", r"fusion_layer.attn.\1text_proj"),
    (r"fusion_layer\.attn\.(values|out)_v_proj", r"fusion_layer.attn.\1_vision_proj"),
    (r"fusion_layer\.attn\.(values|out)_l_proj", r"fusion_layer.attn.\1_text_proj"),
]
"""From the authors' names to the hub's, applied one after the other."""


def renamed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights in the hub's names. Queries, keys and values, one matrix with the authors, are three there."""
    made = {}
    for name, tensor in tensors.items():
        for pattern, new in _RENAMES:
            name = re.sub(pattern, new, name)
        stacked = re.search(r"(attention\.self\.qkv\.|in_proj_)(weight|bias)$", name)
        if "bbox_embed.1." in name or name.startswith(("model.decoder.bbox_embed", "model.text_backbone.pooler")):
            continue  # the first layer's, under other names; and a part that transformers leaves out
        if not stacked:
            made[name] = tensor.clone()
            continue
        stem = name[: stacked.start()] + ("attention.self." if stacked[1].startswith("attention") else "")
        for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
            made[f"{stem}{part}.{stacked[2]}"] = third.clone()
    return made
