"""`likeness collect --watch`: collects whenever something happens on the board, until it is told to end.

It wakes when the gateway touches the board's `wake` file, and at the latest after `every_s`: waking is a hint, polling
is what counts. Trouble that passes (the board is down, somebody holds the warehouse) is told once and tried again.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from annotate.board import PairBoard
from annotate.home import BoardHome
from flows.board import annotators_of, board_of
from flows.collect import Collected, collect
from flows.label_choice import choice_of
from flows.recipe import Recipe
from flows.settings import Settings
from warehouse.errors import LikenessError

log = logging.getLogger(__name__)

EVERY_S = 30.0
LOOK_S = 0.2
"""How often the wake file is looked at."""
RECONCILED_EVERY_S = 3600.0
"""Deleted tasks tell nobody, and are looked for so often."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""After trouble; doubled each time."""


@dataclass(slots=True)
class Watch:
    """A loop around `collect`."""

    settings: Settings
    recipe: Recipe
    tell: Callable[[str], None]
    """Gets a line for each collection that found something."""
    warn: Callable[[str], None]
    """Gets a line when trouble begins, and one when it is over."""
    open_board: Callable[[Settings, Recipe], PairBoard] = board_of
    every_s: float = EVERY_S
    ending: threading.Event = field(default_factory=threading.Event)
    """Set it to end the loop after the collection under way."""

    def run(self) -> None:
        annotators_of(self.recipe), choice_of(self.recipe)  # what is wrong with the recipe does not pass
        with _attempts_told_to_our_log(), ExitStack() as opened:
            self._go_on(opened)

    def _go_on(self, opened: ExitStack) -> None:
        wake = BoardHome(self.settings.board).wake
        board: PairBoard | None = None
        trouble: type[LikenessError] | None = None
        reconciled, pause_s = time.monotonic(), FIRST_PAUSE_S
        while not self.ending.is_set():
            touched = _touched(wake)  # before the board is read: what happens meanwhile wakes again
            is_due = time.monotonic() - reconciled >= RECONCILED_EVERY_S
            try:
                board = board or opened.enter_context(closing(self.open_board(self.settings, self.recipe)))
                self._say(collect(self.settings, self.recipe, board, reconcile=is_due))
            except LikenessError as error:
                if trouble is not type(error):
                    self._warn(f"{error}; trying again")
                trouble, board = type(error), None  # it may be up again elsewhere
                opened.close()
                self.ending.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            if trouble is not None:
                self._warn("collecting again")
            reconciled = time.monotonic() if is_due else reconciled
            trouble, pause_s = None, FIRST_PAUSE_S
            self._wait(wake, touched)

    def _wait(self, wake: Path, touched: int) -> None:
        """Until the wake file is touched, the time is up, or the end has come."""
        until = time.monotonic() + self.every_s
        while time.monotonic() < until and _touched(wake) == touched:
            if self.ending.wait(min(LOOK_S, self.every_s)):
                return

    def _say(self, collected: Collected) -> None:
        if collected.is_news:
            log.info("collect: %s", collected.told())
            self.tell(collected.told())
        for line in collected.unreadable:
            self._warn(line)

    def _warn(self, line: str) -> None:
        log.warning("collect: %s", line)
        self.warn(line)


@contextmanager
def ended_by_signals(ending: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM ask for the end; a second one enforces it."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, frame: object) -> None:
        ending.set()
        signal.signal(number, kept[signal.Signals(number)])

    for number in kept:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def _attempts_told_to_our_log() -> Iterator[None]:
    """What a board says of each attempt to reach its server goes into our log, and not before people."""
    theirs = logging.getLogger("annotate")
    before = theirs.parent
    theirs.parent = log.parent
    try:
        yield
    finally:
        theirs.parent = before


def _touched(wake: Path) -> int:
    """When the file was touched last, in nanoseconds; 0: never."""
    try:
        return wake.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
