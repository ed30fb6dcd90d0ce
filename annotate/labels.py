"""Votes to labels, under a policy that has a name."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from annotate.errors import OriginsMixed
from annotate.votes import counted
from warehouse.records import Label, Outcome, Vote


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


def settle(pair_id: str, votes: Sequence[Vote], policy: MajorityPolicy | None = None) -> Label:
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
