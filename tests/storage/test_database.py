import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse.database import Warehouse
from warehouse.errors import BadInput, DiskFull, WarehouseLocked
from warehouse.files import full_disk_told

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture
def holder(warehouse: Warehouse) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the warehouse open, until its standard input is closed."""
    with warehouse.session():
        pass
    command = [sys.executable, "-c", HOLD, str(warehouse.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        if process.stdin and not process.stdin.closed:
            process.stdin.close()


def count(warehouse: Warehouse) -> int:
    with warehouse.session() as session:
        row = session.execute("SELECT count(*) FROM subject_identity").fetchone()
    assert row is not None
    return int(row[0])


def test_a_warehouse_held_by_another_process_is_refused_by_its_number_and_command(
    warehouse: Warehouse, holder: "subprocess.Popen[str]"
) -> None:
    with pytest.raises(WarehouseLocked) as raised, warehouse.session(patience_s=0.1):
        pass
    assert f"process {holder.pid} ({sys.executable} -c import duckdb" in str(raised.value)
    assert str(warehouse.path) in str(raised.value)


def test_a_warehouse_that_is_let_go_in_time_is_waited_for(
    warehouse: Warehouse, holder: "subprocess.Popen[str]"
) -> None:
    assert holder.stdin is not None
    threading.Timer(0.2, holder.stdin.close).start()
    assert count(warehouse) == 0


def test_a_path_with_lock_in_its_name_is_not_taken_for_a_locked_one(tmp_path: Path) -> None:
    (tmp_path / "locks" / "warehouse").mkdir(parents=True)
    with (
        pytest.raises(BadInput, match="cannot be opened as a warehouse"),
        Warehouse(tmp_path / "locks" / "warehouse").session(patience_s=30),
    ):
        pass


def test_a_file_that_is_no_warehouse_is_refused_and_left_alone(warehouse: Warehouse) -> None:
    warehouse.path.write_text("some notes")
    with pytest.raises(BadInput, match=r"warehouse\.duckdb: cannot be opened as a warehouse \(.*not a valid"):
        count(warehouse)
    assert warehouse.path.read_text() == "some notes"


def test_a_transaction_is_kept_whole(warehouse: Warehouse) -> None:
    with warehouse.transaction() as session:
        session.execute("INSERT INTO subject_identity VALUES ('a', '1')")
        session.execute("INSERT INTO subject_identity VALUES ('b', '2')")
    assert count(warehouse) == 2


@pytest.mark.parametrize("error", [RuntimeError("ours"), KeyboardInterrupt()])
def test_a_transaction_that_breaks_leaves_nothing_and_lets_go_of_the_lock(
    warehouse: Warehouse, error: BaseException
) -> None:
    with pytest.raises(type(error)), warehouse.transaction() as session:
        session.execute("INSERT INTO subject_identity VALUES ('a', '1')")
        raise error
    assert count(warehouse) == 0
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(warehouse.path)], check=True)


def test_processes_that_write_at_once_take_turns_and_lose_nothing(warehouse: Warehouse) -> None:
    code = """
import sys
from warehouse.database import Warehouse
for number in range(4):
    with Warehouse.at(sys.argv[1]).transaction() as session:
        session.execute("INSERT INTO subject_identity VALUES (?, ?)", [sys.argv[2], str(number)])
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(warehouse.path), str(who)]) for who in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert count(warehouse) == 8


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("some/where.duckdb", "some/where.duckdb"),
        ("duckdb:///data/where.duckdb", "/data/where.duckdb"),
        (Path("/data/where.duckdb"), "/data/where.duckdb"),
    ],
)
def test_a_warehouse_is_named_by_a_path_or_a_url(url: str | Path, path: str) -> None:
    assert Warehouse.at(url) == Warehouse(Path(path))


def test_a_kind_of_warehouse_that_is_not_known_is_refused() -> None:
    with pytest.raises(BadInput, match="ducklake:// is not supported"):
        Warehouse.at("ducklake://postgres/lake")


def test_a_write_to_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="no space left on its disk") as raised, full_disk_told(tmp_path):
        Path("/dev/full").write_bytes(b"x")
    cause = raised.value.__cause__
    assert isinstance(cause, OSError)
    assert cause.errno == errno.ENOSPC


def test_another_error_of_the_disk_is_not_taken_for_a_full_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), full_disk_told(tmp_path):
        (tmp_path / "nowhere").read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    if os.geteuid() != 0:
        pytest.fail("mounting a small disk needs root; run the live tests in a container")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.live
def test_a_commit_that_fills_the_disk_says_so_and_what_was_there_stays(small_disk: Path) -> None:
    warehouse = Warehouse(small_disk / "warehouse.duckdb")
    with warehouse.transaction() as session:
        session.execute("INSERT INTO subject_identity VALUES ('a', '1')")
    with pytest.raises(DiskFull, match="no space left on its disk"), warehouse.transaction() as session:
        session.execute("INSERT INTO subject_identity SELECT uuid()::VARCHAR, uuid()::VARCHAR FROM range(200000)")
    assert count(warehouse) == 1


@pytest.mark.live
def test_a_disk_too_small_for_an_empty_warehouse_says_so(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(2 * 1024 * 1024))
    with pytest.raises(DiskFull, match="no space left on its disk"):
        count(Warehouse(small_disk / "warehouse.duckdb"))


def test_no_extension_is_fetched_behind_our_back(warehouse: Warehouse) -> None:
    with warehouse.session() as session, pytest.raises(duckdb.Error):
        session.execute("SELECT * FROM read_csv('https://127.0.0.1:1/nothing.csv')")
