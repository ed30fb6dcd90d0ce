"""People by GroundingDINO (Liu et al. 2023), through the authors' code as `groundingdino-py` packs it.

`grounding_dino_network` builds the network and tells how that code is made to run under transformers 5.
"""

import functools
from collections.abc import Sequence
from typing import Any

from flows.engines import devices, grounding_text, weights
from flows.engines.grounding_dino_network import Design, fill, old_calls
from flows.engines.loading import checkpoint_path, checkpoint_revision, read_checkpoint
from flows.engines.ports import Face, Grounded, Picture
from warehouse import ids

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, per RGB channel: what Swin was trained with."""


class GroundingDino:
    """`Grounder` with the authors' code and checkpoints.

    `model`: a file, a folder, or a name on the hub; in the latter two `checkpoint` names the file. `architecture`: a
    configuration of the package (`GroundingDINO_SwinT_OGC`, `GroundingDINO_SwinB_cfg`); `overrides` change it, each
    `name=value`. `text_encoder`: folder or hub name of the BERT whose vocabulary and shape are used; its weights come
    with the checkpoint. `side_px`, `max_side_px`: the shorter side the picture is brought to, unless the longer would
    pass its limit. The default precision is float32, as the authors run it: bfloat16 has 8 bits for a coordinate.
    """

    def __init__(
        self,
        *,
        model: str,
        revision: str = "main",
        checkpoint: str = "groundingdino_swint_ogc.pth",
        architecture: str = "GroundingDINO_SwinT_OGC",
        overrides: Sequence[str] = (),
        text_encoder: str = "bert-base-uncased",
        text_encoder_revision: str = "main",
        box_threshold: float = grounding_text.BOX_THRESHOLD,
        text_threshold: float = grounding_text.TEXT_THRESHOLD,
        side_px: int = 800,
        max_side_px: int = 1333,
        device: str = "auto",
        dtype: str = "float32",
    ) -> None:
        devices.check(device, dtype)
        self.box_threshold = box_threshold
        self.text_threshold = text_threshold
        self.sides_px = (side_px, max_side_px)
        self._design = Design(
            architecture=architecture,
            overrides=tuple(overrides),
            text_encoder=text_encoder,
            text_encoder_revision=text_encoder_revision,
        )
        self._design.values()  # refuses what cannot be read
        self._source = (model, revision, checkpoint, self._design, device, dtype)
        settings = [
            architecture,
            list(overrides),
            weights.revision_of(text_encoder, text_encoder_revision),
            [box_threshold, text_threshold, side_px, max_side_px, dtype, grounding_text.FALLBACK],
        ]
        self.revision = (
            f"grounding-dino-1-{checkpoint_revision(model, revision, checkpoint)}-{ids.digest(settings)[:12]}"
        )

    def load(self) -> None:
        """Load the weights now; otherwise they load at first use. `EngineUnavailable` where they cannot."""
        _loaded(*self._source)

    def ground(self, picture: Picture, phrases: Sequence[str], faces: Sequence[Face]) -> tuple[Grounded, ...]:
        """The people in a picture, left to right. `faces` are not asked."""
        network = _loaded(*self._source)
        prompt = grounding_text.prompt_of(phrases, network.num_tokens)
        logits, boxes = network.raw(picture, prompt, self.sides_px)
        scores = logits.sigmoid()
        kept = scores.max(1).values > self.box_threshold
        height, width = picture.shape[:2]
        return grounding_text.people(
            [_corners(box, width, height) for box in boxes[kept].tolist()],
            scores[kept].max(1).values.tolist(),
            [network.label(row > self.text_threshold, prompt) for row in scores[kept]],
            phrases,
            (width, height),
        )


class _Network:
    """What was loaded, once a worker."""

    def __init__(self, model: Any, device: Any, dtype: str) -> None:
        self._model = model.to(device)
        self._device = device
        self._dtype = dtype

    def raw(self, picture: Picture, prompt: str, sides_px: tuple[int, int]) -> tuple[Any, Any]:
        """Logits (queries, 256), minus infinity past the prompt; boxes (queries, 4), centre and size in 0 to 1."""
        import torch

        image = _prepared(picture, sides_px).to(self._device)
        with torch.inference_mode(), devices.autocast(self._device, self._dtype), old_calls():
            outputs = self._model(image[None], captions=[prompt])
        return outputs["pred_logits"][0].float().cpu(), outputs["pred_boxes"][0].float().cpu()

    def num_tokens(self, prompt: str) -> int:
        return len(self._model.tokenizer(prompt)["input_ids"])

    def label(self, is_meant: Any, prompt: str) -> str:
        """The tokens of the prompt that are marked, as one text; `[CLS]` and `[SEP]` may be among them."""
        from groundingdino.util.utils import get_phrases_from_posmap

        tokenizer = self._model.tokenizer
        return str(get_phrases_from_posmap(is_meant, tokenizer(prompt), tokenizer)).replace(".", "")


@functools.cache
def _loaded(model: str, revision: str, checkpoint: str, design: Design, device: str, dtype: str) -> _Network:
    path = checkpoint_path(model, revision, checkpoint)
    place = devices.pick(device)
    network = design.build()
    fill(network, read_checkpoint(path), path, design)
    return _Network(network, place, dtype)


def _prepared(picture: Picture, sides_px: tuple[int, int]) -> Any:
    """(3, height, width), float32: resized as the authors do, scaled to 0 to 1 and normalised."""
    from groundingdino.datasets import transforms
    from PIL import Image

    resized, _ = transforms.resize(Image.fromarray(picture), None, *sides_px)
    tensor, _ = transforms.ToTensor()(resized, None)
    return transforms.Normalize(_MEAN, _STD)(tensor, None)[0]


def _corners(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    """Centre and size in shares of the picture to corners in pixels."""
    x, y, w, h = box
    return (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height
