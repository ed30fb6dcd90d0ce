"""Near duplicates among the real clips: those that are, those that are not, and what is found again after re-encoding.

Run by `pytest -m bench -s tests/bench/bench_duplicates.py`.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from flows.engines.embedded.content_shots import ContentShots
from flows.stages.duplicates import Duplicates, Hashes, shared
from flows.stages.fingerprint import LEAST_CONTRAST, FingerprintFact, perceptual_hash, spread_over
from flows.stages.frames import Video, VideoUnreadable
from flows.stages.quality import Luma

pytestmark = pytest.mark.bench

ENCODED_TWICE = "tears_of_steel_16s"
"""The same film as AV1 and as VP9."""


def recompressed(picture: Luma, quality: int) -> Luma:
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), np.uint8)


def halved(picture: Luma) -> Luma:
    return np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


CHANGES: dict[str, Callable[[Luma], Luma]] = {
    "halved, JPEG 30": lambda picture: recompressed(halved(picture), 30),
    "JPEG 20": lambda picture: recompressed(picture, 20),
    "paler": lambda picture: np.asarray(cv2.convertScaleAbs(picture, alpha=0.8, beta=15), np.uint8),
    "gamma 1.25": lambda picture: (255 * (picture / 255) ** 1.25).astype(np.uint8),
    "2 % cut off": lambda picture: picture[picture.shape[0] // 50 :, picture.shape[1] // 50 :],
}


def shots(folder: Path) -> dict[str, list[Luma]]:
    """Frames with contrast of every shot of every readable file."""
    found = {}
    for path in sorted(folder.iterdir()):
        video = Video(path)
        try:
            bounds = [0, *ContentShots().cuts(iter(video.proxies)), video.num_frames]
        except VideoUnreadable:
            continue
        for start, end in pairwise(bounds):
            lumas = [proxy.luma.copy() for proxy in spread_over(video.proxies[start:end], 8)]
            found[f"{path.name}:{start}"] = [luma for luma in lumas if luma.std() >= LEAST_CONTRAST]
        video.release()
    return found


def hashes(lumas: list[Luma]) -> FingerprintFact:
    return FingerprintFact(num_looked=len(lumas), hashes=tuple(perceptual_hash(luma) for luma in lumas))


def words(lumas: list[Luma]) -> Hashes:
    return np.array(hashes(lumas).hashes, np.int64).view(np.uint64)


def test_twins_among_the_real_clips_and_after_reencoding(media_root: Path) -> None:
    seen = {name: lumas for name, lumas in shots(media_root / "videos").items() if lumas}
    stage = Duplicates()
    found = stage.gather({name: hashes(lumas) for name, lumas in seen.items()}, {}, {})
    twins = {name: done.fact.twin_of for name, done in found.items() if done.fact.twin_of}
    print(f"\n{len(seen)} shots; twins: {twins}")
    for name, change in CHANGES.items():
        again = [
            min(
                shared(words(lumas), words(changed), stage.max_bits),
                shared(words(changed), words(lumas), stage.max_bits),
            )
            >= stage.min_share
            for lumas in seen.values()
            for changed in [[change(luma) for luma in lumas]]
        ]
        print(f"{name:<18}{sum(again):>3} of {len(again)} found again")
    assert twins
    assert all(name.startswith(ENCODED_TWICE) and str(twin).startswith(ENCODED_TWICE) for name, twin in twins.items())
