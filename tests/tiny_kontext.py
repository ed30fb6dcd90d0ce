"""A tiny random FLUX.1 Kontext checkpoint in the format of `FluxKontextPipeline`: the real classes, small sizes.

Both tokenizers are of the real kinds over fixed vocabularies; both text encoders read every token of the prompts.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxKontextPipeline, FluxTransformer2DModel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from flows.engines.perspectives import PERSPECTIVES
from trainers.policies import tiny

LATENT_CHANNELS, WIDTH = 4, 32


def kontext(folder: Path) -> Path:
    """The whole pipeline, saved."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        letters, t5_letters = _clip_tokenizer(), _t5_tokenizer()
        FluxKontextPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
            vae=_codec(),
            text_encoder=_clip(len(letters)),
            tokenizer=letters,
            text_encoder_2=T5EncoderModel(
                T5Config(vocab_size=len(t5_letters), d_model=WIDTH, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
            ),
            tokenizer_2=t5_letters,
            transformer=_transformer(),
        ).save_pretrained(folder)
    return folder


def _clip_tokenizer() -> CLIPTokenizer:
    """CLIP's own kind: byte pairs that make up most words of our prompts, letter by letter all else."""
    letters = sorted(ByteLevel.alphabet())
    words = re.findall("[a-z]+", " ".join(PERSPECTIVES.values()).lower())
    merges = list(dict.fromkeys(pair for word in words for pair in _pairs(word)))
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    pieces = [*dict.fromkeys(pieces), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def _pairs(word: str) -> Iterator[tuple[str, str]]:
    """The merges that make a word from its letters, first to last."""
    for end in range(1, len(word)):
        yield word[:end], word[end] + ("</w>" if end == len(word) - 1 else "")


def _t5_tokenizer() -> T5Tokenizer:
    tokenizer = tiny.build(0).tokenizer
    tokenizer.model_max_length = 512
    return tokenizer


def _clip(num_tokens: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=num_tokens,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=num_tokens - 2,
        eos_token_id=num_tokens - 1,
        pad_token_id=num_tokens - 1,
    )
    return CLIPTextModel(config)


def _codec() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=0.3611,
        shift_factor=0.1159,
    )


def _transformer() -> FluxTransformer2DModel:
    """Its attention is made louder than chance makes it, or what is drawn would hardly depend on picture and prompt."""
    transformer = FluxTransformer2DModel(
        in_channels=4 * LATENT_CHANNELS,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )
    with torch.no_grad():
        for name, weights in transformer.named_parameters():
            if ".attn." in name and weights.ndim > 1:
                weights.mul_(4)
    return transformer
