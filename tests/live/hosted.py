"""Whole boards for the live tests: a PostgreSQL of their own, Label Studio, the gateway; and a reaper of all of it.

As a program (`python -m tests.live.hosted FOLDER`) it is the reaper: it waits until the tests' process is gone, however
that ended, and ends every server whose record lies below the folder.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from annotate.home import BoardHome, Connection, Secrets
from annotate.hosting.configuration import Database
from annotate.hosting.processes import Server
from tests.served import ROOT, free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """A Label Studio that runs, fresh: no project, no token, one account."""

    url: str
    operator: str
    """E-mail; it logs in by the form at /user/login/ as any account does."""
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedBoard:
    """A board that `up` made and started."""

    home: BoardHome
    connection: Connection
    secrets: Secrets
    environment: dict[str, str] = field(repr=False)
    """The settings it was started with (`LIKENESS_...`): for commands that are to find it."""

    @property
    def origin(self) -> str:
        """The gateway's."""
        return self.connection.origin


@contextmanager
def live_folder() -> Iterator[Path]:
    """A folder whose servers all end, and which goes, when the block ends or this process dies."""
    folder = Path(tempfile.mkdtemp(prefix="likeness-live-"))
    folder.chmod(0o711)  # PostgreSQL runs as another user, below
    reaper = subprocess.Popen(
        [sys.executable, "-m", "tests.live.hosted", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield folder
    finally:
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait(120)


def reap(folder: Path) -> None:
    """End everything that was started below, databases last."""
    records = sorted(folder.rglob("*.pid"), key=lambda path: (path.stem == "postgresql", path))
    for record in records:
        Server(record.parent, record.stem).stop(grace_s=5)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql_server(folder: Path) -> Iterator[Database]:
    """A PostgreSQL of our own, that asks for a password, on loopback; its database `board` is empty."""
    programs = _postgresql_programs()
    folder.mkdir(mode=0o755)
    data, password_file = folder / "data", folder / "password"
    data.mkdir(mode=0o700)
    password_file.write_text(secrets.token_hex(16), encoding="utf-8")
    password = password_file.read_text(encoding="utf-8")
    as_user = _without_root(data, password_file)
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "board", "-A", "scram-sha-256", "-E", "UTF8"]
    subprocess.run(
        [*as_user, *initdb, "--no-sync", f"--pwfile={password_file}"], check=True, capture_output=True, cwd="/"
    )
    port = free_port()
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": data, "fsync": "off"}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    server = Server(folder / "run", "postgresql")
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC"}
    command = [*as_user, str(programs / "postgres"), "-D", str(data), *settings]
    server.start([_found(command[0]), *command[1:]], environment, fingerprint="")
    database = Database(user="board", host="127.0.0.1", port=port, name="board", password=password)
    try:
        _make_database(database, programs, server)
        yield database
    finally:
        server.stop(grace_s=5)


def _make_database(database: Database, programs: Path, server: Server) -> None:
    environment = os.environ | {"PGPASSWORD": database.password, "PGCONNECT_TIMEOUT": "5"}
    address = ["-h", database.host, "-p", str(database.port), "-U", database.user]
    ready = subprocess.run(
        ["timeout", "60", "sh", "-c", f"until {programs / 'pg_isready'} -q {' '.join(address)}; do sleep 0.1; done"],
        check=False,
    )
    assert ready.returncode == 0, f"PostgreSQL does not answer: {server.last_words()}"
    subprocess.run([str(programs / "createdb"), *address, database.name], check=True, env=environment)


def _postgresql_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        pytest.fail("PostgreSQL's server is not installed: `apt-get install postgresql`, or `make test-live` as root")
    return Path(on_path).resolve().parent


def _without_root(*paths: Path) -> list[str]:
    """How a command is run by a user that PostgreSQL accepts, and who owns these paths then."""
    if os.getuid() != 0:
        return []
    user = next(name for name in ("postgres", "nobody") if _is_user(name))
    for path in paths:
        shutil.chown(path, user)
    return ["runuser", "-u", user, "--"]


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _found(program: str) -> str:
    path = shutil.which(program)
    assert path is not None, f"{program} is missing"
    return path


if __name__ == "__main__":
    sys.stdin.read()  # ends when the tests' process does
    reap(Path(sys.argv[1]))
