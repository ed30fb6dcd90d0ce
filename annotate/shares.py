"""Shares with their intervals, and the two tests that annotators are looked at with. No scipy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Z = NormalDist().inv_cdf(0.975)
"""Of every interval here: 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many, with the 95 % interval of what it estimates."""

    share: float
    num: int
    """Of how many."""
    low: float
    high: float


def share_of(num_hits: float, num: int) -> Share | None:
    """With Wilson's score interval (Wilson 1927); None of nothing.

    `num_hits` may be a sum of parts between 0 and 1: these vary less than yes and no, so the interval is wide enough.
    """
    if num == 0:
        return None
    share = num_hits / num
    middle = (share + Z**2 / (2 * num)) / (1 + Z**2 / num)
    half = Z / (1 + Z**2 / num) * math.sqrt(share * (1 - share) / num + Z**2 / (4 * num**2))
    return Share(
        share=share, num=num, low=max(0.0, min(share, middle - half)), high=min(1.0, max(share, middle + half))
    )


def fair_coin_p(num_heads: int, num: int) -> float:
    """Two-sided p of the exact binomial test against one half: how often a fair coin is at least so far from it."""
    less = min(num_heads, num - num_heads)
    if 2 * less == num:
        return 1.0
    term, tail = 1, 1
    for place in range(less):  # C(n, k + 1) = C(n, k) (n - k) / (k + 1), in whole numbers
        term = term * (num - place) // (place + 1)
        tail += term
    return float(2 * tail / 2**num)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How values change with their place."""

    a_hundred: float
    """Change over a hundred places, by least squares."""
    p: float
    """Two-sided, of no trend: by the normal approximation to the permutation test of the correlation, whose variance
    over all orders is 1 / (n - 1)."""


def trend_of(values: Sequence[float] | NDArray[np.float64]) -> Trend | None:
    """None where there are fewer than three, or all are the same."""
    given = np.asarray(values, dtype=np.float64)
    if len(given) < 3 or np.ptp(given) == 0:
        return None
    places = np.arange(len(given), dtype=np.float64)
    slope = float(np.polyfit(places, given, 1)[0])
    correlation = float(np.corrcoef(places, given)[0, 1])
    return Trend(a_hundred=100 * slope, p=math.erfc(abs(correlation) * math.sqrt((len(given) - 1) / 2)))
