"""What a policy draws: its reward on fixed noise by the ODE sampler, and videos to look at or to judge next round."""

# Shape letters as in policies/protocol.py

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers import checkpoint
from trainers.ema import replace_weights
from trainers.group_rollouts import Sampler
from trainers.policies import sampling
from trainers.policies.protocol import Condition, VideoPolicy
from trainers.policies.wan_vace import WanVACE
from trainers.policy_config import PolicyConfig
from trainers.rewards import combined
from trainers.seeds import generator_for
from trainers.video_data import ClipItem

BASE = "base"


def conditions_of(policy: VideoPolicy, items: Sequence[ClipItem], config: PolicyConfig) -> list[Condition]:
    return [
        policy.condition(item.prompt, item.references, num_frames=config.num_frames, size_px=config.size_px)
        for item in items
    ]


def evaluate(sampler: Sampler, items: Sequence[ClipItem], conditions: Sequence[Condition]) -> dict[str, float | None]:
    """Mean reward, its spread over samples, the mean of each term: the same noise at every call and seed."""
    config, collected = sampler.config, []
    for item, condition in zip(items, conditions, strict=True):
        video = _drawn(sampler.policy, item, condition, config, config.eval_samples)
        collected.append(sampler.reward_terms(video, item))
    terms = {name: torch.cat([one[name] for one in collected]) for name in config.reward_weights}
    reward_B = combined(terms, config.reward_weights)
    measured_B = reward_B[~reward_B.isnan()]
    return {
        "eval_reward": measured_B.mean().item() if len(measured_B) else None,
        "eval_reward_std": measured_B.std().item() if len(measured_B) > 1 else None,
    } | {f"eval_{name}": value.nanmean().item() if len(measured_B) else None for name, value in terms.items()}


def sample_videos(policy: VideoPolicy, items: Sequence[ClipItem], config: PolicyConfig) -> list[NDArray[np.uint8]]:
    """One video (T, H, W, 3) a clip, from the noise of evaluation."""
    conditions = conditions_of(policy, items, config)
    videos = [_drawn(policy, item, condition, config, 1)[0] for item, condition in zip(items, conditions, strict=True)]
    return [(video * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy() for video in videos]


def load_policy(folder: Path) -> tuple[WanVACE, PolicyConfig]:
    """The policy of a finished run, adapter included, with the configuration that it samples by."""
    weights, card = checkpoint.load(folder)
    values = {name: value for name, value in card.config.items() if name not in ("model", "parents")}
    config = PolicyConfig(**values)
    policy = WanVACE.load(folder / BASE if (folder / BASE).exists() else config.base)
    replace_weights(policy.add_lora(rank=config.lora_rank, alpha=config.lora_alpha, seed=0), weights)
    return policy, config


def _drawn(policy: VideoPolicy, item: ClipItem, condition: Condition, config: PolicyConfig, count: int) -> Tensor:
    """(B, T, 3, H, W) from 0 to 1."""
    draws = generator_for("evaluation", item.clip_id)
    noise = sampling.initial_noise(policy, condition, config.eval_samples, draws, is_shared=False)[:count]
    times = sampling.schedule(config.eval_steps, config.shift)
    latent = sampling.integrate(policy, condition, noise, times, guidance=config.guidance)
    return sampling.videos_of(policy, condition, latent)
