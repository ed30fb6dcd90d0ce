"""The drawn actors are found and told apart; the sample is what its manifest says."""

import csv
import importlib.util
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import cv2
import dlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.sources import backdrops, drawn
from flows.sources.actors import NUM_ACTORS, Pose, draw_actor, portrait
from flows.sources.brush import Brush, curve, ellipse, shade
from flows.sources.cast import CAST
from flows.sources.drawn import draw_sample, play
from flows.sources.folder import CAPTION_ALONE, FILE_ALONE, list_folder
from flows.sources.scripts import SCRIPTS, Script, Trouble

POSES = (Pose(), Pose(turn=0.2, tilt=0.05, mouth=0.6, stride=1.0), Pose(turn=-0.2, tilt=-0.05, blink=1.0))


def brief(script: Script) -> Script:
    """The same script with shots of two frames, in a picture of half the size."""
    shots = tuple(replace(shot, num_frames=2) for shot in script.shots)
    return replace(script, width_px=script.width_px // 2, height_px=script.height_px // 2, shots=shots)


@pytest.fixture
def brief_scripts(monkeypatch):
    """One script of each trouble, one with a cut, one for two."""
    chosen = [script for script in SCRIPTS if script.trouble]
    chosen += [next(s for s in SCRIPTS if len(s.shots) == 2), next(s for s in SCRIPTS if len(s.shots[0].cast) == 2)]
    monkeypatch.setattr(drawn, "SCRIPTS", tuple(brief(script) for script in chosen))
    return drawn.SCRIPTS


def frames_of(path: Path):
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def face_vectors():
    """For each actor: one 128-d vector a pose. Fails where the detector does not find exactly one face."""
    spec = importlib.util.find_spec("face_recognition_models")
    models = Path(spec.submodule_search_locations[0]) / "models"
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
    recogniser = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))
    vectors = {}
    for actor in range(NUM_ACTORS):
        for number, pose in enumerate(POSES):
            canvas = np.full((240, 240, 3), (110, 140, 120), np.uint8)
            draw_actor(canvas, actor, x_px=120, y_px=105, head_px=120, pose=pose)
            canvas = (canvas * (1.0, 0.7, 1.0)[number]).astype(np.uint8)
            faces = detector(canvas, 0)
            assert len(faces) == 1, f"actor {actor}, pose {number}: {len(faces)} faces"
            shape = predictor(canvas, faces[0])
            vectors.setdefault(actor, []).append(np.array(recogniser.compute_face_descriptor(canvas, shape)))
    return vectors


def test_a_face_is_nearer_to_its_own_other_poses_than_to_any_other_actor(face_vectors):
    labels = np.repeat(list(face_vectors), len(POSES))
    points = np.concatenate(list(face_vectors.values()))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    is_same = labels[:, None] == labels[None]
    own = np.where(is_same & ~np.eye(len(labels), dtype=bool), distance, np.inf).min(1)
    others = np.where(is_same, np.inf, distance).min(1)
    assert (own < others).all()
    assert distance[is_same].sum() / (is_same.sum() - len(labels)) < 0.5 * distance[~is_same].mean()


def test_a_portrait_is_the_same_picture_each_time_and_differs_from_actor_to_actor():
    pictures = [portrait(actor, size_px=96) for actor in range(NUM_ACTORS)]
    assert all(picture.shape == (96, 96, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == NUM_ACTORS == 12
    assert (portrait(3, size_px=96) == pictures[3]).all()


@settings(max_examples=25, deadline=None)
@given(
    actor=st.integers(0, NUM_ACTORS - 1),
    x_px=st.floats(-300, 400),
    y_px=st.floats(-300, 400),
    head_px=st.floats(8, 300),
)
def test_an_actor_may_stand_anywhere_even_outside_the_picture(actor, x_px, y_px, head_px):
    canvas = np.zeros((80, 100, 3), np.uint8)
    draw_actor(canvas, actor, x_px=x_px, y_px=y_px, head_px=head_px, pose=Pose(turn=0.1, tilt=0.1))
    if x_px + 3 * head_px < 0 or x_px - 3 * head_px > 100:
        assert not canvas.any()


def test_an_actor_who_turns_blinks_or_speaks_looks_different():
    pictures = []
    for pose in (Pose(), Pose(turn=0.2), Pose(tilt=0.1), Pose(mouth=1.0), Pose(blink=1.0), Pose(stride=1.0)):
        canvas = np.zeros((120, 120, 3), np.uint8)
        draw_actor(canvas, 0, x_px=60, y_px=50, head_px=60, pose=pose)
        pictures.append(canvas.tobytes())
    assert len(set(pictures)) == len(pictures)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=3, max_size=9))
