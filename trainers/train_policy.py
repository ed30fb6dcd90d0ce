"""Training of the policy: warm-up, then GRPO, the loop top to bottom. Identity-GRPO 2.3 on any `VideoPolicy`.

An epoch is one roll-out and the updates made on it. Random numbers are drawn by name (seed, epoch, clip), so that a run
stopped at any moment and started again ends with the very weights of an uninterrupted one. The folder then holds

    base/                  the policy after its warm-up, in the format of diffusers' WanVACEPipeline
    weights.safetensors    the low-rank adapter that GRPO trained (its moving average), in the format of peft
    metrics.jsonl          the curve; samples/{warmup,final}/<clip>.mp4: some of its videos
    run_card.json          last of all
"""

# Shape letters: B samples, G samples of a group

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers import checkpoint, runlog
from trainers.advantages import group_advantages, num_equal_groups
from trainers.best_of_n import best_candidates
from trainers.checkpoint import RunCard
from trainers.ema import MovingAverage, replace_weights
from trainers.errors import NotFinite
from trainers.eval_policy import BASE, conditions_of, evaluate, sample_videos
from trainers.group_rollouts import RewardTerms, Sampler, Told, accumulate, items_at, roll_out_group
from trainers.policies import sampling
from trainers.policies.protocol import VideoPolicy
from trainers.policies.wan_vace import WanVACE
from trainers.policy_config import PolicyConfig
from trainers.rewards import appearance_terms
from trainers.runlog import RunLog
from trainers.seeds import seed_for
from trainers.video_data import ClipItem, ClipTables, read_clips, write_video
from trainers.warm_up import warmed_up

KIND = "policy"
SAMPLES = "samples"
FRAME_RATE = 8
"""Of the kept videos, frames a second; for display only."""


def train_policy(
    snapshot: ClipTables,
    config: PolicyConfig,
    *,
    reward_model: Path | None,
    folder: Path,
    progress: Callable[[str], None],
    reward_terms: RewardTerms | None = None,
) -> RunCard:
    """Train into `folder`, or go on where a stopped run left off; a finished run is not repeated.

    The reward checkpoint, a parent in the run card, chooses of each clip's candidates the one to be warmed up on
    (best of N; the original without it). It cannot score the tiny policy's own videos, which hold no readable face:
    `reward_terms` is by default the stand-in of `rewards.appearance_terms`.
    """
    parents = (checkpoint.load_card(reward_model).checkpoint_id,) if reward_model else ()
    settings = {"model": WanVACE.name, **asdict(config), "parents": list(parents)}
    run_id = checkpoint.checkpoint_id(KIND, snapshot.id, settings)
    if card := checkpoint.finished_card(folder, run_id):
        progress(f"{run_id}: trained already")
        return card

    items = read_clips(
        snapshot,
        num_frames=config.num_frames,
        size_px=config.size_px,
        is_crop_preferred=config.is_crop_preferred,
        chosen=best_candidates(snapshot, reward_model) if reward_model else None,
    )
    train = [item for item in items if item.split == "train"] or items
    held_out = [item for item in items if item.split != "train"] or items
    policy = warmed_up(run_id, train, config, folder / BASE, progress)
    conditions, held_out_conditions = conditions_of(policy, train, config), conditions_of(policy, held_out, config)
    terms = reward_terms or _stand_in(config)
    times = sampling.schedule(config.sample_steps, config.shift)
    sampler = Sampler(policy=policy, config=config, times=times, rule=config.step_rule(times[1]), reward_terms=terms)
    weights = policy.add_lora(rank=config.lora_rank, alpha=config.lora_alpha, seed=seed_for(config.seed, "lora"))
    optimiser = torch.optim.AdamW(list(weights.values()), lr=config.learning_rate)
    average = MovingAverage(weights, decay=config.ema_decay, every=config.ema_every)
    first_step = config.codec_steps + config.sft_steps

    epoch = 0
    if state := checkpoint.load_state(folder, run_id):
        epoch = state["epoch"]
        replace_weights(weights, state["weights"])
        optimiser.load_state_dict(state["optimiser"])
        average.restore(state["average"], state["num_updates"])
        progress(f"{run_id}: goes on at epoch {epoch} of {config.num_epochs}")
    log = RunLog(folder, last_step=first_step + epoch if epoch else first_step - 1)
    if not epoch:
        row: dict[str, Any] = dict(evaluate(sampler, held_out, held_out_conditions))
        log.append(first_step, {"phase": "grpo", "epoch": 0} | row)
        _keep_videos(folder / SAMPLES / "warmup", policy, held_out, config)
        progress(f"{run_id}: warmed up, held-out reward {row['eval_reward']:.4f}")

    while epoch < config.num_epochs:
        # Roll out: G samples of each of this epoch's clips, and their advantages within the clip
        chosen = items_at(epoch, num_items=len(train), count=config.groups_per_epoch, seed=config.seed)
        groups = [roll_out_group(sampler, train[item], conditions[item], epoch=epoch) for item in chosen]
        reward_B = torch.cat([group.reward_G for group in groups])
        group_B = torch.repeat_interleave(torch.tensor(chosen), torch.tensor([len(g.reward_G) for g in groups]))
        advantage_B = group_advantages(reward_B, group_B, epsilon=config.advantage_epsilon, ddof=config.advantage_ddof)
        advantages = torch.split(advantage_B, config.group_size)

        # Update: a group serves one update; before the first, the replayed ratio must be 1
        for parameters in optimiser.param_groups:
            parameters["lr"] = _rate(config, epoch)
        told: list[Told] = []
        grad_norms: list[float] = []
        for part in np.array_split(np.arange(len(groups)), min(config.updates_per_epoch, len(groups))):
            with_signal = [index for index in part.tolist() if advantages[index].any()]
            if not with_signal:
                continue
            optimiser.zero_grad()
            for index in with_signal:
                told += accumulate(
                    sampler, groups[index], advantages[index], share=1 / len(with_signal), is_first=not grad_norms
                )
            grad_norm = torch.nn.utils.clip_grad_norm_(list(weights.values()), config.grad_norm).item()
            if not (math.isfinite(grad_norm) and all(math.isfinite(one.loss) for one in told)):
                raise NotFinite(f"{run_id}: epoch {epoch}: gradient norm {grad_norm}; lower learning_rate")
            optimiser.step()
            average.follow(weights)
            grad_norms.append(grad_norm)
        epoch += 1

        # Tell, and keep
        row = {
            "phase": "grpo",
            "epoch": epoch,
            "clips": [train[item].clip_id for item in chosen],
            "num_samples": reward_B.numel(),
            "num_quarantined": int(reward_B.isnan().sum()),
            "num_equal_groups": num_equal_groups(reward_B, group_B),
            "reward_mean": _mean(reward_B.tolist()),
            "reward_std": _mean([_spread(group.reward_G) for group in groups]),
            "loss": _mean([one.loss for one in told]),
            "grad_norm": _mean(grad_norms),
            "ratio_gap": _mean([one.ratio_gap for one in told]),
            "clipped_share": _mean([one.clipped_share for one in told]),
            "kl": _mean([one.kl for one in told]),
        }
        if epoch % config.eval_every == 0 or epoch == config.num_epochs:
            with average.standing_in(weights):
                row |= evaluate(sampler, held_out, held_out_conditions)
            progress(f"{run_id}: epoch {epoch} of {config.num_epochs}, held-out reward {row['eval_reward']:.4f}")
        log.append(first_step + epoch, row)
        if epoch % config.save_every == 0:
            state = {"epoch": epoch, "weights": dict(weights), "optimiser": optimiser.state_dict()}
            state |= {"average": average.average, "num_updates": average.num_updates}
            checkpoint.save_state(folder, run_id, state)

    with average.standing_in(weights):
        _keep_videos(folder / SAMPLES / "final", policy, held_out, config)
    card = RunCard(
        checkpoint_id=run_id,
        kind=KIND,
        name=WanVACE.name,
        snapshot_id=snapshot.id,
        config=settings,
        seed=config.seed,
        versions=checkpoint.versions(),
        metrics=_summary(folder, len(train), len(held_out), is_held_out=held_out is not items),
        parents=parents,
    )
    checkpoint.save(folder, average.average, card)
    return card


