"""A real nginx with the configuration that `likeness board nginx` prints, before a gateway."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from annotate.home import BoardHome
from annotate.hosting.nginx import Listener, configuration, whole


@contextmanager
def nginx(
    home: BoardHome, gateway: str, listening: socket.socket, *, certificate: tuple[Path, Path] | None = None
) -> Iterator[None]:
    """nginx on the socket's port, before the gateway at a URL. `certificate`: PEM files of it and its key."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.fail("nginx is not installed: `apt-get install nginx-light`, or `make test-live` as root")
    folder = home.root / "nginx"
    folder.mkdir()
    port = listening.getsockname()[1]
    pem, key = certificate or (None, None)
    listener = Listener(
        port=port, address="127.0.0.1", certificate=str(pem) if pem else None, key=str(key) if key else None
    )
    text = whole(configuration(home, gateway=gateway, listener=listener), folder=folder)
    file = folder / "nginx.conf"
    file.write_text(text, encoding="utf-8")
    command = [program, "-e", str(folder / "error.log"), "-c", str(file), "-g", "daemon off;"]
    handed: dict[str, Any] = {
        "pass_fds": [listening.fileno()],
        "env": {**os.environ, "NGINX": f"{listening.fileno()};"},
    }
    listening.listen(511)
    listening.setblocking(False)  # else nginx's workers wait in `accept` for one another's connections
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **handed) as running:
        try:
            _wait(running, f"{'https' if pem else 'http'}://127.0.0.1:{port}/likeness/static/none.js", folder)
            yield
        finally:
            running.terminate()
            running.wait(20)
            listening.close()


def _wait(running: subprocess.Popen[bytes], address: str, folder: Path) -> None:
    """Until it answers, whatever it says. The socket was handed to it, as when nginx replaces itself: so the port is
    nobody else's at any time."""
    deadline = time.monotonic() + 30
    while True:
        said = (folder / "error.log").read_text() if (folder / "error.log").exists() else ""
        assert running.poll() is None, f"nginx ended: {said}"
        try:
            httpx.get(address, timeout=5, trust_env=False, verify=False)
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"nginx does not answer: {said}"
            time.sleep(0.02)
        else:
            return
