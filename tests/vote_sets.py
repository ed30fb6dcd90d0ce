"""Votes drawn for tests of statistics: what is true of each pair is known, and so is how often each annotator errs."""

from collections.abc import Sequence

import numpy as np

from annotate.vote_columns import PURPOSES, Ints, VoteColumns
from warehouse.records import Purpose


def drawn(
    num_pairs: int, right: Sequence[float], *, votes_a_pair: int = 3, tie_share: float = 0.2, seed: int = 0
) -> tuple[VoteColumns, Ints]:
    """Votes by annotators who are right so often and else say either other thing; and the truth of each pair."""
    rng = np.random.default_rng(seed)
    truth_P = rng.choice(3, num_pairs, p=[(1 - tie_share) / 2, tie_share, (1 - tie_share) / 2])
    chosen = np.sort(np.argsort(rng.random((num_pairs, len(right))), axis=1)[:, :votes_a_pair], axis=1)
    annotator_N, pair_N = chosen.ravel(), np.repeat(np.arange(num_pairs), votes_a_pair)
    is_right_N = rng.random(len(pair_N)) < np.asarray(right)[annotator_N]
    outcome_N = np.where(is_right_N, truth_P[pair_N], (truth_P[pair_N] + rng.integers(1, 3, len(pair_N))) % 3)
    return columns(pair_N, annotator_N, outcome_N, num_pairs=num_pairs, num_annotators=len(right)), truth_P


def columns(pair_N: Ints, annotator_N: Ints, outcome_N: Ints, *, num_pairs: int, num_annotators: int) -> VoteColumns:
    """Rows ordered by pair and annotator, all of which count."""
    num = len(pair_N)
    return VoteColumns(
        pair_ids=tuple(f"pair_{place}" for place in range(num_pairs)),
        annotators=tuple(f"ann_{place}" for place in range(num_annotators)),
        pair_N=pair_N,
        annotator_N=annotator_N,
        outcome_N=outcome_N,
        is_known_N=np.ones(num, np.bool_),
        is_counted_N=np.ones(num, np.bool_),
        purpose_N=np.full(num, PURPOSES.index(Purpose.VOTE)),
        is_swapped_N=np.zeros(num, np.bool_),
        seconds_N=np.full(num, 9.0),
        at_N=np.arange(num, dtype=np.float64),
    )
