"""How far annotators agree beyond chance, over the votes that count."""

# Shape letters: U pairs with at least two votes, C the three outcomes.

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.votes import counted
from warehouse.records import Outcome, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Over pairs that two or more annotators voted about."""

    num_pairs: int
    num_votes: int
    share: float | None
    """Of all couples of votes about one pair, how many agree, averaged over pairs; None: no pair has two votes."""
    alpha: float | None
    """Krippendorff's alpha, nominal: 1 agreement, 0 chance; None: undefined, as all votes are the same or too few."""


def agreement(votes: Iterable[Vote]) -> Agreement:
    """Agreement of the counted votes."""
    rows: dict[str, list[int]] = {}
    for vote in counted(votes):
        assert vote.outcome is not None, "a counted vote has an outcome"
        rows.setdefault(vote.pair_id, [0] * len(Outcome))[vote.outcome.code] += 1
    counts_UC = np.array([row for row in rows.values() if sum(row) > 1], dtype=np.int64).reshape(-1, len(Outcome))
    return Agreement(
        num_pairs=len(counts_UC), num_votes=int(counts_UC.sum()), share=share(counts_UC), alpha=alpha(counts_UC)
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
    num_U = counts_UC.sum(axis=1)
    total_C = counts_UC.sum(axis=0)
    num = int(total_C.sum())
    expected = num**2 - int((total_C**2).sum())
    if expected == 0:
        return None
    observed = float(((num_U**2 - (counts_UC**2).sum(axis=1)) / (num_U - 1)).sum())
    return 1 - (num - 1) * observed / expected