def test_a_curve_goes_through_its_corners(corners):
    assert np.allclose(curve(*corners, steps=5)[::5], corners)


def test_the_curve_through_a_square_bulges_by_the_spline_s_eighth():
    middle = curve((0, 0), (1, 0), (1, 1), (0, 1), steps=2)[1]
    assert middle == pytest.approx((0.5, -0.125))  # Catmull-Rom: (-0 + 9 * 0 + 9 * 0 - 1 - 1) / 16


@given(st.tuples(*[st.integers(0, 255)] * 3), st.floats(0, 3))
def test_a_shaded_colour_stays_a_colour(colour, factor):
    assert all(0 <= value <= 255 for value in shade(colour, factor))
    assert shade(colour, 1.0) == colour


def test_soft_paint_stays_inside_what_it_is_told_to():
    canvas = np.zeros((60, 60, 3), np.uint8)
    left_half = np.array([(0, 0), (30, 0), (30, 60), (0, 60)])
    Brush.at(canvas, 0, 0, 1).soft(ellipse(30, 30, 15, 15), (200, 100, 50), 1.0, 3.0, left_half)
    assert canvas[:, :28].any()
    assert not canvas[:, 32:].any()
    assert tuple(canvas[30, 24]) == pytest.approx((200, 100, 50), abs=8)


@pytest.mark.parametrize("place", backdrops.PLACES)
def test_a_backdrop_fills_the_picture_and_depends_on_its_seed_alone(place):
    first, again, other = (backdrops.paint(place, width_px=120, height_px=80, seed=seed) for seed in (1, 1, 2))
    assert first.shape == (80, 120, 3)
    assert (first == again).all()
    assert (first != other).any()
    assert (first.max(2) > 0).mean() > 0.99


def test_the_programme_has_24_clips_and_two_troubles_beside_them():
    beside = [script for script in SCRIPTS if script.trouble in (Trouble.TRUNCATED, Trouble.NO_FILE)]
    clips = [script for script in SCRIPTS if script not in beside]
    assert (len(clips), len(beside)) == (24, 2)
    assert {script.trouble for script in SCRIPTS} - {None} == set(Trouble)
    sizes = [max(len(shot.cast) for shot in script.shots) for script in clips]
    assert [sizes.count(num) for num in range(5)] == [1, 16, 4, 2, 1]
    assert len({script.title for script in SCRIPTS}) == len(SCRIPTS)
    assert {place for script in SCRIPTS for place in (shot.place for shot in script.shots)} == set(backdrops.PLACES)


def test_every_actor_plays_alone_and_the_companies_are_small_enough_to_split():
    alone = {script.shots[0].cast[0] for script in SCRIPTS if len(script.shots[0].cast) == 1}
    assert alone == set(range(NUM_ACTORS))
    company = {actor: {actor} for actor in range(NUM_ACTORS)}
    for cast in (shot.cast for script in SCRIPTS if script.trouble is None for shot in script.shots):
        joined = set().union(*(company[actor] for actor in cast))
        company |= dict.fromkeys(joined, joined)
    assert max(map(len, company.values())) == 3
    assert len({frozenset(group) for group in company.values()}) >= 6


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script.caption], ids=lambda script: script.title)
def test_a_caption_names_each_person_once_from_left_to_right(script):
    people = list(dict.fromkeys(actor for shot in script.shots for actor in shot.cast))
    places = [script.caption.lower().find(CAST[actor].phrase.lower()) for actor in people]
    assert -1 not in places and places == sorted(places)
    words = script.caption.lower().replace(",", "").split()
    assert words.count("man") + words.count("woman") == len(people)
    assert script.caption[0].isupper() and script.caption.endswith(".")


