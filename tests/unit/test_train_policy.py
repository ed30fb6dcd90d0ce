"""Policy training end to end, small: exact resume, whole groups, gates, quarantine, and what a checkpoint holds."""

import json
import math
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.clip_world import ClipWorld, draw_world
from trainers import checkpoint, recipes, reward_models, runlog
from trainers import train_policy as loop
from trainers.advantages import group_advantages
from trainers.best_of_n import best_candidates
from trainers.checkpoint import RunCard
from trainers.config import RewardConfig
from trainers.ema import MovingAverage
from trainers.errors import NotFinite, OtherRun, ReplayDiffers
from trainers.eval_policy import load_policy, sample_videos
from trainers.group_rollouts import RewardTerms, items_at
from trainers.objectives import grpo
from trainers.policy_config import PolicyConfig
from trainers.reward_models.image_consistency import ImageConsistency
from trainers.rewards import appearance_terms
from trainers.snapshot_pairs import read_evidence
from trainers.train_policy import train_policy
from trainers.video_data import ClipItem, read_clips
from warehouse.errors import BadInput

SMALL = PolicyConfig(
    codec_steps=2, codec_batch=2, sft_steps=3, sft_batch=4, sample_steps=3, eval_steps=2, num_epochs=3,
    groups_per_epoch=2, updates_per_epoch=2, group_size=3, eval_samples=1, eval_every=3, save_every=2, lora_rank=2,
    lora_alpha=2, num_kept_videos=1,
)  # fmt: skip


