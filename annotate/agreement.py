"""How far annotators agree beyond chance, over the votes that count."""

# Shape letters: U pairs with at least two votes, C the three outcomes, K distinct rows of counts, R replicates,
# A annotators.

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.vote_columns import Floats, Ints, VoteColumns
from warehouse.records import Outcome, Vote

NUM_REPLICATES = 2000
COVERED = 0.95
NUM_OUTCOMES = len(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Over pairs that two or more annotators voted about."""

    num_pairs: int
    num_votes: int
    share: float | None
    """Of all couples of votes about one pair, how many agree, averaged over pairs; None: no pair has two votes."""
    alpha: float | None
    """Krippendorff's alpha, nominal: 1 agreement, 0 chance; None: undefined, as all votes are the same or too few."""
    alpha_low: float | None = None
    """With `alpha_high` the 95 % interval over other pairs of the same kind; None: undefined, or one pair only."""
    alpha_high: float | None = None
    kappa: float | None = None
    """Fleiss' kappa; None: undefined, or pairs have different numbers of votes."""
    num_votes_a_pair: int | None = None
    """None: pairs have different numbers of votes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matrix:
    """Every two annotators, over the pairs that both voted on."""

    annotators: tuple[str, ...]
    num_shared_AA: Ints
    """On the diagonal: the annotator's own votes on pairs that somebody else voted on too."""
    share_AA: Floats
    """Of them, how many are equal; not a number: none shared, and on the diagonal."""
    kappa_AA: Floats
    """Cohen's kappa; not a number: undefined."""


def agreement(votes: Iterable[Vote] | VoteColumns, *, seed: int = 0) -> Agreement:
    """Agreement of the counted votes, of one origin."""
    columns = votes if isinstance(votes, VoteColumns) else VoteColumns.of(votes)
    return of_counts(columns.counted().counts(), seed=seed)


def of_counts(counts_PC: NDArray[np.int64], *, seed: int = 0) -> Agreement:
    """Agreement where each row of (P, C) counts one pair's votes; rows of fewer than two are left out."""
    counts_UC = counts_PC[counts_PC.sum(axis=1) > 1]
    sizes = np.unique(counts_UC.sum(axis=1))
    low, high = alpha_interval(counts_UC, seed=seed)
    return Agreement(
        num_pairs=len(counts_UC),
        num_votes=int(counts_UC.sum()),
        share=share(counts_UC),
        alpha=alpha(counts_UC),
        alpha_low=low,
        alpha_high=high,
        kappa=kappa(counts_UC) if len(sizes) == 1 else None,
        num_votes_a_pair=int(sizes[0]) if len(sizes) == 1 else None,
    )


def share(counts_UC: NDArray[np.int64]) -> float | None:
    """Mean over pairs of the share of agreeing couples of votes: (U, C) counts, each row at least 2."""
    if not len(counts_UC):
        return None
    num_U = counts_UC.sum(axis=1)
    return float(np.mean((counts_UC * (counts_UC - 1)).sum(axis=1) / (num_U * (num_U - 1))))


def alpha(counts_UC: NDArray[np.int64]) -> float | None:
    """Krippendorff's alpha for nominal data: (U, C) counts, each row at least 2.

    alpha = 1 - (n - 1) sum_u sum_{c != k} n_uc n_uk / (m_u - 1) / sum_{c != k} n_c n_k (Krippendorff 2011, D).
    """
    found = _alphas(counts_UC, np.ones((1, len(counts_UC)), np.int64))[0]
    return None if np.isnan(found) else float(found)


def alpha_interval(
    counts_UC: NDArray[np.int64], *, seed: int = 0, num_replicates: int = NUM_REPLICATES
) -> tuple[float | None, float | None]:
    """95 % interval of alpha: the percentiles of a bootstrap over pairs (Efron and Tibshirani 1993, 13.3).

    A replicate in which every vote is the same has no alpha, and is left out.
    """
    if len(counts_UC) < 2:
        return None, None
    rows_KC, num_K = np.unique(counts_UC, axis=0, return_counts=True)
    drawn_RK = np.random.default_rng(seed).multinomial(len(counts_UC), num_K / num_K.sum(), size=num_replicates)
    alphas_R = _alphas(rows_KC, drawn_RK)
    defined = alphas_R[~np.isnan(alphas_R)]
    if not len(defined):
        return None, None
    low, high = np.quantile(defined, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)


def kappa(counts_UC: NDArray[np.int64]) -> float | None:
    """Fleiss' kappa: (U, C) counts, every row of the same sum, at least 2. (P - P_e) / (1 - P_e), Fleiss 1971.

    None: undefined, as there is no pair or all votes are the same.
    """
    observed = share(counts_UC)
    if observed is None:
        return None
    expected = float(((counts_UC.sum(axis=0) / counts_UC.sum()) ** 2).sum())
    return None if expected == 1 else (observed - expected) / (1 - expected)


def matrix(columns: VoteColumns) -> Matrix:
    """Every two annotators of these votes, which must all count; one who cast none stays, and shares nothing."""
    num = len(columns.annotators)
    joint = np.zeros(num * num * NUM_OUTCOMES**2, np.int64)
    for first_J, second_J in columns.couples():
        by_J = columns.annotator_N[first_J] * num + columns.annotator_N[second_J]
        said_J = columns.outcome_N[first_J] * NUM_OUTCOMES + columns.outcome_N[second_J]
        joint += np.bincount(by_J * NUM_OUTCOMES**2 + said_J, minlength=len(joint))
    half_AACC = joint.reshape(num, num, NUM_OUTCOMES, NUM_OUTCOMES)
    joint_AACC = half_AACC + half_AACC.transpose(1, 0, 3, 2)  # a couple stands in it once, in the order of the rows
    shared_AA = joint_AACC.sum(axis=(2, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        share_AA = np.trace(joint_AACC, axis1=2, axis2=3) / shared_AA
        expected_AA = (joint_AACC.sum(axis=3) * joint_AACC.sum(axis=2)).sum(axis=2) / shared_AA.astype(float) ** 2
        kappa_AA = np.where(expected_AA < 1, (share_AA - expected_AA) / (1 - expected_AA), np.nan)
    np.fill_diagonal(shared_AA, _num_in_company(columns))
    return Matrix(annotators=columns.annotators, num_shared_AA=shared_AA, share_AA=share_AA, kappa_AA=kappa_AA)


def _num_in_company(columns: VoteColumns) -> Ints:
    """Of each annotator, the votes on pairs that somebody else voted on too."""
    with_others_N = np.bincount(columns.pair_N, minlength=len(columns.pair_ids))[columns.pair_N] > 1
    return np.bincount(columns.annotator_N[with_others_N], minlength=len(columns.annotators))


def _alphas(rows_KC: Ints, times_RK: Ints) -> Floats:
    """Alpha of each replicate (R,), in which the k-th row of counts stands so many times; not a number: undefined."""
    num_K = rows_KC.sum(axis=1)
    apart_K = (num_K**2 - (rows_KC**2).sum(axis=1)) / (num_K - 1)
    total_RC = times_RK @ rows_KC
    num_R = total_RC.sum(axis=1)
    expected_R = num_R**2 - (total_RC**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected_R > 0, 1 - (num_R - 1) * (times_RK @ apart_K) / expected_R, np.nan)
