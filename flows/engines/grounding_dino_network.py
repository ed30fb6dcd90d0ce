"""The network of the authors' GroundingDINO code, built and filled under transformers 5.

That code takes three methods of its text encoder that BertModel lost in transformers 5. They are given back to the one
BertModel that is built here (`give_back`), and to no other. `tests/golden/grounding_dino.json` holds what the
unrepaired code answers under transformers 4.57 for a checkpoint that the test draws again.
"""

import ast
import importlib.util
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.engines.loading import translated
from warehouse.errors import EngineUnavailable

_LEFT_OVER = {"label_enc.weight", "bert.embeddings.position_ids"}
"""In the authors' checkpoints, but in no network that their code builds."""
_FOR_INFERENCE = {"use_checkpoint": False, "use_transformer_ckpt": False, "device": "cpu"}
"""Gradient checkpoints do nothing here but warn; the device is chosen when the network is whole."""
_building = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Everything that shapes the network before it has weights."""

    architecture: str
    overrides: tuple[str, ...]
    text_encoder: str
    text_encoder_revision: str

    def values(self) -> Mapping[str, Any]:
        """The overrides by name; `ValueError` for one that is not `name=value`."""
        return dict(_override(line) for line in self.overrides)

    def build(self) -> Any:
        """The network with drawn weights, on the CPU."""
        with translated("groundingdino-py"), old_calls():
            from groundingdino.models import build_model
            from groundingdino.util.slconfig import SLConfig

        with translated(f"groundingdino-py's configuration {self.architecture}"):
            settings = SLConfig.fromfile(str(self._configuration()))
        changes = self.values()
        if strange := [name for name in changes if not hasattr(settings, name)]:
            raise EngineUnavailable(f"override {strange[0]!r}: {self.architecture} has no such setting")
        settings.merge_from_dict({**_FOR_INFERENCE, **changes, "text_encoder_type": self.text_encoder})
        with _building, self._text_parts(), old_calls():
            return build_model(settings).eval()

    def _configuration(self) -> Path:
        spec = importlib.util.find_spec("groundingdino")
        assert spec is not None and spec.submodule_search_locations, "imported above"
        return Path(spec.submodule_search_locations[0]) / "config" / f"{self.architecture}.py"

    @contextmanager
    def _text_parts(self) -> Iterator[None]:
        """While the network is built, groundingdino gets its tokenizer and its BertModel from here.

        Its own two functions take no revision, print to stdout, and know BERT's weights only by one name on the hub.
        """
        from groundingdino.util import get_tokenlizer as asked

        with translated(self.text_encoder):
            tokenizer, bert = text_parts(self.text_encoder, self.text_encoder_revision)
        before = asked.get_tokenlizer, asked.get_pretrained_language_model
        asked.get_tokenlizer, asked.get_pretrained_language_model = lambda _: tokenizer, lambda _: bert
        try:
            yield
        finally:
            asked.get_tokenlizer, asked.get_pretrained_language_model = before


def fill(network: Any, tensors: Mapping[str, Any], path: Path, design: Design) -> None:
    """Put weights into the network; `EngineUnavailable` where they are another network's."""
    named = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    with translated(f"{path} does not fit {design.architecture}"):
        missing, unknown = network.load_state_dict(named, strict=False)
    strangers = [*missing, *(name for name in unknown if name not in _LEFT_OVER)]
    if strangers:
        raise EngineUnavailable(
            f"{path}: does not fit {design.architecture} with {design.text_encoder}: {len(strangers)} tensors are "
            f"missing or unknown, {strangers[0]} among them; set `architecture` and `text_encoder` to the checkpoint's"
        )


@contextmanager
def old_calls() -> Iterator[None]:
    """groundingdino calls torch and timm by names that they advise against (2026: they still work)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


def text_parts(text_encoder: str, revision: str) -> tuple[Any, Any]:
    """Tokenizer, and BertModel with drawn weights: the checkpoint brings its own."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(text_encoder, revision=revision)
    bert = BertModel(BertConfig.from_pretrained(text_encoder, revision=revision))
    give_back(bert)
    return tokenizer, bert


def give_back(bert: Any) -> None:
    """The three methods that groundingdino's wrapper takes from its BertModel, where transformers no longer has them.

    The wrapper calls the first with a mask (batch, from, to) of sub-sentences and the third with None. The second is
    for decoders: the wrapper takes it too, and never calls it.
    """

    def additive(mask: Any, *_: Any) -> Any:
        """(batch, 1, from or 1, to): 0 where a token may be looked at, the lowest number where it may not."""
        import torch

        dtype = bert.dtype
        spread = mask[:, None, :, :] if mask.dim() == 3 else mask[:, None, None, :]
        return (1.0 - spread.to(dtype)) * torch.finfo(dtype).min

    def head_mask(mask: Any, num_layers: int) -> list[None]:
        assert mask is None, "groundingdino masks no heads"
        return [None] * num_layers

    for name, method in [
        ("get_extended_attention_mask", additive),
        ("invert_attention_mask", additive),
        ("get_head_mask", head_mask),
    ]:
        if not hasattr(bert, name):
            setattr(bert, name, method)


def _override(line: str) -> tuple[str, Any]:
    name, is_given, value = line.partition("=")
    try:
        return name.strip(), ast.literal_eval(value.strip() if is_given else "")
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"override {line!r}: write name=value, such as num_queries=900") from error
