"""How a pair is put up: for its votes, or as gold for everybody; and of some pairs a second time, as a check.

Nothing here draws from a random stream: every choice is a rank by hash of the seed and the pair's id, so that what a
pair gets depends neither on other pairs nor on their order, and pairs that come later change nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from annotate.pairing import ORIGINAL
from warehouse import ids
from warehouse.board_records import Gold, Showing
from warehouse.records import Candidate, Outcome, Pair, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """How often pairs are asked about, and what part of them again."""

    num_votes: int
    """Annotators asked about a pair."""
    num_agreeing: int | None = None
    """So many equal votes are enough (adaptive overlap); None: all are asked."""
    repeat_share: float = 0.0
    """Of the pairs that are no gold: shown again as they were."""
    swapped_repeat_share: float = 0.0
    """Of the pairs that are no gold, others than those: shown again with the sides exchanged."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_votes < 1:
            raise ValueError(f"{self.num_votes} votes a pair; ask for at least one")
        if self.num_agreeing is not None and not 1 < self.num_agreeing <= self.num_votes:
            raise ValueError(f"num_agreeing is {self.num_agreeing}; give 2 to {self.num_votes}, or leave it out")
        shares = (self.repeat_share, self.swapped_repeat_share)
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(f"repeat_share and swapped_repeat_share are {shares}; give shares that sum to at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldRule:
    """Pairs whose answer follows from how they were made: the original wins against its own strong distortion."""

    generators: tuple[str, ...]
    """Distortions that nobody should prefer to the original."""
    severity_min: float
    share: float
    """Of the pairs that the rule fits."""

    def __post_init__(self) -> None:
        if not self.generators or ORIGINAL in self.generators:
            raise ValueError(f"gold generators are {list(self.generators)}; name distortions of the original")
        if not 0 < self.severity_min <= 1 or not 0 <= self.share <= 1:
            raise ValueError(f"gold: severity_min {self.severity_min}, share {self.share}; both lie between 0 and 1")


def showings_of(pair: Pair, *, board: str, probes: Probes, is_gold: bool, priority: float) -> tuple[Showing, ...]:
    """What a pair gets on a board: its first showing, and the repeat that may follow it."""
    if is_gold:
        return (_showing(pair, board, Purpose.GOLD, priority),)
    first = _showing(pair, board, Purpose.VOTE, priority, num_votes=probes.num_votes, num_agreeing=probes.num_agreeing)
    purpose = _again(pair.pair_id, probes)
    return (first,) if purpose is None else (first, _showing(pair, board, purpose, priority, repeats=first.showing_id))


def gold_of(pairs: Iterable[Pair], candidates: Mapping[str, Candidate], rule: GoldRule, *, seed: int) -> Iterator[Gold]:
    """The pairs that are gold by the rule. `candidates` by id."""
    source = f"rule: the original against {' or '.join(rule.generators)} of severity {rule.severity_min:g} and more"
    for pair in pairs:
        winner = _winner(candidates[pair.candidate_a], candidates[pair.candidate_b], rule)
        if winner is not None and _rank("gold", seed, pair.pair_id) < rule.share:
            yield Gold(pair_id=pair.pair_id, outcome=winner, source=source)


def order_of(pair_id: str, *, seed: int) -> str:
    """Sorts pairs of equal priority: neither by clip nor by when they were drawn."""
    return ids.digest(["show", seed, pair_id])


def _winner(a: Candidate, b: Candidate, rule: GoldRule) -> Outcome | None:
    if a.generator == ORIGINAL and _is_spoilt(b, rule):
        return Outcome.A
    return Outcome.B if b.generator == ORIGINAL and _is_spoilt(a, rule) else None


def _is_spoilt(candidate: Candidate, rule: GoldRule) -> bool:
    is_strong = candidate.severity is not None and candidate.severity >= rule.severity_min
    return is_strong and candidate.generator in rule.generators


def _again(pair_id: str, probes: Probes) -> Purpose | None:
    rank = _rank("again", probes.seed, pair_id)
    if rank < probes.repeat_share:
        return Purpose.REPEAT
    return Purpose.SWAPPED_REPEAT if rank < probes.repeat_share + probes.swapped_repeat_share else None


def _showing(
    pair: Pair,
    board: str,
    purpose: Purpose,
    priority: float,
    *,
    repeats: str | None = None,
    num_votes: int | None = None,
    num_agreeing: int | None = None,
) -> Showing:
    return Showing(
        showing_id=ids.make("showing", board, pair.pair_id, purpose),
        board=board,
        pair_id=pair.pair_id,
        is_swapped=pair.is_swapped != (purpose is Purpose.SWAPPED_REPEAT),
        purpose=purpose,
        repeats=repeats,
        num_votes=num_votes,
        num_agreeing=num_agreeing,
        priority=priority,
        is_withdrawn=False,
    )


def _rank(what: str, seed: int, pair_id: str) -> float:
    """A number in [0, 1), uniform over pairs."""
    return int(ids.digest([what, seed, pair_id])[:13], 16) / 16**13