def _rate(config: PolicyConfig, epoch: int) -> float:
    share = 0.5 * (1 + math.cos(math.pi * epoch / config.num_epochs)) if config.is_rate_decayed else 1.0
    return config.learning_rate * share


def _stand_in(config: PolicyConfig) -> RewardTerms:
    def terms(video_BT3HW: Tensor, item: ClipItem) -> dict[str, Tensor]:
        references = [(picture + 1) / 2 for picture in item.references]
        return appearance_terms(video_BT3HW, references, gamma=config.subject_balance)

    return terms


def _keep_videos(folder: Path, policy: VideoPolicy, items: Sequence[ClipItem], config: PolicyConfig) -> None:
    kept = items[: config.num_kept_videos]
    for item, video in zip(kept, sample_videos(policy, kept, config), strict=True):
        write_video(folder / f"{item.clip_id}.mp4", video, frame_rate=FRAME_RATE)


def _summary(folder: Path, num_train: int, num_eval: int, *, is_held_out: bool) -> dict[str, Any]:
    """For the run card: the held-out reward before and after, from the run's own curve."""
    curve = [row for row in runlog.read(folder) if "eval_reward" in row]
    return {
        "num_train_clips": num_train,
        "num_eval_clips": num_eval,
        "is_eval_held_out": is_held_out,
        "before": {name: value for name, value in curve[0].items() if name.startswith("eval_")},
        "after": {name: value for name, value in curve[-1].items() if name.startswith("eval_")},
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """Of what was measured; None if nothing was."""
    measured = [value for value in values if value is not None and math.isfinite(value)]
    return sum(measured) / len(measured) if measured else None


def _spread(reward_G: Tensor) -> float | None:
    measured_G = reward_G[~reward_G.isnan()]
    return measured_G.std().item() if len(measured_G) > 1 else None
