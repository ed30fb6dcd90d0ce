"""What a person sees of a long step: one line, on standard error."""

import sys
import time
from dataclasses import dataclass, field

EVERY_S = 5.0
"""How often a log that is no terminal gets a line."""


@dataclass(slots=True)
class Progress:
    """The line of one step. On a terminal it is rewritten in place."""

    step: str
    started: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)
    done: int = 0

    def advance(self, num: int, total: int) -> None:
        """`num` more of `total` are done."""
        self.done += num
        self.say(f"{self.done}/{total}")

    def say(self, text: str) -> None:
        """Where the step stands, now and then."""
        now = time.monotonic()
        if sys.stderr.isatty():
            self._write(f"\r\x1b[K{self.step:<14} {text}")
        elif now - self.last > EVERY_S:
            self._write(f"{self.step:<14} {text} ({now - self.started:.0f} s)\n")
            self.last = now

    def finish(self, text: str) -> None:
        """What the step came to."""
        start = "\r\x1b[K" if sys.stderr.isatty() else ""
        self._write(f"{start}{self.step:<14} {text} ({time.monotonic() - self.started:.1f} s)\n")

    def warn(self, text: str) -> None:
        """What a person should look at; on a line of its own."""
        start = "\r\x1b[K" if sys.stderr.isatty() else ""
        self._write(f"{start}{self.step:<14} {text}\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
