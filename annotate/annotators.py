"""How good each annotator is: with the others, with gold, with themselves, on which side, how fast, and over time."""

# Shape letters: N rows of votes, M counted votes, P pairs, A annotators, C the three outcomes.

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from annotate.limits import Flag, Limits, flags_of
from annotate.shares import Share, Trend, fair_coin_p, share_of, trend_of
from annotate.vote_columns import NOTHING_SAID, PURPOSES, Floats, Ints, Truths, VoteColumns
from warehouse.records import Outcome, Purpose

TOO_FAST_S = 2.0
"""Ours: two videos cannot be looked at and answered in less."""
TOO_FAST_PART = 0.25
"""Ours: of the median vote; so that short videos flag nobody."""
VOTES_A_BLOCK = 50
"""At least, in the curves over time: ten minutes' work at 12 s a vote, and a share is known to 14 points."""
MOST_BLOCKS = 24
LEAST_OF_A_TREND = 30
"""Votes; the test's normal approximation is good from there on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Whether the side on which a video stands decides."""

    share: float
    """Of votes for one of the two, those for the video shown on side A."""
    num: int
    p: float
    """Two-sided, of no bias: the exact binomial test. Sides are drawn by a seed, so that it is a fair coin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Consecutive votes."""

    start: int
    """0-based place of the first, in the order of their casting."""
    num_votes: int
    agreement: Share | None
    """With others' votes on the same pairs; None: nobody else voted on them."""
    seconds: float | None
    """Median; None: unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Of one annotator. Each share is None where there is nothing to measure it on."""

    name: str
    num_votes: int
    """Counted ones."""
    num_broken: int
    """Answers that declare a video broken, or a model's abstentions."""
    num_unknown: int
    """Votes that do not count, because their annotator was not on the roll."""
    ties: Share | None
    agreement: Share | None
    """Of the couples of a vote and another's vote on the same pair, those that are equal; `num` are the votes, which
    the interval is made for."""
    with_majority: Share | None
    """Of votes on pairs about which more than half of the others say one thing, those that say it too."""
    gold: Share | None
    repeats: Share | None
    """Of pairs shown again, those answered as the first time."""
    swapped_repeats: Share | None
    """The same, with the sides exchanged."""
    side: Side | None
    seconds: float | None
    """Median of a vote."""
    too_fast: Share | None
    blocks: tuple[Block, ...]
    """Over time; empty where the votes have one time all."""
    drift: Trend | None
    """Of agreement with the others' votes, a hundred votes; None: too few, no change, or no times."""
    flags: tuple[Flag, ...] = ()


def qualities(votes: VoteColumns, gold: Mapping[str, Outcome], limits: Limits) -> tuple[Quality, ...]:
    """Of every annotator of these votes, of which all that stand are given, repeats too."""
    counted = votes.counted()
    company = _Company.of(counted)
    fast_s = too_fast_s(counted)
    right_M = _rightness(counted, gold)
    found = [_quality(place, votes, counted, company, right_M, fast_s) for place in range(len(votes.annotators))]
    return tuple(replace(each, flags=tuple(flags_of(each, limits))) for each in found)


def left_out(found: Sequence[Quality]) -> Mapping[str, tuple[Flag, ...]]:
    """Who is flagged, and for what."""
    return {each.name: each.flags for each in found if each.flags}


def too_fast_s(counted: VoteColumns) -> float:
    """Seconds below which nobody has looked: `TOO_FAST_S`, or a part of the median vote where that is less."""
    known = counted.seconds_N[~np.isnan(counted.seconds_N)]
    return min(TOO_FAST_S, TOO_FAST_PART * float(np.median(known))) if len(known) else TOO_FAST_S


