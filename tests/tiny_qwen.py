"""Tiny checkpoints of Qwen3, Qwen2.5-VL and Qwen2-VL in the real format, and what teaches them to answer by heart.

Their classes, configurations and files are those of the real ones; only sizes, vocabulary and weights are ours.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from flows.engines.chat import Ask, NoAnswer
from flows.engines.chat_local import ChatLocal
from flows.engines.ports import Picture
from flows.engines.qwen_captions import QwenCaptions
from flows.engines.qwen_faces import QwenFaces
from flows.sources.actors import portrait

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
SPECIAL += ("<|video_pad|>",)

MOST_STEPS = 400
LEARNED = 0.02
"""Mean loss of an answer's token from which greedy answers come out right."""

TEXT_TEMPLATE = r"""
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and not enable_thinking -%}{{ '<think>\n\n</think>\n\n' }}{%- endif -%}
{%- endif -%}"""
"""Qwen3's protocol: a thought that is empty from the start where thinking is off."""

PICTURE_TEMPLATE = r"""
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\n' }}
{%- if message.content is string -%}{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- else -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"""
"""Qwen2-VL's and Qwen2.5-VL's protocol, for pictures and text."""


class Teacher:
    """`Chat` that gives the answers it was told, and keeps what it was asked: lessons for a network."""

    revision = "teacher"

    def __init__(self, answers: Iterable[Sequence[str]]) -> None:
        """`answers`: those to the first round of questions, to the second, ..."""
        self._answers = iter(answers)
        self.lessons: list[tuple[Ask, str]] = []

    def answer(self, asks: Sequence[Ask]) -> Sequence[str | NoAnswer]:
        answers = next(self._answers)
        self.lessons += zip(asks, answers, strict=True)
        return answers


def tokenizer(words: str, template: str = TEXT_TEMPLATE) -> Qwen2Tokenizer:
    """Byte-level BPE, as Qwen's, whose merges build the words of a text letter by letter; it spells all else."""
    made = Qwen2Tokenizer(vocab=_vocabulary([]), merges=[])
    pieces = made.backend_tokenizer.pre_tokenizer.pre_tokenize_str(words)
    merges: dict[tuple[str, str], None] = {}
    for piece in dict.fromkeys(piece for piece, _ in pieces):
        merges |= {(piece[:at], piece[at]): None for at in range(1, len(piece))}
    whole = Qwen2Tokenizer(
        vocab=_vocabulary([left + right for left, right in merges]),
        merges=list(merges),
        eos_token="<|im_end|>",
        additional_special_tokens=list(SPECIAL),
    )
    whole.add_tokens(["<think>", "</think>"])
    whole.chat_template = template
    return whole


def _vocabulary(merged: Sequence[str]) -> dict[str, int]:
    letters = sorted(ByteLevel.alphabet())
    return {piece: number for number, piece in enumerate(dict.fromkeys([*SPECIAL, *letters, *merged]))}


def save_qwen3(folder: Path, *, words: str = "", context_tokens: int = 4096) -> Path:
    """A Qwen3 of 2 layers with random weights."""
    reader = tokenizer(words)
    torch.manual_seed(0)
    config = Qwen3Config(
        **_text_sizes(reader), head_dim=16, tie_word_embeddings=True, max_position_embeddings=context_tokens
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    reader.save_pretrained(folder)
    return folder


def save_qwen2_5_vl(folder: Path, *, words: str = "") -> Path:
    """A Qwen2.5-VL of 2 layers with random weights, and its processor; pictures of at most 112 x 112 pixels."""
    reader = tokenizer(words, PICTURE_TEMPLATE)
    torch.manual_seed(0)
    config = Qwen2_5_VLConfig(
        text_config=_text_sizes(reader) | {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]}},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
        },
        image_token_id=reader.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=reader.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=reader.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=reader.convert_tokens_to_ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    processor(reader).save_pretrained(folder)
    return folder


def processor(reader: Qwen2Tokenizer) -> Qwen2_5_VLProcessor:
    size = {"shortest_edge": 28 * 28, "longest_edge": 112 * 112}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size),
        tokenizer=reader,
        video_processor=Qwen2VLVideoProcessor(size=size),
        chat_template=PICTURE_TEMPLATE,
    )


def _text_sizes(reader: Qwen2Tokenizer) -> dict[str, Any]:
    return {
        "vocab_size": len(reader),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "bos_token_id": None,
        "eos_token_id": reader.convert_tokens_to_ids("<|im_end|>"),
        "pad_token_id": reader.convert_tokens_to_ids("<|endoftext|>"),
    }


