"""What may be shown of pairs: which are in play, their videos, the prompts and pictures beside them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from annotate.board import Region
from flows.recipe import Recipe
from flows.text_video_gap import gap_of
from warehouse import queries, tables
from warehouse.database import Session
from warehouse.records import Candidate, Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibits:
    """Everything that is put before annotators, as hashes of files."""

    candidates: Mapping[str, Candidate]
    """By id."""
    references: Mapping[str, Sequence[str]]
    """By clip id: the file of each subject's best reference."""
    prompts: Mapping[str, str | None]
    """By clip id."""
    faces: Mapping[str, Region]
    """By clip id: where its faces are in its own picture."""

    def faces_on_both(self, pair: Pair) -> Region | None:
        """Where the faces are in both videos: known of the original and its distortions, which keep their places."""
        sides = [self.candidates[each] for each in (pair.candidate_a, pair.candidate_b)]
        keep_places = all(side.severity is not None for side in sides)
        return self.faces.get(pair.clip_id) if keep_places else None

    def videos(self, pairs: Collection[Pair]) -> frozenset[str]:
        """The videos of these pairs."""
        named = chain.from_iterable((pair.candidate_a, pair.candidate_b) for pair in pairs)
        return frozenset(self.candidates[candidate_id].sha256 for candidate_id in named)

    def pictures(self, pairs: Collection[Pair]) -> frozenset[str]:
        """The reference pictures of these pairs."""
        return frozenset(chain.from_iterable(self.references.get(pair.clip_id, ()) for pair in pairs))


def exhibits_of(session: Session, recipe: Recipe, pairs: Collection[Pair]) -> Exhibits:
    """Of these pairs, which are in play. After `gates.judge`."""
    if not pairs:
        return Exhibits(candidates={}, references={}, prompts={}, faces={})
    clip_ids = sorted({pair.clip_id for pair in pairs})
    named = pa.array(sorted({each for pair in pairs for each in (pair.candidate_a, pair.candidate_b)}))
    passed = queries.passed_candidates(session, recipe.steps[-1].stage)
    candidates = tables.from_arrow(Candidate, passed.filter(pc.is_in(passed["candidate_id"], value_set=named)))
    return Exhibits(
        candidates={one.candidate_id: one for one in candidates},
        references=reference_files(session, clip_ids),
        prompts={row["clip_id"]: row["prompt"] for row in queries.prompts(session)},
        faces={
            row["clip_id"]: (row["x"], row["y"], row["w"], row["h"])
            for row in queries.faces_of_clips(session, clip_ids)
        },
    )


def pairs_in_play(session: Session, recipe: Recipe) -> list[Pair]:
    """Pairs of candidates that passed every stage and are not too far apart in text and video. After `gates.judge`."""
    gap = gap_of(session, recipe)
    pairs = queries.pairs_in_play(session, recipe.steps[-1].stage)
    return [pair for pair in pairs if gap.lets(pair.candidate_a, pair.candidate_b)]


def reference_files(session: Session, clip_ids: Sequence[str] | None = None) -> Mapping[str, Sequence[str]]:
    """By clip id, of these clips or of all: the file of the reference that was chosen for each subject, by its hash, in
    the order of `subject_index`. After `gates.judge`."""
    of_clip: dict[str, list[str]] = defaultdict(list)
    for row in queries.chosen_references(session, clip_ids):
        of_clip[row["clip_id"]].append(row["sha256"])
    return of_clip
