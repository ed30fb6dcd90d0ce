"""`likeness publish`: every pair in play goes up once, whatever happens to the run that put it up."""

import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from click.testing import CliRunner

from annotate.board import PairTask
from annotate.errors import BoardDown
from annotate.home import BoardHome
from annotate.links import media_name
from annotate.memory_board import MemoryBoard
from flows import publish as publishing
from flows.board import board_of
from flows.cli import likeness
from flows.freeze import freeze
from flows.progress import Progress
from flows.publish import Published, publish, withdraw
from flows.recipe import Recipe
from flows.settings import Settings
from tests.judge_bench import Bench
from tests.pair_stages import BRIGHTNESS, video
from warehouse import queries
from warehouse.board_records import Gold, Showing
from warehouse.errors import BadInput, BadRecipe, NothingToDo
from warehouse.records import Outcome, Pair, Purpose

SOME_AGAIN = "repeat_share = 0.25\nswapped_repeat_share = 0.25\n"
BAD_IS_GOLD = 'gold = { generators = ["bad"], severity_min = 0.9, share = 0.5 }\n'
MOMENTS = ("before", "half", "after")


class Failing(MemoryBoard):
    """Fails once, at one of its moments: as an error, or as the end of its process."""

    def __init__(self, path: Path, moment: str, *, at: int = 1, is_fatal: bool = False) -> None:
        super().__init__(path)
        self.moment, self.left, self.is_fatal = moment, at, is_fatal

    def numbers(self) -> dict[str, int]:
        self._fail("numbers")
        return dict(super().numbers())

    def _commit(self, file: IO[bytes] | None, entries: Sequence[Any]) -> None:
        assert file is not None
        self._fail("before")
        if self.moment == "half" and self.left == 1:
            file.write(json.dumps(entries[0]).encode() + b"\n" + json.dumps(entries[-1]).encode()[:-9])
            file.flush()
        self._fail("half")
        super()._commit(file, entries)
        self._fail("after")

    def _fail(self, moment: str) -> None:
        if moment != self.moment or self.left == 0:
            return
        self.left -= 1
        if self.left == 0 and self.is_fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left == 0:
            raise BoardDown(f"the board went away at {moment}")


@pytest.fixture
def recipe(bench: Bench) -> Recipe:
    with bench.settings.warehouse.transaction() as session:
        session.execute("UPDATE candidate SET severity = 1.0 WHERE generator = 'bad'")
    return bench.recipe(votes=SOME_AGAIN + BAD_IS_GOLD)


def put_up(bench: Bench, recipe: Recipe, **options: Any) -> Published:
    return publish(bench.settings, recipe, board_of(bench.settings, recipe), **options)


def shown(bench: Bench) -> dict[str, Showing]:
    return {showing.showing_id: showing for showing in bench.records("showing")}


