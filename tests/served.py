"""A service in a process of its own, for the live tests: started, waited for, and ended."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(command: Sequence[str], *, health: str, log: Path, timeout_s: float = 120) -> Iterator[None]:
    """The command, from when `health` answers until the block ends; what it prints goes to `log`."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(running, health, log, time.monotonic() + timeout_s)
            yield
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _wait(running: subprocess.Popen[bytes], health: str, log: Path, deadline: float) -> None:
    while time.monotonic() < deadline:
        assert running.poll() is None, f"it ended with {running.returncode}: {log.read_text()[-2000:]}"
        try:
            if httpx.get(health, timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"it did not answer at {health}: {log.read_text()[-2000:]}")
