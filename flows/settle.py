"""Votes settle into labels: people's, simulated ones and models' each for themselves, and those that need no vote."""

from collections.abc import Iterator, Sequence
from itertools import islice

from annotate.labels import labels_of, original_wins, settle
from annotate.pairing import KINDS
from flows.cast_votes import cast_votes, judged
from flows.label_choice import LabelChoice, choice_of
from flows.recipe import Recipe
from warehouse import queries, tables, vote_queries
from warehouse.database import Session
from warehouse.records import Label, Origin

LABELS_AT_ONCE = 8192
"""In memory together."""


def settle_pairs(session: Session, recipe: Recipe, pair_ids: Sequence[str] | None = None) -> int:
    """Settle these pairs anew (None: all), and give the number of their labels with an outcome. The session must be in
    a transaction.

    Where a label depends on all votes, all pairs are settled anew. A pair that the warehouse does not hold is passed
    over.
    """
    choice = choice_of(recipe)
    named = None if pair_ids is None or choice.looks_at_all_votes else sorted(set(pair_ids))
    where = "true" if named is None else "pair_id IN (SELECT unnest(?::VARCHAR[]))"
    tables.replace(session, "label", tables.to_arrow(Label, []), where=where, values=[] if named is None else [named])
    num_settled, labels = 0, _labels(session, recipe, choice, named)
    while some := list(islice(labels, LABELS_AT_ONCE)):
        tables.insert(session, "label", tables.to_arrow(Label, some))
        num_settled += sum(label.outcome is not None for label in some)
    return num_settled


def _labels(session: Session, recipe: Recipe, choice: LabelChoice, named: Sequence[str] | None) -> Iterator[Label]:
    """A label for each of these pairs (None: all) and each origin that voted on it; one that says `no votes` where none
    did.

    Where the original wins by default its label, of no origin, stands in the place of the judges'.
    """
    pair_ids = queries.pair_ids(session, named)
    by_default = _by_default(session, choice, named)
    yield from by_default.values()
    done = set(by_default)
    for origin in map(Origin, vote_queries.origins_of_votes(session, named)):
        votes = cast_votes(session, recipe, origin, pair_ids=named)
        voted = votes.voted_on() - (by_default.keys() if origin is Origin.VLM else set())
        policy = choice.policy_of(origin)
        if choice.looks_at_all_votes:
            policy = judged(session, choice, origin, votes).policy(choice)
        yield from labels_of(sorted(voted), votes, policy, origin)
        done |= voted
    for pair_id in pair_ids:
        if pair_id not in done:
            yield settle(pair_id, [], choice.policy_of(choice.origin))


def _by_default(session: Session, choice: LabelChoice, named: Sequence[str] | None) -> dict[str, Label]:
    """The labels of originals that win without being asked about, by pair."""
    if not choice.is_by_default:
        return {}
    pairs = [pair for pair in queries.pairs(session, named) if pair.kind == KINDS[0]]
    candidates = [one for pair in pairs for one in (pair.candidate_a, pair.candidate_b)]
    originals = queries.originals(session, candidates)
    return {pair.pair_id: original_wins(pair, originals) for pair in pairs}
