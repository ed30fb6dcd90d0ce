"""`likeness generate`: candidates for every curated clip, what can be measured of them, and the pairs to ask about."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from annotate.pairing import draw_pairs, split_of_clip, splits_by_identity
from flows.progress import Progress
from flows.recipe import Recipe
from flows.runtime import measure_pending
from flows.settings import Settings
from warehouse import gates, queries, tables
from warehouse.database import Session
from warehouse.records import Candidate, Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one run of the flow added."""

    num_facts: int
    num_pairs: int
    num_straddling: int
    """Clips without pairs, because their people stand on both sides of the split."""


def generate(settings: Settings, recipe: Recipe, *, dataset: str | None, progress: Progress) -> Made:
    """Generate and measure what is pending, then draw pairs of what is new."""
    num_facts = measure_pending(settings, recipe, "generate", dataset=dataset, progress=progress)
    with settings.warehouse.transaction() as session:
        pairs, num_straddling = pairs_of(session, recipe, dataset)
        num_pairs = tables.merge(session, "pair", tables.to_arrow(Pair, pairs), keys=["pair_id"])
    return Made(num_facts=num_facts, num_pairs=num_pairs, num_straddling=num_straddling)


def pairs_of(session: Session, recipe: Recipe, dataset: str | None) -> tuple[list[Pair], int]:
    """The pairs of all candidates that passed every stage, and the number of clips that straddle the split."""
    options = recipe.options["pairs"]
    clips = identities_of_clips(session)
    everyone = [identity for identities in clips.values() for identity in identities]
    splits = splits_by_identity(everyone, test_share=options["test_share"], seed=options["seed"])
    gates.judge(session, recipe.steps, dataset=dataset)
    candidates = defaultdict(list)
    for candidate in tables.from_arrow(Candidate, queries.passed_candidates(session, recipe.steps[-1].stage)):
        candidates[candidate.clip_id].append(candidate)
    pairs: list[Pair] = []
    num_straddling = 0
    for clip_id, of_clip in sorted(candidates.items()):
        split = split_of_clip(clips.get(clip_id, frozenset()), splits)
        if split is None:
            num_straddling += 1
        else:
            pairs += draw_pairs(of_clip, split=split, num_per_clip=options["num_per_clip"], seed=options["seed"])
    return pairs, num_straddling


def identities_of_clips(session: Session) -> Mapping[str, frozenset[str]]:
    """The people of each clip."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in queries.identities_of_clips(session):
        found[row["clip_id"]].add(row["identity_id"])
    return {clip_id: frozenset(identities) for clip_id, identities in found.items()}