def learning_curve(votes: VoteColumns) -> tuple[Block, ...]:
    """All annotators' n-th votes together, block by block; empty where no vote has a time of its own."""
    counted = votes.counted()
    company = _Company.of(counted)
    order_M = np.full(len(counted), -1, np.int64)
    for place in range(len(counted.annotators)):
        rows = np.flatnonzero(counted.annotator_N == place)
        if _has_times(counted.at_N[rows]):
            order_M[rows[np.argsort(counted.at_N[rows], kind="stable")]] = np.arange(len(rows))
    size = max(VOTES_A_BLOCK, math.ceil((int(order_M.max(initial=-1)) + 1) / MOST_BLOCKS))
    blocks_M = np.where(order_M < 0, -1, order_M // size)
    return tuple(
        _block(int(block) * size, np.flatnonzero(blocks_M == block), counted, company)
        for block in np.unique(blocks_M)
        if block >= 0
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Company:
    """What the others say of the pair of each counted vote."""

    others_M: Ints
    """How many others voted on it."""
    equal_M: Ints
    """Of them, how many say the same."""
    has_majority_M: Truths
    """Whether more than half of the others say one thing."""
    with_majority_M: Truths

    @classmethod
    def of(cls, counted: VoteColumns) -> "_Company":
        counts_MC = counted.counts()[counted.pair_N]
        counts_MC[np.arange(len(counted)), counted.outcome_N] -= 1
        others_M = counts_MC.sum(axis=1)
        equal_M = counts_MC[np.arange(len(counted)), counted.outcome_N]
        has_majority_M = 2 * counts_MC.max(axis=1, initial=0) > others_M
        return cls(
            others_M=others_M,
            equal_M=equal_M,
            has_majority_M=has_majority_M,
            with_majority_M=has_majority_M & (2 * equal_M > others_M),
        )

    def share(self, rows: Ints) -> Share | None:
        """Of the couples that these votes make with others', those that are equal."""
        with_others = rows[self.others_M[rows] > 0]
        couples = int(self.others_M[with_others].sum())
        if couples == 0:
            return None
        return share_of(len(with_others) * int(self.equal_M[with_others].sum()) / couples, len(with_others))


def _quality(
    place: int, votes: VoteColumns, counted: VoteColumns, company: _Company, right_M: Floats, fast_s: float
) -> Quality:
    rows = np.flatnonzero(counted.annotator_N == place)
    rows = rows[np.argsort(counted.at_N[rows], kind="stable")]
    own_N = votes.annotator_N == place
    seconds = counted.seconds_N[rows]
    known_s = seconds[~np.isnan(seconds)]
    has_times = _has_times(counted.at_N[rows])
    judged = rows[~np.isnan(right_M[rows])]
    compared = rows[company.others_M[rows] > 0]
    return Quality(
        name=votes.annotators[place],
        num_votes=len(rows),
        num_broken=int((own_N & votes.is_known_N & (votes.outcome_N == NOTHING_SAID)).sum()),
        num_unknown=int((own_N & ~votes.is_known_N).sum()),
        ties=share_of(int((counted.outcome_N[rows] == Outcome.TIE.code).sum()), len(rows)),
        agreement=company.share(rows),
        with_majority=share_of(int(company.with_majority_M[rows].sum()), int(company.has_majority_M[rows].sum())),
        gold=share_of(float(right_M[judged].sum()), len(judged)),
        repeats=_consistency(votes, counted, place, Purpose.REPEAT),
        swapped_repeats=_consistency(votes, counted, place, Purpose.SWAPPED_REPEAT),
        side=_side(counted.outcome_N[rows], counted.is_swapped_N[rows]),
        seconds=float(np.median(known_s)) if len(known_s) else None,
        too_fast=share_of(int((known_s < fast_s).sum()), len(known_s)),
        blocks=_blocks(rows, counted, company) if has_times else (),
        drift=_drift(company.equal_M[compared] / company.others_M[compared]) if has_times else None,
    )


def _rightness(counted: VoteColumns, gold: Mapping[str, Outcome]) -> Floats:
    """1 where a vote says what gold says, 0 where it does not, not a number where there is no gold."""
    known = [gold.get(pair_id) for pair_id in counted.pair_ids]
    gold_P = np.array([NOTHING_SAID if outcome is None else outcome.code for outcome in known], np.int64)
    gold_M = gold_P[counted.pair_N]
    return np.where(gold_M == NOTHING_SAID, np.nan, gold_M == counted.outcome_N)


def _consistency(votes: VoteColumns, counted: VoteColumns, place: int, purpose: Purpose) -> Share | None:
    """Of an annotator's answers to repeats of one kind, those that equal the annotator's counted vote."""
    first_P = np.full(len(votes.pair_ids), NOTHING_SAID)
    own_M = counted.annotator_N == place
    first_P[counted.pair_N[own_M]] = counted.outcome_N[own_M]
    again_N = (votes.annotator_N == place) & (votes.purpose_N == PURPOSES.index(purpose)) & votes.is_known_N
    before, after = first_P[votes.pair_N[again_N]], votes.outcome_N[again_N]
    said = (before != NOTHING_SAID) & (after != NOTHING_SAID)
    return share_of(int((before == after)[said].sum()), int(said.sum()))


def _side(outcomes: Ints, is_swapped: Truths) -> Side | None:
    """How often the video shown on side A is preferred."""
    decided = outcomes != Outcome.TIE.code
    num = int(decided.sum())
    if num == 0:
        return None
    num_a = int(((outcomes == Outcome.A.code) ^ is_swapped)[decided].sum())
    return Side(share=num_a / num, num=num, p=fair_coin_p(num_a, num))


def _drift(equal: Floats) -> Trend | None:
    """Of the shares of others' votes that equal each vote, in the order of their casting."""
    return trend_of(equal) if len(equal) >= LEAST_OF_A_TREND else None


def _has_times(at: Floats) -> bool:
    return len(at) > 1 and float(np.ptp(at)) > 0


def _blocks(rows: Ints, counted: VoteColumns, company: _Company) -> tuple[Block, ...]:
    """Of rows in the order of their casting, in blocks of about one size."""
    parts = np.array_split(rows, min(MOST_BLOCKS, max(1, len(rows) // VOTES_A_BLOCK)))
    starts = np.cumsum([0, *map(len, parts)])
    return tuple(_block(int(start), part, counted, company) for start, part in zip(starts, parts, strict=False))


def _block(start: int, rows: Ints, counted: VoteColumns, company: _Company) -> Block:
    seconds = counted.seconds_N[rows]
    known_s = seconds[~np.isnan(seconds)]
    return Block(
        start=start,
        num_votes=len(rows),
        agreement=company.share(rows),
        seconds=float(np.median(known_s)) if len(known_s) else None,
    )
