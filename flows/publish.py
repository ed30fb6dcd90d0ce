"""`likeness publish`: pairs go up on the board, each once, however often it is run."""

from collections import defaultdict
from collections.abc import Sequence

from annotate.board import MemoryBoard, PairBoard, PairTask, task_of
from flows.recipe import Recipe
from flows.settings import Settings
from flows.stages.candidates import best_references
from warehouse import gates, queries, tables
from warehouse.database import Session
from warehouse.records import Reference, Subject


def board_of(settings: Settings) -> MemoryBoard:
    """The board of the embedded default: a file that the commands share."""
    settings.board.mkdir(parents=True, exist_ok=True)
    return MemoryBoard(settings.board / "board.jsonl")


def publish(settings: Settings, recipe: Recipe, board: PairBoard) -> int:
    """Put up every pair in play that is not up yet, and say how many these were."""
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        tasks = tasks_of(session, recipe.steps[-1].stage)
    return board.publish(tasks)


def tasks_of(session: Session, stage: str) -> list[PairTask]:
    """What annotators see of every pair of candidates that passed this stage. After `gates.judge`.

    Links name a file's hash: neither its generator nor its side.
    """
    links = {one.candidate_id: _link(one.sha256) for one in queries.records(session, "candidate")}
    references = defaultdict(list)
    for reference in tables.from_arrow(Reference, queries.in_play(session, "reference")):
        references[reference.clip_id].append(reference)
    subjects = tables.from_arrow(Subject, queries.in_play(session, "subject"))
    order = {subject.subject_id: subject.subject_index for subject in subjects}
    prompts = {row["clip_id"]: row["prompt"] for row in queries.prompts(session)}
    return [
        task_of(
            pair,
            prompt=prompts[pair.clip_id],
            references=_reference_links(references[pair.clip_id], order),
            video_links=links,
        )
        for pair in queries.pairs_in_play(session, stage)
    ]


def _reference_links(references: Sequence[Reference], order: dict[str, int]) -> list[str]:
    best = best_references(references)
    return [_link(best[subject_id].sha256) for subject_id in sorted(best, key=lambda each: order[each])]


def _link(sha256: str) -> str:
    return f"media/{sha256}"
