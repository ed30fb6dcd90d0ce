"""`likeness collect`: answers come back from the board as votes, and votes settle into labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from annotate import simulated
from annotate.board import MemoryBoard
from annotate.votes import read_answers
from flows.label_choice import NOBODY
from flows.recipe import Recipe
from flows.settings import Settings
from flows.settle import settle_all
from warehouse import queries, tables
from warehouse.errors import BadRecipe
from warehouse.records import Vote


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
    people = _people(recipe.options["votes"])
    with settings.warehouse.transaction() as session:
        pairs = {pair.pair_id: pair for pair in queries.records(session, "pair")}
        if people:
            candidates = {one.candidate_id: one for one in queries.records(session, "candidate")}
            simulated.answer_all(board, pairs, candidates, people)
        reading = read_answers(board.answers().answers, tasks=board.tasks(), pairs=pairs, roll=simulated.roll(people))
        num_votes = tables.merge(session, "vote", tables.to_arrow(Vote, reading.votes), keys=["vote_id"])
        num_labels = settle_all(session, recipe)
    return Collected(
        num_votes=num_votes,
        num_skipped=reading.num_skipped,
        unreadable=reading.unreadable,
        num_labels=num_labels,
    )


def _people(options: dict[str, object]) -> Sequence[simulated.SimulatedAnnotator]:
    if options["annotators"] == NOBODY:
        return ()
    if options["annotators"] != "simulated":
        raise BadRecipe(f"votes.annotators = {options['annotators']!r}: this version knows `simulated` and `{NOBODY}`")
    return simulated.annotators(seed=int(str(options["seed"])))
