import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.stages.duplicates import Duplicates, DuplicatesFact
from flows.stages.fingerprint import FingerprintFact, perceptual_hash, spread_over

HASHES = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=8)


def scene(seed: int, frame: int = 0) -> np.ndarray:
    """A picture (180, 320) of blobs that drift from frame to frame."""
    random = np.random.default_rng(seed)
    picture = np.full((180, 320), 90, np.uint8)
    for x, y, radius, light in random.integers((0, 0, 15, 0), (320, 180, 60, 255), (12, 4)):
        cv2.circle(picture, (int(x) + 2 * frame, int(y)), int(radius), int(light), -1)
    return picture


def clip(*hashes: int) -> FingerprintFact:
    return FingerprintFact(num_looked=len(hashes), hashes=tuple(hashes))


def of_scene(seed: int) -> FingerprintFact:
    return clip(*[perceptual_hash(scene(seed, frame)) for frame in range(0, 24, 3)])


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE))


def facts(
    new: dict[str, FingerprintFact],
    old: dict[str, FingerprintFact] | None = None,
    settled: dict[str, DuplicatesFact] | None = None,
) -> dict[str, DuplicatesFact]:
    return {clip_id: done.fact for clip_id, done in Duplicates().gather(new, old or {}, settled or {}).items()}


@pytest.mark.parametrize(
    "changed",
    [
        lambda picture: as_jpeg(picture, 30),
        lambda picture: cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA),
        lambda picture: cv2.resize(picture, (640, 360), interpolation=cv2.INTER_CUBIC),
        lambda picture: cv2.convertScaleAbs(picture, alpha=0.8, beta=15),
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 1.5),
    ],
    ids=["recompressed", "smaller", "larger", "paler", "softer"],
)
def test_the_same_picture_has_nearly_the_same_hash_however_it_is_stored(changed) -> None:  # type: ignore[no-untyped-def]
    for seed in range(8):
        picture = scene(seed)
        assert (perceptual_hash(picture) ^ perceptual_hash(changed(picture))).bit_count() <= 6


def test_pictures_of_different_things_have_hashes_far_apart() -> None:
    hashes = [perceptual_hash(scene(seed)) for seed in range(30)]
    distances = [((a ^ b) & (2**64 - 1)).bit_count() for place, a in enumerate(hashes) for b in hashes[:place]]
    assert min(distances) > 12
    assert 26 < np.mean(distances) < 38


def test_a_clip_that_came_later_is_the_twin_of_the_first_one_alike() -> None:
    found = facts({"clip_c": of_scene(1), "clip_a": of_scene(2), "clip_b": of_scene(1), "clip_d": of_scene(1)})
    assert {clip_id: fact.twin_of for clip_id, fact in found.items()} == {
        "clip_a": None,
        "clip_b": None,
        "clip_c": "clip_b",
        "clip_d": "clip_b",
    }
    assert found["clip_c"].twin_share == 1.0


def test_what_was_settled_before_comes_first_and_gets_no_new_outcome() -> None:
    before = {"clip_z": of_scene(1)}
    found = facts({"clip_a": of_scene(1)}, before, facts(before))
    assert {clip_id: fact.twin_of for clip_id, fact in found.items()} == {"clip_a": "clip_z"}


def test_half_a_clip_in_common_is_no_twin() -> None:
    one, other = of_scene(1).hashes, of_scene(2).hashes
    found = facts({"clip_a": clip(*one), "clip_b": clip(*one[:4], *other[:4])})
    assert all(fact.is_first for fact in found.values())


def test_a_clip_without_a_frame_to_tell_it_by_is_nobody_s_twin() -> None:
    found = facts({"clip_a": clip(), "clip_b": clip(), "clip_c": of_scene(1)})
    assert all(fact.is_first and fact.twin_share is None for fact in found.values())


@given(st.lists(HASHES, max_size=6), st.lists(st.integers(0, 5), max_size=6))
def test_every_new_clip_gets_one_outcome_and_twins_are_first_themselves(
    pool: list[list[int]], drawn: list[int]
) -> None:
    new = {f"clip_{place}": clip(*pool[which % len(pool)]) for place, which in enumerate(drawn) if pool}
    found = facts(new)
    assert found.keys() == new.keys()
    for fact in found.values():
        assert fact.is_first == (fact.twin_of is None)
        assert fact.twin_of is None or found[fact.twin_of].is_first


@given(st.lists(HASHES, min_size=1, max_size=5, unique_by=tuple))
def test_settling_in_two_goes_gives_what_one_go_gives_where_nothing_came_between(pool: list[list[int]]) -> None:
    everything = {f"clip_{place}": clip(*hashes) for place, hashes in enumerate(pool * 2)}
    names = sorted(everything)
    early = {name: everything[name] for name in names[: len(names) // 2]}
    late = {name: everything[name] for name in names[len(names) // 2 :]}
    settled = facts(early)
    assert settled | facts(late, early, settled) == facts(everything)


def test_frames_are_spread_over_the_whole_clip() -> None:
    assert spread_over(range(80), 8) == [5, 15, 25, 35, 45, 55, 65, 75]
    assert spread_over(range(3), 8) == [0, 1, 2]
