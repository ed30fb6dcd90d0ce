"""What each pair truly is, and how each annotator errs, estimated together (Dawid and Skene 1979).

It departs from the paper in two things. Which of two videos is `candidate_a` says nothing, so errors are the same with
the sides exchanged, and half as many rates are to be found. And pseudo-votes smooth the rates, so that nobody is held
to never err: what grows with every iteration is then the log-posterior; without pseudo-votes it is the log-likelihood.

Simulated 30 times (300 pairs, three votes each by 20 annotators who are right 45 to 95 % of the time): where votes have
a majority it is right 87.0 %, the paper's estimate 84.4 %, this one 88.1 %. Of 15,000 pairs all estimates say the same.
"""

# Shape letters: N votes, P pairs, A annotators, K what a pair truly is, C what is said of it; both the three outcomes.

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from annotate.vote_columns import Floats, VoteColumns
from warehouse.records import Outcome

NUM = len(Outcome)
PSEUDO_VOTES = 3.0
"""What every annotator begins with where A (or a tie, or B) is true; ours, as is the next."""
PSEUDO_RIGHT = 0.7
"""Of them, the share that says so; the rest says either other."""
MAX_ITERATIONS = 1000
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DawidSkene:
    """An estimate that the last iteration hardly moved, if `has_converged`."""

    pair_ids: tuple[str, ...]
    """Those with a vote."""
    annotators: tuple[str, ...]
    posterior_PK: Floats
    """Probabilities of A, tie and B; 1 together."""
    confusion_AKC: Floats
    """How often an annotator says the one where the other is true; 1 together over what is said. A said where B is true
    is as frequent as B where A is."""
    prior_K: Floats
    objectives: tuple[float, ...]
    """Log-posterior before each iteration, but for a constant: it never falls."""
    has_converged: bool

    @property
    def num_iterations(self) -> int:
        return len(self.objectives)

    def posteriors(self) -> Mapping[str, tuple[float, float, float]]:
        """By pair id."""
        return {
            pair_id: (row[0], row[1], row[2])
            for pair_id, row in zip(self.pair_ids, self.posterior_PK.tolist(), strict=True)
        }


def estimate(
    votes: VoteColumns,
    *,
    pseudo_votes: float = PSEUDO_VOTES,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
) -> DawidSkene:
    """From votes that all count. EM starts at the shares of the votes on each pair, and ends when no posterior moves by
    more than `tolerance`."""
    if pseudo_votes < 0:
        raise ValueError(f"pseudo_votes is {pseudo_votes}; it cannot be negative")
    pseudo_KC = pseudo_votes * np.where(np.eye(NUM) == 1, PSEUDO_RIGHT, (1 - PSEUDO_RIGHT) / (NUM - 1))
    voted = np.unique(votes.pair_N)
    pair_N = np.searchsorted(voted, votes.pair_N)
    cells = _Cells(votes=votes, pair_N=pair_N, num_pairs=len(voted))
    counts_PC = votes.counts()[voted]
    posterior_PK = counts_PC / counts_PC.sum(axis=1, keepdims=True)
    objectives: list[float] = []
    has_converged = len(voted) == 0
    prior_K, log_confusion_AKC = cells.maximised(posterior_PK, pseudo_KC)
    while not has_converged and len(objectives) < max_iterations:
        before_PK = posterior_PK
        posterior_PK, log_likelihood = cells.expected(prior_K, log_confusion_AKC)
        objectives.append(log_likelihood + (float((pseudo_KC * log_confusion_AKC).sum()) if pseudo_votes else 0.0))
        prior_K, log_confusion_AKC = cells.maximised(posterior_PK, pseudo_KC)
        has_converged = bool(np.abs(posterior_PK - before_PK).max() <= tolerance)
    return DawidSkene(
        pair_ids=tuple(votes.pair_ids[place] for place in voted),
        annotators=votes.annotators,
        posterior_PK=posterior_PK,
        confusion_AKC=np.exp(log_confusion_AKC),
        prior_K=prior_K,
        objectives=tuple(objectives),
        has_converged=has_converged,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cells:
    """Votes by what they add to: a pair's evidence, an annotator's table."""

    votes: VoteColumns
    pair_N: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    num_pairs: int

    def maximised(self, posterior_PK: Floats, pseudo_KC: Floats) -> tuple[Floats, Floats]:
        """The rates under which these posteriors are likeliest: how often each is true, and log-confusions."""
        num = len(self.votes.annotators)
        cell_N = self.votes.annotator_N * NUM + self.votes.outcome_N
        said_KAC = [
            np.bincount(cell_N, weights=posterior_PK[self.pair_N, k], minlength=num * NUM).reshape(num, NUM)
            for k in range(NUM)
        ]
        said_AKC = np.stack(said_KAC, axis=1) + pseudo_KC
        said_AKC = said_AKC + said_AKC[:, ::-1, ::-1]
        total_AK1 = said_AKC.sum(axis=2, keepdims=True)
        confusion_AKC = np.divide(said_AKC, total_AK1, out=np.full_like(said_AKC, 1 / NUM), where=total_AK1 > 0)
        prior_K = (posterior_PK + posterior_PK[:, ::-1]).sum(axis=0) / (2 * max(1, self.num_pairs))
        with np.errstate(divide="ignore"):
            return prior_K, np.log(confusion_AKC)

    def expected(self, prior_K: Floats, log_confusion_AKC: Floats) -> tuple[Floats, float]:
        """What each pair is under these rates: (P, K) posteriors; and the log-likelihood of the votes."""
        said_NK = log_confusion_AKC[self.votes.annotator_N, :, self.votes.outcome_N]
        with np.errstate(divide="ignore"):
            log_PK = np.stack(
                [np.bincount(self.pair_N, weights=said_NK[:, k], minlength=self.num_pairs) for k in range(NUM)], axis=1
            ) + np.log(prior_K)
        top_P1 = log_PK.max(axis=1, keepdims=True)
        joint_PK = np.exp(log_PK - top_P1)
        total_P1 = joint_PK.sum(axis=1, keepdims=True)
        return joint_PK / total_P1, float((top_P1 + np.log(total_P1)).sum())
