"""Sampling of a group: text and references encoded once, guidance's two branches in one batch, and every step kept.

Slots of references are sampled with the video's (as VACE was trained), cut off at the end, and no part of the
log-probability. The last step, which ends at t = 0, is never trained; it is the ODE's, because noise added there would
stay in the video.
"""

# Shape letters as in protocol.py; S steps

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from trainers import flow_sde
from trainers.flow_sde import Rule
from trainers.objectives import sft
from trainers.policies.protocol import Condition, VideoPolicy


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rollout:
    """The samples of one group, and the way to them."""

    latents: tuple[Tensor, ...]
    """S + 1 times (B, C, N, H, W): from noise to data, slots of references included."""
    log_probs: tuple[Tensor, ...]
    """(B,) for each of the first S - 1 steps: those that training may replay."""


def schedule(num_steps: int, shift: float) -> tuple[float, ...]:
    """Times from 1 to 0, `num_steps` + 1 of them, shifted to the noisy end."""
    return tuple(sft.shifted(torch.linspace(1, 0, num_steps + 1, dtype=torch.float64), shift).tolist())


def initial_noise(
    policy: VideoPolicy, condition: Condition, count: int, generator: torch.Generator, *, is_shared: bool
) -> Tensor:
    """(B, C, N, H, W): a start of its own for every sample, or one for all of them."""
    shape = policy.latent_shape(condition)
    if is_shared:
        return torch.randn(1, *shape, generator=generator).expand(count, *shape).clone()
    return torch.randn(count, *shape, generator=generator)


def guided_velocity(
    policy: VideoPolicy, latent_BCNHW: Tensor, t: float, condition: Condition, guidance: float
) -> Tensor:
    """empty + guidance (prompt - empty), both branches in one batch; at guidance 1 the prompt's branch alone."""
    texts = [condition.prompt_LD] if guidance == 1 else [condition.empty_LD, condition.prompt_LD]
    count = latent_BCNHW.shape[0]
    text_BLD = torch.cat([text.expand(count, *text.shape) for text in texts])
    control = condition.control_CNHW.expand(len(text_BLD), *condition.control_CNHW.shape)
    t_B = torch.full((len(text_BLD),), t, device=latent_BCNHW.device)
    branches = policy.predict(latent_BCNHW.repeat(len(texts), 1, 1, 1, 1), t_B, text_BLD, control).chunk(len(texts))
    if guidance == 1:
        return branches[0]
    empty, prompt = branches
    return empty + guidance * (prompt - empty)


def video_step(
    velocity: Tensor, latent: Tensor, next_latent: Tensor, *, num_references: int, t: float, t_next: float, rule: Rule
) -> flow_sde.Step:
    """The step that was taken, seen on the video's slots alone: its log-probability is what the ratio is made of."""
    return flow_sde.step(
        velocity[:, :, num_references:],
        latent[:, :, num_references:],
        t=t,
        t_next=t_next,
        rule=rule,
        next_latent=next_latent[:, :, num_references:],
    )


@torch.no_grad()
def roll_out(
    policy: VideoPolicy,
    condition: Condition,
    noise: Tensor,
    times: Sequence[float],
    *,
    rule: Rule,
    guidance: float,
    generator: torch.Generator,
) -> Rollout:
    """Sample with the SDE, keeping what replay needs."""
    latents, log_probs = [noise], []
    for t, t_next in pairwise(times):
        latent = latents[-1]
        velocity = guided_velocity(policy, latent, t, condition, guidance)
        if t_next == 0:
            latents.append(latent + (t_next - t) * velocity)
            break
        latents.append(flow_sde.step(velocity, latent, t=t, t_next=t_next, rule=rule, generator=generator).latent)
        replayed = video_step(
            velocity, latent, latents[-1], num_references=condition.num_references, t=t, t_next=t_next, rule=rule
        )
        log_probs.append(replayed.log_prob)
    return Rollout(latents=tuple(latents), log_probs=tuple(log_probs))


@torch.no_grad()
def integrate(
    policy: VideoPolicy, condition: Condition, noise: Tensor, times: Sequence[float], *, guidance: float
) -> Tensor:
    """Sample with the ODE, dz = v dt: the same noise gives the same latents."""
    latent = noise
    for t, t_next in pairwise(times):
        latent = latent + (t_next - t) * guided_velocity(policy, latent, t, condition, guidance)
    return latent


@torch.no_grad()
def videos_of(policy: VideoPolicy, condition: Condition, latent_BCNHW: Tensor) -> Tensor:
    """(B, T, 3, H, W) from 0 to 1: slots of references cut off, the rest decoded."""
    video = policy.decode(latent_BCNHW[:, :, condition.num_references :])
    return video.transpose(1, 2).add(1).div(2).clamp(0, 1)
