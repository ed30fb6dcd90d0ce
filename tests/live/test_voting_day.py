"""A day of voting as it is meant: people in real browsers on a team's board, and every vote in the warehouse once.

What is better is known: the brighter video (`pair_stages`). People vote by what they see on their screens, so that a
side which is not turned back is a wrong vote here. Screenshots are kept in `LIKENESS_SHOTS`, for people to look at.
"""

import json
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotate.home import BoardHome
from annotate.hosting.configuration import BoardConfig
from annotate.hosting.invite import invite
from annotate.hosting.up import down, up
from flows import recipe as recipes
from flows.board import board_of
from flows.collect import collect
from flows.curate import curate
from flows.generate import generate
from flows.ingest import ingest
from flows.progress import Progress
from flows.publish import publish
from flows.settings import Settings
from tests.live.conftest import tell
from tests.live.hosted import postgresql_server
from tests.pair_stages import BRIGHTNESS, PAIRS, write_profile
from tests.voters import Person, vote
from warehouse import checks, gates, queries
from warehouse.board_records import EventKind
from warehouse.records import Origin, Outcome, Purpose

pytestmark = pytest.mark.live

SHOTS = Path(os.environ.get("LIKENESS_SHOTS") or tempfile.mkdtemp(prefix="likeness-shots-"))
NUM_CLIPS = 10
NUM_PAIRS = NUM_CLIPS * len(PAIRS)
HOUR_PAIRS = 200


