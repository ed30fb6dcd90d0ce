"""The copy-paste score on real footage and portraits: what it says of copies, of other pictures of the same person, and
of other people; and what it costs. Run by `pytest -m bench -s tests/bench/bench_references.py`.

Copies are crops of a looked frame and what was done to them. Real re-synthesised views cannot be made here: the other
pictures of the same person (several portraits an identity) stand for them. Some of these are near copies by nature:
frames of one video, stills of one studio on one day.
"""

import csv
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from flows.engines.embedded.dlib_faces import DlibFaces
from flows.engines.embedded.geometric_views import GeometricViews
from flows.engines.ports import Face, Picture, Vector
from flows.stages.copy_paste import Own, copy_paste_score, prepared
from flows.stages.frames import LOOK_SIDE_PX, Video, VideoUnreadable
from flows.stages.references import crop_box
from warehouse.records import Box

pytestmark = pytest.mark.bench

COPIES = ("crop", "mirrored", "tilted", "turned", "evening", "JPEG, x 2.5", "half", "head on other ground")
GATE = 0.7
"""`copy_paste_max <= 0.7`: what the bench recommends."""


@dataclass(frozen=True, eq=False)
class Known:
    """One person's crop, and the pictures in which a copy of it would be found."""

    name: str
    identity: str
    vector: Vector
    crop: Picture
    owns: tuple[Own, ...]


def test_copies_score_high_and_other_pictures_low(media_root: Path) -> None:
    cv2.setNumThreads(1)
    reader = DlibFaces()
    clips, portraits = list(of_clips(media_root, reader)), list(of_portraits(media_root, reader))
    scores: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)

    def note(kind: str, picture: Picture, owns: tuple[Own, ...]) -> None:
        face = widest(reader.read([np.ascontiguousarray(picture)], with_vectors=False)[0])
        started = time.process_time()
        score = copy_paste_score(picture, owns, face_px=face.box_px if face else None)
        seconds[kind].append(time.process_time() - started)
        scores[kind].append(-1.0 if score is None else score)

    for number, each in enumerate(clips):
        for name, view in copies(each.crop, clips[number - 1].crop, reader).items():
            note(name, view, each.owns)
        for other in clips[number % 3 :: 3]:
            if each.vector @ other.vector < reader.same_person_similarity:
                note("another clip's person", other.crop, each.owns)
    for one in portraits:
        for number, other in enumerate(portraits):
            if one.identity == other.identity and one.name != other.name:
                note("same person, other picture", one.crop, other.owns)
            elif one.identity != other.identity and number % 20 == 0:
                note("other person", one.crop, other.owns)
    report(scores, seconds)
    assert min(float(np.quantile(scores[kind], 0.1)) for kind in COPIES) > GATE
    assert max(scores["another clip's person"]) < GATE and float(np.quantile(scores["other person"], 0.9)) < 0.3
    assert max(float(np.mean(values)) for values in seconds.values()) < 0.1


def report(scores: dict[str, list[float]], seconds: dict[str, list[float]]) -> None:
    print(f"\n{'':<28}{'n':>5}{'least':>8}{'10 %':>8}{'median':>8}{'90 %':>8}{'most':>8}{'> gate':>8}{'CPU ms':>8}")
    for kind, values in scores.items():
        cuts = "".join(f"{value:>8.2f}" for value in np.quantile(values, (0, 0.1, 0.5, 0.9, 1)))
        share = float(np.mean(np.array(values) > GATE))
        print(f"{kind:<28}{len(values):>5}{cuts}{share:>8.2f}{1000 * np.mean(seconds[kind]):>8.0f}")


def copies(crop: Picture, ground: Picture, reader: DlibFaces) -> dict[str, Picture]:
    views = {view.name: view.picture for view in GeometricViews().views(crop)}
    squeezed = cv2.imdecode(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_UNCHANGED)
    views["JPEG, x 2.5"] = cv2.resize(squeezed, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC)
    views["half"] = cv2.resize(crop, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    if face := widest(reader.read([crop], with_vectors=False)[0]):
        views["head on other ground"] = with_other_ground(crop, face.box_px, ground)
    return {"crop": crop, **views}


def with_other_ground(crop: Picture, face_px: Box, ground: Picture) -> Picture:
    """The head, feathered, on a picture of something else."""
    x0, y0, x1, y1 = face_px
    head = np.zeros(crop.shape[:2], np.float32)
    middle = (round((x0 + x1) / 2), round((y0 + y1) / 2 - 0.1 * (y1 - y0)))
    cv2.ellipse(head, middle, (round(0.7 * (x1 - x0)), round(0.9 * (y1 - y0))), 0, 0, 360, 1.0, -1)
    share = cv2.GaussianBlur(head, (0, 0), 3)[..., None]
    return np.asarray(crop * share + cv2.resize(ground, crop.shape[1::-1]) * (1 - share), dtype=np.uint8)


def of_clips(media_root: Path, reader: DlibFaces) -> Iterator[Known]:
    """The person with the widest face of each clip that has one."""
    for path in sorted((media_root / "videos").iterdir()):
        try:
            video = Video(path)
            pictures = [frame.rgb for frame in video.look(0, video.num_frames, 8)]
        except VideoUnreadable:
            continue
        faces = [widest(found) for found in reader.read(pictures, with_vectors=True)]
        seen = [(face, picture) for face, picture in zip(faces, pictures, strict=True) if face]
        if not seen:
            continue
        best, picture = max(seen, key=lambda each: each[0].box_px[2] - each[0].box_px[0])
        assert best.vector is not None
        owns = prepared([cut(picture, face.box_px, more=0.25) for face, picture in seen])
        yield Known(path.name, path.name, best.vector, cut(picture, best.box_px), owns)


def of_portraits(media_root: Path, reader: DlibFaces) -> Iterator[Known]:
    with (media_root / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("images/") and row["identities"]]
    for row in rows:
        picture = cv2.imread(str(media_root / row["file"]), cv2.IMREAD_COLOR_RGB)
        scale = min(1.0, LOOK_SIDE_PX / max(picture.shape[:2]))
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        face = widest(reader.read([picture], with_vectors=True)[0])
        if face is not None and face.vector is not None:
            around = prepared([cut(picture, face.box_px, more=0.25)])
            yield Known(row["file"], row["identities"], face.vector, cut(picture, face.box_px), around)


def widest(faces: tuple[Face, ...]) -> Face | None:
    return max(faces, key=lambda face: face.box_px[2] - face.box_px[0], default=None)


def cut(picture: Picture, face_px: Box, *, more: float = 0.0) -> Picture:
    """Head and shoulders, and a share `more` of that at each side."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = crop_box(face_px, [], width_px=width, height_px=height)
    more_x, more_y = round(more * (x1 - x0)), round(more * (y1 - y0))
    return np.ascontiguousarray(picture[max(0, y0 - more_y) : y1 + more_y, max(0, x0 - more_x) : x1 + more_x])
