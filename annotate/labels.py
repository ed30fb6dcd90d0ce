"""Votes to labels, under a policy that has a name."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from annotate.errors import OriginsMixed
from annotate.limits import Limits
from annotate.pairing import KINDS
from annotate.vote_columns import VoteColumns
from annotate.votes import counted
from warehouse.records import Label, Origin, Outcome, Pair, Vote

BY_DEFAULT = "original_by_default"
"""The policy that asks nobody: the original wins against what was generated for its clip (Identity-GRPO 2.1.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the counted votes on one pair say."""

    pair_id: str
    num_a: int
    num_tie: int
    num_b: int

    @property
    def counts(self) -> Mapping[Outcome, int]:
        return dict(zip(Outcome, (self.num_a, self.num_tie, self.num_b), strict=True))

    @property
    def num(self) -> int:
        return self.num_a + self.num_tie + self.num_b


class Policy(Protocol):
    """How a tally becomes an outcome."""

    @property
    def name(self) -> str: ...

    @property
    def left_out(self) -> Collection[str]:
        """Annotators whose votes it does not count."""
        ...

    def decide(self, tally: Tally) -> tuple[Outcome | None, str]:
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

    @property
    def left_out(self) -> Collection[str]:
        return ()

    def decide(self, tally: Tally) -> tuple[Outcome | None, str]:
        """The settled outcome, and the reason."""
        best = max(tally.counts.values())
        leaders = [outcome for outcome, count in tally.counts.items() if count == best]
        if best == 0:
            return None, "no votes"
        if best > self.num_votes // 2:
            return (leaders[0], "majority") if len(leaders) == 1 else (None, "split")
        return None, "too few votes" if tally.num < self.num_votes else "split"


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

    @property
    def left_out(self) -> Collection[str]:
        return ()

    def decide(self, tally: Tally) -> tuple[Outcome | None, str]:
        if tally.num == 0:
            return None, "no votes"
        if tally.num < self.min_answers:
            return None, "too few votes"
        best = max(tally.counts, key=lambda outcome: tally.counts[outcome])
        return (best, "majority") if 2 * tally.counts[best] > tally.num else (None, "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class DawidSkenePolicy:
    """The outcome that `annotate.dawid_skene` finds likeliest, where it is at least `min_posterior` likely.

    A pair with fewer than `MIN_VOTES` stays unsettled: what one annotator says of it, nobody has confirmed.
    """

    MIN_VOTES: ClassVar[int] = 2

    min_posterior: float = 0.8
    """Ours: in simulations 93 to 95 % of the outcomes from there on are right, and one three-way split in ten is
    settled. Such splits are hard for it: it is right about 6 in 10 of them."""
    posteriors: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """Of A, tie and B, by pair id."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.min_posterior < 1:
            raise ValueError(f"min_posterior is {self.min_posterior}; it must be at least 0.5 and less than 1")

    @property
    def name(self) -> str:
        return f"dawid_skene_{self.min_posterior:g}"

    @property
    def left_out(self) -> Collection[str]:
        return ()

    def decide(self, tally: Tally) -> tuple[Outcome | None, str]:
        if tally.num < self.MIN_VOTES:
            return None, "too few votes" if tally.num else "no votes"
        posterior = dict(zip(Outcome, self.posteriors[tally.pair_id], strict=True))
        best = max(posterior, key=lambda outcome: posterior[outcome])
        return (best, "posterior") if posterior[best] >= self.min_posterior else (None, "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutFlagged:
    """Another policy, without the votes of annotators who are beyond limits."""

    policy: Policy
    limits: Limits
    left_out: Collection[str] = ()

    @property
    def name(self) -> str:
        """It tells the limits, not who is left out: that changes with the votes."""
        return f"{self.policy.name}_without_flagged_{self.limits.digest}"

    def decide(self, tally: Tally) -> tuple[Outcome | None, str]:
        return self.policy.decide(tally)


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
    strange = sorted({vote.pair_id for vote in votes} - {pair_id})
    if strange:
        raise ValueError(f"{pair_id} cannot be settled by votes about {', '.join(strange)}")
    origins = sorted({vote.origin for vote in counted(votes)})
    if len(origins) > 1:
        raise OriginsMixed(f"{pair_id}: votes of {' and '.join(origins)} make no label; settle one origin at a time")
    (label,) = labels_of([pair_id], VoteColumns.of(votes), policy or MajorityPolicy(), *origins)
    return label


def labels_of(
    pair_ids: Sequence[str], votes: VoteColumns, policy: Policy, origin: Origin | None = None
) -> Iterator[Label]:
    """A label for each of these pairs, in their order, from votes of one origin; also where none counts."""
    counts = dict(zip(votes.pair_ids, votes.counted(policy.left_out).counts().tolist(), strict=True))
    name, nothing = policy.name, [0] * len(Outcome)
    for pair_id in pair_ids:
        num_a, num_tie, num_b = counts.get(pair_id, nothing)
        tally = Tally(pair_id=pair_id, num_a=num_a, num_tie=num_tie, num_b=num_b)
        outcome, reason = policy.decide(tally)
        yield Label(
            pair_id=pair_id,
            policy=name,
            outcome=outcome,
            reason=reason,
            origin=origin if tally.num else None,
            num_votes=tally.num,
            num_a=num_a,
            num_tie=num_tie,
            num_b=num_b,
        )
