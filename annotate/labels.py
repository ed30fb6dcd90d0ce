"""Votes to labels, under a policy that has a name."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from annotate.errors import OriginsMixed
from annotate.pairing import KINDS
from annotate.votes import counted
from warehouse.records import Label, Outcome, Pair, Vote

BY_DEFAULT = "original_by_default"
"""The policy that asks nobody: the original wins against what was generated for its clip (Identity-GRPO 2.1.2)."""


class Policy(Protocol):
    """How a tally becomes an outcome."""

    @property
    def name(self) -> str: ...

    def decide(self, num_a: int, num_tie: int, num_b: int) -> tuple[Outcome | None, str]:
        """The settled outcome, and the reason."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityPolicy:
    """The outcome that leads alone with more than half of `num_votes`: two of three (Identity-GRPO 2.1.3).

    Two votes that agree settle a pair early; after a three-way split a fourth vote decides.
    """

    num_votes: int = 3

    def __post_init__(self) -> None:
        if self.num_votes < 1:
            raise ValueError(f"num_votes is {self.num_votes}; a majority needs at least one vote")

    @property
    def name(self) -> str:
        return f"majority_of_{self.num_votes}"

    def decide(self, num_a: int, num_tie: int, num_b: int) -> tuple[Outcome | None, str]:
        """The settled outcome, and the reason."""
        counts = dict(zip(Outcome, (num_a, num_tie, num_b), strict=True))
        best = max(counts.values())
        leaders = [outcome for outcome, count in counts.items() if count == best]
        if best == 0:
            return None, "no votes"
        if best > self.num_votes // 2:
            return (leaders[0], "majority") if len(leaders) == 1 else (None, "split")
        return None, "too few votes" if sum(counts.values()) < self.num_votes else "split"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgesPolicy:
    """The outcome of more than half of the answers, where there are at least `min_answers` (Identity-GRPO 2.1.2).

    An inference that abstained is no answer. Unlike `MajorityPolicy` it counts on no fixed number of answers: which
    judges abstain differs from pair to pair.
    """

    min_answers: int = 2
    """The paper names no number; this one keeps a pair from being settled by a single answer."""

    def __post_init__(self) -> None:
        if self.min_answers < 1:
            raise ValueError(f"min_answers is {self.min_answers}; a majority needs at least one answer")

    @property
    def name(self) -> str:
        return f"majority_of_judges_{self.min_answers}"

    def decide(self, num_a: int, num_tie: int, num_b: int) -> tuple[Outcome | None, str]:
        counts = dict(zip(Outcome, (num_a, num_tie, num_b), strict=True))
        num_answers = sum(counts.values())
        if num_answers == 0:
            return None, "no votes"
        if num_answers < self.min_answers:
            return None, "too few votes"
        best = max(counts, key=lambda outcome: counts[outcome])
        return (best, "majority") if 2 * counts[best] > num_answers else (None, "split")


def original_wins(pair: Pair, originals: Collection[str]) -> Label:
    """The label of an original and what was generated beside it, which nobody voted on. `originals` are candidate ids.

    It has no origin, so that no count of people's, models' or simulated votes ever includes it.
    """
    is_a, is_b = pair.candidate_a in originals, pair.candidate_b in originals
    if pair.kind != KINDS[0] or is_a == is_b:
        raise ValueError(f"{pair.pair_id}: not an original against a generated video; nobody wins by default")
    return Label(
        pair_id=pair.pair_id,
        policy=BY_DEFAULT,
        outcome=Outcome.A if is_a else Outcome.B,
        reason="original by default",
        origin=None,
        num_votes=0,
        num_a=0,
        num_tie=0,
        num_b=0,
    )


def settle(pair_id: str, votes: Sequence[Vote], policy: Policy | None = None) -> Label:
    """One pair's label from all its votes; `counted` picks those that count, and they must be of one origin."""
    policy = policy or MajorityPolicy()
    strange = sorted({vote.pair_id for vote in votes} - {pair_id})
    if strange:
        raise ValueError(f"{pair_id} cannot be settled by votes about {', '.join(strange)}")
    counting = counted(votes)
    origins = sorted({vote.origin for vote in counting})
    if len(origins) > 1:
        raise OriginsMixed(f"{pair_id}: votes of {' and '.join(origins)} make no label; settle one origin at a time")
    tally = Counter(vote.outcome for vote in counting)
    num_a, num_tie, num_b = (tally[outcome] for outcome in Outcome)
    outcome, reason = policy.decide(num_a, num_tie, num_b)
    return Label(
        pair_id=pair_id,
        policy=policy.name,
        outcome=outcome,
        reason=reason,
        origin=origins[0] if origins else None,
        num_votes=len(counting),
        num_a=num_a,
        num_tie=num_tie,
        num_b=num_b,
    )
