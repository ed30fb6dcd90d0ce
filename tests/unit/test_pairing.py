from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.pairing import KINDS, draw_pairs, is_turned, num_far_apart, split_of_clip, splits_by_identity
from tests import factories
from warehouse import ids
from warehouse.records import Candidate

identity_sets = st.sets(st.text(min_size=1, max_size=8), max_size=30)
seeds = st.integers(0, 2**31)


def candidates(clip_id: str = "clip_1", num_generated: int = 4) -> list[Candidate]:
    """The original of a clip and some distortions of it."""
    generators = ["original", *(f"distortion_{index}" for index in range(num_generated))]
    return [
        factories.candidate(
            candidate_id=ids.make("candidate", clip_id, generator), clip_id=clip_id, generator=generator
        )
        for generator in generators
    ]


@given(identity_sets, st.floats(0.01, 0.99), seeds)
def test_every_identity_has_one_split_and_each_split_has_somebody(
    identities: set[str], share: float, seed: int
) -> None:
    splits = splits_by_identity(identities, test_share=share, seed=seed)
    assert set(splits) == identities
    if len(identities) >= 2:
        assert set(splits.values()) == {"train", "test"}
    else:
        assert set(splits.values()) <= {"train"}


def test_a_fifth_of_ten_identities_is_two() -> None:
    splits = splits_by_identity([f"identity_{index}" for index in range(10)], test_share=0.2, seed=0)
    assert sorted(splits.values()) == ["test"] * 2 + ["train"] * 8


@given(identity_sets, seeds, st.randoms())
def test_splits_depend_neither_on_order_nor_on_repetition(identities: set[str], seed: int, random) -> None:
    shuffled = [*identities, *identities]
    random.shuffle(shuffled)
    expected = splits_by_identity(identities, test_share=0.3, seed=seed)
    assert splits_by_identity(shuffled, test_share=0.3, seed=seed) == expected


def test_another_seed_gives_another_split() -> None:
    identities = [f"identity_{index}" for index in range(40)]
    first, second = (splits_by_identity(identities, test_share=0.5, seed=seed) for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_leaves_a_split_empty_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="test_share"):
        splits_by_identity(["one", "two"], test_share=share, seed=0)


def test_a_clip_belongs_to_the_split_that_all_its_identities_share() -> None:
    splits = {"ann": "train", "bob": "train", "eve": "test"}
    assert split_of_clip(["ann", "bob"], splits) == "train"
    assert split_of_clip(["eve"], splits) == "test"
    assert split_of_clip(["ann", "eve"], splits) is None
    assert split_of_clip([], splits) is None


@given(st.integers(0, 5), st.integers(0, 12), seeds)
def test_pairs_are_canonical_distinct_and_capped(num_generated: int, num_per_clip: int, seed: int) -> None:
    given_candidates = candidates(num_generated=num_generated)
    by_id = {candidate.candidate_id: candidate for candidate in given_candidates}
    pairs = draw_pairs(given_candidates, split="test", num_per_clip=num_per_clip, seed=seed)
    num_possible = len(list(combinations(given_candidates, 2)))
    assert len({pair.pair_id for pair in pairs}) == len(pairs) == min(num_per_clip, num_possible)
    for pair in pairs:
        assert pair.candidate_a < pair.candidate_b
        assert pair.pair_id == ids.make("pair", pair.candidate_a, pair.candidate_b)
        assert (pair.split, pair.seed, pair.clip_id) == ("test", seed, "clip_1")
        has_original = "original" in (by_id[pair.candidate_a].generator, by_id[pair.candidate_b].generator)
        assert pair.kind == ("original_vs_generated" if has_original else "generated_vs_generated")


@given(st.integers(2, 6), seeds)
def test_both_kinds_take_turns_while_both_last(num_per_clip: int, seed: int) -> None:
    pairs = draw_pairs(candidates(), split="train", num_per_clip=num_per_clip, seed=seed)
    first, second = (sum(pair.kind == kind for pair in pairs) for kind in KINDS)
    assert abs(first - second) <= 1


def test_with_one_pair_a_clip_both_kinds_still_appear() -> None:
    everything = [candidate for index in range(40) for candidate in candidates(f"clip_{index}")]
    pairs = draw_pairs(everything, split="train", num_per_clip=1, seed=0)
    assert len(pairs) == 40
    assert 10 <= sum(pair.kind == KINDS[0] for pair in pairs) <= 30


