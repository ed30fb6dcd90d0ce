"""`likeness collect`: answers come back from the board as votes, and votes settle into labels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from annotate import simulated
from annotate.board import MemoryBoard
from annotate.labels import MajorityPolicy, settle
from annotate.votes import read_answers
from flows.recipe import Recipe
from flows.settings import Settings
from warehouse import queries, tables
from warehouse.errors import BadRecipe
from warehouse.records import Label, Pair, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one run of the flow found."""

    num_votes: int
    """New ones."""
    num_skipped: int
    unreadable: tuple[str, ...]
    num_labels: int
    """Settled pairs, an origin each."""


def collect(settings: Settings, recipe: Recipe, board: MemoryBoard) -> Collected:
    """Take in every answer on the board, and settle every pair anew."""
    options = recipe.options["votes"]
    people = _people(options)
    with settings.warehouse.transaction() as session:
        pairs = {pair.pair_id: pair for pair in queries.records(session, "pair")}
        candidates = {one.candidate_id: one for one in queries.records(session, "candidate")}
        simulated.answer_all(board, pairs, candidates, people)
        reading = read_answers(board.answers().answers, tasks=board.tasks(), pairs=pairs, roll=simulated.roll(people))
        num_votes = tables.merge(session, "vote", tables.to_arrow(Vote, reading.votes), keys=["vote_id"])
        labels = settled(list(pairs.values()), queries.records(session, "vote"), policy_of(recipe))
        tables.replace(session, "label", tables.to_arrow(Label, labels), where="true", values=[])
    return Collected(
        num_votes=num_votes,
        num_skipped=reading.num_skipped,
        unreadable=reading.unreadable,
        num_labels=sum(label.outcome is not None for label in labels),
    )


def settled(pairs: Sequence[Pair], votes: Sequence[Vote], policy: MajorityPolicy) -> list[Label]:
    """A label for each pair and each origin that voted on it; one that says `no votes` where none did."""
    by_pair: dict[str, dict[str, list[Vote]]] = defaultdict(lambda: defaultdict(list))
    for vote in votes:
        by_pair[vote.pair_id][vote.origin].append(vote)
    return [
        settle(pair.pair_id, of_origin, policy)
        for pair in pairs
        for _, of_origin in sorted(by_pair[pair.pair_id].items()) or [("", [])]
    ]


def policy_of(recipe: Recipe) -> MajorityPolicy:
    """The label policy that a recipe names."""
    return MajorityPolicy(num_votes=recipe.options["votes"]["num_a_pair"])


def _people(options: dict[str, object]) -> Sequence[simulated.SimulatedAnnotator]:
    if options["annotators"] != "simulated":
        raise BadRecipe(f"votes.annotators = {options['annotators']!r}: this version knows `simulated`")
    return simulated.annotators(seed=int(str(options["seed"])))
