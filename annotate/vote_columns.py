"""The votes of one origin as columns: what statistics over tens of thousands of votes are computed from."""

# Shape letters: N votes, P pairs, A annotators, C the three outcomes, J couples of votes about one pair.

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.errors import OriginsMixed
from annotate.votes import counted, time_of
from warehouse.records import Origin, Outcome, Purpose, Vote

NOTHING_SAID = -1
"""Code of a vote without outcome."""
PURPOSES = tuple(Purpose)
COUPLES_AT_ONCE = 1 << 20
"""In memory together; a gold pair that a thousand annotators voted on has half a million."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoteColumns:
    """A row a vote, ordered by pair, annotator and time."""

    pair_ids: tuple[str, ...]
    annotators: tuple[str, ...]
    pair_N: Ints
    """Place in `pair_ids`."""
    annotator_N: Ints
    """Place in `annotators`."""
    outcome_N: Ints
    """0 A, 1 tie, 2 B, side swap undone; `NOTHING_SAID`."""
    is_known_N: Truths
    """Whether the annotator is on the roll."""
    is_counted_N: Truths
    """As `annotate.votes.counted` says."""
    purpose_N: Ints
    """Place in `PURPOSES`."""
    is_swapped_N: Truths
    seconds_N: Floats
    """Not a number: unknown."""
    at_N: Floats
    """When it was cast: seconds since 1970."""

    def __len__(self) -> int:
        return len(self.pair_N)

    @property
    def is_repeat(self) -> Truths:
        """Which votes (N,) are about a pair shown again."""
        return np.isin(self.purpose_N, [place for place, purpose in enumerate(PURPOSES) if purpose.is_repeat])

    @classmethod
    def of(cls, votes: Iterable[Vote]) -> "VoteColumns":
        """`OriginsMixed` where votes of two origins count."""
        rows = sorted(votes, key=lambda vote: (vote.pair_id, vote.annotator, time_of(vote.cast_at), vote.vote_id))
        counting = counted(rows)
        origins: list[Origin] = sorted({vote.origin for vote in counting})
        if len(origins) > 1:
            raise OriginsMixed(f"votes of {' and '.join(origins)} make no statistics; take one origin at a time")
        ids = {vote.vote_id for vote in counting}
        return cls.build(
            pairs=[vote.pair_id for vote in rows],
            annotators=[vote.annotator for vote in rows],
            outcome_N=np.array([vote.outcome.code if vote.outcome else NOTHING_SAID for vote in rows], np.int64),
            is_known_N=np.array([vote.is_known for vote in rows], np.bool_),
            is_counted_N=np.array([vote.vote_id in ids for vote in rows], np.bool_),
            purpose_N=np.array([PURPOSES.index(vote.purpose) for vote in rows], np.int64),
            is_swapped_N=np.array([vote.is_swapped for vote in rows], np.bool_),
            seconds_N=np.array([np.nan if vote.seconds is None else vote.seconds for vote in rows], np.float64),
            at_N=np.array([time_of(vote.cast_at).timestamp() for vote in rows], np.float64),
        )

    @classmethod
    def build(
        cls,
        *,
        pairs: list[str],
        annotators: list[str],
        outcome_N: Ints,
        is_known_N: Truths,
        is_counted_N: Truths,
        purpose_N: Ints,
        is_swapped_N: Truths,
        seconds_N: Floats,
        at_N: Floats,
    ) -> "VoteColumns":
        """From rows that are in order; the names become places."""
        pair_ids, pair_N = _places(pairs)
        names, annotator_N = _places(annotators)
        return cls(
            pair_ids=pair_ids,
            annotators=names,
            pair_N=pair_N,
            annotator_N=annotator_N,
            outcome_N=outcome_N,
            is_known_N=is_known_N,
            is_counted_N=is_counted_N,
            purpose_N=purpose_N,
            is_swapped_N=is_swapped_N,
            seconds_N=seconds_N,
            at_N=at_N,
        )

    def only(self, rows_N: Truths) -> "VoteColumns":
        """These votes; pairs and annotators keep their places."""
        return VoteColumns(
            pair_ids=self.pair_ids,
            annotators=self.annotators,
            pair_N=self.pair_N[rows_N],
            annotator_N=self.annotator_N[rows_N],
            outcome_N=self.outcome_N[rows_N],
            is_known_N=self.is_known_N[rows_N],
            is_counted_N=self.is_counted_N[rows_N],
            purpose_N=self.purpose_N[rows_N],
            is_swapped_N=self.is_swapped_N[rows_N],
            seconds_N=self.seconds_N[rows_N],
            at_N=self.at_N[rows_N],
        )

    def counted(self, left_out: Iterable[str] = ()) -> "VoteColumns":
        """The votes that count, but for those of the annotators who are left out."""
        without = [place for place, name in enumerate(self.annotators) if name in frozenset(left_out)]
        return self.only(self.is_counted_N & ~np.isin(self.annotator_N, without))

    def voted_on(self) -> set[str]:
        """Pairs with a vote of somebody on the roll, whether or not it counts."""
        return {self.pair_ids[place] for place in np.unique(self.pair_N[self.is_known_N])}

    def counts(self) -> Ints:
        """How many votes of these say what about each pair: (P, C); every one must have an outcome."""
        num = len(self.pair_ids)
        places = self.pair_N * len(Outcome) + self.outcome_N
        return np.bincount(places, minlength=num * len(Outcome)).reshape(num, len(Outcome))

    def couples(self) -> Iterator[tuple[Ints, Ints]]:
        """Every two votes of these about one pair, as rows (J,) and (J,), the first before the second; in pieces."""
        starts, sizes = _runs(self.pair_N)
        for size in np.unique(sizes[sizes > 1]):
            first_J, second_J = np.triu_indices(size, 1)
            begins = starts[sizes == size]
            at_once = max(1, COUPLES_AT_ONCE // len(first_J))
            for start in range(0, len(begins), at_once):
                some = begins[start : start + at_once, None]
                yield (some + first_J).ravel(), (some + second_J).ravel()


def _places(names: list[str]) -> tuple[tuple[str, ...], Ints]:
    """The names, each once, in order, and where each of the given stands among them."""
    known = {name: place for place, name in enumerate(sorted(set(names)))}
    return tuple(known), np.array([known[name] for name in names], np.int64)


def _runs(sorted_N: Ints) -> tuple[Ints, Ints]:
    """Where runs of equal values begin, and how long they are."""
    if not len(sorted_N):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.flatnonzero(np.r_[True, sorted_N[1:] != sorted_N[:-1]])
    return starts, np.diff(np.r_[starts, len(sorted_N)])
