"""`likeness publish`: pairs go up on the board, each once, however often it is run."""

from collections import defaultdict
from collections.abc import Sequence

from annotate.board import MemoryBoard, PairBoard, PairTask, task_of
from flows.settings import Settings
from flows.stages.candidates import best_references
from warehouse import queries
from warehouse.database import Session
from warehouse.records import Reference


def board_of(settings: Settings) -> MemoryBoard:
    """The board of the embedded default: a file that the commands share."""
    settings.board.mkdir(parents=True, exist_ok=True)
    return MemoryBoard(settings.board / "board.jsonl")


def publish(settings: Settings, board: PairBoard) -> int:
    """Put up every pair that is not up yet, and say how many these were."""
    with settings.warehouse.session() as session:
        tasks = tasks_of(session)
    return board.publish(tasks)


def tasks_of(session: Session) -> list[PairTask]:
    """What annotators see of every pair. Links name a file's hash: neither its generator nor its side."""
    links = {one.candidate_id: _link(one.sha256) for one in queries.records(session, "candidate")}
    references = defaultdict(list)
    for reference in queries.records(session, "reference"):
        references[reference.clip_id].append(reference)
    order = {one.subject_id: one.subject_index for one in queries.records(session, "subject")}
    prompts = {row["clip_id"]: row["prompt"] for row in queries.prompts(session)}
    return [
        task_of(
            pair,
            prompt=prompts[pair.clip_id],
            references=_reference_links(references[pair.clip_id], order),
            video_links=links,
        )
        for pair in queries.records(session, "pair")
    ]


def _reference_links(references: Sequence[Reference], order: dict[str, int]) -> list[str]:
    best = best_references(references)
    return [_link(best[subject_id].sha256) for subject_id in sorted(best, key=lambda each: order[each])]


def _link(sha256: str) -> str:
    return f"media/{sha256}"
