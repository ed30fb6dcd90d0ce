"""A server that outlives the command that started it: started detached, found again, ended with all that it started.

Whether it runs is told by a lock that it and its children hold (see `launch.py`), never by a pid alone: a pid may be
another process by now. Its output goes to a log that only its owner reads.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil

from annotate.errors import BoardDown
from annotate.hosting import launch

POLL_S = 0.1
GRACE_S = 15.0
"""From TERM to KILL: gunicorn lets requests end for 10 s."""
LOG_MAX_BYTES = 10 << 20
"""A log longer than this is put aside at the next start; one that was put aside before is gone then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that runs now."""

    pid: int
    """Of the one that was started: the leader of its session and group."""
    ticks: int
    since: str
    """ISO 8601 in UTC."""
    fingerprint: str
    """Of the command and the environment that it was started with, secrets left out."""
    is_led: bool = True
    """False: the one that was started is dead, and children of it are still about, for the moment."""


@dataclass(frozen=True, slots=True)
class Server:
    """One of the servers of a board, by its name. `folder` holds its record and its log."""

    folder: Path
    name: str

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def running(self) -> Running | None:
        """None: neither it nor any of its children lives."""
        deadline = time.monotonic() + launch.PATIENCE_S
        while self._is_held():
            found = self._read()
            if found is not None and _leads(found):
                return found
            if found is not None and any(_has_open(each, self.record) for each in _group(found.pid)):
                return replace(found, is_led=False)
            if time.monotonic() > deadline:
                raise BoardDown(f"{self.record}: held by a process that did not write it; `lsof` names it")
            time.sleep(POLL_S)
        return None

    def start(self, command: Sequence[str], environment: Mapping[str, str], *, fingerprint: str) -> None:
        """Start it and come back. It gets this environment and no other."""
        code = self._launched("leave", command, environment, fingerprint)
        if code:
            raise BoardDown(f"{self.name}: could not be started ({code}); see {self.log}")

    def run(self, command: Sequence[str], environment: Mapping[str, str], *, timeout_s: float) -> None:
        """Run to its end what must be done once; it is ended when we are interrupted. `BoardDown` when it fails."""
        self.stop()
        try:
            code = self._launched("stay", command, environment, "", timeout_s)
        except BaseException as error:
            self.stop()
            if isinstance(error, subprocess.TimeoutExpired):
                raise BoardDown(f"{self.name}: not done after {timeout_s:.0f} s; see {self.log}") from error
            raise
        if code:
            raise BoardDown(f"{self.name}: failed ({code}): {self.last_words()}; see {self.log}")

    def is_as(self, fingerprint: str) -> bool:
        """Whether it runs, whole, as it was started with this fingerprint."""
        found = self.running()
        return found is not None and found.is_led and found.fingerprint == fingerprint

    def stop(self, *, grace_s: float = GRACE_S) -> bool:
        """End it and all that it started: asked first, killed when they do not listen. False: it did not run."""
        found = self.running()
        if found is None:
            return False
        _signal(found.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while self._is_held() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if self.running() is not None:
            _signal(found.pid, signal.SIGKILL)
            while self._is_held():
                time.sleep(POLL_S)
        return True

    def wait_for(self, address: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> None:
        """Until it answers there with success. `BoardDown` when it dies, or is silent for too long."""
        deadline = time.monotonic() + timeout_s
        while not answers(address, headers=headers):
            if self.running() is None:
                raise BoardDown(f"{self.name}: ended while it started: {self.last_words()}; see {self.log}")
            if time.monotonic() > deadline:
                raise BoardDown(f"{self.name}: no answer at {address} after {timeout_s:.0f} s; see {self.log}")
            time.sleep(POLL_S)

    def memory_bytes(self) -> int:
        """Of it and its children now; pages that they share are counted once."""
        found = self.running()
        return sum(map(_memory_bytes, _group(found.pid))) if found else 0

    def last_words(self) -> str:
        """The last line of its log that says something."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "it wrote nothing"
        return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")

    def _launched(
        self,
        mode: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        fingerprint: str,
        timeout_s: float | None = None,
    ) -> int:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        launched = [sys.executable, "-I", launch.__file__, str(self.record), fingerprint, mode, *command]
        with os.fdopen(self._opened_log(), "ab") as log:
            return subprocess.run(
                launched,
                env=dict(environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=timeout_s,
                check=False,
            ).returncode

    def _opened_log(self) -> int:
        if self.log.exists() and self.log.stat().st_size > LOG_MAX_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _is_held(self) -> bool:
        try:
            lock = os.open(self.record, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _read(self) -> Running | None:
        try:
            return Running(**json.loads(self.record.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            return None  # it is being written


def answers(address: str, *, headers: Mapping[str, str] | None = None) -> bool:
    """Whether a server answers there with success."""
    try:
        return httpx.get(address, headers=headers, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _leads(found: Running) -> bool:
    """Whether the process that wrote the record is alive: it, and not another of the same number."""
    try:
        return launch.start_ticks(found.pid) == found.ticks and psutil.Process(found.pid).status() != "zombie"
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
        return False


def _group(pid: int) -> list[psutil.Process]:
    return [each for each in psutil.process_iter() if _is_in_group(each.pid, pid)]


def _is_in_group(pid: int, group: int) -> bool:
    try:
        return os.getpgid(pid) == group
    except (ProcessLookupError, PermissionError):
        return False


def _memory_bytes(each: psutil.Process) -> int:
    try:
        full = each.memory_full_info()
    except psutil.Error:
        return 0  # it ended meanwhile
    return int(getattr(full, "pss", full.uss))


def _has_open(each: psutil.Process, record: Path) -> bool:
    try:
        return any(Path(file.path) == record.resolve() for file in each.open_files())
    except psutil.Error:
        return False


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # it ended meanwhile
