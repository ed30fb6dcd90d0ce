"""Where pairs are shown and answers given: the Protocol `PairBoard`, and `MemoryBoard`, which needs no server."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from annotate.errors import BoardDamaged, BoardRefused
from warehouse import ids
from warehouse.records import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTask:
    """What an annotator sees of a pair. Sides are as shown: the seeded swap is already made."""

    pair_id: str
    prompt: str | None
    references: tuple[str, ...]
    """Links of the reference pictures, in the order of `subject_index`."""
    video_a: str
    """Link of the video on side A; it tells neither the generator nor the candidate."""
    video_b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One annotation as Label Studio gives it; an edit keeps the id and moves `updated_at`."""

    id: int
    task: int
    """The board's number of the task."""
    completed_by: int | str
    """The board's own name of the person: a number in Label Studio."""
    result: tuple[Mapping[str, Any], ...]
    created_at: str
    updated_at: str
    lead_time: float | None
    """Seconds the annotator took; None: unknown."""
    was_cancelled: bool
    """True: the annotator skipped the pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Answers, and the mark to ask from next time."""

    answers: tuple[Answer, ...]
    mark: str
    """Opaque; what came before it need not be asked for again."""


class PairBoard(Protocol):
    """Every board passes `tests/contract/test_board_contract.py`."""

    def publish(self, tasks: Sequence[PairTask]) -> int:
        """Put up the pairs that are not up yet, and say how many these were. A pair that is up stays as it is."""
        ...

    def tasks(self) -> Mapping[int, PairTask]:
        """Everything that is up, by the board's number."""
        ...

    def answers(self, since: str | None = None) -> Arrivals:
        """The current state of every answer given or edited since the mark (None: ever): none is left out, one may
        come twice."""
        ...


def task_of(pair: Pair, *, prompt: str | None, references: Sequence[str], video_links: Mapping[str, str]) -> PairTask:
    """A pair as an annotator sees it. `video_links` by candidate id; here, and only here, the sides are swapped."""
    shown_a, shown_b = (pair.candidate_b, pair.candidate_a) if pair.is_swapped else (pair.candidate_a, pair.candidate_b)
    return PairTask(
        pair_id=pair.pair_id,
        prompt=prompt,
        references=tuple(references),
        video_a=video_links[shown_a],
        video_b=video_links[shown_b],
    )


def number(*content: Any) -> int:
    """A whole number made from content, small enough (52 bits) for any JSON reader."""
    return int(ids.digest(list(content))[:13], 16)


class MemoryBoard:
    """A board in memory and, given a path, in a file of JSON lines that several processes share.

    A line is a task or an answer, and is committed by its newline. Writers take turns by a lock on the file; what a
    killed writer left without a newline is read by nobody and cut off by the next writer.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._num_bytes_read = 0
        self._tasks: dict[int, PairTask] = {}
        self._arrived: list[Answer] = []

    def publish(self, tasks: Sequence[PairTask]) -> int:
        with self._writing() as file:
            numbered = {number("task", task.pair_id): task for task in tasks}
            new = [task for key, task in numbered.items() if key not in self._tasks]
            self._commit(file, [{"task": asdict(task)} for task in new])
        return len(new)

    def tasks(self) -> Mapping[int, PairTask]:
        self._look()
        return dict(self._tasks)

    def submit(self, answers: Sequence[Answer]) -> int:
        """Take answers as a page would; say how many were new or edited."""
        with self._writing() as file:
            strange = next((answer for answer in answers if answer.task not in self._tasks), None)
            if strange is not None:
                raise BoardRefused(f"answer {strange.id}: no task {strange.task} is up here; publish its pair first")
            latest = {answer.id: answer for answer in self._arrived}
            new = [answer for answer in answers if latest.get(answer.id) != answer]
            self._commit(file, [{"answer": asdict(answer)} for answer in new])
        return len(new)

    def answers(self, since: str | None = None) -> Arrivals:
        self._look()
        recent = {answer.id: answer for answer in self._arrived[int(since or 0) :]}
        return Arrivals(answers=tuple(recent.values()), mark=str(len(self._arrived)))

    def _look(self) -> None:
        """Take what other processes committed."""
        if self._path is not None and self._path.exists():
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                self._read(file)

    @contextmanager
    def _writing(self) -> Iterator[IO[bytes] | None]:
        """The file, held against other processes, with all that they committed read and nothing else in it."""
        if self._path is None:
            yield None
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._read(file)
            file.truncate(self._num_bytes_read)
            yield file

    def _commit(self, file: IO[bytes] | None, entries: Sequence[Mapping[str, Any]]) -> None:
        lines = [json.dumps(entry, sort_keys=True).encode() + b"\n" for entry in entries]
        if file is None:
            for line in lines:
                self._take(line)
            return
        file.write(b"".join(lines))
        file.flush()
        os.fsync(file.fileno())
        self._read(file)

    def _read(self, file: IO[bytes]) -> None:
        """Take the lines committed since the last look; what follows the last newline was never committed."""
        file.seek(self._num_bytes_read)
        for line in file:
            if line.endswith(b"\n"):
                self._take(line)
                self._num_bytes_read += len(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            if "task" in entry:
                task = PairTask(**entry["task"] | {"references": tuple(entry["task"]["references"])})
                self._tasks[number("task", task.pair_id)] = task
            else:
                self._arrived.append(Answer(**entry["answer"] | {"result": tuple(entry["answer"]["result"])}))
        except (ValueError, TypeError, KeyError) as error:
            raise BoardDamaged(
                f"{self._path}: the line at byte {self._num_bytes_read} cannot be read ({error!r}); cut it out by hand"
            ) from error
