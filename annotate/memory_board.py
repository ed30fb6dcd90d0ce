"""A board that needs no server: in memory or, given a path, in a file of JSON lines that several processes share."""

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from annotate.board import Answer, AnsweredTask, Arrivals, Dealing, PairTask, number
from annotate.errors import BoardDamaged, BoardRefused
from warehouse.records import Purpose


class MemoryBoard:
    """A line is a task, an answer, a withdrawal or a removal, and is committed by its newline. Writers take turns by a
    lock on the file; what a killed writer left without a newline is read by nobody and cut off by the next writer.
    """

    name = "memory"

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._num_bytes_read = 0
        self._tasks: dict[int, PairTask] = {}
        self._answers: dict[int, dict[int, Answer]] = {}
        self._touched: list[int] = []

    def publish(self, tasks: Sequence[PairTask]) -> int:
        with self._writing() as file:
            numbered = {number("task", task.showing_id): task for task in tasks}
            new = [task for key, task in numbered.items() if key not in self._tasks]
            self._commit(file, [{"task": asdict(task)} for task in new])
        return len(new)

    def close(self) -> None:
        """Nothing is held between calls."""

    def withdraw(self, showing_ids: Collection[str]) -> int:
        with self._writing() as file:
            shown = [key for key in (number("task", showing_id) for showing_id in showing_ids) if key in self._tasks]
            standing = [key for key in shown if not self._tasks[key].dealing.is_withdrawn]
            self._commit(file, [{"withdrawn": key} for key in standing])
        return len(standing)

    def numbers(self) -> Mapping[str, int]:
        return {task.showing_id: key for key, task in self.tasks().items()}

    def tasks(self) -> Mapping[int, PairTask]:
        """Everything that is up, by number."""
        self._look()
        return dict(self._tasks)

    def submit(self, answers: Sequence[Answer]) -> int:
        """Take answers as a page would; say how many were new or edited."""
        with self._writing() as file:
            strange = next((answer for answer in answers if answer.task not in self._tasks), None)
            if strange is not None:
                raise BoardRefused(f"answer {strange.id}: no task {strange.task} is up here; publish its pair first")
            new = [answer for answer in answers if self._answers[answer.task].get(answer.id) != answer]
            self._commit(file, [{"answer": asdict(answer)} for answer in new])
        return len(new)

    def remove(self, answer_ids: Collection[int]) -> int:
        """Delete answers as their annotators would; say how many were there."""
        with self._writing() as file:
            there = [
                (key, answer) for key, answers in self._answers.items() for answer in answers if answer in answer_ids
            ]
            self._commit(file, [{"removed_answer": answer, "of_task": key} for key, answer in there])
        return len(there)

    def remove_tasks(self, showing_ids: Collection[str]) -> int:
        """Delete tasks with all their answers, as an owner of the board may; say how many were there."""
        with self._writing() as file:
            there = [key for key, task in self._tasks.items() if task.showing_id in showing_ids]
            self._commit(file, [{"removed_task": key} for key in there])
        return len(there)

    def changes(self, since: str | None = None) -> Arrivals:
        self._look()
        recent = dict.fromkeys(self._touched[int(since or 0) :])
        return Arrivals(
            tasks=tuple(
                AnsweredTask(number=key, task=self._tasks[key], answers=tuple(self._answers[key].values()))
                for key in recent
                if key in self._tasks
            ),
            mark=str(len(self._touched)),
        )

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
            self._touched.append(self._taken(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise BoardDamaged(
                f"{self._path}: the line at byte {self._num_bytes_read} cannot be read ({error!r}); cut it out by hand"
            ) from error

    def _taken(self, entry: Mapping[str, Any]) -> int:
        """The number of the task that the entry is about."""
        if "withdrawn" in entry:
            key = int(entry["withdrawn"])
            dealing = replace(self._tasks[key].dealing, is_withdrawn=True)
            self._tasks[key] = replace(self._tasks[key], dealing=dealing)
            return key
        if "removed_task" in entry:
            key = int(entry["removed_task"])
            del self._tasks[key], self._answers[key]
            return key
        if "removed_answer" in entry:
            key = int(entry["of_task"])
            del self._answers[key][int(entry["removed_answer"])]
            return key
        if "answer" in entry:
            answer = Answer(**entry["answer"] | {"result": tuple(entry["answer"]["result"])})
            self._answers[answer.task][answer.id] = answer
            return answer.task
        task = _task(entry["task"])
        key = number("task", task.showing_id)
        self._tasks[key] = task
        self._answers.setdefault(key, {})
        return key


def _task(values: Mapping[str, Any]) -> PairTask:
    dealing = values["dealing"] | {"purpose": Purpose(values["dealing"]["purpose"])}
    faces = values["faces"] and tuple(values["faces"])
    return PairTask(
        **{**values, "references": tuple(values["references"]), "dealing": Dealing(**dealing), "faces": faces}
    )
