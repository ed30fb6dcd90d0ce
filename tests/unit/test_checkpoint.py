import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from trainers import checkpoint, runlog
from trainers.checkpoint import RunCard
from trainers.errors import CheckpointDamaged, OtherRun
from warehouse.errors import DiskFull

WEIGHTS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.tensor([0.5])}


def run_card(**override: Any) -> RunCard:
    values: dict[str, Any] = {
        "checkpoint_id": "reward_model_1",
        "kind": "reward_model",
        "name": "image_consistency",
        "snapshot_id": "snapshot_1",
        "config": {"seed": 0, "rate": 0.1},
        "seed": 0,
        "versions": checkpoint.versions(),
        "metrics": {"accuracy": 0.75},
    }
    return RunCard(**(values | override))


def test_weights_and_card_come_back_as_they_were_saved(tmp_path: Path) -> None:
    card = run_card(parents=("reward_model_0",))
    checkpoint.save(tmp_path, WEIGHTS, card)
    weights, found = checkpoint.load(tmp_path)
    assert found == card
    assert weights.keys() == WEIGHTS.keys()
    assert all(torch.equal(weights[name], WEIGHTS[name]) for name in WEIGHTS)


def test_the_same_run_has_the_same_id_and_another_seed_another() -> None:
    first = checkpoint.checkpoint_id("policy", "snapshot_1", {"seed": 0, "rate": 0.1})
    assert first == checkpoint.checkpoint_id("policy", "snapshot_1", {"rate": 0.1, "seed": 0})
    assert first.startswith("policy_")
    others = [("policy", "snapshot_1", {"seed": 1, "rate": 0.1}), ("policy", "snapshot_2", {"seed": 0, "rate": 0.1})]
    assert first not in [checkpoint.checkpoint_id(*other) for other in others]


def test_a_folder_is_finished_only_once_the_card_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def die_at_the_card(self: Path, target: Path) -> Path:
        if target.name == checkpoint.CARD:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", die_at_the_card)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, WEIGHTS, run_card())
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.WEIGHTS]
    assert not checkpoint.is_finished(tmp_path)


def test_a_full_disk_is_named_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="no space"):
        checkpoint.save(tmp_path, WEIGHTS, run_card())
    assert list(tmp_path.iterdir()) == []


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, WEIGHTS, run_card())
    path = tmp_path / checkpoint.WEIGHTS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointDamaged, match="not the card's"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("missing", [checkpoint.WEIGHTS, checkpoint.CARD])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    checkpoint.save(tmp_path, WEIGHTS, run_card())
    (tmp_path / missing).unlink()
    with pytest.raises(CheckpointDamaged, match=missing):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weights_sha256": "", "parents": []}'])
def test_what_is_no_run_card_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / checkpoint.CARD).write_text(text)
    with pytest.raises(CheckpointDamaged, match="no run card"):
        checkpoint.load_card(tmp_path)


def test_a_metric_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.save(tmp_path, WEIGHTS, run_card(metrics={"accuracy": float("nan")}))
    assert not checkpoint.is_finished(tmp_path)


def test_a_finished_run_is_known_again_and_another_run_is_refused(tmp_path: Path) -> None:
    assert checkpoint.finished_card(tmp_path, "reward_model_1") is None
    checkpoint.save(tmp_path, WEIGHTS, run_card())
    assert checkpoint.finished_card(tmp_path, "reward_model_1") == run_card()
    with pytest.raises(OtherRun, match="reward_model_2"):
        checkpoint.finished_card(tmp_path, "reward_model_2")


def test_state_comes_back_and_goes_away_when_the_run_is_finished(tmp_path: Path) -> None:
    state: dict[str, Any] = {
        "step": 3,
        "rng": torch.get_rng_state(),
        "optimiser": {"state": {0: {"exp_avg": torch.ones(2)}}},
    }
    assert checkpoint.load_state(tmp_path, "reward_model_1") is None
    checkpoint.save_state(tmp_path, "reward_model_1", state)
    found = checkpoint.load_state(tmp_path, "reward_model_1")
    assert found is not None
    assert found["step"] == 3
    assert torch.equal(found["rng"], state["rng"])
    assert torch.equal(found["optimiser"]["state"][0]["exp_avg"], torch.ones(2))
    checkpoint.save(tmp_path, WEIGHTS, run_card())
    assert checkpoint.load_state(tmp_path, "reward_model_1") is None


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    checkpoint.save_state(tmp_path, "reward_model_1", {"step": 3})
    with pytest.raises(OtherRun, match="reward_model_1"):
        checkpoint.load_state(tmp_path, "reward_model_2")


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    checkpoint.save_state(tmp_path, "reward_model_1", {"step": 3})
    path = tmp_path / checkpoint.STATE
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointDamaged, match="delete it"):
        checkpoint.load_state(tmp_path, "reward_model_1")


def test_the_curve_is_read_back_in_order(tmp_path: Path) -> None:
    assert runlog.read(tmp_path) == []
    log = runlog.RunLog(tmp_path, last_step=-1)
    log.append(0, {"loss": 1.0})
    log.append(1, {"loss": 0.5})
    assert runlog.read(tmp_path) == [{"step": 0, "loss": 1.0}, {"step": 1, "loss": 0.5}]


def test_a_resumed_curve_forgets_the_rows_after_its_step_and_a_torn_line(tmp_path: Path) -> None:
    log = runlog.RunLog(tmp_path, last_step=-1)
    for step in range(4):
        log.append(step, {"loss": 1.0})
    with log.path.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in runlog.read(tmp_path)] == [0, 1, 2, 3]
    runlog.RunLog(tmp_path, last_step=1).append(2, {"loss": 0.25})
    rows = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == [(0, 1.0), (1, 1.0), (2, 0.25)]


def test_a_new_run_starts_an_empty_curve(tmp_path: Path) -> None:
    runlog.RunLog(tmp_path, last_step=-1).append(0, {"loss": 1.0})
    runlog.RunLog(tmp_path, last_step=-1)
    assert runlog.read(tmp_path) == []
