"""Watching: a collection whenever something happens, trouble told once, and a clean end."""

import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annotate.board import PairBoard
from annotate.errors import BoardDown
from annotate.home import BoardHome
from flows import watch as module
from flows.watch import Watch
from tests.collect_world import CollectWorld
from warehouse.errors import BadRecipe
from warehouse.records import Outcome

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return CollectWorld(tmp_path_factory.mktemp("filled") / "home").fill().home


@pytest.fixture
def world(filled: Path, home: Path) -> CollectWorld:
    shutil.copytree(filled, home)
    return CollectWorld(home)


class Watcher:
    """A watch in a thread, and what it says."""

    def __init__(self, world: CollectWorld, *, every_s: float, num_troubles: int = 0) -> None:
        self.world, self.num_troubles = world, num_troubles
        self.told: queue.Queue[str] = queue.Queue()
        self.warned: queue.Queue[str] = queue.Queue()
        self.watch = Watch(
            world.settings, world.recipe(), self.told.put, self.warned.put, open_board=self.open, every_s=every_s
        )

    def open(self, *_: object) -> PairBoard:
        self.num_troubles -= 1
        if self.num_troubles >= 0:
            logging.getLogger("annotate.labelstudio_http").warning("no answer; again in 0.2 s")
            raise BoardDown(f"the board does not answer ({self.num_troubles})")
        return self.world.board


@contextmanager
def watching(watcher: Watcher) -> Iterator[Watcher]:
    thread = threading.Thread(target=watcher.watch.run)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.watch.ending.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_it_wakes_when_the_wake_file_is_touched(world: CollectWorld) -> None:
    wake = BoardHome(world.settings.board).wake
    world.vote(0, Outcome.A)
    with watching(Watcher(world, every_s=3600)) as watcher:
        assert watcher.told.get(timeout=PATIENCE_S) == "1 new votes, 0 skipped, 0 labels"
        for place in (1, 2):
            world.vote(place, Outcome.A)
            wake.touch()
            assert watcher.told.get(timeout=PATIENCE_S) == "1 new votes, 0 skipped, 0 labels"
    assert len(world.votes()) == 3


def test_it_collects_without_being_woken_and_says_nothing_of_nothing(world: CollectWorld) -> None:
    with watching(Watcher(world, every_s=0.05)) as watcher:
        for place in (0, 1):
            world.vote(place, Outcome.A)
            assert watcher.told.get(timeout=PATIENCE_S).startswith("1 new votes")
    assert watcher.told.empty() and watcher.warned.empty()


def test_trouble_is_told_once_and_passes(
    world: CollectWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("flows"), "propagate", False)  # as the command has it
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    world.vote(0, Outcome.A)
    with watching(Watcher(world, every_s=3600, num_troubles=4)) as watcher:
        assert watcher.told.get(timeout=PATIENCE_S).startswith("1 new votes")
        assert watcher.warned.get(timeout=PATIENCE_S) == "the board does not answer (3); trying again"
        assert watcher.warned.get(timeout=PATIENCE_S) == "collecting again"
    assert watcher.warned.empty()
    assert caplog.messages == [], "single attempts are for our own log"


def test_deleted_tasks_are_looked_for_now_and_then(world: CollectWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECONCILED_EVERY_S", 0.0)
    world.vote(0, Outcome.A)
    with watching(Watcher(world, every_s=0.05)) as watcher:
        assert watcher.told.get(timeout=PATIENCE_S).startswith("1 new votes")
        world.board.remove_tasks(["showing_0"])
        assert "1 deleted" in watcher.told.get(timeout=PATIENCE_S)


def test_a_recipe_that_is_wrong_is_refused_and_not_tried_again(world: CollectWorld) -> None:
    with pytest.raises(BadRecipe, match=r"votes\.annotators = .ghosts."):
        Watch(world.settings, world.recipe("ghosts"), print, print).run()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_collects_until_a_signal_and_ends_cleanly(world: CollectWorld, number: signal.Signals) -> None:
    words = ["collect", "--watch", "--every", "0.5", "--profile", world.profile("simulated")]
    command = [sys.executable, "-m", "flows", *words]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert line.startswith("9 new votes")
    assert "9 new votes" in (world.home / "likeness.log").read_text()
    assert world.offences() == []
