"""The drawn sample: clips of the drawn actors in OpenHumanVid's layout, with captions and deliberate troubles."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import pi, sin
from pathlib import Path

import cv2
import numpy as np

from flows.sources import backdrops
from flows.sources.actors import Pose, draw_actor
from flows.sources.brush import Picture
from flows.sources.scripts import SCRIPTS, Script, Shot, Trouble
from flows.stages.encode import encode
from warehouse import files, ids

VERSION = 2
"""Bump it when the same seed gives other pictures: clips then get other ids and are drawn anew."""
FRAME_RATE = Fraction(24)
CAPTIONS = "OpenHumanVid_part_000.csv"
MANIFEST = "drawn.json"

_FOLDER = "clips/part_000/f6/05"
_COLUMNS = (
    *("clip_id", "path", "caption", "luminance_min", "luminance_max", "blur_min", "blur_max"),
    *("aesthetic", "technical_score", "global_motion"),
)
_TRUNCATED_BYTES = 700
"""The file's header and a part of its index: nothing of it can be decoded."""
_DARK = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Where the sample lies. Its manifest is the truth for tests and benchmarks; the road never reads it."""

    root: Path
    captions: Path
    manifest: Path


def draw_sample(root: Path, *, seed: int = 0) -> Sample:
    """Draw what is missing below `root`: files are complete or absent, so a second call has nothing to do."""
    sample = Sample(root=root, captions=root / CAPTIONS, manifest=root / MANIFEST)
    for script in SCRIPTS:
        path = root / _file(script, seed)
        if script.trouble is not Trouble.NO_FILE and not path.exists():
            files.write(path, _content(script, seed))
    _drop_stale(sample, seed)
    _write_text(sample.captions, _captions(seed))
    _write_text(sample.manifest, _manifest(seed))
    return sample


def play(script: Script, *, seed: int) -> Iterator[Picture]:
    """The frames of a script: (height_px, width_px, 3), RGB."""
    for index, shot in enumerate(script.shots):
        dice = np.random.default_rng(int(ids.digest([seed, script.title, index]), 16))
        yield from _play(script, shot, dice)


def _play(script: Script, shot: Shot, dice: np.random.Generator) -> Iterator[Picture]:
    """The camera follows slowly before a wider backdrop; each actor has a rhythm and a place of their own."""
    width, height = script.width_px, script.height_px
    num = max(1, len(shot.cast))
    head_px = min(0.46 * height, 0.86 * width / num, 0.5 * width) * dice.uniform(0.96, 1.0)
    reach_px = {"walk": 0.17, "talk": 0.02, "look": 0.03}[shot.action] * width / num
    direction = int(dice.choice([-1, 1]))
    spare_px = round(0.25 * width)
    backdrop = backdrops.paint(
        shot.place, width_px=width + spare_px, height_px=height, seed=int(dice.integers(1 << 32))
    )
    rhythms = dice.uniform(0, 2 * pi, num)
    light = _light(script, dice)
    for frame in range(shot.num_frames):
        share = frame / shot.num_frames
        pan = round(spare_px * (0.5 + direction * (share - 0.5) * (1 if shot.action == "walk" else 0.4)))
        canvas = np.ascontiguousarray(backdrop[:, pan : pan + width])
        for slot, actor in enumerate(shot.cast):
            x_px = width * (slot + 0.5) / num + direction * reach_px * (2 * share - 1)
            pose = _pose(shot.action, direction, float(frame / FRAME_RATE), rhythms[slot])
            draw_actor(canvas, actor, x_px=x_px, y_px=0.08 * height + 0.74 * head_px, head_px=head_px, pose=pose)
        yield cv2.LUT(canvas, light)


def _pose(action: str, direction: int, time_s: float, rhythm: float) -> Pose:
    blink = max(0.0, 1 - abs((time_s + rhythm / 3) % 2.1 - 0.1) / 0.1)
    sway = sin(2 * pi * 0.45 * time_s + rhythm)
    if action == "walk":
        return Pose(
            turn=0.1 * direction + 0.05 * sway, tilt=0.02 * sway, blink=blink, stride=2 * pi * 1.4 * time_s + rhythm
        )
    if action == "talk":
        mouth = max(0.0, 0.75 * sin(2 * pi * 2.3 * time_s + rhythm) * (0.6 + 0.4 * sway))
        return Pose(turn=0.09 * sway, tilt=0.05 * sin(3 * time_s + rhythm), mouth=mouth, blink=blink, stride=0.4 * sway)
    return Pose(turn=0.24 * sway, tilt=0.03 * sin(2 * time_s + rhythm), blink=blink, stride=0.4 * sway)


def _light(script: Script, dice: np.random.Generator) -> Picture:
    """A table of the lamp's colour and strength, for every level and channel: (256, 1, 3)."""
    gain = dice.uniform(0.86, 1.04) * dice.uniform(0.96, 1.04, 3)
    if script.trouble is Trouble.DARK:
        gain *= _DARK
    return np.clip(np.arange(256)[:, None, None] * gain, 0, 255).astype(np.uint8)


def _content(script: Script, seed: int) -> bytes:
    content = encode(play(script, seed=seed), frame_rate=FRAME_RATE)
    return content[:_TRUNCATED_BYTES] if script.trouble is Trouble.TRUNCATED else content


def _clip_id(script: Script, seed: int) -> str:
    return ids.digest(["drawn", VERSION, seed, script.title])[:32]


def _file(script: Script, seed: int) -> str:
    return f"{_FOLDER}/{_clip_id(script, seed)}.mp4"


def _captions(seed: int) -> str:
    """OpenHumanVid's columns; what was not measured is left empty, and so are the headers of two trailing columns."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*_COLUMNS, "", ""])
    for script in SCRIPTS:
        if script.caption is not None:
            clip_id = _clip_id(script, seed)
            table.writerow([clip_id, f"{_FOLDER}/{clip_id}", script.caption, *[""] * (len(_COLUMNS) - 1)])
    return text.getvalue()


def _manifest(seed: int) -> str:
    clips = [
        {
            "clip_id": _clip_id(script, seed),
            "title": script.title,
            "file": None if script.trouble is Trouble.NO_FILE else _file(script, seed),
            "caption": script.caption,
            "width_px": script.width_px,
            "height_px": script.height_px,
            "num_frames": sum(shot.num_frames for shot in script.shots),
            "cut_frames": script.cut_frames,
            "actors": [list(shot.cast) for shot in script.shots],
            "num_people": len({actor for shot in script.shots for actor in shot.cast}),
            "trouble": script.trouble,
        }
        for script in SCRIPTS
    ]
    whole = {"version": VERSION, "seed": seed, "frame_rate": str(FRAME_RATE), "clips": clips}
    return json.dumps(whole, indent=1) + "\n"


def _drop_stale(sample: Sample, seed: int) -> None:
    """Remove what an earlier version or another seed drew here, by its own manifest."""
    if sample.manifest.exists():
        drawn = {clip["file"] for clip in json.loads(sample.manifest.read_text())["clips"]}
        for name in drawn - {_file(script, seed) for script in SCRIPTS} - {None}:
            (sample.root / _FOLDER / Path(name).name).unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        files.write(path, text.encode())