def tasks(bench: Bench) -> dict[str, PairTask]:
    """By showing id; each stands in the board's file once."""
    path = bench.settings.board / "showings.jsonl"
    lines = [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []
    assert max(Counter(line["task"]["showing_id"] for line in lines if "task" in line).values(), default=1) == 1
    return {task.showing_id: task for task in MemoryBoard(path).tasks().values()}


def drop(bench: Bench, recipe: Recipe) -> tuple[Recipe, set[str]]:
    """The recipe with a gate that takes pairs out of play, and the ids of those that stay."""
    fewer = bench.recipe(votes=SOME_AGAIN + BAD_IS_GOLD, gap="text_video_gap_max = 0.2")
    with bench.settings.warehouse.session() as session:
        from flows.exhibits import pairs_in_play
        from warehouse import gates

        gates.judge(session, fewer.steps)
        return fewer, {pair.pair_id for pair in pairs_in_play(session, fewer)}


# What goes up.


def test_faces_are_told_only_of_videos_that_keep_the_places_of_the_original(bench: Bench, recipe: Recipe) -> None:
    put_up(bench, recipe)
    generators = {one.candidate_id: one.generator for one in bench.records("candidate")}
    pairs = {pair.pair_id: pair for pair in bench.records("pair")}
    told = {
        frozenset(generators[each] for each in (pair.candidate_a, pair.candidate_b)): tasks(bench)[showing_id].faces
        for showing_id, showing in shown(bench).items()
        for pair in [pairs[showing.pair_id]]
    }
    (clip, *_) = bench.records("clip")
    x, y, w, h = told.pop(frozenset({"original", "bad"}))  # the only one of a known severity
    assert (x * clip.width_px, y * clip.height_px, w * clip.width_px, h * clip.height_px) == (40, 30, 40, 40)
    assert set(told.values()) == {None}


def test_every_pair_in_play_goes_up_once_however_often_it_is_run(bench: Bench, recipe: Recipe) -> None:
    first = put_up(bench, recipe)
    assert (first.num_pairs, first.num_before, first.num_waiting) == (24, 0, 0)
    assert Counter(showing.purpose for showing in shown(bench).values()) == first.num_showings
    before = shown(bench), tasks(bench)
    again = put_up(bench, recipe)
    assert (again.num_pairs, again.num_before, sum(again.num_showings.values())) == (0, len(before[0]), 0)
    assert (shown(bench), tasks(bench)) == before
    assert before[0].keys() == before[1].keys()


def test_a_task_shows_what_its_showing_says_under_names_that_tell_nothing(bench: Bench, recipe: Recipe) -> None:
    put_up(bench, recipe)
    candidates = {one.candidate_id: one for one in bench.records("candidate")}
    pairs: dict[str, Pair] = {pair.pair_id: pair for pair in bench.records("pair")}
    chosen = {one.clip_id: one.sha256 for one in bench.records("reference") if one.is_chosen}
    with bench.settings.warehouse.session() as session:
        prompts = {row["clip_id"]: row["prompt"] for row in queries.prompts(session)}
    found = tasks(bench)
    for showing_id, showing in shown(bench).items():
        pair, task = pairs[showing.pair_id], found[showing_id]
        sides = [f"media/{candidates[each].sha256}" for each in (pair.candidate_a, pair.candidate_b)]
        assert [task.video_a, task.video_b] == (sides[::-1] if showing.is_swapped else sides)
        assert (task.prompt, task.references) == (prompts[pair.clip_id], (f"media/{chosen[pair.clip_id]}",))
        assert (task.dealing.purpose, task.dealing.repeats) == (showing.purpose, showing.repeats)
        told = json.dumps([task.prompt, task.references, task.video_a, task.video_b])
        assert not any(word in told for word in (*BRIGHTNESS, "candidate", pair.pair_id) if word != "good")


def test_a_clip_without_a_caption_has_no_prompt(bench: Bench, recipe: Recipe) -> None:
    with bench.settings.warehouse.transaction() as session:
        session.execute("UPDATE source SET caption = NULL WHERE caption = 'one'")
    put_up(bench, recipe)
    assert sum(task.prompt is None for task in tasks(bench).values()) >= 6


def test_gold_by_the_rule_is_asked_of_everybody_and_is_told_in_the_warehouse(bench: Bench, recipe: Recipe) -> None:
    done = put_up(bench, recipe)
    gold: list[Gold] = bench.records("gold")
    assert 0 < len(gold) == done.num_gold == done.num_showings[Purpose.GOLD] < 4  # of the four clips' original and bad
    told, pairs = bench.better(), {pair.pair_id: pair for pair in bench.records("pair")}
    assert {told(pairs[each.pair_id], each.outcome) for each in gold} == {"original"}
    assert {each.pair_id for each in gold} == {
        showing.pair_id for showing in shown(bench).values() if showing.purpose is Purpose.GOLD
    }
    assert put_up(bench, recipe).num_gold == 0


def test_gold_of_a_file_is_shown_to_everybody_and_a_pair_that_is_up_keeps_its_showing(
    bench: Bench, recipe: Recipe, tmp_path: Path
) -> None:
    plain = bench.recipe()
    early, late = (pair.pair_id for pair in bench.records("pair")[:2])
    put_up(bench, plain, only=[early])
    (tmp_path / "gold.csv").write_text(f"pair_id,outcome\n{early},A\n{late},tie\n")
    assert put_up(bench, plain, gold=tmp_path / "gold.csv").num_gold == 2
    purposes = {showing.pair_id: showing.purpose for showing in shown(bench).values()}
    assert (purposes[early], purposes[late]) == (Purpose.VOTE, Purpose.GOLD)
    assert {each.pair_id: each.outcome for each in bench.records("gold")} == {early: Outcome.A, late: Outcome.TIE}
    assert put_up(bench, plain, gold=tmp_path / "gold.csv").num_gold == 0


def test_a_gold_file_with_an_error_puts_nothing_up(bench: Bench, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_text("pair_id,outcome\npair_9,A\n")
    with pytest.raises(BadInput, match="line 2: pair_9 is no pair"):
        put_up(bench, recipe, gold=tmp_path / "gold.csv")
    assert bench.records("showing") == bench.records("gold") == []
    assert not (bench.settings.board / "showings.jsonl").exists()


def test_batches_put_up_the_same_as_one_run_and_a_pair_comes_with_its_repeat(bench: Bench, recipe: Recipe) -> None:
    sizes = []
    while (done := put_up(bench, recipe, most=7)).num_pairs:
        sizes.append((done.num_pairs, done.num_waiting))
        repeated = {showing.repeats for showing in shown(bench).values()} - {None}
        assert repeated <= tasks(bench).keys() == shown(bench).keys()
    assert sizes == [(7, 17), (7, 10), (7, 3), (3, 0)]
    in_batches = shown(bench)
    with bench.settings.warehouse.transaction() as session:
        session.execute("DELETE FROM showing")
    (bench.settings.board / "showings.jsonl").unlink()
    put_up(bench, recipe)
    assert shown(bench) == in_batches


def test_only_what_is_named_goes_up_and_a_name_of_nothing_in_play_is_refused(bench: Bench, recipe: Recipe) -> None:
    one, two = (pair.pair_id for pair in bench.records("pair")[:2])
    assert put_up(bench, recipe, only=[one, two]).num_pairs == 2
    assert put_up(bench, recipe, only=[one]).num_pairs == 0
    assert {showing.pair_id for showing in shown(bench).values()} == {one, two}
    with pytest.raises(BadInput, match="pair_9: is no pair in play"):
        put_up(bench, recipe, only=["pair_9"])


def test_later_shares_change_nothing_for_pairs_that_are_up(bench: Bench, recipe: Recipe) -> None:
    put_up(bench, bench.recipe(), most=12)
    before = shown(bench)
    put_up(bench, bench.recipe(votes="repeat_share = 1.0"))
    assert before.items() <= shown(bench).items()
    assert Counter(showing.purpose for showing in shown(bench).values()) == {Purpose.VOTE: 24, Purpose.REPEAT: 12}


@pytest.mark.parametrize(
    ("votes", "complaint"),
    [
        ("repeat_share = 0.8\nswapped_repeat_share = 0.8", "sum to at most 1"),
        ("num_agreeing = 9", "num_agreeing is 9"),
        ("repeat_shares = 0.1", "no key 'repeat_shares'"),
        ('gold = { generators = ["bad"], severity_min = 2.0, share = 0.5 }', "votes.gold"),
        ('gold = { generators = ["bad"], severity_min = 1.0, part = 0.5 }', "votes.gold"),
        ("gold = { severity_min = 1.0, share = 0.5 }", "votes.gold"),
    ],
)
def test_a_profile_whose_votes_do_not_fit_together_is_refused(bench: Bench, votes: str, complaint: str) -> None:
    with pytest.raises(BadRecipe, match=complaint):
        put_up(bench, bench.recipe(votes=votes))


def test_annotators_that_nobody_knows_are_refused(bench: Bench) -> None:
    with pytest.raises(BadRecipe, match="'ghosts'; take one of people, simulated, nobody"):
        put_up(bench, bench.recipe(annotators="ghosts"))


def test_people_need_a_board_that_was_started(bench: Bench) -> None:
    with pytest.raises(BoardDown, match="`likeness board up` starts one"):
        put_up(bench, bench.recipe(annotators="people", labels='[labels]\norigin = "human"'))


# Files of a board with pages.


def put_up_for_people(bench: Bench, most: int | None = None) -> Published:
    recipe = bench.recipe(annotators="people", labels='[labels]\norigin = "human"', votes=SOME_AGAIN)
    board = MemoryBoard(bench.settings.board / "showings.jsonl")
    return publish(bench.settings, recipe, board, most=most, progress=Progress("test"))


def tasks_of_votes(bench: Bench) -> list[PairTask]:
    return [task for task in tasks(bench).values() if task.dealing.purpose is Purpose.VOTE]


def test_people_are_shown_files_under_names_that_only_the_key_tells_each_made_once(bench: Bench) -> None:
    assert put_up_for_people(bench).num_pairs == 24
    home = BoardHome(bench.settings.board)
    key = home.secrets().link_key
    sent = list(tasks(bench).values())
    names = {name for task in sent for name in (task.video_a, task.video_b, *task.references)}
    videos = {media_name(one.sha256, ".mp4", key=key) for one in bench.records("candidate")}
    pictures = {media_name(one.sha256, ".png", key=key) for one in bench.records("reference") if one.is_chosen}
    assert names == videos | pictures == {path.name for path in home.media.iterdir()}
    made = {path.name: path.stat().st_mtime_ns for path in home.media.iterdir()}
    with bench.settings.warehouse.transaction() as session:
        session.execute("DELETE FROM showing")
    (bench.settings.board / "showings.jsonl").unlink()
    put_up_for_people(bench)
    assert {path.name: path.stat().st_mtime_ns for path in home.media.iterdir()} == made


def test_a_file_that_cannot_be_shown_costs_its_own_pairs_until_it_can(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    with bench.settings.warehouse.transaction() as session:
        session.execute("UPDATE candidate SET sha256 = repeat('f', 64) WHERE generator = 'other_good'")
        session.execute("UPDATE candidate SET sha256 = sha256('none') WHERE generator = 'bad'")
    damaged = bench.settings.media.root / bench.settings.media.relative_path("f" * 64)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no video")
    assert put_up_for_people(bench, most=12).num_waiting == 12
    done = put_up_for_people(bench, most=12)  # those that cannot go up do not stand in the way of others
    assert (done.num_unshowable, done.num_waiting, len(tasks_of_votes(bench))) == (20, 0, 4)
    told = capsys.readouterr().err.splitlines()
    assert sum("cannot be shown to annotators" in line for line in told[-2:]) == 1
    assert sum("is not there; run the step that made it" in line for line in told[-2:]) == 1
    assert len({showing.pair_id for showing in shown(bench).values()}) == 24
    damaged.write_bytes(video(77))
    assert (again := put_up_for_people(bench)).num_pairs == 8
    assert again.num_unshowable == 12
    assert len(tasks(bench)) < len(shown(bench))


# Which goes up first.


def test_what_the_newest_reward_model_is_least_sure_of_goes_up_first(bench: Bench) -> None:
    from flows import train

    recipe = bench.recipe("bright", votes=SOME_AGAIN)
    with pytest.raises(NothingToDo, match="no reward_model is trained"):
        put_up(bench, recipe, select=publishing.UNCERTAIN)
    assert bench.records("showing") == []
    bench.judge(recipe)
    bench.collect(recipe)
    train.reward(bench.settings, recipe, freeze(bench.settings, recipe), progress=Progress("test"))
    done = put_up(bench, recipe, select=publishing.UNCERTAIN, most=4)
    assert (done.num_pairs, done.num_waiting, done.num_unscored) == (4, 20, 0)
    told, pairs = bench.better(), {pair.pair_id: pair for pair in bench.records("pair")}
    first = {showing.pair_id: showing.priority for showing in shown(bench).values()}
    # Two videos of one brightness: nothing tells them apart.
    assert {frozenset(told(pairs[each], side) for side in (Outcome.A, Outcome.B)) for each in first} == {
        frozenset({"good", "other_good"})
    }
    assert put_up(bench, recipe, select=publishing.UNCERTAIN).num_pairs == 20
    after = {showing.pair_id: showing.priority for showing in shown(bench).values()}
    assert first.items() <= after.items()
    assert max(priority for pair_id, priority in after.items() if pair_id not in first) < min(first.values())
    assert {task.dealing.priority for task in tasks(bench).values()} == set(after.values())


def test_a_way_to_choose_that_is_not_known_is_refused(bench: Bench, recipe: Recipe) -> None:
    with pytest.raises(BadInput, match="select 'hardest': take seeded or uncertain"):
        put_up(bench, recipe, select="hardest")


# What goes wrong.


@pytest.mark.parametrize(("moment", "at"), [("numbers", 1), *((moment, at) for moment in MOMENTS for at in (1, 3))])
def test_a_board_that_fails_has_each_pair_once_in_the_end(
    bench: Bench, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, moment: str, at: int
) -> None:
    monkeypatch.setattr("flows.publish.SHOWINGS_AT_ONCE", 10)
    with pytest.raises(BoardDown):
        publish(bench.settings, recipe, Failing(bench.settings.board / "showings.jsonl", moment, at=at))
    assert tasks(bench).keys() <= shown(bench).keys()
    healed = put_up(bench, recipe)
    assert tasks(bench).keys() == shown(bench).keys()
    assert len({showing.pair_id for showing in shown(bench).values()}) == 24
    assert healed.num_before + sum(healed.num_showings.values()) == len(shown(bench))
    assert put_up(bench, recipe).num_pairs == 0


def publish_and_die(home: str, profile: str, moment: str) -> None:
    """In a process of its own."""
    from flows import recipe as recipes

    publishing.SHOWINGS_AT_ONCE = 5
    settings = Settings.read({"LIKENESS_HOME": home, "LIKENESS_ORCHESTRATOR": "none"})
    board = Failing(settings.board / "showings.jsonl", moment, at=2, is_fatal=True)
    publish(settings, recipes.load(profile), board)


def test_a_run_that_is_killed_at_any_moment_leaves_each_pair_up_once_in_the_end(bench: Bench, recipe: Recipe) -> None:
    context = multiprocessing.get_context("spawn")
    for moment in MOMENTS:
        dying = context.Process(target=publish_and_die, args=(str(bench.home), recipe.profile, moment))
        dying.start()
        dying.join(60)
        assert dying.exitcode == -signal.SIGKILL
    # Dead between the warehouse and the board, in the middle of a line, and after a piece.
    assert 0 < len(shown(bench)) != len(tasks(bench)) > 0
    put_up(bench, recipe)
    assert tasks(bench).keys() == shown(bench).keys()
    assert len({showing.pair_id for showing in shown(bench).values()}) == 24


def publish_all(home: str, profile: str) -> None:
    from flows import recipe as recipes

    settings = Settings.read({"LIKENESS_HOME": home, "LIKENESS_ORCHESTRATOR": "none"})
    recipe = recipes.load(profile)
    while publish(settings, recipe, board_of(settings, recipe), most=5).num_pairs:
        pass


def test_publishers_that_run_at_once_put_each_pair_up_once(bench: Bench, recipe: Recipe) -> None:
    context = multiprocessing.get_context("spawn")
    hands = [context.Process(target=publish_all, args=(str(bench.home), recipe.profile)) for _ in range(2)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(60)
    assert [hand.exitcode for hand in hands] == [0, 0]
    assert tasks(bench).keys() == shown(bench).keys()
    assert len({showing.pair_id for showing in shown(bench).values()}) == 24


def test_what_an_interrupted_batch_left_goes_up_with_the_next_one(bench: Bench, recipe: Recipe) -> None:
    with pytest.raises(BoardDown):
        publish(bench.settings, recipe, Failing(bench.settings.board / "showings.jsonl", "before"), most=5)
    assert len({showing.pair_id for showing in shown(bench).values()}) == 5
    assert put_up(bench, recipe, most=8).num_pairs == 5 + 8
    assert tasks(bench).keys() == shown(bench).keys()


# What is taken down.


def test_pairs_that_fall_out_of_play_are_counted_and_withdrawn_on_demand_once(bench: Bench, recipe: Recipe) -> None:
    put_up(bench, recipe)
    fewer, stay = drop(bench, recipe)
    assert 0 < len(stay) < 24
    done = put_up(bench, fewer)
    assert (done.num_out_of_play, done.num_withdrawn, done.num_pairs) == (24 - len(stay), 0, 0)
    assert not any(task.dealing.is_withdrawn for task in tasks(bench).values())
    leaving = {showing_id for showing_id, showing in shown(bench).items() if showing.pair_id not in stay}
    board = board_of(bench.settings, fewer)
    assert withdraw(bench.settings, fewer, board, out_of_play=True) == len(leaving)
    assert withdraw(bench.settings, fewer, board, out_of_play=True) == 0
    assert {showing_id for showing_id, task in tasks(bench).items() if task.dealing.is_withdrawn} == leaving
    assert {showing_id for showing_id, showing in shown(bench).items() if showing.is_withdrawn} == leaving
    after = put_up(bench, fewer)
    assert (after.num_out_of_play, after.num_withdrawn, after.num_pairs) == (0, len(leaving), 0)


def test_a_withdrawn_pair_goes_with_its_repeat_and_does_not_come_back(bench: Bench) -> None:
    recipe = bench.recipe(votes="repeat_share = 1.0")
    put_up(bench, recipe)
    gone = bench.records("pair")[0].pair_id
    assert withdraw(bench.settings, recipe, board_of(bench.settings, recipe), pair_ids=[gone]) == 2
    assert put_up(bench, recipe).num_pairs == 0
    assert put_up(bench, recipe, only=[gone]).num_pairs == 0
    assert sum(task.dealing.is_withdrawn for task in tasks(bench).values()) == 2


def test_a_withdrawal_that_the_board_missed_is_told_by_the_next_run(bench: Bench, recipe: Recipe) -> None:
    put_up(bench, recipe)
    gone = bench.records("pair")[0].pair_id
    path = bench.settings.board / "showings.jsonl"
    with pytest.raises(BoardDown):
        withdraw(bench.settings, recipe, Failing(path, "before"), pair_ids=[gone])
    assert not any(task.dealing.is_withdrawn for task in tasks(bench).values())
    put_up(bench, recipe)
    assert any(task.dealing.is_withdrawn for task in tasks(bench).values())


def test_a_pair_that_was_never_up_cannot_be_withdrawn(bench: Bench, recipe: Recipe) -> None:
    one, two = (pair.pair_id for pair in bench.records("pair")[:2])
    put_up(bench, recipe, only=[one])
    with pytest.raises(BadInput, match=f"{two}: was never shown on board memory"):
        withdraw(bench.settings, recipe, board_of(bench.settings, recipe), pair_ids=[one, two])
    assert not any(showing.is_withdrawn for showing in shown(bench).values())


def test_a_showing_that_was_withdrawn_before_the_board_heard_of_it_never_goes_up(bench: Bench, recipe: Recipe) -> None:
    with pytest.raises(BoardDown):
        publish(bench.settings, recipe, Failing(bench.settings.board / "showings.jsonl", "before"))
    gone = bench.records("pair")[0].pair_id
    assert withdraw(bench.settings, recipe, board_of(bench.settings, recipe), pair_ids=[gone]) == 0
    put_up(bench, recipe)
    assert not {task.showing_id for task in tasks(bench).values()} & {
        showing_id for showing_id, showing in shown(bench).items() if showing.pair_id == gone
    }


# The command.


def test_the_command_says_what_went_up_in_one_line(bench: Bench, recipe: Recipe) -> None:
    def told(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(likeness, ["publish", *arguments, "--profile", recipe.profile])
        assert result.exit_code == code, result.output
        return result.output.strip().splitlines()[-1]

    line = told("--most", "10")
    num_new = len(shown(bench))
    assert line.startswith(f"{num_new} new showings of 10 pairs (")
    assert line.endswith("0 already up, 0 withdrawn, 0 pairs out of play, 14 pairs wait")
    one, two = sorted({showing.pair_id for showing in shown(bench).values()})[:2]
    num_gone = sum(showing.pair_id in (one, two) for showing in shown(bench).values())
    assert told("--withdraw", one, "--withdraw", two) == f"{num_gone} showings withdrawn"
    assert told("--most", "1").endswith(
        f"{num_new} already up, {num_gone} withdrawn, 0 pairs out of play, 13 pairs wait"
    )
    assert "--withdraw goes alone" in told("--withdraw", one, "--most", "1", code=2)
    assert "is no pair in play" in told("--only", "pair_9", code=BadInput.exit_code)
