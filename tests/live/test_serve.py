"""`likeness serve` on Prefect's own server: a scheduled run really collects."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.collect_world import CollectWorld
from tests.served import ROOT, free_port, process

pytestmark = pytest.mark.live

PATIENCE_S = 240.0


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Prefect server's API."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    monkeypatch.setenv("PREFECT_HOME", str(home.parent / "prefect"))
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    # a schedule is looked at every minute, if nothing else is said
    monkeypatch.setenv("PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS", "2")
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--host", "127.0.0.1"]
    with process([*command, "--port", str(port)], health=f"{api}/health", log=home.parent / "prefect.log"):
        yield api


def until(found: Callable[[], Any], process: "subprocess.Popen[str]") -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if what := found():
            return what
        time.sleep(0.5)
    raise AssertionError(f"nothing after {PATIENCE_S} s")


def test_a_scheduled_run_collects(home: Path, server: str) -> None:
    world = CollectWorld(home).fill()
    command = [sys.executable, "-m", "flows", "serve", "--every", "5", "--profile", world.profile("simulated")]
    log = home.parent / "serve.log"
    environment = os.environ | {"PREFECT_API_URL": server}
    with (
        httpx.Client(base_url=server, timeout=30, trust_env=False) as api,
        log.open("w") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output, text=True) as serving,
    ):

        def finished() -> list[dict[str, Any]]:
            runs = api.post("/flow_runs/filter", json={"sort": "EXPECTED_START_TIME_ASC"}).json()
            assert "FAILED" not in {run["state_type"] for run in runs}, runs
            return [run for run in runs if run["state_type"] == "COMPLETED"]

        try:
            run = until(finished, serving)[0]
            found = {each["name"]: each for each in api.post("/deployments/filter", json={}).json()}
        finally:
            serving.send_signal(signal.SIGINT)
            serving.wait(60)
    assert run["auto_scheduled"]
    assert len(world.records("vote")) == 9 and world.offences() == []
    assert set(found) == {"collect", "reconcile"}
    assert {each["entrypoint"] for each in found.values()} == {"flows.deployments.collect_by_schedule"}
    assert {each["global_concurrency_limit"]["limit"] for each in found.values()} == {1}
    assert found["reconcile"]["schedules"][0]["schedule"]["cron"] == "30 3 * * *"


def test_without_a_server_it_says_what_to_start(home: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    command = [sys.executable, "-m", "flows", "serve"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "no Prefect server is named" in done.stderr and "prefect server start" in done.stderr
