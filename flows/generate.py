"""`likeness generate`: candidates for every curated clip, what can be measured of them, and the pairs to ask about."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annotate.pairing import draw_pairs, num_far_apart, split_of_clip, splits_by_identity
from flows.progress import Progress
from flows.recipe import Recipe
from flows.runtime import measure_pending
from flows.settings import Settings
from flows.text_video_gap import gap_of
from warehouse import gates, queries, tables
from warehouse.database import Session
from warehouse.records import Candidate, Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Pairs of candidates, and what became of those that were not drawn."""

    pairs: Sequence[Pair]
    num_straddling: int
    """Clips without pairs, because their people stand on both sides of the split."""
    num_far_apart: int
    """Possible pairs that the gate on text-video scores discarded."""
    num_gap_unknown: int
    """Drawn pairs that this gate could not judge, because a score is unknown; 0 without a gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one run of the flow added."""

    num_facts: int
    num_pairs: int
    """New ones."""
    drawn: Drawn
    """All of them, those of earlier runs too."""


def generate(settings: Settings, recipe: Recipe, *, dataset: str | None, progress: Progress) -> Made:
    """Generate and measure what is pending, then draw pairs of what is new."""
    num_facts = measure_pending(settings, recipe, "generate", dataset=dataset, progress=progress)
    with settings.warehouse.transaction() as session:
        drawn = pairs_of(session, recipe, dataset)
        num_pairs = tables.merge(session, "pair", tables.to_arrow(Pair, drawn.pairs), keys=["pair_id"])
    return Made(num_facts=num_facts, num_pairs=num_pairs, drawn=drawn)


def pairs_of(session: Session, recipe: Recipe, dataset: str | None) -> Drawn:
    """The pairs of all candidates that passed every stage."""
    options = recipe.options["pairs"]
    splits = splits_of_clips(session, recipe)
    gates.judge(session, recipe.steps, dataset=dataset)
    gap = gap_of(session, recipe)
    candidates = defaultdict(list)
    for candidate in tables.from_arrow(Candidate, queries.passed_candidates(session, recipe.steps[-1].stage)):
        candidates[candidate.clip_id].append(candidate)
    pairs: list[Pair] = []
    num_straddling = num_far = num_unknown = 0
    for clip_id, of_clip in sorted(candidates.items()):
        split = splits.get(clip_id)
        if split is None:
            num_straddling += 1
            continue
        drawn = draw_pairs(
            of_clip,
            split=split,
            num_per_clip=options["num_per_clip"],
            seed=options["seed"],
            text_video_scores=gap.scores,
            text_video_gap_max=gap.most,
        )
        pairs += drawn
        num_far += num_far_apart(of_clip, gap.scores, gap.most)
        num_unknown += sum(gap.most is not None and not gap.knows(each.candidate_a, each.candidate_b) for each in drawn)
    return Drawn(pairs=pairs, num_straddling=num_straddling, num_far_apart=num_far, num_gap_unknown=num_unknown)


def splits_of_clips(session: Session, recipe: Recipe) -> Mapping[str, str]:
    """The split of every clip whose people stand on one side of it."""
    options = recipe.options["pairs"]
    clips = identities_of_clips(session)
    everyone = [identity for identities in clips.values() for identity in identities]
    splits = splits_by_identity(everyone, test_share=options["test_share"], seed=options["seed"])
    found = {clip_id: split_of_clip(identities, splits) for clip_id, identities in clips.items()}
    return {clip_id: split for clip_id, split in found.items() if split is not None}


def identities_of_clips(session: Session) -> Mapping[str, frozenset[str]]:
    """The people of each clip."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in queries.identities_of_clips(session):
        found[row["clip_id"]].add(row["identity_id"])
    return {clip_id: frozenset(identities) for clip_id, identities in found.items()}
