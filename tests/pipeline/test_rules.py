"""The rules of DESIGN.md section 2, over the runtime, with stages that take milliseconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.runtime import check_balance
from flows.story import check
from tests.fake_road import CAPTIONS, Road
from tests.fake_stages import MEASURED, share
from warehouse import gates
from warehouse.errors import Unbalanced


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Road:
    folder = tmp_path_factory.mktemp("footage")
    found = Road(tmp_path_factory.mktemp("ingested") / "home", folder)
    found.ingest()
    return found


@pytest.fixture(scope="module")
def finished(ingested: Road, tmp_path_factory: pytest.TempPathFactory) -> Road:
    found = ingested.copy(tmp_path_factory.mktemp("finished") / "home")
    found.run()
    return found


@pytest.fixture
def road(ingested: Road, home: Path) -> Road:
    """With sources of which nothing is measured."""
    MEASURED.clear()
    return ingested.copy(home)


@pytest.fixture
def done(finished: Road, home: Path) -> Road:
    """With all measured."""
    MEASURED.clear()
    return finished.copy(home)


def measured_stages() -> set[str]:
    return {stage for stage, _ in MEASURED}


# Rule 1: stages measure, gates decide.


@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_another_threshold_is_answered_without_running_a_stage(done: Road, threshold: float) -> None:
    before = done.contents()
    row = done.stages(done.recipe().with_thresholds({"size": threshold}))["size"]
    assert MEASURED == []
    assert done.contents() == before
    with done.settings.warehouse.session() as session:
        clips = session.execute("SELECT clip_id, caption FROM clip JOIN source USING (source_id)").fetchall()
        failed = {item for (item,) in session.execute("SELECT item_id FROM ledger WHERE outcome = 'failed'").fetchall()}
    measured = [clip_id for clip_id, caption in clips if clip_id not in failed and caption != "unknown"]
    assert row["passed"] == sum(share(clip_id) >= threshold for clip_id in measured)
    assert row["dropped_by"].get("size", 0) == sum(share(clip_id) < threshold for clip_id in measured)
    assert row["dropped_by"]["size unknown"] == 2


def test_a_lower_threshold_measures_only_what_newly_passes(done: Road) -> None:
    done.run(threshold=0.0)
    assert measured_stages() == {"copy", "look"}
    added = {item for stage, item in MEASURED if stage == "copy"}
    assert added
    assert all(share(clip_id) < 0.25 for clip_id in added)


def test_a_higher_threshold_measures_nothing_and_forgets_nothing(done: Road) -> None:
    before = done.contents()
    assert done.run(threshold=0.7) == 0
    assert (MEASURED, done.contents()) == ([], before)


# Rule 2: failed is not dropped, and nothing is lost.


def test_every_item_is_passed_dropped_or_failed_at_every_stage(done: Road) -> None:
    stages = done.stages(done.recipe())
    assert stages["cut"]["in"] == len(CAPTIONS)
    assert (stages["cut"]["passed"], stages["cut"]["failed"]) == (5, 2)
    assert stages["cut"]["failed_by"] == {"RuntimeError": 1, "truncated": 1}
    assert stages["size"]["failed_by"] == {"ValueError": 1}
    for row in stages.values():
        assert row["in"] == row["passed"] + row["dropped"] + row["failed"], row
    assert stages["size"]["in"] == 2 * stages["cut"]["passed"]
    assert stages["look"]["in"] == stages["copy"]["passed"] == stages["size"]["passed"] > 0
    assert check(done.settings, done.recipe()) == "all invariants hold"


def test_a_warehouse_in_which_an_item_stands_twice_fails_the_run(done: Road) -> None:
    with done.settings.warehouse.session() as session:
        session.execute("INSERT INTO clip FROM clip ORDER BY clip_id LIMIT 1")
    with pytest.raises(Unbalanced, match=r"stage (size|copy) counts clip_\w+ 2 times"):
        done.run("curate")


def test_a_stage_that_left_items_pending_fails_the_run(road: Road) -> None:
    recipe = road.recipe()
    with road.settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        with pytest.raises(Unbalanced, match="stage cut: 7 came in, 0 passed, 0 dropped, 0 failed; run it again"):
            check_balance(session, recipe, recipe.of_flow("curate"))


def test_a_fact_that_lost_its_ledger_row_gets_one_again_and_no_second_fact(done: Road) -> None:
    before = done.contents()
    with done.settings.warehouse.session() as session:
        session.execute("DELETE FROM ledger WHERE stage = 'size' AND outcome = 'done'")
    done.run("curate")
    assert done.contents() == before


# Rule 3: a fact has a key; what has its fact is not computed again.


def test_a_second_run_computes_nothing(done: Road) -> None:
    before = done.contents()
    assert done.run() == 0
    assert (MEASURED, done.contents()) == ([], before)


def test_what_stands_behind_a_changed_stage_but_does_not_need_it_is_not_measured_again(road: Road) -> None:
    road.run(threshold=0.0)
    with_needs = {item for stage, item in MEASURED if stage == "copy"}
    MEASURED.clear()
    with pytest.MonkeyPatch.context() as context:
        context.setattr("tests.fake_stages.Copy.needs", ("cut",))
        road.run(threshold=0.0)
        assert {item for stage, item in MEASURED if stage == "copy"} == with_needs
        MEASURED.clear()
        road.run(threshold=0.0, revision="2")
    assert measured_stages() == {"size"}


@pytest.mark.parametrize("override", [{"scale": 2.0}, {"revision": "2"}])
def test_a_changed_stage_and_what_needs_it_are_measured_anew_and_nothing_else(done: Road, override: Any) -> None:
    done.run(**override)
    assert measured_stages() == {"size", "copy", "look"}


def test_a_changed_version_is_measured_anew(done: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fake_stages.Copy.version", 2)
    done.run()
    assert measured_stages() == {"copy", "look"}


def test_facts_of_two_configurations_stand_side_by_side_and_going_back_computes_nothing(done: Road) -> None:
    first = done.stages(done.recipe())
    done.run(scale=2.0)
    with done.settings.warehouse.session() as session:
        assert session.execute("SELECT count(*), count(DISTINCT item_id) FROM fact_size").fetchone() == (18, 9)
    MEASURED.clear()
    assert done.run() == 0
    assert MEASURED == []
    assert done.stages(done.recipe()) == first
    assert check(done.settings, done.recipe()) == "all invariants hold"


def test_other_cuts_make_other_clips_and_those_that_stay_are_not_measured_again(done: Road) -> None:
    done.run("curate", num_clips=3)
    assert sum(stage == "cut" for stage, _ in MEASURED) == 6
    assert sum(stage == "size" for stage, _ in MEASURED) == 5
    assert done.stages(done.recipe(num_clips=3))["size"]["in"] == 15
    assert done.stages(done.recipe())["size"]["in"] == 10


def test_a_new_source_is_measured_alone(done: Road, tmp_path: Path) -> None:
    done.folder = tmp_path / "more"
    done.folder.mkdir()
    done.ingest([*CAPTIONS, "a new one"])
    done.run()
    assert sum(stage == "cut" for stage, _ in MEASURED) == 1


# Rule 4: one writer; being killed costs the shard in flight and duplicates nothing.


class Killed(BaseException):
    """Stands for `kill -9`: nothing of ours catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, target: str, turn: int, *, after: bool = False) -> None:
    """Die at the given call of a function, before it does anything or after it is done."""
    module, name = target.rsplit(".", 1)
    real: Callable[..., Any] = getattr(sys.modules[module], name)
    calls = iter(range(1, 1000))

    def dying(*args: Any, **options: Any) -> Any:
        is_turn = next(calls) == turn
        if is_turn and not after:
            raise Killed
        result = real(*args, **options)
        if is_turn:
            raise Killed
        return result

    monkeypatch.setattr(target, dying)


