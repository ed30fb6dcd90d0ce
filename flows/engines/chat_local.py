"""A language or vision-language network in this process, through transformers: a local folder or a name on the hub."""

import functools
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

from flows.engines import devices, loading, weights
from flows.engines.chat import TOO_LONG, Ask, NoAnswer, Turn
from flows.engines.ports import Picture
from warehouse import ids
from warehouse.errors import EngineUnavailable


class ChatLocal:
    """`Chat` in this process. The configuration of `model` says whether it sees: it then is loaded with its processor.

    Greedy answers are made `batch_size` at a time, padded on the left; drawn ones (`temperature` > 0) one by one, so
    that each depends on its own seed alone. A schema constrains nothing here: the prompt must state it. What a text
    holds of control tokens (`<|im_end|>` in a caption) is read as plain text.

    `thinking`: Qwen3's switch; templates without one do not mind. `dtype`: `auto` is the checkpoint's own.
    """

    def __init__(
        self,
        *,
        model: str,
        revision: str = "main",
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 8,
        temperature: float = 0.0,
        max_tokens: int = 512,
        thinking: str = "off",
    ) -> None:
        devices.check(device, dtype)
        if thinking not in ("off", "on"):
            raise ValueError(f"thinking = {thinking!r}; take off or on")
        if temperature < 0 or max_tokens < 1 or batch_size < 1:
            raise ValueError("temperature must be >= 0, max_tokens and batch_size >= 1")
        self._source = (model, revision, device, dtype)
        self._batch_size = batch_size
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._thinking = thinking == "on"
        version = importlib.metadata.version("transformers")
        settings = ids.digest([dtype, temperature, max_tokens, thinking])[:12]
        self.revision = f"chat-local-1-{weights.revision_of(model, revision)}-{version}-{settings}"

    def answer(self, asks: Sequence[Ask]) -> list[str | NoAnswer]:
        """The text of one answer an ask, in order."""
        step = 1 if self._temperature > 0 else self._batch_size
        batches = [asks[start : start + step] for start in range(0, len(asks), step)]
        return [answer for batch in batches for answer in self._batch(batch)]

    def load(self) -> "Network":
        """The network; loaded at the first call in a worker. `EngineUnavailable` where it cannot be."""
        return _loaded(*self._source)

    def _batch(self, asks: Sequence[Ask]) -> list[str | NoAnswer]:
        network = self.load()
        if network.processor is None and any(_pictures(ask) for ask in asks):
            raise EngineUnavailable(f"{self._source[0]} reads no pictures; take a vision-language model")
        inputs = network.inputs(asks, thinking=self._thinking)
        longest = int(inputs["attention_mask"].sum(1).max())
        if longest + self._max_tokens <= network.context_tokens:
            return self._generated(network, inputs, seed=asks[0].seed)
        if len(asks) > 1:
            return [answer for ask in asks for answer in self._batch([ask])]
        detail = f"{longest} tokens, and {self._max_tokens} for the answer; the model reads {network.context_tokens}"
        return [NoAnswer("question longer than the model's context", detail)]

    def _generated(self, network: "Network", inputs: Mapping[str, Any], *, seed: int) -> list[str | NoAnswer]:
        rows = network.generate(inputs, temperature=self._temperature, max_tokens=self._max_tokens, seed=seed)
        return [
            network.tokenizer.decode(row, skip_special_tokens=True).strip()
            if is_ended
            else NoAnswer(TOO_LONG, f"it begins {network.tokenizer.decode(row)[:200]!r}")
            for row, is_ended in rows
        ]


class Network:
    """What was loaded: the network, its tokenizer, and the processor of one that sees."""

    def __init__(self, model: str, revision: str, device: str, dtype: str) -> None:
        import torch
        import transformers

        options: dict[str, Any] = {"revision": revision}
        config = transformers.AutoConfig.from_pretrained(model, **options)
        sees = type(config) in transformers.AutoModelForImageTextToText._model_mapping
        loader = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
        reader = transformers.AutoProcessor if sees else transformers.AutoTokenizer
        read: Any = reader.from_pretrained(model, **options)
        self.processor: Any = read if sees else None
        self.tokenizer: Any = read.tokenizer if sees else read
        self.tokenizer.padding_side = "left"
        kind = "auto" if dtype == "auto" else getattr(torch, dtype)
        self.network, info = loader.from_pretrained(
            model, dtype=kind, use_safetensors=True, output_loading_info=True, **options
        )
        if info["missing_keys"]:  # transformers would go on with random numbers
            missing = ", ".join(sorted(info["missing_keys"])[:3])
            raise ValueError(f"the checkpoint lacks {len(info['missing_keys'])} tensors: {missing}")
        self.network.eval().to(devices.pick(device))
        self.context_tokens = int(config.get_text_config().max_position_embeddings)
        ends = self.network.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends]) - {None} or {self.tokenizer.eos_token_id}

    def inputs(self, asks: Sequence[Ask], *, thinking: bool) -> Mapping[str, Any]:
        """The batch as tensors, all that the processor makes: without `mm_token_type_ids` Qwen2.5-VL places pictures
        as if they were text, and says nothing of it.
        """
        conversations = [[self._message(turn) for turn in ask.turns] for ask in asks]
        options: dict[str, Any] = {
            "add_generation_prompt": True,
            "tokenize": True,
            "return_dict": True,
            "return_tensors": "pt",
            "sanitize_control_tokens": True,
        }
        if "enable_thinking" in str((self.processor or self.tokenizer).chat_template):
            options["enable_thinking"] = thinking
        if self.processor is None:
            made = self.tokenizer.apply_chat_template(conversations, padding=True, **options)
        else:
            made = self.processor.apply_chat_template(conversations, processor_kwargs={"padding": True}, **options)
        return {name: value.to(self.network.device) for name, value in made.items()}

    def generate(
        self, inputs: Mapping[str, Any], *, temperature: float, max_tokens: int, seed: int
    ) -> list[tuple[Any, bool]]:
        """Of each row the new tokens, and whether it came to an end by itself."""
        import torch

        drawn = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
        plain = {} if temperature > 0 else {"temperature": None, "top_p": None, "top_k": None}
        at = self.network.device
        with torch.random.fork_rng([at] if at.type == "cuda" else []), torch.inference_mode():
            torch.manual_seed(seed)
            made = self.network.generate(
                **inputs, max_new_tokens=max_tokens, pad_token_id=self.tokenizer.pad_token_id, **drawn, **plain
            )
        rows = made[:, inputs["input_ids"].shape[1] :].cpu()
        return [(row, not self._ends.isdisjoint(row.tolist())) for row in rows]

    def _message(self, turn: Turn) -> dict[str, Any]:
        if self.processor is None:
            return {"role": turn.role, "content": "".join(str(part) for part in turn.parts)}
        return {"role": turn.role, "content": [_part(part) for part in turn.parts]}


def _part(part: str | Picture) -> dict[str, Any]:
    from PIL import Image

    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "image": Image.fromarray(part)}


def _pictures(ask: Ask) -> list[Picture]:
    return [part for turn in ask.turns for part in turn.parts if not isinstance(part, str)]


@functools.cache
def _loaded(model: str, revision: str, device: str, dtype: str) -> Network:
    with loading.translated(model):
        return Network(model, revision, device, dtype)