class Day:
    """A board whose pairs have a side that is known to be better, and the warehouse behind it."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        numbers = {"LIKENESS_HOME": str(home), "LIKENESS_WORKERS": "0", "LIKENESS_ORCHESTRATOR": "none"}
        self.settings = Settings.read(numbers)
        self.profile = home / "day.toml"
        self.connection = up(self.board_home, BoardConfig.read(environment | numbers), tell)

    @property
    def board_home(self) -> BoardHome:
        return BoardHome(self.settings.board)

    def make(self, num_clips: int, votes: str = "") -> int:
        """Make pairs of so many clips and put them up; how many."""
        self.recipe = recipes.load(
            write_profile(
                self.profile,
                annotators="people",
                labels='[labels]\norigin = "human"',
                make="num_frames = 12\nside_px = 320\nis_marked = true",
                votes=votes,
            )
        )
        folder = self.settings.home / "footage"
        folder.mkdir(parents=True, exist_ok=True)
        captions = [f"The brighter of two squares, number {place}." for place in range(num_clips)]
        for place, caption in enumerate(captions):
            (folder / f"{place}.mp4").write_bytes(caption.encode())
        rows = [{"path": f"{place}.mp4", "caption": caption} for place, caption in enumerate(captions)]
        (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
        ingest(self.settings, folder, None, progress=Progress("test"))
        curate(self.settings, self.recipe, dataset=None, progress=Progress("test"))
        generate(self.settings, self.recipe, dataset=None, progress=Progress("test"))
        with closing(board_of(self.settings, self.recipe)) as board:
            return publish(self.settings, self.recipe, board).num_pairs

    def invite(self, name: str, *, is_adjudicator: bool = False) -> Person:
        invited = invite(self.board_home, name, is_adjudicator=is_adjudicator, tell=tell)
        return Person(email=invited.member.email, password=invited.password)

    def collect(self) -> Any:
        with closing(board_of(self.settings, self.recipe)) as board:
            return collect(self.settings, self.recipe, board)

    def records(self, noun: str) -> list[Any]:
        with self.settings.warehouse.session() as session:
            return queries.records(session, noun)

    def truth(self) -> dict[str, Outcome]:
        """By pair id: which candidate is the brighter one."""
        levels = {one.candidate_id: BRIGHTNESS[one.generator] for one in self.records("candidate")}
        found = {}
        for pair in self.records("pair"):
            gap = levels[pair.candidate_a] - levels[pair.candidate_b]
            found[pair.pair_id] = Outcome.A if gap > 0 else Outcome.B if gap < 0 else Outcome.TIE
        return found

    def offences(self) -> list[Any]:
        with self.settings.warehouse.session() as session:
            gates.judge(session, self.recipe.steps)
            return checks.offences(session, self.recipe.steps)


@pytest.fixture(scope="module")
def team(live_root: Path, label_studio_environment: Path) -> Iterator[Day]:
    """On PostgreSQL."""
    with postgresql_server(live_root / "day_postgresql") as database:
        day = Day(
            live_root / "day",
            {
                "LIKENESS_BOARD_PORT": "0",
                "LIKENESS_LABEL_STUDIO": str(label_studio_environment),
                "LIKENESS_BOARD_DATABASE": str(database),
                "LIKENESS_BOARD_DATABASE_PASSWORD": database.password,
            },
        )
        yield day
        down(day.board_home, tell)


@pytest.fixture(scope="module")
def alone(live_root: Path, label_studio_environment: Path) -> Iterator[Day]:
    """On SQLite, as one annotator has it."""
    day = Day(live_root / "hour", {"LIKENESS_BOARD_PORT": "0", "LIKENESS_LABEL_STUDIO": str(label_studio_environment)})
    yield day
    down(day.board_home, tell)


def test_four_people_vote_on_sixty_pairs_and_every_vote_is_in_the_warehouse_once(team: Day) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    assert team.make(NUM_CLIPS, "repeat_share = 0.05\nswapped_repeat_share = 0.05") == NUM_PAIRS
    people = [team.invite(name) for name in ("ann", "bob", "cem", "dee")]
    vote(team.connection.origin, people, shots=SHOTS)
    assert [person.refused for person in people] == [[], [], [], []]
    assert team.collect().num_votes == sum(len(person.keys) for person in people)
    assert team.collect().num_votes == 0

    votes, truth = team.records("vote"), team.truth()
    asked = [one for one in votes if not one.purpose.is_repeat]
    assert Counter(one.pair_id for one in asked) == dict.fromkeys(truth, 3)
    assert len({(one.pair_id, one.annotator) for one in asked}) == len(asked) == 3 * NUM_PAIRS
    assert {(one.origin, one.is_known) for one in votes} == {(Origin.HUMAN, True)}
    assert Counter(one.annotator for one in votes) == {
        name: len(person.keys) for name, person in zip(("ann", "bob", "cem", "dee"), people, strict=True)
    }

    # Sides: everybody saw the brighter one, and the swap is undone; the two sides were about evenly used.
    assert [one for one in votes if one.outcome != truth[one.pair_id]] == []
    assert 0.25 < np.mean([one.is_swapped for one in asked]) < 0.75
    repeats = [one for one in votes if one.purpose.is_repeat]
    voted = {(one.pair_id, one.annotator): one for one in asked}
    assert {one.purpose for one in repeats} == {Purpose.REPEAT, Purpose.SWAPPED_REPEAT}
    for one in repeats:
        is_turned = one.is_swapped != voted[one.pair_id, one.annotator].is_swapped
        assert is_turned == (one.purpose is Purpose.SWAPPED_REPEAT)

    events = team.records("vote_event")
    assert Counter(event.kind for event in events) == {EventKind.CAST: len(votes)}
    assert {event.vote_id for event in events} == {one.vote_id for one in votes}
    labels = {label.pair_id: label for label in team.records("label") if label.outcome}
    assert {pair_id: label.outcome for pair_id, label in labels.items()} == truth
    assert {label.num_votes for label in labels.values()} == {3}
    assert team.offences() == []
    seconds = defaultdict(list)
    for one in votes:
        seconds[one.annotator].append(one.seconds)
    print(f"\n{len(votes)} votes; screenshots in {SHOTS}; waits {_told(people)}")


def test_one_person_votes_on_two_hundred_pairs_by_keyboard(alone: Day) -> None:
    """How long somebody waits is printed; no limit is asserted, because the machine is shared."""
    assert alone.make(-(-HOUR_PAIRS // len(PAIRS))) >= HOUR_PAIRS
    eve = alone.invite("eve")
    vote(alone.connection.origin, [eve], most=HOUR_PAIRS)
    assert eve.refused == []
    assert alone.collect().num_votes == HOUR_PAIRS
    truth = alone.truth()
    assert [one for one in alone.records("vote") if one.outcome != truth[one.pair_id]] == []
    print(f"\n{HOUR_PAIRS} pairs on SQLite: from submit to the next pair playing {_told([eve])}")


def _told(people: list[Person]) -> str:
    waits_s = [wait for person in people for wait in person.waits_s]
    p50, p95 = np.percentile(waits_s, [50, 95])
    lost = sum(person.num_presses_lost for person in people)
    return f"p50 {p50:.3f} s, p95 {p95:.3f} s over {len(waits_s)}; Ctrl+Enter pressed again {lost} times"
