"""Starts one server in a session of its own, never two of the same. A script: nothing but the standard library.

    launch.py RECORD FINGERPRINT stay|leave COMMAND...

The record file is locked, and the lock is inherited by the server and by all that it starts: while any of them lives,
the lock is held, whoever died meanwhile and however. What stands in the record (pid, start) is written under the lock.
`stay` waits for the command and ends as it did; `leave` ends when the server has been started.
"""

import datetime
import fcntl
import json
import os
import sys
import time
from typing import NoReturn

HELD = 75
"""Exit code: the same server runs already."""
PATIENCE_S = 2.0
"""Somebody who only looks holds the lock for a moment."""


def main(record: str, fingerprint: str, mode: str, command: list[str]) -> int:
    lock = os.open(record, os.O_RDWR | os.O_CREAT, 0o600)
    if not _locked(lock):
        return HELD
    os.set_inheritable(lock, True)
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        _become(lock, fingerprint, command)
    os.close(tells)
    os.read(told, 1)  # ends when the child has become the server, or died
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if mode == "stay" else 0


def _become(lock: int, fingerprint: str, command: list[str]) -> NoReturn:
    os.setsid()
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    values = {"pid": os.getpid(), "ticks": start_ticks(os.getpid()), "since": now, "fingerprint": fingerprint}
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(values).encode(), 0)
    os.execv(command[0], command)


def start_ticks(pid: int) -> int:
    """When a process started, in ticks since the machine did: with the pid, it names one process for ever."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123, no pathlib: this starts quickly
        return int(stat.read().rpartition(")")[2].split()[19])


def _locked(lock: int) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
