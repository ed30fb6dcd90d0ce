"""Hard cuts found in the real clips, file by file. Run by `pytest -m bench`.

A found cut is true if it lies within one frame of a hard cut of the manifest. One that lies inside a gradual transition
which the manifest names (or anywhere in a clip that fades all through) is counted apart: neither true nor false.
"""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.engines.embedded.content_shots import ContentShots
from flows.stages.frames import Video, VideoUnreadable

pytestmark = pytest.mark.bench

MEDIA = Path(os.environ.get("LIKENESS_MEDIA", Path(__file__).parents[3] / "shared" / "media"))
TOLERANCE_FRAMES = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One clip's cuts: the manifest's, those found, and how they match."""

    truth: list[int]
    found: list[int]
    num_true: int
    num_gradual: int

    @property
    def num_false(self) -> int:
        return len(self.found) - self.num_true - self.num_gradual

    @property
    def num_missed(self) -> int:
        return len(self.truth) - self.num_true


def manifest() -> list[dict[str, str]]:
    if not (MEDIA / "manifest.csv").exists():
        pytest.fail(f"no media at {MEDIA}; set LIKENESS_MEDIA")
    with (MEDIA / "manifest.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["file"].startswith("videos/")]


def spans(gradual: str) -> list[tuple[int, int]]:
    """The frames of the transitions that a manifest's note names; all, if it names some but no frames."""
    named = [(int(start), int(end)) for start, end in re.findall(r"\b(\d+)-(\d+)\b", gradual)]
    return named or ([(0, 10**9)] if gradual not in ("", "none") else [])


def score(truth: list[int], gradual: str, found: list[int]) -> Score:
    """Match each hard cut to one found cut at most."""
    left = list(found)
    for cut in truth:
        near = [place for place in left if abs(place - cut) <= TOLERANCE_FRAMES]
        if near:
            left.remove(min(near, key=lambda place: abs(place - cut)))
    within = [
        place
        for place in left
        if any(start - TOLERANCE_FRAMES <= place <= end + TOLERANCE_FRAMES for start, end in spans(gradual))
    ]
    return Score(truth=truth, found=found, num_true=len(found) - len(left), num_gradual=len(within))


def test_hard_cuts_of_the_real_clips(capsys: pytest.CaptureFixture[str]) -> None:
    detector = ContentShots()
    lines, scores = [], []
    for row in manifest():
        if not row["hard_cut_frames"]:  # not judged
            continue
        truth = [] if row["hard_cut_frames"] == "none" else [int(cut) for cut in row["hard_cut_frames"].split()]
        each = score(truth, row["gradual_transitions"], list(detector.cuts(iter(Video(MEDIA / row["file"]).proxies))))
        scores.append(each)
        cuts = f"{' '.join(map(str, each.truth)) or '-':22} {' '.join(map(str, each.found)) or '-':22}"
        counts = f"{each.num_true:3} {each.num_false:3} {each.num_missed:3} {each.num_gradual:8}"
        lines.append(f"{row['file'].removeprefix('videos/'):36} {cuts} {counts}")
    num_true, num_found = (
        sum(each.num_true for each in scores),
        sum(each.num_true + each.num_false for each in scores),
    )
    recall = num_true / sum(len(each.truth) for each in scores)
    precision = num_true / num_found
    with capsys.disabled():
        print(f"\n{detector.revision}\n{'file':36} {'true cuts':22} {'found':22}  tp  fp  fn  gradual")
        print("\n".join(lines))
        print(
            f"{len(scores)} clips: recall {recall:.3f}, precision {precision:.3f}, {num_true} cuts found of "
            f"{sum(len(each.truth) for each in scores)}, {num_found - num_true} false"
        )
    assert recall >= 0.95
    assert precision >= 0.95


def test_frame_counts_of_the_real_clips(capsys: pytest.CaptureFixture[str]) -> None:
    differences = []
    for row in manifest():
        try:
            found = str(Video(MEDIA / row["file"]).num_frames)
        except VideoUnreadable as error:
            found = str(error)
        if found != row["frames"]:
            differences.append(f"{row['file']}: manifest {row['frames']}, found {found}")
    with capsys.disabled():
        print("\nframe counts that differ from the manifest:", *differences, sep="\n  ")
    assert [line.partition(":")[0] for line in differences] == ["videos/decord_corrupted.mp4"]
