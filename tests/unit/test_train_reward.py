import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.face_world import freeze_world
from trainers import checkpoint, reward_models, runlog, samplers
from trainers.checkpoint import RunCard
from trainers.config import RewardConfig
from trainers.errors import NotFinite, OtherRun
from trainers.train_reward import train_reward
from warehouse import snapshot
from warehouse.errors import BadInput, NothingToDo
from warehouse.snapshot import Snapshot

SHORT = RewardConfig(num_steps=12, batch_pairs=8, save_every=4, log_every=2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return freeze_world(tmp_path_factory.mktemp("world"), num_clips=6)


def trained(world: Snapshot, folder: Path, config: RewardConfig = SHORT) -> RunCard:
    return train_reward(world, config, folder=folder, progress=lambda line: None)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def stop_at(step: int, stop: Callable[[], None]) -> Callable[..., list[int]]:
    """`batch_at` that stops the run when it begins a step."""
    batch_at = samplers.batch_at

    def stopping(at: int, **how: Any) -> list[int]:
        if at == step:
            stop()
        return batch_at(at, **how)

    return stopping


def train_until_killed(world_path: Path, folder: Path, step: int) -> None:
    """In a process of its own."""
    samplers.batch_at = stop_at(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    trained(snapshot.open(world_path), folder)


def assert_ends_as_uninterrupted(world: Snapshot, stopped: Path, whole: Path) -> None:
    assert not checkpoint.is_finished(stopped)
    assert trained(world, stopped) == trained(world, whole)
    assert same(checkpoint.load(stopped)[0], checkpoint.load(whole)[0])
    assert runlog.read(stopped) == runlog.read(whole)
    assert [row["step"] for row in runlog.read(whole)] == [2, 4, 6, 8, 10, 12]


def test_a_killed_run_ends_with_the_weights_and_curve_of_an_uninterrupted_one(world: Snapshot, tmp_path: Path) -> None:
    """Killed after step 6, which is in the curve, with the state of step 4."""
    stopped = tmp_path / "stopped"
    process = multiprocessing.get_context("spawn").Process(target=train_until_killed, args=(world.path, stopped, 6))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [row["step"] for row in runlog.read(stopped)] == [2, 4, 6]
    assert_ends_as_uninterrupted(world, stopped, tmp_path / "whole")


@pytest.mark.parametrize("step", [0, 3, 4, 11])
def test_it_does_not_matter_when_a_run_is_stopped(
    world: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(samplers, "batch_at", stop_at(step, stop))
        trained(world, tmp_path / "stopped")
    assert_ends_as_uninterrupted(world, tmp_path / "stopped", tmp_path / "whole")


def test_a_finished_run_is_not_repeated(world: Snapshot, tmp_path: Path) -> None:
    card = trained(world, tmp_path)
    stamp = (tmp_path / checkpoint.WEIGHTS).stat().st_mtime_ns
    lines: list[str] = []
    assert train_reward(world, SHORT, folder=tmp_path, progress=lines.append) == card
    assert (tmp_path / checkpoint.WEIGHTS).stat().st_mtime_ns == stamp
    assert lines == [f"{card.checkpoint_id}: trained already"]


def test_another_configuration_does_not_take_over_a_folder(world: Snapshot, tmp_path: Path) -> None:
    trained(world, tmp_path)
    with pytest.raises(OtherRun):
        trained(world, tmp_path, RewardConfig(seed=1))


def test_seeds_differ_and_repeat(world: Snapshot, tmp_path: Path) -> None:
    runs = [RewardConfig(num_steps=2, seed=seed) for seed in (0, 0, 1)]
    for name, config in zip("abc", runs, strict=True):
        trained(world, tmp_path / name, config)
    a, b, c = (checkpoint.load(tmp_path / name)[0] for name in "abc")
    assert same(a, b)
    assert not same(a, c)


def test_training_leaves_the_callers_random_numbers_alone(world: Snapshot, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    trained(world, tmp_path)
    assert torch.equal(before, torch.get_rng_state())


def test_the_card_names_snapshot_seed_and_configuration(world: Snapshot, tmp_path: Path) -> None:
    card = trained(world, tmp_path)
    assert (card.kind, card.name, card.snapshot_id, card.seed) == ("reward_model", "image_consistency", world.id, 0)
    assert card.config["theta"] == 5
    assert card.metrics["num_test_pairs"] == world.pairs("test").num_rows


def test_a_loaded_model_scores_as_the_trained_one_did(world: Snapshot, tmp_path: Path) -> None:
    card = trained(world, tmp_path)
    model, found = reward_models.load(tmp_path)
    assert found == card
    assert not model.training
    assert same(model.state_dict(), checkpoint.load(tmp_path)[0])


def test_without_held_out_pairs_training_goes_on_and_claims_nothing(tmp_path: Path) -> None:
    card = trained(freeze_world(tmp_path, num_clips=2), tmp_path / "run")
    assert card.metrics["with_ties"]["reward_model"] is None
    assert {row["accuracy"] for row in runlog.read(tmp_path / "run")} == {None}


def test_without_training_pairs_there_is_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="no settled pair"):
        trained(freeze_world(tmp_path, num_clips=0), tmp_path / "run")


def test_a_loss_that_is_no_number_stops_the_run_before_the_weights_move(
    world: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: pytest.fail("the optimiser moved"))
    monkeypatch.setattr("trainers.preference.loss", lambda score_a_B, *rest: (score_a_B * torch.nan).sum())
    with pytest.raises(NotFinite, match="step 0"):
        trained(world, tmp_path)
    assert not checkpoint.is_finished(tmp_path)


def test_it_beats_face_similarity_on_people_it_never_saw(tmp_path: Path) -> None:
    world = freeze_world(tmp_path, num_clips=18)
    found = trained(world, tmp_path / "run", RewardConfig(num_steps=60)).metrics
    for how in ("with_ties", "without_ties"):
        assert found[how]["reward_model_minus_face_similarity"]["interval_95"][0] > 0.05


@pytest.mark.parametrize("num_items", [1, 5, 8, 13])
def test_every_epoch_shows_every_item_once(num_items: int) -> None:
    stream = [
        item for step in range(num_items) for item in samplers.batch_at(step, num_items=num_items, batch_size=8, seed=3)
    ]
    epochs = [stream[start : start + num_items] for start in range(0, len(stream), num_items)]
    assert all(sorted(epoch) == list(range(num_items)) for epoch in epochs)
    assert num_items < 5 or epochs[0] != epochs[1]


@pytest.mark.parametrize("wrong", [{"theta": 0.9}, {"num_steps": 0}, {"dropout": 1.5}, {"learning_rate": 0.0}])
def test_a_configuration_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        RewardConfig(**wrong)
