"""Small SAM 2 video networks with drawn weights, in the files that their makers publish: one network, both formats."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests import tiny_grounding

CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"
SIDE_PX = 128
OVERRIDES = (
    f"++model.image_size={SIDE_PX}",
    "++model.image_encoder.trunk.embed_dim=16",
    "++model.image_encoder.trunk.stages=[1,1,2,1]",
    "++model.image_encoder.trunk.global_att_blocks=[3]",
    "++model.image_encoder.neck.backbone_channel_list=[128,64,32,16]",
    "++model.memory_attention.num_layers=1",
    "++model.memory_attention.layer.dim_feedforward=64",
    "++model.memory_attention.layer.self_attention.feat_sizes=[8,8]",
    "++model.memory_attention.layer.cross_attention.feat_sizes=[8,8]",
    "++model.memory_encoder.fuser.num_layers=1",
)
"""Six million parameters in place of 39: the width of 256 is fixed in the authors' code."""


SEED = 0
"""Gives masks that are neither empty nor full, and hang on the prompt."""
POSITION_SPREAD = 11.0
"""Of the position code: brings what is drawn to a standard deviation of 1, as the authors draw it."""


def drawn(*, is_seen: bool = True) -> dict[str, torch.Tensor]:
    """Weights in the authors' names. The head that tells whether an object is in the frame always says `is_seen`."""
    from sam2.build_sam import build_sam2_video_predictor

    network = build_sam2_video_predictor(CONFIG, None, "cpu", hydra_overrides_extra=list(OVERRIDES))
    tiny_grounding.draw_weights(network, seed=SEED)
    tensors: dict[str, torch.Tensor] = network.state_dict()
    code = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"  # drawn too by its makers, but kept
    tensors[code].copy_(tiny_grounding.drawn(code, tensors[code], seed=SEED) * POSITION_SPREAD)
    tensors["sam_mask_decoder.pred_obj_score_head.layers.2.bias"].fill_(20.0 if is_seen else -20.0)
    return tensors


def write_authors(folder: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": dict(tensors)}, folder / "tiny.pt")
    return folder / "tiny.pt"


def write_transformers(folder: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    """The same weights as `save_pretrained` leaves them, processor included."""
    from transformers import Sam2ImageProcessor, Sam2VideoProcessor, Sam2VideoVideoProcessor

    _config().save_pretrained(folder)
    whole = {name: tensor.clone() for name, tensor in renamed(tensors).items()}
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    size, mask_size = ({"height": side, "width": side} for side in (SIDE_PX, SIDE_PX // 4))
    images = Sam2ImageProcessor(size=size, mask_size=mask_size)
    Sam2VideoProcessor(images, Sam2VideoVideoProcessor(size=size)).save_pretrained(folder)
    return folder


def _config() -> Any:
    from transformers import Sam2HieraDetConfig, Sam2VideoConfig, Sam2VideoMaskDecoderConfig, Sam2VisionConfig

    backbone = Sam2HieraDetConfig(
        hidden_size=16,
        image_size=[SIDE_PX, SIDE_PX],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
    )
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": SIDE_PX},
        mask_decoder_config=Sam2VideoMaskDecoderConfig(),
        image_size=SIDE_PX,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_fuser_num_layers=1,
    )


_RENAMES = [
    (r"^image_encoder\.neck\.convs\.(\d)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"^sam_(prompt_encoder|mask_decoder)", r"\1"),
    (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    (r"mask_downscaling\.(\d)\.", lambda at: "mask_embed." + dict(zip("01346", _MASK_STEPS, strict=True))[at[1]] + "."),
    (r"output_upscaling\.(\d)\.", lambda at: f"upscale_{dict(zip('013', _UPSCALE_STEPS, strict=True))[at[1]]}."),
    (r"^memory_encoder\.out_proj", "memory_encoder.projection"),
    (r"pix_feat_proj", "feature_projection"),
    (r"mask_downsampler\.encoder\.12\.", "mask_downsampler.final_conv."),
    (
        r"mask_downsampler\.encoder\.(\d+)\.",
        lambda at: f"mask_downsampler.layers.{int(at[1]) // 3}.{('conv', 'layer_norm')[int(at[1]) % 3]}.",
    ),
    (r"\bfuser\b", "memory_fuser"),
    (r"\bgamma$", "scale"),
    (r"\bdwconv\b", "depthwise_conv"),
    (r"\bpwconv", "pointwise_conv"),
    (r"\bnorm", "layer_norm"),
    (r"\bout_proj\b", "o_proj"),
    (r"^obj_ptr_tpos_proj", "temporal_positional_encoding_projection_layer"),
    (r"^obj_ptr_proj", "object_pointer_proj"),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
    (r"^no_obj_ptr$", "no_object_pointer"),
    (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
    (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
    (r"\bmlp\.layers\.(\d)\.", lambda at: f"mlp.{('proj_in', 'proj_out')[int(at[1])]}."),
    (
        r"(mlps\.\d|iou_prediction_head|pred_obj_score_head|object_pointer_proj)\.layers\.(\d)\.",
        lambda at: f"{at[1]}.{('proj_in', 'layers.0', 'proj_out')[int(at[2])]}.",
    ),
]
"""From the authors' names to those of transformers, applied one after the other."""
_MASK_STEPS = ("conv1", "layer_norm1", "conv2", "layer_norm2", "conv3")
_UPSCALE_STEPS = ("conv1", "layer_norm", "conv2")


def renamed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights in the names of transformers: four point embeddings are one table, the position code lies twice."""
    made = {}
    for name, tensor in tensors.items():
        for pattern, new in _RENAMES:
            name = re.sub(pattern, new, name)
        made[name] = tensor
    points = [made.pop(f"prompt_encoder.point_embeddings.{number}.weight") for number in range(4)]
    made["prompt_encoder.point_embed.weight"] = torch.cat(points)
    made["shared_image_embedding.positional_embedding"] = made["prompt_encoder.shared_embedding.positional_embedding"]
    return made
