"""A Wan VACE small enough for one CPU core: the real architecture and the real file format, made here from a seed.

Its codec starts as an average: each latent position holds the mean colour of its patch of space and time, and decoding
paints that colour back. From there a minute of training sharpens it; from random weights it would take an hour.
"""

import math
import string
from typing import Any

import torch
from diffusers import AutoencoderKLWan, WanVACETransformer3DModel
from torch import nn
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

from trainers.policies.wan_vace import WanVACE

NUM_TOKENS = 48
LATENT_CHANNELS, COLOURS = 4, 3
SPACE_SCALE = 4
ANCHOR = 3.0
"""A constant channel of the codec, well above the colours: the root mean square that its last norm divides by."""
TYPICAL_SQUARE = 0.25
"""Of a colour from -1 to 1."""
WORDS = """
    a an the and with in on at of to from by near behind beside front left right two three four first second other
    man woman person people boy girl child men women someone couple group face head hair beard moustache glasses
    red orange yellow green blue purple pink brown black white grey dark light blond long short curly
    coat shirt jumper dress jacket hat scarf suit jeans top hoodie wearing wears dressed
    walks walking stands standing sits sitting talks talking speaks speaking smiles smiling turns looks looking waves
    moves moving runs running dances dancing plays playing holding camera room street park wall office garden house
    his her their he she they is are while into towards each together video clip scene
"""


def build(seed: int) -> WanVACE:
    """The tiny policy as it is before any training: the same weights for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer()
        return WanVACE(
            tokenizer=tokenizer,
            text_encoder=_text_encoder(len(tokenizer)),
            vae=_codec(),
            transformer=_transformer(),
        )


def _tokenizer() -> T5Tokenizer:
    """T5's own kind over a fixed vocabulary: common words whole, all else letter by letter."""
    marks = string.ascii_letters + string.digits + string.punctuation
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -4.0) for word in WORDS.split()] + [(mark, -8.0) for mark in marks]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=NUM_TOKENS)


def _text_encoder(vocabulary_size: int) -> UMT5EncoderModel:
    return UMT5EncoderModel(
        UMT5Config(vocab_size=vocabulary_size, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    )


def _transformer() -> WanVACETransformer3DModel:
    return WanVACETransformer3DModel(
        num_attention_heads=4,
        attention_head_dim=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        text_dim=32,
        freq_dim=64,
        ffn_dim=192,
        num_layers=3,
        vace_layers=[0],
        vace_in_channels=2 * LATENT_CHANNELS + SPACE_SCALE**2,
    )


def _codec() -> AutoencoderKLWan:
    """Half of Wan's reduction of space (4 in place of 8), all of its reduction of time."""
    vae = AutoencoderKLWan(
        base_dim=8,
        z_dim=LATENT_CHANNELS,
        num_res_blocks=1,
        dim_mult=[1, 2, 2],
        temperal_downsample=[True, True],
        latents_mean=[0.0] * LATENT_CHANNELS,
        latents_std=[1.0] * LATENT_CHANNELS,
        scale_factor_spatial=SPACE_SCALE,
    )
    start_as_average(vae)
    return vae


@torch.no_grad()
def start_as_average(vae: AutoencoderKLWan) -> None:
    """Set the weights so that the first three latent channels are the mean red, green and blue of their patch.

    Residual branches begin at zero and resampling passes channels on, so that colours travel unchanged. They travel
    twice, as themselves and negated, because silu(x) - silu(-x) = x.
    """
    for module in vae.modules():
        match type(module).__name__:
            case "WanResidualBlock":
                _zero(module.conv2)
                if isinstance(module.conv_shortcut, nn.Conv3d):
                    _pass_on(module.conv_shortcut, {(0, 0, 0): 1.0})
            case "WanAttentionBlock":
                _zero(module.proj)
            case "WanResample":
                _start_resampling(module)
    for network in (vae.encoder, vae.decoder):
        _start_ends(network.conv_in, network.conv_out)
    for convolution in (vae.quant_conv, vae.post_quant_conv):
        _pass_on(convolution, {(0, 0, 0): 1.0})


def _start_resampling(module: Any) -> None:
    """Down: the mean of 2 x 2 pixels and of 2 frames. Up: every pixel and frame repeated."""
    if module.mode.startswith("down"):
        _pass_on(module.resample[1], {(y, x): 0.25 for y in (0, 1) for x in (0, 1)})
        _pass_on(module.time_conv, {(1, 0, 0): 0.5, (2, 0, 0): 0.5})
    else:
        _pass_on(module.resample[1], {(1, 1): 1.0})
        _pass_on(module.time_conv, {(2, 0, 0): 1.0}, copies=2)


def _start_ends(first: Any, last: Any) -> None:
    """Colours in, beside their negatives and the anchor; colours out. Other channels keep their random weights."""
    kept = 2 * COLOURS + 1
    first.weight[:kept], first.bias[:kept] = 0, 0
    first.bias[kept - 1] = ANCHOR
    last.weight[:COLOURS], last.bias[:COLOURS] = 0, 0
    gain = math.sqrt((ANCHOR**2 + 2 * COLOURS * TYPICAL_SQUARE) / last.in_channels)
    for colour in range(COLOURS):
        first.weight[colour, colour, 2, 1, 1], first.weight[COLOURS + colour, colour, 2, 1, 1] = 1, -1
        last.weight[colour, colour, 2, 1, 1], last.weight[colour, COLOURS + colour, 2, 1, 1] = gain, -gain


def _pass_on(convolution: Any, taps: dict[tuple[int, ...], float], *, copies: int = 1) -> None:
    """Each input channel goes to the output channel of its number, weighed over these taps; twice for two copies."""
    _zero(convolution)
    num_out, num_in = convolution.weight.shape[:2]
    for copy in range(copies):
        for channel in range(min(num_in, num_out // copies)):
            for tap, value in taps.items():
                convolution.weight[(copy * num_in + channel, channel, *tap)] = value


def _zero(convolution: Any) -> None:
    nn.init.zeros_(convolution.weight)
    nn.init.zeros_(convolution.bias)
