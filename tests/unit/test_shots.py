from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, FrameTimecode

from flows.engines.embedded.content_shots import ContentShots
from flows.engines.ports import ShotDetector
from flows.stages.decode import Decoded, Display
from flows.stages.encode import encode
from flows.stages.frames import Proxy, Video
from flows.stages.proxies import ProxyScaler, matrix_of
from flows.stages.shots import Shots, ShotsFact
from flows.stages.stage import Done, Failed, SourceItem
from tests import factories
from warehouse import ids
from warehouse.media import MediaStore
from warehouse.records import Clip

Picture = NDArray[np.uint8]


@dataclass(slots=True)
class Told:
    """A detector that was told the cuts."""

    told: Sequence[int]
    revision: str = "told"

    def cuts(self, frames: Iterator[Proxy]) -> Sequence[int]:
        return self.told


def item(path: Path) -> SourceItem:
    return SourceItem(
        source=factories.source(),
        video=Video(path),
        media=MediaStore(Path("/nowhere")),
        facts={},
        fact_key="fact_shots_1",
    )


def cut(path: Path, detector: ShotDetector) -> tuple[ShotsFact, list[Clip]]:
    [outcome] = Shots(detector=detector)([item(path)])
    assert isinstance(outcome, Done)
    return outcome.fact, [clip for clip in outcome.made if isinstance(clip, Clip)]


def scene(seed: int, num: int, *, pan_px: int = 1) -> list[Picture]:
    """A camera that pans over a coloured patchwork."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    wide = patches.repeat(16, axis=0).repeat(16, axis=1)
    return [np.roll(wide, pan_px * index, axis=1) for index in range(num)]


def as_proxies(pictures: Sequence[Picture]) -> Iterator[Proxy]:
    for index, rgb in enumerate(pictures):
        decoded = Decoded(
            time=Fraction(index, 24),
            duration=None,
            frame_rate=Fraction(24),
            raw=av.VideoFrame.from_ndarray(rgb, format="rgb24"),
            display=Display(),
            entry=None,
        )
        yield Proxy(index=index, time=decoded.time, planes=ProxyScaler()(decoded), matrix=matrix_of(decoded.raw))


@pytest.fixture(scope="module")
def ten_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ten") / "ten.mp4"
    path.write_bytes(encode(scene(0, 10), frame_rate=Fraction(30000, 1001)))
    return path


@given(cuts=st.sets(st.integers(1, 9)))
def test_clips_tile_the_whole_video_half_open(ten_frames: Path, cuts: set[int]) -> None:
    fact, clips = cut(ten_frames, Told(sorted(cuts)))
    assert fact.num_shots == len(clips) == len(cuts) + 1
    assert (clips[0].start_frame, clips[-1].end_frame) == (0, 10)
    assert (clips[0].start, clips[-1].end) == (0, Fraction(10010, 30000))
    for before, after in pairwise(clips):
        assert before.end_frame == after.start_frame
        assert before.end == after.start
        assert before.shot_index + 1 == after.shot_index
    assert all(clip.start == Fraction(1001 * clip.start_frame, 30000) for clip in clips)


def test_a_clip_is_named_by_its_source_and_its_span(ten_frames: Path) -> None:
    _, [first, second] = cut(ten_frames, Told([4]))
    assert first.clip_id == ids.make("clip", "source_1", 0, 4)
    assert second.clip_id == ids.make("clip", "source_1", 4, 10)
    assert second.fact_key == "fact_shots_1"
    assert (second.width_px, second.height_px, second.frame_rate) == (128, 96, Fraction(30000, 1001))


def test_the_fact_tells_the_whole_video(ten_frames: Path) -> None:
    fact, _ = cut(ten_frames, Told([4]))
    assert fact == ShotsFact(
        num_shots=2,
        num_frames=10,
        length_s=pytest.approx(0.33367, abs=1e-5),
        frame_rate=pytest.approx(29.97, abs=1e-3),
        width_px=128,
        height_px=96,
    )


def test_a_cut_in_a_file_is_found_at_the_first_frame_of_the_new_shot(tmp_path: Path) -> None:
    (tmp_path / "three.mp4").write_bytes(encode([*scene(1, 12), *scene(2, 9), *scene(3, 15)], frame_rate=Fraction(24)))
    _, clips = cut(tmp_path / "three.mp4", ContentShots())
    assert [(clip.start_frame, clip.end_frame) for clip in clips] == [(0, 12), (12, 21), (21, 36)]


@given(lengths=st.lists(st.integers(5, 20), min_size=1, max_size=4))
def test_cuts_are_found_wherever_they_are(lengths: list[int]) -> None:
    pictures = [picture for seed, length in enumerate(lengths) for picture in scene(seed, length)]
    expected = np.cumsum(lengths)[:-1].tolist()
    assert list(ContentShots().cuts(as_proxies(pictures))) == expected


@pytest.mark.parametrize("pan_px", [0, 3, 16])
def test_a_moving_camera_is_no_cut(pan_px: int) -> None:
    assert list(ContentShots().cuts(as_proxies(scene(4, 30, pan_px=pan_px)))) == []


def test_a_dissolve_is_no_cut() -> None:
    [before], [after] = scene(5, 1), scene(6, 1)
    mixed = [((1 - share) * before + share * after).astype(np.uint8) for share in np.linspace(0, 1, 25)]
    assert list(ContentShots().cuts(as_proxies([before] * 10 + mixed + [after] * 10))) == []


@pytest.mark.parametrize("num", [0, 1, 4])
def test_a_video_of_a_few_frames_has_no_cut(num: int) -> None:
    assert list(ContentShots().cuts(as_proxies(scene(7, num)))) == []


@pytest.mark.parametrize(("ratio", "score"), [(2.2, 27.0), (1.5, 5.0), (3.0, 15.0)])
def test_the_cuts_are_those_of_pyscenedetects_adaptive_detector(ratio: float, score: float) -> None:
    pictures = [*scene(8, 9), *scene(9, 3), *scene(10, 12, pan_px=9), *scene(11, 7)]
    theirs = AdaptiveDetector(adaptive_threshold=ratio, min_content_val=score, window_width=2, min_scene_len=0)
    expected = [
        int(cut.frame_num)
        for proxy in as_proxies(pictures)
        for cut in theirs.process_frame(FrameTimecode(proxy.index, fps=24.0), proxy.half_rgb[..., ::-1])
    ]
    assert expected
    assert list(ContentShots(ratio=ratio, content_score=score).cuts(as_proxies(pictures))) == expected


def test_the_detectors_revision_names_its_numbers() -> None:
    assert ContentShots().revision.startswith("content shots 2")
    assert ContentShots().revision != ContentShots(ratio=3.0).revision


def test_an_unreadable_source_fails_with_its_reason_and_alone(tmp_path: Path, ten_frames: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(ten_frames.read_bytes()[:-200])
    outcomes = Shots(detector=ContentShots())([item(tmp_path / "broken.mp4"), item(ten_frames)])
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].reason == "decoder error"
    assert "broken.mp4" in outcomes[0].exception
    assert isinstance(outcomes[1], Done)
