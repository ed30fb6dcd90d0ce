"""The deck, kept up with the board: every few seconds, and at once when something is said to have happened."""

import asyncio
import contextlib
import logging
from pathlib import Path

from annotate.dealing.deck import Deck
from annotate.errors import AnnotateError

log = logging.getLogger(__name__)

PAUSE_S = 0.3
"""Between two refreshes, however often we are woken."""


class Freshness:
    """`keep` runs as long as the gateway does. The board is asked in a thread of its own, one question at a time."""

    def __init__(self, deck: Deck, *, wake: Path, every_s: float) -> None:
        self._deck = deck
        self._wake = wake
        self._every_s = every_s
        self._woken = asyncio.Event()
        self.is_filled = False
        """The deck has seen the board at least once."""

    async def first(self) -> None:
        """Fill the deck, if the board answers; else `keep` goes on trying."""
        await self._refresh()

    async def keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._every_s)
            self._woken.clear()
            await self._refresh()
            await asyncio.sleep(PAUSE_S)

    def touch(self) -> None:
        """Something happened on the board: tell `collect --watch`."""
        self._wake.parent.mkdir(parents=True, exist_ok=True)
        self._wake.touch()

    def wake(self) -> None:
        """Something may have happened that did not pass through here: look at once."""
        self.touch()
        self._woken.set()

    async def _refresh(self) -> None:
        try:
            await asyncio.to_thread(self._deck.refresh)
        except AnnotateError as error:
            log.warning("the board could not be read, trying again in %.0f s: %s", self._every_s, error)
        except Exception:  # a mistake of ours must not end the looking: people would be dealt old pairs
            log.exception("the board could not be read, for a reason that nobody thought of; trying again")
        else:
            self.is_filled = True
