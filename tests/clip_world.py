"""A handful of drawn clips with references, as a snapshot gives them to policy training: coloured figures that walk."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from trainers.video_data import write_video

Picture = NDArray[np.uint8]
HEIGHT, WIDTH, NUM_FRAMES = 64, 96, 12
COLOURS = {"red": (190, 50, 45), "green": (60, 150, 70), "blue": (50, 80, 180), "yellow": (220, 190, 60)}


@dataclass(frozen=True, slots=True)
class ClipWorld:
    """Tables and files, without a warehouse."""

    id: str
    tables: dict[str, list[dict[str, Any]]]
    folder: Path

    def table(self, name: str) -> pa.Table:
        return pa.Table.from_pylist(self.tables[name])

    def media_path(self, sha256: str) -> Path:
        return self.folder / sha256


def draw_world(folder: Path, *, num_clips: int = 6, seed: int = 0) -> ClipWorld:
    """Every third clip is of the test split, every other one shows two people."""
    rng = np.random.default_rng(seed)
    tables: dict[str, list[dict[str, Any]]] = {"clips": [], "candidates": [], "references": []}
    for number in range(num_clips):
        clip_id, names = f"clip_{number:02d}", rng.permutation(sorted(COLOURS))[: 1 + number % 2].tolist()
        frames = _frames(rng, names)
        tables["clips"].append(
            {
                "clip_id": clip_id,
                "source_id": clip_id,
                "prompt": None if number == 0 else "A person in " + " and a person in ".join(names) + " walks.",
                "split": "test" if number % 3 == 2 else "train",
                "num_subjects": len(names),
            }
        )
        for generator, shown in (("blur", frames[:, ::-1]), ("original", frames)):
            tables["candidates"].append(
                {
                    "candidate_id": f"candidate_{clip_id}_{generator}",
                    "clip_id": clip_id,
                    "generator": generator,
                    "sha256": _keep_video(folder, shown),
                    "num_frames": NUM_FRAMES,
                    "looked_frames": [0, NUM_FRAMES - 1],
                    "faces": [
                        {"frame": frame, "subject_index": index, "vector": [1.0, float(generator == "blur")]}
                        for frame in (0, NUM_FRAMES - 1)
                        for index in range(len(names))
                    ],
                }
            )
        for index, name in enumerate(names):
            for view, picture in (("crop", _portrait(name)), ("mirrored", _portrait(name)[:, ::-1])):
                tables["references"].append(
                    {
                        "reference_id": f"reference_{clip_id}_{index}_{view}",
                        "clip_id": clip_id,
                        "subject_index": index,
                        "view": view,
                        "sha256": _keep_picture(folder, picture),
                        "vector": [1.0, 0.0],
                    }
                )
    return ClipWorld(f"{seed:064x}", tables, folder)


def _frames(rng: np.random.Generator, names: list[str]) -> Picture:
    """(T, H, W, 3): figures of these colours, left to right, walking before a wall."""
    wall = rng.integers(60, 200, 3) + np.linspace(-30, 30, HEIGHT)[:, None, None] + np.zeros((HEIGHT, WIDTH, 1))
    frames = np.repeat(wall[None], NUM_FRAMES, 0)
    for index, name in enumerate(names):
        pace = rng.uniform(-1.5, 1.5)
        for time in range(NUM_FRAMES):
            left = int(WIDTH * (index + 0.5) / len(names) - 12 + pace * time)
            frames[time, 24:, left : left + 24] = COLOURS[name]
            frames[time, 8:24, left + 5 : left + 19] = (222, 180, 150)
    return frames.clip(0, 255).astype(np.uint8)


def _portrait(name: str) -> Picture:
    """Taller than wide, head and shoulders."""
    picture = np.full((40, 24, 3), 128, dtype=np.uint8)
    picture[16:], picture[:16, 5:19] = COLOURS[name], (222, 180, 150)
    picture[:, :4] = picture[:, :4] // 2
    return picture


def _keep_video(folder: Path, frames: Picture) -> str:
    path = folder / "new.mp4"
    write_video(path, np.ascontiguousarray(frames), frame_rate=12)
    return _named(path)


def _keep_picture(folder: Path, picture: Picture) -> str:
    path = folder / "new.png"
    Image.fromarray(np.ascontiguousarray(picture)).save(path)
    return _named(path)


def _named(path: Path) -> str:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path.replace(path.with_name(sha256))
    return sha256
