"""Masks by SAM 2 (Ravi et al. 2024), through the authors' package `sam2`.

Its predictor opens a folder of JPEGs. Nothing is compressed here: the key frame is handed over as a bitmap under the
name of a JPEG (Pillow looks at the content), and the state that comes back is then given the other frames from memory.
"""

import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.engines import box_tracks, devices
from flows.engines.loading import checkpoint_path, checkpoint_revision, translated
from flows.engines.ports import Mask, Picture
from warehouse import ids
from warehouse.records import Box

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, per RGB channel."""


class Sam2Video:
    """`Segmenter` with the authors' code and checkpoints.

    `model`: a file, a folder, or a name on the hub; in the latter two `checkpoint` names the file. `config` is the
    package's for that checkpoint; `overrides` are Hydra's, such as `++model.image_size=512`. Precision `auto` is the
    authors': bfloat16 where CUDA runs, float32 on a CPU.

    Holes in masks are not filled: the package does that only where its CUDA extension was built, and an answer must
    not depend on that.
    """

    def __init__(
        self,
        *,
        model: str = "facebook/sam2.1-hiera-large",
        revision: str = "main",
        checkpoint: str = "sam2.1_hiera_large.pt",
        config: str = "configs/sam2.1/sam2.1_hiera_l.yaml",
        overrides: Sequence[str] = (),
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        devices.check(device, dtype)
        self._source = (model, revision, checkpoint, config, tuple(overrides), device, dtype)
        settings = [config, list(overrides), dtype]
        self.revision = f"sam2-video-1-{checkpoint_revision(model, revision, checkpoint)}-{ids.digest(settings)[:12]}"

    def load(self) -> None:
        """Load the weights now; otherwise they load at first use. `EngineUnavailable` where they cannot."""
        _loaded(*self._source)

    def track(self, frames: Sequence[Picture], key_index: int, boxes: Sequence[Box]) -> Sequence[Sequence[Mask | None]]:
        """For each subject (a box in `frames[key_index]`) its mask in every frame, None where it is not seen."""
        if not boxes:
            return []
        prompts = [box_tracks.inside(box, frames[key_index]) for box in boxes]
        return box_tracks.gather(_loaded(*self._source).follow(frames, key_index, prompts), len(frames), len(boxes))


class _Predictor:
    """What was loaded, once a worker."""

    def __init__(self, predictor: Any, device: Any, dtype: str) -> None:
        self._predictor = predictor
        self._device = device
        self._dtype = dtype

    def follow(
        self, frames: Sequence[Picture], key_index: int, boxes: Sequence[Box]
    ) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Frame by frame, from the key frame to the end and then to the beginning: (objects, height, width)."""
        import torch

        predictor = self._predictor
        with torch.inference_mode(), devices.autocast(self._device, self._dtype):
            state = self._begin(frames, key_index)
            for number, box in enumerate(boxes):
                predictor.add_new_points_or_box(state, key_index, number, box=np.array(box, dtype=np.float32))
            for is_backwards in (False, True):
                for at, _, scores in predictor.propagate_in_video(state, key_index, reverse=is_backwards):
                    yield at, (scores[:, 0] > 0).cpu().numpy()
                    box_tracks.forget(
                        state["output_dict_per_obj"],
                        now=at,
                        key_index=key_index,
                        reach=max(predictor.num_maskmem, predictor.max_obj_ptrs_in_encoder),
                    )

    def _begin(self, frames: Sequence[Picture], key_index: int) -> dict[str, Any]:
        """The predictor's state for a clip in memory. The key frame's features, computed at opening, are kept."""
        from PIL import Image

        with tempfile.TemporaryDirectory() as folder:
            Image.fromarray(frames[key_index]).save(Path(folder, "0.jpg"), format="BMP")
            state: dict[str, Any] = self._predictor.init_state(folder)
        state["images"] = box_tracks.PreparedFrames(frames, self._prepared)
        state["num_frames"] = len(frames)
        state["cached_features"] = {key_index: state["cached_features"][0]}
        return state

    def _prepared(self, frame: Picture) -> Any:
        """(3, side, side), float32, as `sam2.utils.misc` prepares a JPEG: Pillow's bicubic, normalised."""
        import torch
        from PIL import Image

        side = self._predictor.image_size
        pixels = torch.from_numpy(np.array(Image.fromarray(frame).resize((side, side)))).permute(2, 0, 1) / 255.0
        mean, std = (torch.tensor(values)[:, None, None] for values in (_MEAN, _STD))
        return (pixels - mean) / std


@functools.cache
def _loaded(
    model: str, revision: str, checkpoint: str, config: str, overrides: tuple[str, ...], device: str, dtype: str
) -> _Predictor:
    path = checkpoint_path(model, revision, checkpoint)
    place = devices.pick(device)
    with translated("sam2"):
        from sam2 import sam2_video_predictor
        from sam2.build_sam import build_sam2_video_predictor
        from sam2.utils import misc

    for module in (sam2_video_predictor, misc):
        module.tqdm = functools.partial(module.tqdm, disable=True)  # two bars a clip
    with translated(f"{path} with {config}"):
        predictor = build_sam2_video_predictor(config, str(path), place, hydra_overrides_extra=list(overrides))
    predictor.fill_hole_area = 0
    return _Predictor(predictor, place, dtype)
