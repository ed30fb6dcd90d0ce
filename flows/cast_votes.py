"""The votes of one origin out of the warehouse, as columns: how good their annotators are, what they say together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotate.annotators import Quality, left_out, qualities
from annotate.dawid_skene import DawidSkene, estimate
from annotate.labels import Policy
from annotate.vote_columns import NOTHING_SAID, PURPOSES, VoteColumns
from flows.label_choice import LabelChoice
from flows.recipe import Recipe
from flows.seats import roll_of
from warehouse import queries, vote_queries
from warehouse.board_records import Gold
from warehouse.database import Session
from warehouse.records import Origin, Outcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """All votes of one origin, and what they say of those who cast them."""

    origin: Origin
    votes: VoteColumns
    """Every one that stands, counted or not."""
    annotators: tuple[Quality, ...]
    num_gold: int
    """Gold pairs that the warehouse knows, voted on or not."""

    def kept(self, choice: LabelChoice) -> VoteColumns:
        """The votes that a choice of labels counts."""
        return self.votes.counted(left_out(self.annotators) if choice.is_without_flagged else ())

    def policy(self, choice: LabelChoice) -> Policy:
        """The choice's policy for this origin, with all that it takes from the votes."""
        posteriors = self.estimate(choice).posteriors() if choice.of_all else None
        return choice.policy_of(self.origin, posteriors=posteriors, left_out=left_out(self.annotators))

    def estimate(self, choice: LabelChoice) -> DawidSkene:
        """By Dawid and Skene, from the votes that the choice counts."""
        return estimate(self.kept(choice))


def cast_votes(
    session: Session,
    recipe: Recipe,
    origin: Origin,
    *,
    dataset: str | None = None,
    pair_ids: Sequence[str] | None = None,
) -> VoteColumns:
    """The votes of one origin about all pairs, those of one data set, or these."""
    keys = [seat.key for seat in roll_of(recipe)] if origin is Origin.VLM else []
    return columns_of(vote_queries.cast_votes(session, origin, keys, dataset=dataset, pair_ids=pair_ids))


def judged(session: Session, choice: LabelChoice, origin: Origin, votes: VoteColumns) -> Judged:
    """Votes of one origin, judged by gold and the choice's limits."""
    gold: list[Gold] = queries.records(session, "gold")
    found = qualities(votes, {one.pair_id: one.outcome for one in gold}, choice.limits)
    return Judged(origin=origin, votes=votes, annotators=found, num_gold=len(gold))


def columns_of(table: pa.Table) -> VoteColumns:
    """Rows of `vote_queries.cast_votes` as columns."""

    def codes(name: str, values: list[str]) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
        found = pc.fill_null(pc.index_in(table[name], value_set=pa.array(values)), NOTHING_SAID)
        return np.asarray(found.to_numpy(), np.int64)

    return VoteColumns.build(
        pairs=table["pair_id"].to_pylist(),
        annotators=table["annotator"].to_pylist(),
        outcome_N=codes("outcome", [outcome.value for outcome in Outcome]),
        is_known_N=np.asarray(table["is_known"].to_numpy(), np.bool_),
        is_counted_N=np.asarray(table["is_counted"].to_numpy(), np.bool_),
        purpose_N=codes("purpose", [purpose.value for purpose in PURPOSES]),
        is_swapped_N=np.asarray(table["is_swapped"].to_numpy(), np.bool_),
        seconds_N=np.asarray(pc.fill_null(table["seconds"], np.nan).to_numpy(), np.float64),
        at_N=np.asarray(table["at_s"].to_numpy(), np.float64),
    )