class Stopped(Exception):
    """The power went out."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ClipWorld:
    return draw_world(tmp_path_factory.mktemp("media"), num_clips=6)


@pytest.fixture(scope="module")
def trained(world: ClipWorld, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunCard]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, run(world, SMALL, folder)


def run(world: ClipWorld, config: PolicyConfig, folder: Path, reward_terms: RewardTerms | None = None) -> RunCard:
    return train_policy(
        world, config, reward_model=None, folder=folder, progress=lambda line: None, reward_terms=reward_terms
    )


def with_base_of(trained: tuple[Path, RunCard], folder: Path, world: ClipWorld, config: PolicyConfig) -> None:
    """Give a run the finished warm-up of another, so that a test pays for GRPO alone."""
    settings = {"model": "wan_vace", **loop.asdict(config), "parents": []}
    run_id = checkpoint.checkpoint_id(loop.KIND, world.id, settings)
    for source in sorted((trained[0] / "base").rglob("*")):
        if source.is_file():
            target = folder / "base" / source.relative_to(trained[0] / "base")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    note = folder / "base" / "likeness.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"run_id": run_id}))


def seen_at(calls: Counter[str], *, stop_at: int | None = None, config: PolicyConfig = SMALL) -> RewardTerms:
    """The usual reward, which counts the videos of each clip, and may stop the process at its n-th call."""

    def terms(video: Tensor, item: ClipItem) -> dict[str, Tensor]:
        calls["calls"] += 1
        if calls["calls"] == stop_at:
            raise Stopped
        references = [(picture + 1) / 2 for picture in item.references]
        return appearance_terms(video, references, gamma=config.subject_balance)

    return terms


def test_a_run_leaves_weights_curve_videos_and_a_card_that_names_the_snapshot(
    trained: tuple[Path, RunCard], world: ClipWorld
) -> None:
    folder, card = trained
    assert checkpoint.load_card(folder) == card
    assert (card.kind, card.snapshot_id, card.parents) == ("policy", world.id, ())
    assert card.metrics["before"]["eval_reward"] != card.metrics["after"]["eval_reward"]
    assert (card.metrics["num_train_clips"], card.metrics["num_eval_clips"]) == (4, 2)
    phases = Counter(row["phase"] for row in runlog.read(folder))
    assert phases == {"codec": 1, "sft": 1, "grpo": SMALL.num_epochs + 1}
    for name in ("warmup", "final"):
        (kept,) = (folder / "samples" / name).glob("*.mp4")
        with av.open(str(kept)) as container:
            assert len(list(container.decode(video=0))) == SMALL.num_frames


def test_a_finished_run_is_not_repeated(trained: tuple[Path, RunCard], world: ClipWorld) -> None:
    said: list[str] = []
    again = train_policy(world, SMALL, reward_model=None, folder=trained[0], progress=said.append)
    assert again == trained[1]
    assert said == [f"{again.checkpoint_id}: trained already"]


def test_the_folder_of_another_run_is_refused(trained: tuple[Path, RunCard], world: ClipWorld) -> None:
    with pytest.raises(OtherRun):
        run(world, replace(SMALL, seed=1), trained[0])


def test_the_base_of_another_run_is_refused(trained: tuple[Path, RunCard], world: ClipWorld, tmp_path: Path) -> None:
    with_base_of(trained, tmp_path, world, SMALL)
    with pytest.raises(OtherRun):
        run(world, replace(SMALL, seed=1), tmp_path)


@pytest.fixture
def reward_model(trained: tuple[Path, RunCard], tmp_path: Path) -> Path:
    """The folder of an untrained one, in the real format."""
    config = RewardConfig()
    torch.manual_seed(0)
    card = replace(trained[1], checkpoint_id="reward_model_1", kind="reward_model", config=asdict(config))
    checkpoint.save(tmp_path / "reward", ImageConsistency.configured(asdict(config)).state_dict(), card)
    return tmp_path / "reward"


def test_the_warm_up_sees_of_each_clip_the_candidate_that_the_reward_model_likes_best(
    world: ClipWorld, reward_model: Path
) -> None:
    model, _ = reward_models.load(reward_model)
    names = [f"candidate_clip_00_{generator}" for generator in ("blur", "original")]
    scores = model.score(read_evidence(world, names)).tolist()
    best = best_candidates(world, reward_model)
    assert best["clip_00"] == names[scores.index(max(scores))] and len(best) == 6
    other = {clip_id: f"candidate_{clip_id}_blur" for clip_id in best}
    first, changed = clips(world)[0], clips(world, chosen=other)[0]
    assert not torch.equal(changed.video_3THW, first.video_3THW)
    assert torch.equal(changed.references[0], first.references[0])


def test_the_reward_checkpoint_is_named_as_parent(world: ClipWorld, reward_model: Path, tmp_path: Path) -> None:
    config = replace(SMALL, num_epochs=1, eval_every=1)
    card = train_policy(
        world, config, reward_model=reward_model, folder=tmp_path / "policy", progress=lambda line: None
    )
    assert card.parents == ("reward_model_1",)
    assert card.checkpoint_id != train_id(world, config)


def train_id(world: ClipWorld, config: PolicyConfig) -> str:
    return checkpoint.checkpoint_id(loop.KIND, world.id, {"model": "wan_vace", **loop.asdict(config), "parents": []})


@pytest.mark.parametrize("stop_at", [4, 7])
def test_a_run_stopped_anywhere_and_started_again_ends_with_the_same_bytes(
    trained: tuple[Path, RunCard], world: ClipWorld, tmp_path: Path, stop_at: int
) -> None:
    with_base_of(trained, tmp_path, world, SMALL)
    with pytest.raises(Stopped):
        run(world, SMALL, tmp_path, seen_at(Counter(), stop_at=stop_at))
    card = run(world, SMALL, tmp_path)
    assert card == trained[1]
    for name in ("weights.safetensors", "samples/final/clip_02.mp4"):
        assert (tmp_path / name).read_bytes() == (trained[0] / name).read_bytes()
    assert rows_of(tmp_path) == rows_of(trained[0])


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [row for row in runlog.read(folder) if row["phase"] == "grpo"]


def test_a_run_stopped_in_its_warm_up_comes_to_the_same_policy(
    trained: tuple[Path, RunCard], world: ClipWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr("trainers.warm_up.train_supervised", stop)
        with pytest.raises(Stopped):
            run(world, SMALL, tmp_path)
    assert not (tmp_path / "base").exists()
    assert run(world, SMALL, tmp_path) == trained[1]
    assert (tmp_path / "metrics.jsonl").read_text() == (trained[0] / "metrics.jsonl").read_text()


def test_every_group_has_exactly_its_members_in_every_epoch_resumed_ones_too(
    trained: tuple[Path, RunCard], world: ClipWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_base_of(trained, tmp_path, world, SMALL)
    sizes: list[dict[int, int]] = []

    def watched(reward_B: Tensor, group_B: Tensor, **options: Any) -> Tensor:
        sizes.append(Counter(group_B.tolist()))
        assert len(reward_B) == len(group_B)
        return group_advantages(reward_B, group_B, **options)

    monkeypatch.setattr(loop, "group_advantages", watched)
    with pytest.raises(Stopped):
        run(world, SMALL, tmp_path, seen_at(Counter(), stop_at=8))
    run(world, SMALL, tmp_path)
    assert len(sizes) >= SMALL.num_epochs
    assert all(sorted(members.values()) == [SMALL.group_size] * SMALL.groups_per_epoch for members in sizes)


@pytest.mark.parametrize(("num_items", "count"), [(4, 2), (7, 3), (5, 5), (2, 6), (1, 1)])
def test_an_epoch_draws_distinct_clips_and_a_pass_repeats_none(num_items: int, count: int) -> None:
    size = min(num_items, count)
    per_pass = num_items // size
    for first in range(0, 4 * per_pass, per_pass):
        drawn = [
            item
            for epoch in range(first, first + per_pass)
            for item in items_at(epoch, num_items=num_items, count=count, seed=3)
        ]
        assert len(drawn) == len(set(drawn)) == per_pass * size
        assert set(drawn) <= set(range(num_items))


def test_a_failed_reward_is_quarantined_and_training_goes_on(
    trained: tuple[Path, RunCard], world: ClipWorld, tmp_path: Path
) -> None:
    config = replace(SMALL, num_epochs=1)
    with_base_of(trained, tmp_path, world, config)

    def terms(video: Tensor, item: ClipItem) -> dict[str, Tensor]:
        found = seen_at(Counter())(video, item)
        if len(video) == SMALL.group_size:
            found["steadiness"][0] = math.nan
        return found

    run(world, config, tmp_path, terms)
    row = rows_of(tmp_path)[-1]
    assert (row["num_quarantined"], row["num_equal_groups"]) == (2, 0)
    assert row["grad_norm"] > 0


def test_groups_of_equal_rewards_are_counted_and_move_nothing(
    trained: tuple[Path, RunCard], world: ClipWorld, tmp_path: Path
) -> None:
    config = replace(SMALL, num_epochs=1)
    with_base_of(trained, tmp_path, world, config)

    def indifferent(video: Tensor, item: ClipItem) -> dict[str, Tensor]:
        return {name: torch.ones(len(video)) for name in config.reward_weights}

    run(world, config, tmp_path, indifferent)
    row = rows_of(tmp_path)[-1]
    assert (row["num_equal_groups"], row["loss"], row["grad_norm"]) == (2, None, None)
    weights, _ = checkpoint.load(tmp_path)
    assert all(weight.eq(0).all() for name, weight in weights.items() if "lora_B" in name)


def test_before_the_first_update_the_ratio_is_1_and_it_moves_in_the_second(trained: tuple[Path, RunCard]) -> None:
    gaps = [row["ratio_gap"] for row in rows_of(trained[0])[1:]]
    assert all(0 < gap < 1 for gap in gaps)


def test_a_roll_out_that_replay_does_not_reproduce_stops_the_run(
    trained: tuple[Path, RunCard], world: ClipWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_base_of(trained, tmp_path, world, SMALL)
    policy_of = loop.warmed_up

    def rounded_without_gradient(*arguments: Any) -> Any:
        policy = policy_of(*arguments)
        predict = policy.predict

        def rounded(latent: Tensor, *rest: Tensor) -> Tensor:
            velocity = predict(latent, *rest)
            return velocity if torch.is_grad_enabled() else (4 * velocity).round() / 4

        monkeypatch.setattr(policy, "predict", rounded)
        return policy

    monkeypatch.setattr(loop, "warmed_up", rounded_without_gradient)
    with pytest.raises(ReplayDiffers):
        run(world, SMALL, tmp_path)


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_optimiser_moves(
    trained: tuple[Path, RunCard], world: ClipWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_base_of(trained, tmp_path, world, SMALL)
    steps: list[int] = []
    monkeypatch.setattr(grpo, "policy_loss", lambda log_prob_B, *_, **__: log_prob_B.sum() * math.inf)
    monkeypatch.setattr(MovingAverage, "follow", lambda *_: steps.append(1))
    with pytest.raises(NotFinite, match="gradient norm"):
        run(world, SMALL, tmp_path)
    assert not steps
    assert not checkpoint.is_finished(tmp_path)


def test_the_kl_penalty_is_told_where_it_is_asked_for(
    trained: tuple[Path, RunCard], world: ClipWorld, tmp_path: Path
) -> None:
    config = replace(SMALL, kl_beta=0.01, num_epochs=2)
    with_base_of(trained, tmp_path, world, config)
    run(world, config, tmp_path)
    assert all(row["kl"] > 0 for row in rows_of(tmp_path)[1:])
    assert all(row["kl"] is None for row in rows_of(trained[0])[1:])
    assert checkpoint.load(tmp_path)[0].keys() == checkpoint.load(trained[0])[0].keys()


def test_a_checkpoint_draws_the_videos_that_were_kept_of_it(trained: tuple[Path, RunCard], world: ClipWorld) -> None:
    policy, config = load_policy(trained[0])
    items = [item for item in clips(world) if item.split == "test"]
    (video,) = sample_videos(policy, items[:1], config)
    assert (video.dtype, video.shape) == (np.uint8, (5, 32, 32, 3))
    with av.open(str(trained[0] / "samples" / "final" / f"{items[0].clip_id}.mp4")) as container:
        kept = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert np.abs(kept.astype(int) - video).mean() < 8


def clips(world: ClipWorld, **options: Any) -> list[ClipItem]:
    return read_clips(world, **({"num_frames": 5, "size_px": (32, 32), "is_crop_preferred": True} | options))


def test_the_rate_falls_by_a_half_cosine_or_stays() -> None:
    falling = [loop._rate(PolicyConfig(learning_rate=0.4, num_epochs=4), epoch) for epoch in range(4)]
    assert falling == pytest.approx([0.4, 0.2 * (1 + math.sqrt(0.5)), 0.2, 0.2 * (1 - math.sqrt(0.5))])
    assert loop._rate(PolicyConfig(learning_rate=0.4, is_rate_decayed=False), 9) == 0.4


def test_the_moving_average_follows_slowly_and_stands_in_for_the_weights() -> None:
    weights = {"w": torch.zeros(2)}
    average = MovingAverage(weights, decay=0.9, every=2)
    weights["w"].fill_(1.0)
    average.follow(weights)
    assert average.average["w"].tolist() == [0, 0]
    average.follow(weights)
    torch.testing.assert_close(average.average["w"], torch.full((2,), 0.1))
    with average.standing_in(weights):
        torch.testing.assert_close(weights["w"], torch.full((2,), 0.1))
    assert weights["w"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"height_px": 40},
        {"num_frames": 6},
        {"group_size": 1},
        {"sample_steps": 1},
        {"updates_per_epoch": 9},
        {"clip": 0.0},
        {"ema_decay": 1.0},
        {"subject_balance": 1.5},
        {"sft_steps": 0},
        {"num_epochs": 0},
    ],
)
def test_a_configuration_that_cannot_be_run_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="multiples of 16" if "height_px" in wrong else next(iter(wrong))):
        PolicyConfig(**wrong)


def test_the_paper_s_recipe_has_the_paper_s_figures() -> None:
    config = recipes.policy_paper()
    assert (config.height_px, config.width_px, config.num_frames) == (240, 416, 33)
    assert (config.sample_steps, config.eval_steps, config.group_size, config.clip) == (25, 50, 8, 1e-3)
    assert (config.lora_rank, config.lora_alpha, config.is_noise_shared) == (32, 32, False)
    assert config.groups_per_epoch // config.updates_per_epoch == 16
