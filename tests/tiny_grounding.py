"""Small GroundingDINOs with drawn weights, in the files that their makers publish.

Drawn by numpy from each tensor's name, so that every version of torch and transformers gets the same numbers. This
module needs neither the project nor transformers 5: `tests/golden/make_grounding_dino.py` runs it under 4.57.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

WORDS = ["a", "the", "and", "of", "in", "with", "woman", "man", "person", "girl", "dog", "red", "blue", "coat", "hat"]
_PLACES = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
"""As in `bert-base-uncased`: transformers looks for these numbers where the authors' code asks the tokenizer."""
VOCABULARY = {f"[unused{number}]": number for number in range(1030) if number not in _PLACES.values()}
VOCABULARY = {word: number for word, number in VOCABULARY.items() if not 200 <= number < 300} | _PLACES
VOCABULARY |= {word: 200 + number for number, word in enumerate([*WORDS, *"bcdefghijklmnopqrstuvwxyz0123456789,'-"])}

SEED = 8
"""Gives boxes and scores that differ widely."""

OVERRIDES = (
    "enc_layers=1",
    "dec_layers=2",
    "dim_feedforward=64",
    "num_queries=24",
    "nheads=4",
)
"""Of `GroundingDINO_SwinT_OGC`. Swin-T itself (28 M parameters) and the width of 256 are fixed in the authors' code."""


def write_text_encoder(folder: Path) -> Path:
    """A BERT of two layers: configuration and tokenizer, as `bert-base-uncased` has them; no weights."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertWordPieceTokenizer(dict(VOCABULARY), lowercase=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    bert_config(BertConfig).save_pretrained(folder)
    return folder


def bert_config(kind: Any) -> Any:
    return kind(
        vocab_size=1030,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
    )


def draw_weights(model: torch.nn.Module, *, seed: int = SEED) -> None:
    """Fill every parameter. Sizes are those of a trained network, so that boxes and scores differ widely."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(drawn(name, parameter, seed=seed))


def drawn(name: str, like: torch.Tensor, *, seed: int) -> torch.Tensor:
    """Numbers for the tensor of this name and shape. Scales of normalisations lie around 1.

    GroundingDINO's last normalisations, of queries and of text, are smaller: its scores then lie apart from 0 and 1.
    """
    key = hashlib.sha256(f"{seed} {name}".encode()).digest()
    numbers = np.random.default_rng(list(key)).standard_normal(tuple(like.shape), dtype=np.float32)
    is_scale = like.ndim == 1 and name.endswith("weight") and "decoder.norm." not in name
    spread = 0.2 if like.ndim < 2 else 1 / math.sqrt(like[0].numel())
    less = 0.4 if "text_layers.0.norm2." in name else 1.0
    return (torch.from_numpy(numbers) * spread + float(is_scale)) * less


def picture(width_px: int = 200, height_px: int = 128) -> np.ndarray:
    """(height, width, 3), uint8: a drawn scene, the same everywhere: shapes over a gradient."""
    y, x = np.mgrid[0:height_px, 0:width_px]
    scene = np.stack([255 * x // width_px, 255 * y // height_px, 7 * x * y % 160], -1)
    for centre_x, centre_y, radius, colour in [(50, 60, 30, (200, 30, 40)), (140, 70, 38, (30, 60, 210))]:
        scene[(x - centre_x) ** 2 + (y - centre_y) ** 2 // 2 < radius**2] = colour
    return scene.astype(np.uint8)
