"""What stands before GRPO: the tiny policy's codec learns the clips, then its transformer learns to draw them.

A policy with trained weights skips the codec, and the supervised part too if it has no steps.
"""

# Shape letters as in policies/protocol.py

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.errors import NotFinite, OtherRun
from trainers.eval_policy import conditions_of
from trainers.objectives import sft
from trainers.policies import tiny
from trainers.policies.protocol import Condition
from trainers.policies.wan_vace import NOTE, WanVACE
from trainers.policy_config import PolicyConfig
from trainers.runlog import RunLog
from trainers.seeds import generator_for
from trainers.video_data import ClipItem

NOTE_RUN = "run_id"
LOG_EVERY = 10
PEAK_AT = 0.1
"""Share of the steps after which the learning rate is highest."""


def warmed_up(
    run_id: str, items: Sequence[ClipItem], config: PolicyConfig, folder: Path, progress: Callable[[str], None]
) -> WanVACE:
    """The policy that GRPO starts from: trained into `folder`, found there, or the base if nothing is to be done.

    Killed on the way, it starts over and comes to the same weights: it is short, and its random numbers have names.
    """
    if not (config.base == "tiny" or config.codec_steps or config.sft_steps):
        return WanVACE.load(config.base)
    if not folder.exists():
        policy = tiny.build(config.seed) if config.base == "tiny" else WanVACE.load(config.base)
        log = RunLog(folder.parent, last_step=-1)
        if config.codec_steps:
            progress(f"{run_id}: codec, {config.codec_steps} steps on {len(items)} clips")
            train_codec(policy, items, config, log)
        if config.sft_steps:
            progress(f"{run_id}: supervised warm-up, {config.sft_steps} steps")
            train_supervised(policy, items, conditions_of(policy, items, config), config, log)
        staging = folder.with_name(f".{folder.name}")
        shutil.rmtree(staging, ignore_errors=True)
        policy.save(staging, shift=config.shift, note={NOTE_RUN: run_id})
        staging.rename(folder)
    found = json.loads((folder / NOTE).read_text())[NOTE_RUN]
    if found != run_id:
        raise OtherRun(f"{folder}: is of {found}, this run is {run_id}; train into another folder or delete this one")
    return WanVACE.load(folder)


def train_codec(policy: WanVACE, items: Sequence[ClipItem], config: PolicyConfig, log: RunLog) -> None:
    """Reconstruct the clips, then record mean and standard deviation of each latent channel, as Wan's codec does."""
    videos = torch.stack([item.video_3THW for item in items])
    draws = generator_for(config.seed, "codec")
    policy.vae.requires_grad_(True)
    optimiser, schedule = _optimiser(policy.vae, config.codec_learning_rate, config.codec_steps)
    for step in range(config.codec_steps):
        chosen = torch.randint(len(videos), (config.codec_batch,), generator=draws)
        video_B3THW = videos[chosen]
        drawn = policy.vae.decode(policy.vae.encode(video_B3THW).latent_dist.mode()).sample
        loss = F.mse_loss(drawn, video_B3THW)
        grad_norm = _update(policy.vae, loss, optimiser, config.grad_norm)
        schedule.step()
        if step % LOG_EVERY == 0:
            log.append(step, {"phase": "codec", "loss": loss.item(), "grad_norm": grad_norm})
    policy.vae.requires_grad_(False)
    _record_statistics(policy, videos)


def train_supervised(
    policy: WanVACE, items: Sequence[ClipItem], conditions: Sequence[Condition], config: PolicyConfig, log: RunLog
) -> None:
    """Flow matching on the clips: references' slots are learnt with the video's, as VACE was trained."""
    targets = [
        torch.cat([condition.references_CNHW, policy.encode(item.video_3THW[None])[0]], 1)
        for item, condition in zip(items, conditions, strict=True)
    ]
    draws = generator_for(config.seed, "sft")
    policy.transformer.requires_grad_(True)
    optimiser, schedule = _optimiser(policy.transformer, config.sft_learning_rate, config.sft_steps)
    for step in range(config.sft_steps):
        chosen = _batch(conditions, config.sft_batch, draws)
        data = torch.stack([targets[index] for index in chosen])
        noise = torch.randn(data.shape, generator=draws)
        t_B = sft.draw_times(len(chosen), config.shift, draws)
        is_empty_B = torch.rand(len(chosen), generator=draws) < config.text_dropout
        text_BLD = torch.stack(
            [
                conditions[index].empty_LD if is_empty else conditions[index].prompt_LD
                for index, is_empty in zip(chosen, is_empty_B.tolist(), strict=True)
            ]
        )
        control = torch.stack([conditions[index].control_CNHW for index in chosen])
        loss = sft.velocity_loss(policy.predict(sft.noised(data, noise, t_B), t_B, text_BLD, control), data, noise)
        grad_norm = _update(policy.transformer, loss, optimiser, config.grad_norm)
        schedule.step()
        if step % LOG_EVERY == 0:
            log.append(config.codec_steps + step, {"phase": "sft", "loss": loss.item(), "grad_norm": grad_norm})
    policy.transformer.requires_grad_(False)


def _batch(conditions: Sequence[Condition], count: int, draws: torch.Generator) -> list[int]:
    """Clips with as many references as one drawn at random, so that their latents stack."""
    num_references = conditions[int(torch.randint(len(conditions), (), generator=draws))].num_references
    alike = [index for index, condition in enumerate(conditions) if condition.num_references == num_references]
    return [alike[place] for place in torch.randint(len(alike), (count,), generator=draws).tolist()]


def _optimiser(network: Any, learning_rate: float, num_steps: int) -> tuple[Any, Any]:
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=num_steps + 1, pct_start=PEAK_AT
    )
    return optimiser, schedule


def _update(network: Any, loss: Tensor, optimiser: Any, most_grad_norm: float) -> float:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    grad_norm = torch.nn.utils.clip_grad_norm_(network.parameters(), most_grad_norm)
    if not (loss.isfinite() and grad_norm.isfinite()):
        raise NotFinite(f"warm-up: loss {loss.item()}, gradient norm {grad_norm.item()}; lower the learning rate")
    optimiser.step()
    return grad_norm.item()


@torch.no_grad()
def _record_statistics(policy: WanVACE, videos: Tensor) -> None:
    latent_BCNHW = torch.cat([policy.vae.encode(video[None]).latent_dist.mode() for video in videos])
    policy.vae.register_to_config(
        latents_mean=latent_BCNHW.mean((0, 2, 3, 4)).tolist(), latents_std=latent_BCNHW.std((0, 2, 3, 4)).tolist()
    )
