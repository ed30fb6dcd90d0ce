"""People by GroundingDINO (Liu et al. 2023), through transformers."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from flows.engines import devices, grounding_text, weights
from flows.engines.loading import pretrained, translated
from flows.engines.ports import Face, Grounded, Picture
from warehouse import ids


class GroundingDinoHf:
    """`Grounder` with a checkpoint of transformers, such as `IDEA-Research/grounding-dino-tiny` or `-base`.

    `model`: a folder as `save_pretrained` leaves it, or a name on the hub. `side_px`, `max_side_px`: the shorter side
    the picture is brought to, unless the longer would pass its limit. Thresholds and precision are those of the
    authors' code (`grounding_dino`), so that one may stand for the other; transformers' own default for a box is 0.25.
    """

    def __init__(
        self,
        *,
        model: str = "IDEA-Research/grounding-dino-base",
        revision: str = "main",
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
        self.size = {"shortest_edge": side_px, "longest_edge": max_side_px}
        self._source = (model, revision, device, dtype)
        settings = [box_threshold, text_threshold, side_px, max_side_px, dtype, grounding_text.FALLBACK]
        self.revision = f"grounding-dino-hf-1-{weights.revision_of(model, revision)}-{ids.digest(settings)[:12]}"

    def load(self) -> None:
        """Load the weights now; otherwise they load at first use. `EngineUnavailable` where they cannot."""
        _loaded(*self._source)

    def ground(self, picture: Picture, phrases: Sequence[str], faces: Sequence[Face]) -> tuple[Grounded, ...]:
        """The people in a picture, left to right. `faces` are not asked."""
        network = _loaded(*self._source)
        height, width = picture.shape[:2]
        prompt = grounding_text.prompt_of(phrases, network.num_tokens)
        outputs, input_ids = network.raw(picture, prompt, self.size)
        (found,) = network.processor.post_process_grounded_object_detection(
            outputs,
            input_ids,
            threshold=self.box_threshold,
            text_threshold=self.text_threshold,
            target_sizes=[(height, width)],
        )
        boxes = [tuple(box) for box in found["boxes"].tolist()]
        labels = [label.replace(".", "") for label in found["text_labels"]][: len(boxes)]  # one '' for no box
        return grounding_text.people(boxes, found["scores"].tolist(), labels, phrases, (width, height))


class _Network:
    """What was loaded, once a worker."""

    def __init__(self, model: Any, processor: Any, device: Any, dtype: str) -> None:
        self.processor = processor
        self._model = model.to(device).eval()
        self._device = device
        self._dtype = dtype

    def num_tokens(self, prompt: str) -> int:
        return len(self.processor.tokenizer(prompt)["input_ids"])

    def raw(self, picture: Picture, prompt: str, size: dict[str, int]) -> tuple[Any, Any]:
        """What the network says of one picture, and the tokens of its prompt, (1, tokens)."""
        import torch

        image = np.ascontiguousarray(picture)  # torch takes no mirrored view
        inputs = self.processor(images=image, text=prompt, size=size, return_tensors="pt").to(self._device)
        with torch.inference_mode(), devices.autocast(self._device, self._dtype):
            outputs = self._model(**inputs)
        outputs.logits, outputs.pred_boxes = outputs.logits.float().cpu(), outputs.pred_boxes.float().cpu()
        return outputs, inputs["input_ids"].cpu()


@functools.cache
def _loaded(model: str, revision: str, device: str, dtype: str) -> _Network:
    place = devices.pick(device)
    with translated(model):
        from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

        processor = GroundingDinoProcessor.from_pretrained(model, revision=revision)
    network = pretrained(GroundingDinoForObjectDetection, model, revision)
    return _Network(network, processor, place, dtype)
