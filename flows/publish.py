"""`likeness publish`: pairs go up on the board, each once, however often it is run."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from annotate.board import MemoryBoard, PairBoard, PairTask, task_of
from flows.recipe import Recipe
from flows.settings import Settings
from flows.stages.candidates import best_references
from flows.text_video_gap import gap_of
from warehouse import gates, queries, tables
from warehouse.database import Session
from warehouse.records import Pair, Reference, Subject


def board_of(settings: Settings) -> MemoryBoard:
    """The board of the embedded default: a file that the commands share."""
    settings.board.mkdir(parents=True, exist_ok=True)
    return MemoryBoard(settings.board / "board.jsonl")


def publish(settings: Settings, recipe: Recipe, board: PairBoard) -> int:
    """Put up every pair in play that is not up yet, and say how many these were."""
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        tasks = tasks_of(session, recipe)
    return board.publish(tasks)


def tasks_of(session: Session, recipe: Recipe) -> list[PairTask]:
    """What annotators see of every pair in play. After `gates.judge`.

    Links name a file's hash: neither its generator nor its side.
    """
    links = {one.candidate_id: _link(one.sha256) for one in queries.records(session, "candidate")}
    references = reference_files(session)
    prompts = {row["clip_id"]: row["prompt"] for row in queries.prompts(session)}
    return [
        task_of(
            pair,
            prompt=prompts[pair.clip_id],
            references=[_link(sha256) for sha256 in references.get(pair.clip_id, ())],
            video_links=links,
        )
        for pair in pairs_in_play(session, recipe)
    ]


def pairs_in_play(session: Session, recipe: Recipe) -> list[Pair]:
    """Pairs of candidates that passed every stage and are not too far apart in text and video. After `gates.judge`."""
    gap = gap_of(session, recipe)
    pairs = queries.pairs_in_play(session, recipe.steps[-1].stage)
    return [pair for pair in pairs if gap.lets(pair.candidate_a, pair.candidate_b)]


def reference_files(session: Session) -> Mapping[str, Sequence[str]]:
    """By clip id: the file of each subject's best reference, by its hash, in the order of `subject_index`. After
    `gates.judge`."""
    of_clip: dict[str, list[Reference]] = defaultdict(list)
    for reference in tables.from_arrow(Reference, queries.in_play(session, "reference")):
        of_clip[reference.clip_id].append(reference)
    subjects = tables.from_arrow(Subject, queries.in_play(session, "subject"))
    order = {subject.subject_id: subject.subject_index for subject in subjects}
    best = {clip_id: best_references(references) for clip_id, references in of_clip.items()}
    return {
        clip_id: [chosen[subject_id].sha256 for subject_id in sorted(chosen, key=lambda each: order[each])]
        for clip_id, chosen in best.items()
    }


def _link(sha256: str) -> str:
    return f"media/{sha256}"
