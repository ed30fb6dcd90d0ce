"""From what on an annotator is flagged, and why one is: by limits alone, each judged by the end of an interval."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from warehouse import ids

if TYPE_CHECKING:
    from annotate.annotators import Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All ours: no study of votes on videos gives such numbers. A share is below a limit only where the whole of its
    95 % interval is."""

    min_votes: int = 30
    """Nobody with fewer counted votes is flagged."""
    agreement_min: float = 0.4
    """Share of couples of votes with the others'; of three answers blind guessing has a third."""
    gold_accuracy_min: float = 0.7
    consistency_min: float = 0.6
    """Share of repeats, and of swapped repeats, answered as the first time."""
    too_fast_max: float = 0.1
    """Share of votes faster than anybody can look (`annotate.annotators.too_fast_s`)."""
    side_bias_p: float = 0.001
    """Of the exact test that no side is favoured; and the share of one side's must be beyond `side_share_max`."""
    side_share_max: float = 0.6

    def __post_init__(self) -> None:
        if self.min_votes < 1:
            raise ValueError(f"min_votes is {self.min_votes}; nobody can be judged by less than one vote")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{field.name} is {value!r}; it must be a number")
            if field.name != "min_votes" and not 0 <= value <= 1:
                raise ValueError(f"{field.name} is {value}; it must lie between 0 and 1")

    @property
    def digest(self) -> str:
        """8 hex digits that name these limits."""
        return ids.digest({name: float(value) for name, value in asdict(self).items()})[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One limit that an annotator is beyond."""

    limit: str
    """Its name in `Limits`."""
    limit_value: float
    found: float
    """What was measured."""
    num: int
    """On how many votes."""
    words: str


def flags_of(quality: "Quality", limits: Limits) -> Iterator[Flag]:
    """The limits that an annotator is beyond; none where there are too few votes, or an interval reaches a limit."""
    if quality.num_votes < limits.min_votes:
        return
    for name, found, words in (
        ("agreement_min", quality.agreement, "agrees with the others"),
        ("gold_accuracy_min", quality.gold, "answers gold pairs rightly"),
        ("consistency_min", quality.repeats, "answers repeated pairs as before"),
        ("consistency_min", quality.swapped_repeats, "answers pairs with exchanged sides as before"),
    ):
        least = getattr(limits, name)
        if found is not None and found.high < least:
            told = f"{words} {found.share:.0%} of the time (at most {found.high:.1%}), less than {least:.0%}"
            yield Flag(limit=name, limit_value=least, found=found.share, num=found.num, words=told)
    fast = quality.too_fast
    if fast is not None and fast.low > limits.too_fast_max:
        told = f"votes too fast {fast.share:.0%} of the time (at least {fast.low:.1%}), over {limits.too_fast_max:.0%}"
        yield Flag(limit="too_fast_max", limit_value=limits.too_fast_max, found=fast.share, num=fast.num, words=told)
    side = quality.side
    if side is not None and side.p < limits.side_bias_p and max(side.share, 1 - side.share) > limits.side_share_max:
        told = (
            f"favours side {'A' if side.share > 0.5 else 'B'}: {max(side.share, 1 - side.share):.0%}, p = {side.p:.1g}"
        )
        yield Flag(limit="side_bias_p", limit_value=limits.side_bias_p, found=side.p, num=side.num, words=told)
