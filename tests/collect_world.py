"""A home whose pairs are on a board that needs no server, and people who vote there: for tests of collecting."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotate.board import PairBoard, task_of
from annotate.home import BoardHome, Member
from annotate.interface import Parsed, result_of
from annotate.memory_board import MemoryBoard
from flows.recipe import Recipe
from flows.settings import Settings
from tests import factories
from warehouse import queries, tables
from warehouse.board_records import Showing, VoteEvent
from warehouse.checks import Offence, offences
from warehouse.gates import judge
from warehouse.records import Candidate, Clip, Outcome, Pair, Source, Vote

MEMBERS = (Member(user=7, name="ann", email="ann@x"), Member(user=8, name="ben", email="ben@x"))

PROFILE = """
[votes]
annotators = "{annotators}"
num_a_pair = 3
seed = 0
[labels]
origin = "{origin}"
"""


@dataclass
class CollectWorld:
    """`num_pairs` pairs of one clip each are published; `vote` is the page."""

    home: Path
    num_pairs: int = 3
    clock: int = field(default=0, init=False)

    @property
    def settings(self) -> Settings:
        return Settings.read({"LIKENESS_HOME": str(self.home), "LIKENESS_ORCHESTRATOR": "none"})

    @property
    def board(self) -> MemoryBoard:
        return MemoryBoard(self.settings.board / "showings.jsonl")

    def recipe(self, annotators: str = "people", *, num_a_pair: int = 3, origin: str = "") -> Recipe:
        origin = origin or {"people": "human", "nobody": "vlm"}.get(annotators, annotators)
        votes = {"annotators": annotators, "num_a_pair": num_a_pair, "seed": 0}
        return Recipe(profile="test", stages=(), options={"votes": votes, "labels": {"origin": origin}})

    def profile(self, annotators: str) -> str:
        """The recipe as a file, for commands."""
        recipe = self.recipe(annotators)
        path = self.home.parent / "collect.toml"
        path.write_text(PROFILE.format(annotators=annotators, origin=recipe.options["labels"]["origin"]))
        return str(path)

    def fill(self) -> "CollectWorld":
        """Everything from sources to showings, on the board too; and who may vote there."""
        self.fill_board(self.board)
        BoardHome(self.settings.board).keep_members(MEMBERS)
        return self

    def fill_board(self, board: PairBoard) -> None:
        """The same for any board; those who vote there are invited elsewhere."""
        showings = self.showings(board=board.name)
        self.fill_warehouse(showings)
        self.put_up(showings, board)

    def fill_warehouse(self, showings: Sequence[Showing]) -> None:
        """From sources to these showings."""
        rows: dict[str, tuple[type[Any], Sequence[Any]]] = {
            "source": (Source, [factories.source()]),
            "clip": (Clip, [factories.clip()]),
            "candidate": (Candidate, self.candidates()),
            "pair": (Pair, self.pairs()),
            "showing": (Showing, showings),
        }
        with self.settings.warehouse.transaction() as session:
            for table, (kind, records) in rows.items():
                tables.insert(session, table, tables.to_arrow(kind, records))

    def pairs(self) -> list[Pair]:
        return [
            factories.pair(
                pair_id=f"pair_{place}",
                candidate_a=f"candidate_{place}a",
                candidate_b=f"candidate_{place}b",
                is_swapped=place % 2 == 1,
            )
            for place in range(self.num_pairs)
        ]

    def candidates(self) -> list[Candidate]:
        made = {"a": ("original", 0.0), "b": ("identity_swap", 0.9)}
        return [
            factories.candidate(candidate_id=f"candidate_{place}{side}", generator=generator, severity=severity)
            for place in range(self.num_pairs)
            for side, (generator, severity) in made.items()
        ]

    def showings(self, **override: Any) -> list[Showing]:
        return [self.showing(place, **override) for place in range(self.num_pairs)]

    def showing(self, place: int, **override: Any) -> Showing:
        values = {"showing_id": f"showing_{place}", "pair_id": f"pair_{place}", "is_swapped": place % 2 == 1}
        return factories.showing(**values | override)

    def put_up(self, showings: Sequence[Showing], board: PairBoard) -> None:
        pairs = {pair.pair_id: pair for pair in self.pairs()}
        files = {one.candidate_id: f"{one.candidate_id}.mp4" for one in self.candidates()}
        board.publish([task_of(one, pairs[one.pair_id], prompt="p", references=(), videos=files) for one in showings])

    def vote(
        self, place: int, outcome: Outcome | None, *, user: int = 7, answer: int | None = None, **more: Any
    ) -> int:
        """Answer a pair as shown (None: skip it), and give the answer's id: give it back to edit that answer."""
        self.clock += 1
        answer_id = 100 * self.clock if answer is None else answer
        given = {
            "id": answer_id,
            "task": self.board.numbers()[f"showing_{place}"],
            "completed_by": user,
            "result": result_of(Parsed(outcome=outcome)) if outcome else (),
            "was_cancelled": outcome is None,
            "updated_at": f"2026-01-01T{self.clock // 3600:02}:{self.clock // 60 % 60:02}:{self.clock % 60:02}Z",
        }
        self.board.submit([factories.answer(**(given | more))])
        return answer_id

    def records(self, table: str) -> list[Any]:
        with self.settings.warehouse.session() as session:
            return queries.records(session, table)

    def votes(self) -> dict[str, Vote]:
        """What stands, by answer: `1 ann A` of `pair_1`."""
        return {f"{vote.pair_id[5:]} {vote.annotator} {vote.outcome}": vote for vote in self.records("vote")}

    def history(self) -> list[str]:
        """What happened, in order."""
        events: list[VoteEvent] = self.records("vote_event")
        return [f"{event.answer} {event.kind}" for event in sorted(events, key=lambda e: (e.collection, e.answer))]

    def offences(self) -> list[Offence]:
        with self.settings.warehouse.session() as session:
            judge(session, [])
            return [each for each in offences(session, []) if each.rule != "clips without a source"]
