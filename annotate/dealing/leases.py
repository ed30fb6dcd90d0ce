"""Which tasks were dealt to whom and until when their seats are kept, in a file that outlives the gateway.

A line of the file is one deal: `{"user": 7, "task": 12, "at": 1766300000.0}`; lines are only added, and compacted at
the start to the latest of each person and task. A line is not synced: a power cut may cost people a reload, no vote.
One process at a time has the file.
"""

import heapq
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from annotate.errors import BoardDamaged
from warehouse import files

LEASE_S = 30 * 60
"""How long a dealt task is kept for a person: much longer than a pair takes, shorter than a lunch."""
CLAIM_S = 60
"""How long a seat is kept for an answer that is on its way to the board."""

Deal = tuple[int, int]
"""A person and a task's number."""


class Leases:
    """Each person has one live lease at most: what was dealt to them last. Times are seconds since 1970."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dealt: dict[int, dict[int, float]] = {}
        self._held: dict[int, int] = {}
        self._holders: dict[int, dict[int, float]] = {}
        """When the seat of each ends, by task and person: leases, and claims."""
        self._ends: list[tuple[float, int, int]] = []
        for (user, number), at in _compacted(path).items():
            self._take(user, number, at)

    def deal(self, user: int, number: int, now: float) -> Collection[int]:
        """Give a person a task, or again the one they hold; the tasks whose seats changed."""
        line = json.dumps({"user": user, "task": number, "at": now}) + "\n"
        with files.full_disk_told(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
        return self._take(user, number, now)

    def claim(self, user: int, number: int, now: float) -> None:
        """Keep a seat while an answer is on its way; a lease that is longer stays as it is."""
        ends = self._holders.get(number, {}).get(user, now)
        self._hold(user, number, max(ends, now + CLAIM_S))

    def release(self, user: int, number: int) -> None:
        """Free the seat, if the person has it: they answered, or it is not theirs any more."""
        if self._held.get(user) == number:
            del self._held[user]
        holders = self._holders.get(number, {})
        holders.pop(user, None)
        if not holders:
            self._holders.pop(number, None)

    def lapse(self, now: float) -> Collection[int]:
        """Free the seats whose time is over; the tasks that they belonged to."""
        freed = set()
        while self._ends and self._ends[0][0] <= now:
            ends, user, number = heapq.heappop(self._ends)
            if self._holders.get(number, {}).get(user) == ends:
                self.release(user, number)
                freed.add(number)
        return freed

    def held(self, user: int) -> int | None:
        """The task that a person's live lease is on."""
        return self._held.get(user)

    def holders(self, number: int) -> Collection[int]:
        """Who has a seat at a task."""
        return self._holders.get(number, {}).keys()

    def dealt(self, user: int) -> Mapping[int, float]:
        """When each task was last dealt to a person, the oldest first."""
        return self._dealt.get(user, {})

    def latest(self, user: int) -> int | None:
        """What was dealt to a person last."""
        return next(reversed(self._dealt.get(user, {})), None)

    def _take(self, user: int, number: int, at: float) -> Collection[int]:
        former = self._held.get(user)
        if former is not None:
            self.release(user, former)
        dealt = self._dealt.setdefault(user, {})
        dealt.pop(number, None)
        dealt[number] = at
        self._held[user] = number
        self._hold(user, number, at + LEASE_S)
        return {number} if former is None else {number, former}

    def _hold(self, user: int, number: int, ends: float) -> None:
        self._holders.setdefault(number, {})[user] = ends
        heapq.heappush(self._ends, (ends, user, number))


def _compacted(path: Path) -> Mapping[Deal, float]:
    """The latest deal of each task to each person, in their order; the file is left holding just these."""
    if not path.exists():
        return {}
    lines = path.read_bytes().split(b"\n")
    deals: dict[Deal, float] = {}
    for count, line in enumerate(lines[:-1], start=1):
        user, number, at = _read(path, count, line)
        deals.pop((user, number), None)
        deals[user, number] = at
    if lines[-1] or len(deals) < len(lines) - 1:
        kept = [json.dumps({"user": user, "task": number, "at": at}) for (user, number), at in deals.items()]
        files.write(path, "".join(f"{line}\n" for line in kept).encode())
    return deals


def _read(path: Path, count: int, line: bytes) -> tuple[int, int, float]:
    try:
        values = json.loads(line)
        return int(values["user"]), int(values["task"]), float(values["at"])
    except (ValueError, TypeError, KeyError) as error:
        raise BoardDamaged(
            f"{path}: line {count} is no deal ({error!r}); delete the file: people then load their next pair again"
        ) from error