@given(seeds, st.randoms())
def test_drawing_depends_neither_on_order_nor_on_other_clips(seed: int, random) -> None:
    one, other = candidates("clip_1"), candidates("clip_2")
    mixed = [*one, *other, *one]
    random.shuffle(mixed)
    together = draw_pairs(mixed, split="train", num_per_clip=3, seed=seed)
    alone = [draw_pairs(some, split="train", num_per_clip=3, seed=seed) for some in (one, other)]
    assert together == tuple(sorted((pair for pairs in alone for pair in pairs), key=lambda pair: pair.pair_id))
    assert all({pair.clip_id} < {"clip_1", "clip_2"} for pair in together)


def test_sides_are_swapped_about_half_the_time_and_anew_for_each_seed() -> None:
    everything = [candidate for index in range(100) for candidate in candidates(f"clip_{index}")]
    first, second = (draw_pairs(everything, split="train", num_per_clip=10, seed=seed) for seed in (0, 1))
    assert len(first) == 1000
    # Five standard deviations of 1000 fair coins are 79.
    assert 421 <= sum(pair.is_swapped for pair in first) <= 579
    assert 421 <= sum(a.is_swapped != b.is_swapped for a, b in zip(first, second, strict=True)) <= 579


def test_the_originals_side_is_no_clue() -> None:
    everything = [candidate for index in range(200) for candidate in candidates(f"clip_{index}")]
    original_ids = {candidate.candidate_id for candidate in everything if candidate.generator == "original"}
    pairs = [pair for pair in draw_pairs(everything, split="train", num_per_clip=10, seed=0) if pair.kind == KINDS[0]]
    shown_left = sum((pair.candidate_a in original_ids) != pair.is_swapped for pair in pairs)
    assert len(pairs) == 800
    # Five standard deviations of 800 fair coins are 71.
    assert 329 <= shown_left <= 471


def test_a_pair_far_apart_in_text_and_video_is_discarded_and_an_unknown_score_discards_nothing() -> None:
    three = [factories.candidate(candidate_id=name, generator=name) for name in ("one", "two", "unknown")]
    scores = {"one": 0.9, "two": 0.5, "unknown": None}

    def drawn(gap_max: float | None) -> set[tuple[str, str]]:
        pairs = draw_pairs(
            three, split="train", num_per_clip=9, seed=0, text_video_scores=scores, text_video_gap_max=gap_max
        )
        return {(pair.candidate_a, pair.candidate_b) for pair in pairs}

    assert drawn(0.3) == {("one", "unknown"), ("two", "unknown")}
    assert drawn(0.4) == drawn(None) == {("one", "two"), ("one", "unknown"), ("two", "unknown")}


def test_two_originals_are_never_paired() -> None:
    two = [factories.candidate(candidate_id=name) for name in ("candidate_1", "candidate_2")]
    assert draw_pairs(two, split="train", num_per_clip=9, seed=0) == ()


@given(
    st.lists(st.none() | st.floats(0, 1), min_size=2, max_size=6),
    st.none() | st.floats(0, 1),
    st.integers(0, 3),
)
def test_every_possible_pair_is_drawn_or_counted_as_too_far_apart(
    scores: list[float | None], gap_max: float | None, seed: int
) -> None:
    given_candidates = candidates(num_generated=len(scores) - 1)
    known = {one.candidate_id: score for one, score in zip(given_candidates, scores, strict=True)}
    drawn = draw_pairs(
        given_candidates,
        split="train",
        num_per_clip=99,
        seed=seed,
        text_video_scores=known,
        text_video_gap_max=gap_max,
    )
    num_possible = len(list(combinations(given_candidates, 2)))
    assert len(drawn) + num_far_apart(given_candidates, known, gap_max) == num_possible
    for pair in drawn:
        a, b = known[pair.candidate_a], known[pair.candidate_b]
        assert gap_max is None or a is None or b is None or abs(a - b) <= gap_max


def test_the_sides_a_model_is_shown_are_a_fair_coin_for_each_pair_inference_and_seed() -> None:
    turned = [is_turned(f"pair_{pair}", f"model#{number}", seed=0) for pair in range(250) for number in range(4)]
    again = [is_turned(f"pair_{pair}", f"model#{number}", seed=1) for pair in range(250) for number in range(4)]
    # Five standard deviations of 1000 fair coins are 79.
    assert 421 <= sum(turned) <= 579
    assert 421 <= sum(a != b for a, b in zip(turned, again, strict=True)) <= 579
    by_number = [turned[number::4] for number in range(4)]
    assert all(85 <= sum(a != b for a, b in zip(by_number[0], other, strict=True)) <= 165 for other in by_number[1:])