def test_the_caption_of_two_walkers_reads_as_a_person_would_write_it():
    script = next(script for script in SCRIPTS if script.title == "park walk of two")
    assert script.caption == (
        "A woman with red hair in a green coat walks in a park beside a man with a beard in a blue shirt."
    )


def test_a_cut_stands_where_the_manifest_says(brief_scripts):
    script = next(script for script in SCRIPTS if script.title == "hat, two places")
    short = replace(script, shots=tuple(replace(shot, num_frames=4) for shot in script.shots))
    frames = [frame.astype(int) for frame in play(short, seed=0)]
    change = [np.abs(after - before).mean() for before, after in pairwise(frames)]
    assert short.cut_frames == [4]
    assert int(np.argmax(change)) + 1 == 4
    assert sorted(change)[-2] < 0.5 * max(change)


def test_the_sample_is_what_its_manifest_and_its_captions_say(tmp_path, brief_scripts):
    sample = draw_sample(tmp_path)
    manifest = json.loads(sample.manifest.read_text())
    rows = {row["clip_id"]: row for row in csv.DictReader(sample.captions.read_text().splitlines())}
    assert [clip["title"] for clip in manifest["clips"]] == [script.title for script in brief_scripts]
    for clip in manifest["clips"]:
        assert (clip["clip_id"] in rows) == (clip["trouble"] != Trouble.NO_CAPTION)
        if clip["caption"]:
            assert rows[clip["clip_id"]]["caption"] == clip["caption"]
            assert rows[clip["clip_id"]]["path"] == f"clips/part_000/f6/05/{clip['clip_id']}"
            assert rows[clip["clip_id"]]["aesthetic"] == ""
        if clip["trouble"] == Trouble.NO_FILE:
            assert clip["file"] is None
        elif clip["trouble"] == Trouble.TRUNCATED:
            with pytest.raises(av.FFmpegError):
                frames_of(tmp_path / clip["file"])
        else:
            frames = frames_of(tmp_path / clip["file"])
            assert len(frames) == clip["num_frames"]
            assert frames[0].shape == (clip["height_px"], clip["width_px"], 3)
            assert (frames[0].mean() < 16) == (clip["trouble"] == Trouble.DARK)


def test_the_listing_of_the_sample_reports_exactly_its_troubles(tmp_path, brief_scripts):
    draw_sample(tmp_path)
    problems = [entry.problem for entry in list_folder(tmp_path, None) if entry.problem]
    assert sorted(problems) == [CAPTION_ALONE, FILE_ALONE]


def test_a_second_drawing_touches_nothing_and_a_lost_file_comes_back_byte_for_byte(tmp_path, brief_scripts):
    sample = draw_sample(tmp_path)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    draw_sample(tmp_path)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files} == before
    files[2].unlink()
    sample.captions.unlink()
    draw_sample(tmp_path)
    assert {path: path.read_bytes() for path in files} == {path: content for path, (_, content) in before.items()}


def test_another_seed_draws_other_clips_and_leaves_none_of_the_old_behind(tmp_path, monkeypatch, brief_scripts):
    monkeypatch.setattr(drawn, "SCRIPTS", brief_scripts[-2:])
    draw_sample(tmp_path, seed=0)
    stranger = tmp_path / drawn._FOLDER / "mine.mp4"
    stranger.write_bytes(b"not drawn here")
    old = set(tmp_path.rglob("*.mp4"))
    draw_sample(tmp_path, seed=1)
    new = set(tmp_path.rglob("*.mp4"))
    assert new & old == {stranger}
    assert len(new) == len(old)


def test_a_drawing_that_breaks_off_leaves_no_half_file(tmp_path, monkeypatch, brief_scripts):
    def breaks(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", breaks)
    with pytest.raises(KeyboardInterrupt):
        draw_sample(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_drawing_is_the_same_on_any_number_of_threads() -> None:
    num_threads = cv2.getNumThreads()
    drawn = []
    try:
        for num in (1, 2, 3, 8):
            cv2.setNumThreads(num)
            drawn.append(portrait(0, size_px=160).tobytes())
    finally:
        cv2.setNumThreads(num_threads)
    assert len(set(drawn)) == 1
