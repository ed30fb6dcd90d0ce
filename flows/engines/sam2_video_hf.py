"""Masks by SAM 2 (Ravi et al. 2024), through transformers."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.engines import box_tracks, devices, weights
from flows.engines.loading import pretrained, translated
from flows.engines.ports import Mask, Picture
from warehouse import ids
from warehouse.records import Box

_TWINS = {"prompt_encoder.shared_embedding.positional_embedding": "shared_image_embedding.positional_embedding"}
"""One tensor in SAM 2. transformers 4 saved it once; 5 would draw the second, and prompts would point anywhere."""


class Sam2VideoHf:
    """`Segmenter` with a checkpoint of transformers: a folder as `save_pretrained` leaves it, or a name on the hub.

    Precision `auto` is the authors': bfloat16 where CUDA runs, float32 on a CPU. transformers resizes frames
    bilinearly, the authors' package (`sam2_video`) bicubically: masks of the two differ by a few pixels at their rims.
    """

    def __init__(
        self,
        *,
        model: str = "facebook/sam2.1-hiera-large",
        revision: str = "main",
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        devices.check(device, dtype)
        self._source = (model, revision, device, dtype)
        self.revision = f"sam2-video-hf-1-{weights.revision_of(model, revision)}-{ids.digest([dtype])[:12]}"

    def load(self) -> None:
        """Load the weights now; otherwise they load at first use. `EngineUnavailable` where they cannot."""
        _loaded(*self._source)

    def track(self, frames: Sequence[Picture], key_index: int, boxes: Sequence[Box]) -> Sequence[Sequence[Mask | None]]:
        """For each subject (a box in `frames[key_index]`) its mask in every frame, None where it is not seen."""
        if not boxes:
            return []
        prompts = [box_tracks.inside(box, frames[key_index]) for box in boxes]
        return box_tracks.gather(_loaded(*self._source).follow(frames, key_index, prompts), len(frames), len(boxes))


class _Tracker:
    """What was loaded, once a worker."""

    def __init__(self, model: Any, processor: Any, device: Any, dtype: str) -> None:
        self._model = model.to(device).eval()
        self._processor = processor
        self._device = device
        self._dtype = dtype

    def follow(
        self, frames: Sequence[Picture], key_index: int, boxes: Sequence[Box]
    ) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Frame by frame, from the key frame to the end and then to the beginning: (objects, height, width)."""
        import torch

        size = frames[key_index].shape[:2]
        with torch.inference_mode(), devices.autocast(self._device, self._dtype):
            session = self._begin(frames, key_index, boxes)
            for is_backwards in (False, True):
                for answer in self._model.propagate_in_video_iterator(session, key_index, reverse=is_backwards):
                    (masks,) = self._processor.post_process_masks([answer.pred_masks.float()], [size])
                    yield answer.frame_idx, masks[:, 0].cpu().numpy()
                    config = self._model.config
                    box_tracks.forget(
                        session.output_dict_per_obj,
                        now=answer.frame_idx,
                        key_index=key_index,
                        reach=max(config.num_maskmem, config.max_object_pointers_in_encoder),
                    )

    def _begin(self, frames: Sequence[Picture], key_index: int, boxes: Sequence[Box]) -> Any:
        """A session over a clip in memory, with one object a box."""
        session = self._processor.init_video_session(inference_device=self._device)
        session.processed_frames = box_tracks.PreparedFrames(frames, self._prepared)
        self._processor.add_inputs_to_inference_session(
            session,
            frame_idx=key_index,
            obj_ids=list(range(len(boxes))),
            input_boxes=[[list(box) for box in boxes]],
            original_size=frames[key_index].shape[:2],
        )
        return session

    def _prepared(self, frame: Picture) -> Any:
        """(3, side, side), float32: as the processor makes it ready."""
        image = np.ascontiguousarray(frame)  # torch takes no mirrored view
        return self._processor(images=image, return_tensors="pt")["pixel_values"][0]


@functools.cache
def _loaded(model: str, revision: str, device: str, dtype: str) -> _Tracker:
    place = devices.pick(device)
    with translated(model):
        from transformers import Sam2VideoModel, Sam2VideoProcessor

        processor = Sam2VideoProcessor.from_pretrained(model, revision=revision)
    return _Tracker(pretrained(Sam2VideoModel, model, revision, twins=_TWINS), processor, place, dtype)
