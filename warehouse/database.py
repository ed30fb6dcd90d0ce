"""The only place that opens the warehouse. A session holds the lock for a commit or a question, never for a run."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil

from warehouse.errors import BadInput, WarehouseLocked
from warehouse.files import full_disk_told, is_disk_full
from warehouse.migrate import migrate

Session = duckdb.DuckDBPyConnection

PATIENCE_S = 10.0
"""How long to wait for another process's commit before giving up; a commit of one shard takes well under a second."""


_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoload_known_extensions": False,
    "memory_limit": "2GB",  # what does not fit lies beside the warehouse's file meanwhile
    "preserve_insertion_order": False,  # every question that needs an order asks for it
}


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Where the rows are: a DuckDB file, named by a path or by `duckdb:///path`."""

    path: Path

    @classmethod
    def at(cls, url: str | Path) -> "Warehouse":
        """`BadInput` for a kind of warehouse that this version cannot open."""
        text = str(url)
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls(Path(text))
        if scheme != "duckdb":
            raise BadInput(f"{text}: a warehouse is a path or duckdb:///path; {scheme}:// is not supported")
        return cls(Path(rest))

    @contextmanager
    def session(self, *, patience_s: float = PATIENCE_S) -> Iterator[Session]:
        """An open connection, up to date with the migrations; closed, and its lock released, at the end."""
        with full_disk_told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(self.path, patience_s)
            try:
                migrate(connection)
                yield connection
            finally:
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session in which everything happens or nothing does."""
        with self.session() as session:
            session.begin()
            try:
                yield session
            except BaseException:
                session.rollback()
                raise
            session.commit()


def _connect(path: Path, patience_s: float) -> Session:
    give_up = time.monotonic() + patience_s
    while True:
        try:
            connection = duckdb.connect(str(path), config=_CONFIG)
            connection.execute("SET TimeZone = 'UTC'")
            return connection
        except duckdb.Error as error:
            if is_disk_full(error):
                raise
            if "Could not set lock" not in str(error):
                raise BadInput(f"{path}: cannot be opened as a warehouse ({str(error).splitlines()[0]})") from error
            if time.monotonic() > give_up:
                raise WarehouseLocked(f"{path}: {_holder(str(error))} holds it; wait for it or stop it") from error
            time.sleep(0.05)


def _holder(message: str) -> str:
    found = re.search(r"PID (\d+)", message)
    if found is None:
        return "another process"
    pid = int(found.group(1))
    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        command = "a process that has just ended"
    return f"process {pid} ({command})"
