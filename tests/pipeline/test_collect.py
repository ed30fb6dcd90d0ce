"""Collecting: what happens on a board comes into the warehouse once, whole, and with its history."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from annotate.board import Arrivals
from annotate.home import BoardHome, Member
from annotate.memory_board import MemoryBoard
from flows.collect import Collected, collect
from tests import factories
from tests.collect_world import MEMBERS, CollectWorld
from warehouse import tables
from warehouse.board_records import Watermark
from warehouse.errors import BadRecipe
from warehouse.records import Label, Outcome, Purpose, Vote

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return CollectWorld(tmp_path_factory.mktemp("filled") / "home").fill().home


@pytest.fixture
def world(filled: Path, home: Path) -> CollectWorld:
    shutil.copytree(filled, home)
    return CollectWorld(home)


def collected(world: CollectWorld, *, full: bool = False, reconcile: bool = False) -> Collected:
    found = collect(world.settings, world.recipe(), world.board, full=full, reconcile=reconcile)
    assert world.offences() == []
    return found


def labels(world: CollectWorld) -> dict[str, Label]:
    return {label.pair_id: label for label in world.records("label")}


# What comes in.


def test_votes_come_in_once_with_sides_unswapped_and_settle_their_pair(world: CollectWorld) -> None:
    for user in (7, 8):
        world.vote(0, Outcome.A, user=user)
        world.vote(1, Outcome.A, user=user)
    found = collected(world)
    assert (found.num_votes, found.num_labels) == (4, 2)
    assert set(world.votes()) == {"0 ann A", "0 ben A", "1 ann B", "1 ben B"}, "pair 1 is shown swapped"
    settled = labels(world)
    assert (settled["pair_0"].outcome, settled["pair_1"].outcome) == (Outcome.A, Outcome.B)
    assert settled["pair_2"].reason == "no votes"
    assert not collected(world).is_news
    assert len(world.records("vote_event")) == 4


def test_an_edit_replaces_the_vote_and_keeps_the_history(world: CollectWorld) -> None:
    answer = world.vote(0, Outcome.A)
    collected(world)
    world.vote(0, Outcome.B, answer=answer)
    assert collected(world).num_edited == 1
    assert set(world.votes()) == {"0 ann B"}
    assert world.history() == ["100 cast", "100 edited"]
    assert labels(world)["pair_0"].num_b == 1


def test_a_deleted_vote_is_taken_down_with_a_tombstone_and_its_pair_settled_anew(world: CollectWorld) -> None:
    answers = [world.vote(0, Outcome.A, user=user) for user in (7, 8)]
    assert collected(world).num_labels == 1
    world.board.remove(answers[:1])
    found = collected(world)
    assert (found.num_deleted, found.num_labels) == (1, 0)
    assert set(world.votes()) == {"0 ben A"}
    assert world.history() == ["100 cast", "200 cast", "100 deleted"]
    assert labels(world)["pair_0"].reason == "too few votes"


def test_a_skip_is_counted_and_becomes_a_vote_when_it_is_edited(world: CollectWorld) -> None:
    answer = world.vote(0, None)
    assert collected(world).num_skipped == 1
    assert world.votes() == {}
    world.vote(0, Outcome.TIE, answer=answer)
    assert collected(world).num_edited == 1
    assert set(world.votes()) == {"0 ann tie"}


def test_an_unreadable_answer_is_told_once_and_costs_itself_alone(world: CollectWorld) -> None:
    answer = world.vote(0, Outcome.A)
    collected(world)
    world.vote(0, None, answer=answer, was_cancelled=False)
    world.vote(1, Outcome.TIE)
    found = collected(world)
    assert found.unreadable == (f"answer {answer} about pair_0: no vote among the answers []",)
    assert found.num_votes == 1
    assert set(world.votes()) == {"1 ann tie"}
    assert collected(world).unreadable == ()


def test_a_task_that_nobody_here_published_is_told_and_harms_nothing(world: CollectWorld) -> None:
    world.board.publish([factories.pair_task(showing_id="showing_9")])
    answer = world.vote(9, Outcome.A)
    (line,) = collected(world).unreadable
    assert f"answer {answer}: task" in line and "shows showing_9, which nobody here published" in line
    assert not collected(world, reconcile=True).is_news
    assert not collected(world, full=True).is_news
    world.board.remove_tasks(["showing_9"])
    assert collected(world, reconcile=True).num_deleted == 1


def show_again(world: CollectWorld) -> None:
    """Pair 0 a second time, with the sides exchanged."""
    repeat = factories.showing(
        showing_id="showing_7", pair_id="pair_0", purpose=Purpose.SWAPPED_REPEAT, repeats="showing_0", is_swapped=True
    )
    with world.settings.warehouse.transaction() as session:
        tables.insert(session, "showing", tables.to_arrow(type(repeat), [repeat]))
    world.put_up([repeat], world.board)


def test_votes_of_repeats_come_in_and_count_in_no_label(world: CollectWorld) -> None:
    show_again(world)
    world.vote(0, Outcome.A)
    world.vote(7, Outcome.A)
    assert collected(world).num_votes == 2
    assert {vote.purpose: vote.outcome for vote in world.records("vote")} == {"vote": "A", "swapped_repeat": "B"}
    assert labels(world)["pair_0"].num_votes == 1


def test_somebody_invited_after_their_vote_is_known_after_a_full_read(world: CollectWorld) -> None:
    world.vote(0, Outcome.A, user=9)
    collected(world)
    assert [vote.is_known for vote in world.records("vote")] == [False]
    BoardHome(world.settings.board).keep_members((*MEMBERS, Member(user=9, name="cy", email="cy@x")))
    collected(world, full=True)
    assert [(vote.annotator, vote.is_known) for vote in world.records("vote")] == [("cy", True)]
    assert labels(world)["pair_0"].num_votes == 1


# Deleted tasks.


def test_a_deleted_task_is_found_by_reconciling_and_by_a_full_read(world: CollectWorld) -> None:
    for place in range(3):
        world.vote(place, Outcome.A)
    collected(world)
    world.board.remove_tasks(["showing_0"])
    assert collected(world).num_deleted == 0, "nothing tells of it"
    assert collected(world, reconcile=True).num_deleted == 1
    world.board.remove_tasks(["showing_1"])
    assert collected(world, full=True).num_deleted == 1
    assert set(world.votes()) == {"2 ann A"}


def test_deleted_tasks_are_looked_for_once_a_day_without_being_asked(world: CollectWorld) -> None:
    world.vote(0, Outcome.A)
    collected(world)
    world.board.remove_tasks(["showing_0"])
    (mark,) = [one for one in world.records("watermark") if one.board == "memory"]
    with world.settings.warehouse.transaction() as session:
        session.execute("UPDATE watermark SET reconciled_at = '2026-01-01T00:00:00Z' WHERE board = 'memory'")
    assert collected(world).num_deleted == 1
    (after,) = [one for one in world.records("watermark") if one.board == "memory"]
    assert after.reconciled_at > mark.reconciled_at


class Doubled(MemoryBoard):
    """A board on which a showing stands twice, once under a number that its listing of showings does not have."""

    def numbers(self) -> dict[str, int]:
        return {showing_id: number + (showing_id == "showing_0") for showing_id, number in super().numbers().items()}


def test_a_task_beside_another_of_its_showing_is_not_mistaken_for_a_deleted_one(world: CollectWorld) -> None:
    world.vote(0, Outcome.A)
    collected(world)
    board = Doubled(world.settings.board / "showings.jsonl")
    assert not collect(world.settings, world.recipe(), board, reconcile=True).is_news
    world.board.remove_tasks(["showing_0"])
    assert collect(world.settings, world.recipe(), Doubled(world.settings.board / "showings.jsonl"), reconcile=True)
    assert world.votes() == {}


def test_a_vote_on_a_task_that_is_deleted_while_it_is_collected_is_cast_first_and_missed_next_time(
    world: CollectWorld,
) -> None:
    board = Interrupted(world, lambda: world.board.remove_tasks(["showing_0"]))
    world.vote(0, Outcome.A)
    assert collect(world.settings, world.recipe(), board, reconcile=True).num_votes == 1
    assert collected(world, reconcile=True).num_deleted == 1
    assert world.history() == ["100 cast", "100 deleted"]


# Several at once, and kills.


class Interrupted(MemoryBoard):
    """A board on which something happens right after it was read the first time."""

    def __init__(self, world: CollectWorld, happening: Callable[[], object]) -> None:
        super().__init__(world.settings.board / "showings.jsonl")
        self.happening: list[Callable[[], object]] = [happening]
        self.num_reads = 0

    def changes(self, since: str | None = None) -> Arrivals:
        arrivals = super().changes(since)
        self.num_reads += 1
        while self.happening:
            self.happening.pop()()
        return arrivals


def test_of_two_collections_at_once_the_second_reads_again_and_doubles_nothing(world: CollectWorld) -> None:
    answer = world.vote(0, Outcome.A)

    def meanwhile() -> None:
        world.vote(0, Outcome.B, answer=answer)
        world.vote(1, Outcome.TIE)
        assert collected(world).num_votes == 2

    board = Interrupted(world, meanwhile)
    assert not collect(world.settings, world.recipe(), board).is_news
    assert board.num_reads == 2
    assert world.history() == ["100 cast", "300 cast"]
    assert set(world.votes()) == {"0 ann B", "1 ann tie"}, "what was read first is old"


def test_a_collection_that_reconciled_meanwhile_is_noticed_too(world: CollectWorld) -> None:
    world.vote(0, Outcome.A)
    collected(world)
    board = Interrupted(world, lambda: collected(world, reconcile=True))
    assert not collect(world.settings, world.recipe(), board).is_news
    assert board.num_reads == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from flows import collect as module
from tests.collect_world import CollectWorld
from warehouse import tables
from warehouse.database import Warehouse

def die(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def after(function):
    def both(*given, **named):
        function(*given, **named)
        die()
    return both

point, world = sys.argv[2], CollectWorld(Path(sys.argv[1]))
if point == "events":
    tables.replace = die
if point == "mark":
    module._keep = after(module._keep)
module.collect(world.settings, world.recipe(), world.board)
die()
"""


