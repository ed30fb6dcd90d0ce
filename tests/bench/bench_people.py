"""People found in the real clips beside the manifest's count, shot by shot, with a contact sheet to look at.

Run by `pytest -m bench -s tests/bench/bench_people.py`; `LIKENESS_SHEET` names where the contact sheet is written. The
manifest counts everybody to be seen; an engine that knows people by their faces cannot.
"""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from flows import recipe as recipes
from flows.engines.ports import Picture
from flows.ingest import ingest
from flows.progress import Progress
from flows.runtime import measure_pending
from flows.settings import Settings
from flows.stages import masks, tracks
from flows.stages.frames import Video
from warehouse import gates, queries, tables
from warehouse.records import Clip, Source, Subject

pytestmark = pytest.mark.bench

SHEET = os.environ.get("LIKENESS_SHEET")
STAGES = ("shots", "captions", "faces", "subjects")
TILE_PX = 320
COLUMNS = 6
COLOURS = [(230, 80, 60), (70, 170, 90), (80, 130, 240), (230, 180, 40), (180, 90, 210), (60, 190, 190)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One shot, as the manifest has it and as it was found."""

    file: str
    clip: Clip
    least: int | None
    most: int | None
    """The manifest's count; None: it says nothing of this shot."""
    num_faces: int
    subjects: list[Subject]

    @property
    def is_right(self) -> bool | None:
        if self.least is None or self.most is None:
            return None
        return self.least <= len(self.subjects) <= self.most


def counts(text: str) -> list[tuple[int, int]]:
    """The least and most people of each shot that the manifest counts: `1-2`, `10+`, `2 / 1 / 6+ per shot`."""
    per_shot = re.search(r"((?:\d+\+? / )+\d+\+?)", text)
    parts = per_shot.group(1).split(" / ") if per_shot else [text]
    found = []
    for part in parts:
        if numbers := re.match(r"(\d+)(?:-(\d+))?(\+)?", part):
            least = int(numbers.group(1))
            found.append((least, 99 if numbers.group(3) else int(numbers.group(2) or least)))
    return found


def ungated(profile: str, path: Path) -> str:
    """The stages up to `subjects` of a profile, without gates: every shot is looked at."""
    lines: list[str] = []
    for stage in recipes.tables_of(profile)["stage"]:
        if stage["use"].rpartition(".")[2].partition(":")[0] in STAGES:
            lines += ["[[stage]]", *(f"{name} = {_toml(value)}" for name, value in stage.items() if name != "gate")]
    path.write_text("\n".join(lines))
    return str(path)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def found_in(settings: Settings, profile: str, manifest: dict[str, str]) -> list[Shot]:
    recipe = recipes.load(profile)
    measure_pending(settings, recipe, "curate", dataset=None, progress=Progress("people"))
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        sources = {source.source_id: source for source in queries.records(session, "source")}
        clips = tables.from_arrow(Clip, queries.in_play(session, "clip"))
        subjects = tables.from_arrow(Subject, queries.in_play(session, "subject"))
        step = next(step for step in recipe.steps if step.stage == "faces")
        faces = {row["item_id"]: row["num_faces_max"] for row in queries.facts(session, step).to_pylist()}
    shots = []
    for clip in sorted(clips, key=lambda clip: (sources[clip.source_id].path, clip.shot_index)):
        source: Source = sources[clip.source_id]
        name = Path(source.path).name
        said = counts(manifest[name])
        of_file = sum(other.source_id == clip.source_id for other in clips)
        least, most = said[clip.shot_index] if len(said) == of_file else (None, None)
        shots.append(
            Shot(
                file=name,
                clip=clip,
                least=least,
                most=most,
                num_faces=faces.get(clip.clip_id, 0),
                subjects=[subject for subject in subjects if subject.clip_id == clip.clip_id],
            )
        )
    return shots


def tile(shot: Shot, settings: Settings, path: Path) -> Picture:
    """The frame that shows the first subject best, masks tinted, boxes and faces drawn."""
    frame_index = shot.subjects[0].key_frame if shot.subjects else (shot.clip.start_frame + shot.clip.end_frame) // 2
    (frame,) = Video(path).read(frame_index, frame_index + 1, longest_side_px=TILE_PX)
    picture, scale = frame.rgb.copy(), frame.rgb.shape[1] / shot.clip.width_px
    for subject in shot.subjects:
        colour = COLOURS[subject.subject_index % len(COLOURS)]
        for sighting in tracks.read(settings.media.path_of(subject.track_sha256)):
            if sighting.frame == frame_index:
                if sighting.mask is not None:
                    mask = masks.decode(sighting.mask).astype(np.uint8)
                    shown = cv2.resize(mask, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
                    picture[shown] = (picture[shown] * 0.5 + np.array(colour) * 0.5).astype(np.uint8)
                for box, width in ((sighting.box_px, 1), (sighting.face_box_px, 2)):
                    if box is not None:
                        x0, y0, x1, y1 = (round(edge * scale) for edge in box)
                        cv2.rectangle(picture, (x0, y0), (x1, y1), colour, width)
    return captioned(picture, shot)


def captioned(picture: Picture, shot: Shot) -> Picture:
    canvas = np.full((TILE_PX * 3 // 4 + 34, TILE_PX, 3), 250, np.uint8)
    scale = min(TILE_PX / picture.shape[1], (TILE_PX * 3 / 4) / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas[: small.shape[0], : small.shape[1]] = small
    said = "?" if shot.least is None else f"{shot.least}" + ("" if shot.most == shot.least else f"-{shot.most}")
    colour = {True: (20, 120, 40), False: (180, 30, 30), None: (90, 90, 90)}[shot.is_right]
    name = f"{shot.file[:30]} [{shot.clip.start_frame},{shot.clip.end_frame})"
    for line, (text, ink) in enumerate(((name, (0, 0, 0)), (f"manifest {said}, found {len(shot.subjects)}", colour))):
        place = (4, canvas.shape[0] - 20 + 15 * line)
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, 1, cv2.LINE_AA)
    return canvas


@pytest.mark.parametrize("profile", ["embedded"])
def test_people_found_beside_the_manifest(profile: str, media_root: Path, tmp_path: Path) -> None:
    with (media_root / "manifest.csv").open(encoding="utf-8") as file:
        manifest = {Path(row["file"]).name: row["n_people"] for row in csv.DictReader(file)}
    settings = Settings.read(
        {"LIKENESS_HOME": str(tmp_path), "LIKENESS_ORCHESTRATOR": "none", "LIKENESS_SHARD_SIZE": "2"}
    )
    ingest(settings, media_root / "videos", media_root / "manifest.csv", progress=Progress("ingest"))
    shots = found_in(settings, ungated(profile, tmp_path / "ungated.toml"), manifest)
    print(f"\n{'file':<42}{'frames':<12}{'manifest':>9}{'faces':>7}{'people':>8}")
    for shot in shots:
        said = (
            "?" if shot.least is None else f"{shot.least}-{shot.most}" if shot.most != shot.least else str(shot.least)
        )
        mark = {True: "", False: "  <-", None: ""}[shot.is_right]
        frames = f"{shot.clip.start_frame}-{shot.clip.end_frame}"
        print(f"{shot.file:<42}{frames:<12}{said:>9}{shot.num_faces:>7}{len(shot.subjects):>8}{mark}")
    judged = [shot for shot in shots if shot.is_right is not None]
    right = sum(bool(shot.is_right) for shot in judged)
    fewer = sum(len(shot.subjects) < (shot.least or 0) for shot in judged)
    print(f"{len(judged)} shots judged: {right} right, {fewer} with fewer, {len(judged) - right - fewer} with more")
    paths = {Path(path).name: Path(path) for path in (media_root / "videos").iterdir()}
    tiles = [tile(shot, settings, paths[shot.file]) for shot in shots]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    sheet = Path(SHEET or tmp_path / "people.png")
    cv2.imwrite(str(sheet), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    print(f"contact sheet: {sheet}")
    assert all(shot.clip.start < shot.clip.end for shot in shots)
    assert judged
