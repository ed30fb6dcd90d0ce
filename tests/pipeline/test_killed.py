"""Whatever moment the machine dies, nothing is lost, doubled or changed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from flows.sources.drawn import FRAME_RATE, play
from flows.sources.scripts import SCRIPTS, Trouble
from flows.stages.encode import encode
from warehouse.database import Warehouse

NUM_KILLS = 10
NOT_COMPARED = {"seconds", "shard_id", "committed_at", "cast_at", "frozen_at", "reconciled_at"}
"""Clocks, and how pending work was cut into shards."""


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of one drawn actor each, a dark one and a damaged one."""
    folder = tmp_path_factory.mktemp("footage")
    alone = [script for script in SCRIPTS if script.trouble is None and len(script.shots) == 1]
    alone = [script for script in alone if len(script.shots[0].cast) == 1][:5]
    dark = [script for script in SCRIPTS if script.trouble is Trouble.DARK]
    lines = ["path,caption"]
    for number, script in enumerate([*alone, *dark]):
        (folder / f"{number}.mp4").write_bytes(encode(islice(play(script, seed=0), 14), frame_rate=FRAME_RATE))
        lines.append(f'{number}.mp4,"{script.caption}"')
    (folder / "broken.mp4").write_bytes((folder / "0.mp4").read_bytes()[:600])
    (folder / "captions.csv").write_text("\n".join([*lines, "broken.mp4,A man.", ""]))
    return folder


def start(home: Path, footage: Path) -> "subprocess.Popen[str]":
    environment = os.environ | {
        "LIKENESS_HOME": str(home),
        "LIKENESS_ORCHESTRATOR": "none",
        "LIKENESS_WORKERS": "2",
        "LIKENESS_SHARD_SIZE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.pipeline.to_snapshot", str(footage)]
    return subprocess.Popen(
        command, env=environment, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finished(process: "subprocess.Popen[str]") -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip()


def contents(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for clocks."""
    with Warehouse.at(home / "warehouse.duckdb").session() as session:
        names = [row[0] for row in session.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
        return {name: rows(session, name) for name in names}


def rows(session: Any, table: str) -> list[tuple[Any, ...]]:
    described: Sequence[tuple[str, ...]] = session.execute(f'DESCRIBE "{table}"').fetchall()
    columns = ", ".join(f'"{row[0]}"' for row in described if row[0] not in NOT_COMPARED)
    return sorted(session.execute(f'SELECT {columns} FROM "{table}"').fetchall(), key=repr)


def test_runs_killed_at_ten_random_moments_end_as_an_uninterrupted_one(tmp_path: Path, footage: Path) -> None:
    started = time.monotonic()
    undisturbed = finished(start(tmp_path / "undisturbed", footage))
    length_s = time.monotonic() - started
    expected = contents(tmp_path / "undisturbed")
    assert len(expected["pair"]) > 5 and len({row[1] for row in expected["ledger"]}) == 8

    dice = random.Random(20261121)
    num_killed = 0
    for number in range(NUM_KILLS):
        home = tmp_path / f"killed {number}"
        is_killed = True
        while is_killed:
            process = start(home, footage)
            is_killed = num_killed < NUM_KILLS and not has_ended(process, within_s=dice.uniform(0.1, 0.7) * length_s)
            if is_killed:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                num_killed += 1
        assert finished(process) == undisturbed
        found = contents(home)
        assert {table: found[table] for table in expected} == expected and found.keys() == expected.keys()
        if num_killed == NUM_KILLS:
            return
    pytest.fail(f"only {num_killed} of {NUM_KILLS} moments fell into a run")


def has_ended(process: "subprocess.Popen[str]", *, within_s: float) -> bool:
    try:
        process.wait(timeout=within_s)
    except subprocess.TimeoutExpired:
        return False
    return True
