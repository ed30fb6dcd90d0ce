"""The clips of a snapshot as tensors: what a policy is warmed up on, and what it is asked to draw."""

# T frames, H, W; RGB from -1 to 1

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from warehouse.errors import NothingToDo, SnapshotDamaged

ORIGINAL, CROP = "original", "crop"


class ClipTables(Protocol):
    """What is asked of a snapshot: `warehouse.snapshot.Snapshot` has it."""

    @property
    def id(self) -> str: ...

    def table(self, name: str) -> pa.Table: ...

    def media_path(self, sha256: str) -> Path: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipItem:
    """One clip: what the policy is given, and the candidate that it is warmed up on."""

    clip_id: str
    split: str
    prompt: str
    """Empty where the clip has no caption."""
    references: tuple[Tensor, ...]
    """(3, h, w), one a subject in the order of `subject_index`; the longest side is the video's."""
    video_3THW: Tensor


def read_clips(
    snapshot: ClipTables,
    *,
    num_frames: int,
    size_px: tuple[int, int],
    is_crop_preferred: bool,
    chosen: Mapping[str, str] | None = None,
) -> list[ClipItem]:
    """Every clip with a video and a reference of each subject, by id. `NothingToDo` if there is none.

    `chosen`, candidate id by clip id, says which video; the original where it is left out.
    """
    candidates = _rows(snapshot, "candidates")
    chosen = chosen or {row["clip_id"]: row["candidate_id"] for row in candidates if row["generator"] == ORIGINAL}
    videos = {row["clip_id"]: row["sha256"] for row in candidates if chosen.get(row["clip_id"]) == row["candidate_id"]}
    pictures = _references(_rows(snapshot, "references"), is_crop_preferred=is_crop_preferred)
    items = [
        ClipItem(
            clip_id=row["clip_id"],
            split=row["split"],
            prompt=row["prompt"] or "",
            references=tuple(
                read_picture(snapshot.media_path(sha256), max(size_px)) for sha256 in pictures[row["clip_id"]]
            ),
            video_3THW=read_video(snapshot.media_path(videos[row["clip_id"]]), num_frames, size_px),
        )
        for row in sorted(_rows(snapshot, "clips"), key=lambda row: str(row["clip_id"]))
        if row["clip_id"] in videos and len(pictures.get(row["clip_id"], ())) == row["num_subjects"] > 0
    ]
    if not items:
        raise NothingToDo(f"snapshot {snapshot.id}: no clip with a video and references; freeze one that has some")
    return items


def read_picture(path: Path, longest_px: int) -> Tensor:
    """(3, h, w), shape kept."""
    with Image.open(path) as image:
        scale = longest_px / max(image.size)
        width, height = (max(round(side * scale), 1) for side in image.size)
        small = image.convert("RGB").resize((width, height), Image.Resampling.BOX)
    return _scaled(np.asarray(small)).permute(2, 0, 1)


def read_video(path: Path, num_frames: int, size_px: tuple[int, int]) -> Tensor:
    """(3, T, H, W): frames spread evenly over the file, its middle cut to the shape wanted."""
    try:
        with av.open(str(path)) as container:
            frames = [_reduced(frame, size_px) for frame in container.decode(video=0)]
    except (av.FFmpegError, IndexError) as error:
        raise SnapshotDamaged(f"{path}: cannot be decoded ({error}); take it from its source again") from error
    if not frames:
        raise SnapshotDamaged(f"{path}: holds no frame; take the snapshot from its source again")
    chosen = np.linspace(0, len(frames) - 1, num_frames).round().astype(int)
    return _scaled(np.stack([frames[index] for index in chosen])).permute(3, 0, 1, 2)


X264 = {"threads": "1", "crf": "10", "x264-params": "cpu-independent=1:mbtree=0"}
"""With more threads, or with macroblock trees, the same pictures give other bytes from time to time."""


def write_video(path: Path, video_THW3: NDArray[np.uint8], *, frame_rate: int) -> None:
    """H.264 in MP4; the same video gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=frame_rate, options=X264)
        stream.height, stream.width = video_THW3.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in video_THW3:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _references(rows: Sequence[Mapping[str, Any]], *, is_crop_preferred: bool) -> dict[str, list[str]]:
    """For each clip the sha256 of one picture a subject, in the order of `subject_index`."""
    chosen: dict[tuple[str, int], Mapping[str, Any]] = {}
    ranked = sorted(rows, key=lambda r: ((r["view"] == CROP) != is_crop_preferred, r["view"], r["reference_id"]))
    for row in ranked:
        chosen.setdefault((row["clip_id"], row["subject_index"]), row)
    pictures: dict[str, list[str]] = {}
    for clip_id, subject_index in sorted(chosen):
        pictures.setdefault(clip_id, []).append(chosen[clip_id, subject_index]["sha256"])
    return pictures


def _reduced(frame: Any, size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3): the shorter side reduced to fit, then the middle."""
    height, width = size_px
    scale = max(height / frame.height, width / frame.width)
    high, wide = max(round(frame.height * scale), height), max(round(frame.width * scale), width)
    whole = frame.reformat(width=wide, height=high, format="rgb24", interpolation="AREA").to_ndarray()
    top, left = (high - height) // 2, (wide - width) // 2
    cut: NDArray[np.uint8] = whole[top : top + height, left : left + width]
    return cut


def _rows(snapshot: ClipTables, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = snapshot.table(name).to_pylist()
    return rows


def _scaled(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32)) / 127.5 - 1