@pytest.mark.parametrize("point", ["events", "mark", "done"])
def test_a_kill_leaves_all_of_a_collection_or_nothing(world: CollectWorld, point: str) -> None:
    first = world.vote(0, Outcome.A)
    collected(world)
    before = (world.history(), world.votes(), labels(world), world.records("watermark"))
    world.vote(0, Outcome.B, answer=first)
    second = world.vote(1, Outcome.A)
    command = [sys.executable, "-c", KILLED, str(world.home), point]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    after = (world.history(), world.votes(), labels(world), world.records("watermark"))
    assert (after == before) == (point != "done")
    assert collected(world).num_votes == (point != "done")
    assert world.history() == [f"{first} cast", f"{first} edited", f"{second} cast"]
    assert set(world.votes()) == {"0 ann B", "1 ann B"}


def test_collectors_in_several_processes_double_nothing(home: Path) -> None:
    world = CollectWorld(home, num_pairs=40).fill()
    code = (
        "import sys; from pathlib import Path; from flows.collect import collect;"
        " from tests.collect_world import CollectWorld; world = CollectWorld(Path(sys.argv[1]), 40);"
        " print(sum(collect(world.settings, world.recipe(), world.board).num_votes for _ in range(3)))"
    )
    collectors = [
        subprocess.Popen([sys.executable, "-c", code, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for place in range(40):
        world.vote(place, Outcome.A)
    counts = [int(each.communicate(timeout=60)[0]) for each in collectors]
    assert [each.returncode for each in collectors] == [0, 0]
    assert sum(counts) + collected(world).num_votes == 40
    assert len(world.records("vote_event")) == len(world.records("vote")) == 40


# Labels.


def test_only_pairs_that_were_touched_are_settled(world: CollectWorld) -> None:
    world.vote(0, Outcome.A)
    collected(world)
    with world.settings.warehouse.transaction() as session:
        session.execute("UPDATE label SET reason = 'untouched'")
    world.vote(1, Outcome.A)
    collect(world.settings, world.recipe(), world.board)
    assert {name: label.reason for name, label in labels(world).items()} == {
        "pair_0": "untouched", "pair_1": "too few votes", "pair_2": "untouched",
    }  # fmt: skip


def test_all_pairs_are_settled_where_the_recipe_or_the_votes_of_models_changed(world: CollectWorld) -> None:
    world.vote(0, Outcome.A)
    assert collected(world).num_labels == 0
    alone = world.recipe(num_a_pair=1)
    assert collect(world.settings, alone, world.board).num_labels == 1
    judged = factories.vote(pair_id="pair_1", origin="vlm", raw='{"judge_key": "left"}')
    with world.settings.warehouse.transaction() as session:
        tables.insert(session, "vote", tables.to_arrow(Vote, [judged]))
        session.execute("UPDATE label SET reason = 'untouched'")
    assert collect(world.settings, alone, world.board).num_labels == 1
    assert "untouched" not in {label.reason for label in labels(world).values()}


def test_where_nobody_votes_the_board_is_not_asked_and_everything_is_settled(world: CollectWorld) -> None:
    world.vote(0, Outcome.A)
    found = collect(world.settings, world.recipe("nobody"), world.board)
    assert not found.is_news and world.votes() == {}
    assert {label.reason for label in labels(world).values()} == {"no votes"}


def test_simulated_annotators_vote_once_and_with_the_same_code(home: Path) -> None:
    world = CollectWorld(home, num_pairs=40).fill()
    recipe = world.recipe("simulated")
    assert collect(world.settings, recipe, world.board).num_votes == 120
    num_right = sum(label.outcome is Outcome.A for label in labels(world).values())
    assert num_right >= 34, "a majority of these three errs in about one pair of twenty"
    assert not collect(world.settings, recipe, world.board).is_news
    assert world.offences() == []


def test_simulated_annotators_answer_a_repeat_in_the_same_collection_as_what_it_repeats(world: CollectWorld) -> None:
    show_again(world)
    recipe = world.recipe("simulated")
    assert collect(world.settings, recipe, world.board).num_votes == 9 + 3
    assert labels(world)["pair_0"].num_votes == 3
    assert not collect(world.settings, recipe, world.board).is_news


def test_simulated_annotators_cannot_vote_on_a_board_of_people(world: CollectWorld) -> None:
    class Elsewhere:
        name = "labelstudio"

    with pytest.raises(BadRecipe, match="simulated annotators cannot vote on labelstudio"):
        collect(world.settings, world.recipe("simulated"), Elsewhere())  # type: ignore[arg-type]


def test_the_mark_of_another_board_is_not_ours(world: CollectWorld) -> None:
    with world.settings.warehouse.transaction() as session:
        other = Watermark(board="other", mark="99", reconciled_at=None)
        tables.insert(session, "watermark", tables.to_arrow(Watermark, [other]))
    world.vote(0, Outcome.A)
    assert collected(world).num_votes == 1
    assert other in world.records("watermark")
