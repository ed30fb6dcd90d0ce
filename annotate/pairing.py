"""Which pairs are asked about: identities split first, then pairs of candidates of one clip, their sides by seed.

Nothing here draws from a random stream: every choice is a rank by hash of the seed and an id, so that it depends on
the set of ids alone, and neither on their order nor on what was asked before.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, zip_longest

from warehouse import ids
from warehouse.records import Candidate, Pair

ORIGINAL = "original"
KINDS = ("original_vs_generated", "generated_vs_generated")


def splits_by_identity(identity_ids: Iterable[str], *, test_share: float, seed: int) -> Mapping[str, str]:
    """`train` or `test` for each identity; at least one in each where there are two or more, else all in `train`."""
    if not 0 < test_share < 1:
        raise ValueError(f"test_share is {test_share}; give a share between 0 and 1")
    ranked = sorted(set(identity_ids), key=lambda identity: ids.digest(["split", seed, identity]))
    num_test = min(max(round(test_share * len(ranked)), 1), len(ranked) - 1) if len(ranked) > 1 else 0
    return {identity: "test" if rank < num_test else "train" for rank, identity in enumerate(ranked)}


def split_of_clip(identities: Collection[str], splits: Mapping[str, str]) -> str | None:
    """The split that all identities of a clip share; None: they straddle, or nobody in the clip is identified."""
    found = {splits[identity] for identity in identities}
    return found.pop() if len(found) == 1 else None


def draw_pairs(
    candidates: Sequence[Candidate],
    *,
    split: str,
    num_per_clip: int,
    seed: int,
    text_video_scores: Mapping[str, float | None] | None = None,
    text_video_gap_max: float | None = None,
) -> tuple[Pair, ...]:
    """At most `num_per_clip` pairs of each clip, sorted by id; the two kinds take turns while both last.

    `text_video_scores` holds scores by candidate id. A pair whose scores are both known and further apart than
    `text_video_gap_max` is not drawn (Identity-GRPO 2.1.2); an unknown score discards nothing.
    """
    possible: dict[str, list[Pair]] = {}
    for a, b in _couples(candidates):
        if is_close(a.candidate_id, b.candidate_id, text_video_scores or {}, text_video_gap_max):
            possible.setdefault(a.clip_id, []).append(_pair(a, b, split=split, seed=seed))
    drawn = [pair for of_clip in possible.values() for pair in _taking_turns(of_clip, seed=seed)[:num_per_clip]]
    return tuple(sorted(drawn, key=lambda pair: pair.pair_id))


def num_far_apart(candidates: Sequence[Candidate], scores: Mapping[str, float | None], gap_max: float | None) -> int:
    """How many pairs of one clip's candidates are never drawn, for their text-video scores are too far apart."""
    return sum(not is_close(a.candidate_id, b.candidate_id, scores, gap_max) for a, b in _couples(candidates))


def is_close(a: str, b: str, scores: Mapping[str, float | None], gap_max: float | None) -> bool:
    """Whether two candidates, by id, may be compared; only two known scores can say no."""
    score_a, score_b = scores.get(a), scores.get(b)
    return gap_max is None or score_a is None or score_b is None or abs(score_a - score_b) <= gap_max


def is_turned(pair_id: str, annotator: str, *, seed: int) -> bool:
    """Whether a model that votes under this name is shown `candidate_b` on side A: a fair coin for each name."""
    return int(ids.digest(["turn sides", seed, pair_id, annotator])[0], 16) % 2 == 1


def _couples(candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, Candidate]]:
    """Every two candidates of one clip, the lesser id first; two originals are no couple."""
    clips: dict[str, dict[str, Candidate]] = {}
    for candidate in candidates:
        clips.setdefault(candidate.clip_id, {})[candidate.candidate_id] = candidate
    for of_clip in clips.values():
        for a, b in combinations((of_clip[candidate_id] for candidate_id in sorted(of_clip)), 2):
            if not a.generator == b.generator == ORIGINAL:
                yield a, b


def _pair(a: Candidate, b: Candidate, *, split: str, seed: int) -> Pair:
    """The pair of two candidates of one clip, `a` before `b` by id."""
    pair_id = ids.make("pair", a.candidate_id, b.candidate_id)
    return Pair(
        pair_id=pair_id,
        clip_id=a.clip_id,
        candidate_a=a.candidate_id,
        candidate_b=b.candidate_id,
        is_swapped=int(ids.digest(["swap", seed, pair_id])[0], 16) % 2 == 1,
        kind=KINDS[0] if ORIGINAL in (a.generator, b.generator) else KINDS[1],
        split=split,
        seed=seed,
    )


def _taking_turns(pairs: Sequence[Pair], *, seed: int) -> list[Pair]:
    """One clip's pairs in the order they are drawn. A coin a clip says which kind begins, so that neither is
    always left out where a clip gives one pair."""
    ranked = sorted(pairs, key=lambda pair: ids.digest(["draw", seed, pair.pair_id]))
    queues = [[pair for pair in ranked if pair.kind == kind] for kind in KINDS]
    if ranked and int(ids.digest(["turn", seed, ranked[0].clip_id])[0], 16) % 2:
        queues.reverse()
    return [pair for turn in zip_longest(*queues) for pair in turn if pair is not None]