@pytest.mark.parametrize(
    ("target", "after"),
    [
        ("flows.walk.measured", False),
        ("warehouse.staging._appear", False),
        ("warehouse.staging.merge", False),
        ("warehouse.staging.merge", True),
    ],
)
def test_a_run_that_was_killed_and_started_again_leaves_what_an_undisturbed_one_leaves(
    road: Road,
    finished: Road,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    after: bool,
) -> None:
    road.shard_size = 2
    with monkeypatch.context() as context:
        kill_at(context, target, 2, after=after)
        with pytest.raises(Killed):
            road.run()
    road.run()
    assert road.contents() == finished.contents()
    assert [path.name for path in road.settings.staging.iterdir()] == [".lock"]
    assert check(road.settings, road.recipe()) == "all invariants hold"


def test_a_committer_that_dies_before_clearing_away_commits_again_without_a_second_row(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setattr("warehouse.staging.shutil.rmtree", lambda path, **options: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            road.run("curate")
    num_measured = len(MEASURED)
    assert len(list(road.settings.staging.glob("shard_*"))) == 1
    road.run("curate")
    assert len(MEASURED) == len(set(MEASURED)) > num_measured


def test_worker_processes_leave_what_one_process_leaves(road: Road, finished: Road) -> None:
    MEASURED.clear()
    road.num_workers = 2
    road.run("curate")
    assert MEASURED == []
    road.num_workers = 0
    road.run("generate")
    assert road.contents() == finished.contents()


def test_the_workers_of_a_run_that_was_killed_end_with_it() -> None:
    script = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from flows.executors import end_with_parent
if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=end_with_parent) as processes:
        busy = [processes.submit(time.sleep, 0.5) for _ in range(2)]
        busy[0].result()
        print(*processes._processes, flush=True)
        time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.send_signal(signal.SIGKILL)
    give_up = time.monotonic() + 10
    while any(is_running(pid) for pid in pids) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in pids)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and pid != os.getpid()
    except psutil.NoSuchProcess:
        return False


def test_a_source_that_kills_its_worker_fails_and_costs_nobody_else(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deadly"
    folder.mkdir()
    road = Road(home, folder, num_workers=2, shard_size=3)
    road.ingest(["one", "kills", "two", "three", "four"])
    assert road.run("curate") == 5 + 2 * 4
    cut = road.stages(road.recipe())["cut"]
    assert (cut["in"], cut["passed"], cut["failed"], cut["failed_by"]) == (5, 4, 1, {"worker died": 1})
    assert road.run("curate") == 0
