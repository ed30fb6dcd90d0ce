"""Votes settle into labels: people's, simulated ones and models' each for themselves, and those that need no vote."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from annotate.labels import original_wins, settle
from annotate.pairing import KINDS
from flows.label_choice import LabelChoice, choice_of
from flows.recipe import Recipe
from flows.seats import is_of_roll, roll_of
from warehouse import queries, tables
from warehouse.database import Session
from warehouse.records import Label, Origin, Pair, Vote

PAIRS_AT_ONCE = 4096
"""Whose votes are in memory together."""


def settle_all(session: Session, recipe: Recipe) -> int:
    """Settle every pair anew, and give the number of labels with an outcome. The session must be in a transaction."""
    choice, roll = choice_of(recipe), frozenset(seat.key for seat in roll_of(recipe))
    pairs: list[Pair] = queries.records(session, "pair")
    originals = queries.originals(session) if choice.is_by_default else frozenset()
    tables.replace(session, "label", tables.to_arrow(Label, []), where="true", values=[])
    num_settled = 0
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        some = pairs[start : start + PAIRS_AT_ONCE]
        cast = queries.votes_of_pairs(session, [pair.pair_id for pair in some])
        counting = [vote for vote in cast if vote.origin != Origin.VLM or is_of_roll(vote, roll)]
        labels = list(settled(some, counting, choice, originals))
        tables.insert(session, "label", tables.to_arrow(Label, labels))
        num_settled += sum(label.outcome is not None for label in labels)
    return num_settled


def settled(
    pairs: Sequence[Pair], votes: Iterable[Vote], choice: LabelChoice, originals: Collection[str] = ()
) -> Iterator[Label]:
    """A label for each pair and each origin that voted on it; one that says `no votes` where none did.

    Where the original wins by default its label, of no origin, stands in the place of the judges'.
    """
    by_pair: dict[str, dict[Origin, list[Vote]]] = defaultdict(lambda: defaultdict(list))
    for vote in votes:
        by_pair[vote.pair_id][vote.origin].append(vote)
    for pair in pairs:
        is_by_default = choice.is_by_default and pair.kind == KINDS[0]
        if is_by_default:
            by_pair[pair.pair_id].pop(Origin.VLM, None)
            yield original_wins(pair, originals)
        for origin, of_origin in sorted(by_pair[pair.pair_id].items()):
            yield settle(pair.pair_id, of_origin, choice.policy_of(origin))
        if not by_pair[pair.pair_id] and not is_by_default:
            yield settle(pair.pair_id, [], choice.policy_of(choice.origin))