def teach(
    folder: Path,
    into: Path,
    lessons: Sequence[tuple[Ask, str]],
    *,
    learning_rate: float = 5e-3,
    learned: float = LEARNED,
) -> None:
    """Train the checkpoint in `folder` until it gives these answers by heart, and save it in another."""
    network = ChatLocal(model=str(folder), device="cpu", dtype="float32").load()
    batch = _batch(network, lessons)
    optimiser = torch.optim.AdamW(network.network.parameters(), lr=learning_rate, weight_decay=0.0)
    network.network.train()
    for step in range(MOST_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 10)
        loss = network.network(**batch).loss
        if loss.item() < learned:
            break
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.network.parameters(), 1.0)
        optimiser.step()
    assert loss.item() < learned, f"it did not learn in {MOST_STEPS} steps: {loss.item()}"
    network.network.eval().save_pretrained(into)
    (network.processor or network.tokenizer).save_pretrained(into)


def _batch(network: Any, lessons: Sequence[tuple[Ask, str]]) -> Mapping[str, torch.Tensor]:
    """Questions padded on the left, answers after them padded on the right; only answers are learned."""
    asked = network.inputs([ask for ask, _ in lessons], thinking=False)
    ends = [network.tokenizer(answer + "<|im_end|>").input_ids for _, answer in lessons]
    width = max(map(len, ends))
    pad = network.tokenizer.pad_token_id
    answers = torch.tensor([[*end, *[pad] * (width - len(end))] for end in ends])
    is_said = torch.tensor([[1] * len(end) + [0] * (width - len(end)) for end in ends])
    learned = answers.where(is_said.bool(), torch.tensor(-100))
    batch = dict(asked)
    batch["input_ids"] = torch.cat([asked["input_ids"], answers], 1)
    batch["attention_mask"] = torch.cat([asked["attention_mask"], is_said], 1)
    batch["labels"] = torch.cat([torch.full_like(asked["input_ids"], -100), learned], 1)
    if "mm_token_type_ids" in asked:
        batch["mm_token_type_ids"] = torch.cat([asked["mm_token_type_ids"], torch.zeros_like(answers)], 1)
    return batch


def words_of(lessons: Sequence[tuple[Ask, str]]) -> str:
    """All text of the lessons: a vocabulary that keeps sequences short."""
    said = [part for ask, _ in lessons for turn in ask.turns for part in turn.parts if isinstance(part, str)]
    return "\n".join(dict.fromkeys([*said, *(answer for _, answer in lessons)]))


def people(*phrases: str, num: int | None = -1) -> str:
    """The JSON answer that lists these people."""
    return json.dumps({"num_people": len(phrases) if num == -1 else num, "people": list(phrases)})


CAPTIONS: Mapping[str, tuple[str, ...]] = {
    "A woman in a red coat walks a dog.": (people("a woman in a red coat"),),
    "A crowd waits for a singer.": (people("a singer", num=None),),
    "Two men talk, one in grey and the other in blue.": (
        "There are two people.",
        people("one in grey", "the other in blue"),
    ),
    "A tall man waves.": (people("a giant"), "I cannot."),
}
"""What the taught Qwen3 answers: two captions at once, one at its second try, and one never."""


def taught_qwen3(folder: Path) -> Path:
    """A Qwen3 that answers `CAPTIONS` as it stands there. Takes 10 s."""
    second = [answers[1] for answers in CAPTIONS.values() if len(answers) > 1]
    teacher = Teacher([[answers[0] for answers in CAPTIONS.values()], second])
    QwenCaptions(chat=teacher).parse(list(CAPTIONS))
    raw = save_qwen3(folder / "raw", words=words_of(teacher.lessons))
    teach(raw, folder / "taught", teacher.lessons)
    return folder / "taught"


def faces() -> Mapping[str, Picture]:
    """Pictures of which the taught Qwen2.5-VL says what they are called here."""
    face = portrait(0, size_px=112)
    return {"yes": face, "unsure": np.ascontiguousarray(face[::-1]), "no": np.full_like(face, 190)}


def taught_qwen2_5_vl(folder: Path) -> Path:
    """A Qwen2.5-VL that answers `faces` as they are called. Takes 7 s."""
    teacher = Teacher([[json.dumps({"frontal_face": answer}) for answer in faces()]])
    QwenFaces(chat=teacher).check(list(faces().values()))
    raw = save_qwen2_5_vl(folder / "raw", words=words_of(teacher.lessons))
    teach(raw, folder / "taught", teacher.lessons)
    return folder / "taught"


def save_qwen2_vl(folder: Path, *, words: str = "") -> Path:
    """A Qwen2-VL of 2 layers with random weights, GME's architecture, and its processor."""
    reader = tokenizer(words, PICTURE_TEMPLATE)
    torch.manual_seed(0)
    config = Qwen2VLConfig(
        text_config=_text_sizes(reader) | {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]}},
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2},
        image_token_id=reader.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=reader.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=reader.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=reader.convert_tokens_to_ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    size = {"shortest_edge": 28 * 28, "longest_edge": 112 * 112}
    Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size),
        tokenizer=reader,
        video_processor=Qwen2VLVideoProcessor(size=size),
        chat_template=PICTURE_TEMPLATE,
    ).save_pretrained(folder)
    return folder
