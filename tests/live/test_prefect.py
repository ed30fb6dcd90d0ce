"""Steps as Prefect flows, on Prefect's own in-process server: a task a shard, and the ledger as without Prefect."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_stages import write_profile
from warehouse.database import Warehouse

pytestmark = pytest.mark.live

NUM_SOURCES = 6


def likeness(home: Path, *words: str) -> str:
    environment = os.environ | {
        "LIKENESS_HOME": str(home),
        "LIKENESS_ORCHESTRATOR": "prefect",
        "LIKENESS_WORKERS": "2",
        "LIKENESS_SHARD_SIZE": "2",
    }
    command = [sys.executable, "-m", "flows", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    return done.stdout


def test_a_step_is_a_flow_and_a_shard_is_a_task(home: Path, tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "fake.toml")
    footage = tmp_path / "footage"
    footage.mkdir()
    rows = ["path,caption"]
    for number in range(NUM_SOURCES):
        (footage / f"{number}.mp4").write_bytes(str(number).encode())
        rows.append(f"{number}.mp4,{'fails' if number == 3 else 'fine'}")
    (footage / "captions.csv").write_text("\n".join(rows))
    likeness(home, "ingest", "--source", str(footage), "--profile", profile)
    assert likeness(home, "curate", "--profile", profile) == f"{NUM_SOURCES + 2 * (NUM_SOURCES - 1)} new facts\n"
    assert likeness(home, "curate", "--profile", profile) == "0 new facts\n"

    with sqlite3.connect(home / "prefect" / "prefect.db") as prefect:
        flow_runs = prefect.execute(
            "SELECT flow.name, state_type FROM flow_run JOIN flow ON flow.id = flow_id"
        ).fetchall()
        task_runs = prefect.execute("SELECT name FROM task_run").fetchall()
    assert flow_runs == [("curate", "COMPLETED")], "the second run had nothing to do and started no flow"
    with Warehouse.at(home / "warehouse.duckdb").session() as session:
        shards = session.execute("SELECT DISTINCT shard_id FROM ledger").fetchall()
    assert sorted(task_runs) == sorted(shards) and len(shards) == NUM_SOURCES // 2
