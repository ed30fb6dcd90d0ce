import os
from pathlib import Path

import pytest

from flows.settings import Settings
from warehouse.database import Warehouse
from warehouse.errors import BadInput


def test_all_state_lies_below_the_home(tmp_path: Path) -> None:
    settings = Settings.read({"LIKENESS_HOME": str(tmp_path)})
    places = [settings.staging, settings.snapshots, settings.checkpoints, settings.reports, settings.media.root]
    assert {place.parent for place in places} == {tmp_path}
    assert settings.warehouse == Warehouse(tmp_path / "warehouse.duckdb")


def test_the_home_is_absolute_so_that_workers_find_it_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    assert Settings.read({}).home == Path("/tmp/.likeness").resolve()


def test_a_warehouse_on_the_command_line_comes_before_the_environments(tmp_path: Path) -> None:
    environment = {"LIKENESS_HOME": str(tmp_path), "LIKENESS_WAREHOUSE": "duckdb:///of/environment.duckdb"}
    assert Settings.read(environment).warehouse == Warehouse(Path("/of/environment.duckdb"))
    assert Settings.read(environment, warehouse_url="given.duckdb").warehouse == Warehouse(Path("given.duckdb"))


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "", "2 "])
@pytest.mark.parametrize("name", ["LIKENESS_WORKERS", "LIKENESS_SHARD_SIZE"])
def test_a_number_that_is_none_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(BadInput, match=f"{name}={text}: a whole number is needed"):
        Settings.read({name: text})


def test_by_default_there_is_a_worker_a_core_and_a_shard_holds_a_source_at_least() -> None:
    assert Settings.read({}).num_workers == len(os.sched_getaffinity(0))
    assert Settings.read({"LIKENESS_WORKERS": "0"}).num_workers == 0
    assert Settings.read({"LIKENESS_SHARD_SIZE": "0"}).shard_size == 1


def test_steps_are_orchestrated_unless_that_is_switched_off() -> None:
    assert Settings.read({}).is_orchestrated
    assert not Settings.read({"LIKENESS_ORCHESTRATOR": "none"}).is_orchestrated
