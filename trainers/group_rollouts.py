"""What one epoch of GRPO is made of: which clips, their groups of samples with rewards, and the gradient of a group."""

# Shape letters as in policies/protocol.py; G samples of a group

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.flow_sde import Rule, Step
from trainers.objectives import grpo
from trainers.policies import sampling
from trainers.policies.protocol import Condition, VideoPolicy
from trainers.policy_config import PolicyConfig
from trainers.rewards import combined
from trainers.seeds import generator_for
from trainers.video_data import ClipItem

RewardTerms = Callable[[Tensor, ClipItem], dict[str, Tensor]]
"""Videos (B, T, 3, H, W) from 0 to 1, and their clip, to the terms of the reward: (B,) each, NaN where one failed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sampler:
    """How a run samples: the same for roll-out, replay and every epoch."""

    policy: VideoPolicy
    config: PolicyConfig
    times: tuple[float, ...]
    rule: Rule
    reward_terms: RewardTerms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """The samples of one clip in one epoch."""

    condition: Condition
    rollout: sampling.Rollout
    reward_G: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one step of one group's replay said."""

    loss: float
    ratio_gap: float
    """Largest |ratio - 1|."""
    clipped_share: float
    """Of the samples, 0 to 1."""
    kl: float | None
    """None: no reference policy was asked, because beta is 0."""


def items_at(epoch: int, *, num_items: int, count: int, seed: int) -> list[int]:
    """The clips of an epoch, `count` distinct ones, or all there are: a pure function of the epoch.

    Each pass over the clips is shuffled anew; those that do not fill a whole epoch wait for the next pass.
    """
    count = min(count, num_items)
    number, place = divmod(epoch, num_items // count)
    shuffled: list[int] = torch.randperm(num_items, generator=generator_for(seed, "clips", number)).tolist()
    return shuffled[place * count : (place + 1) * count]


def roll_out_group(sampler: Sampler, item: ClipItem, condition: Condition, *, epoch: int) -> Group:
    """`group_size` samples of one clip, by the SDE, with their rewards."""
    config, policy = sampler.config, sampler.policy
    draws = generator_for(config.seed, "rollout", epoch, item.clip_id)
    noise = sampling.initial_noise(policy, condition, config.group_size, draws, is_shared=config.is_noise_shared)
    rollout = sampling.roll_out(
        policy, condition, noise, sampler.times, rule=sampler.rule, guidance=config.guidance, generator=draws
    )
    terms = sampler.reward_terms(sampling.videos_of(policy, condition, rollout.latents[-1]), item)
    return Group(condition=condition, rollout=rollout, reward_G=combined(terms, config.reward_weights))


def accumulate(sampler: Sampler, group: Group, advantage_G: Tensor, *, share: float, is_first: bool) -> list[Told]:
    """Replay every trained step of a group's roll-out, and add `share` of the gradient of their mean loss.

    `is_first`: no update was made since the roll-out, so every replayed ratio must be 1 (`ReplayDiffers`).
    """
    config, told = sampler.config, []
    for index, old_log_prob_G in enumerate(group.rollout.log_probs):
        step, velocity = _replay(sampler, group, index)
        ratio_G = torch.exp(step.log_prob.detach() - old_log_prob_G)
        if is_first:
            grpo.refuse_unlike_replay(ratio_G, tolerance=config.replay_tolerance)
        loss = grpo.policy_loss(
            step.log_prob, old_log_prob_G, advantage_G, clip=config.clip, advantage_clip=config.advantage_clip
        )
        penalty = _penalty(sampler, group, index, step, velocity) if config.kl_beta else None
        if penalty is not None:
            loss = loss + config.kl_beta * penalty
        (loss * share / len(group.rollout.log_probs)).backward()  # type: ignore[no-untyped-call]
        told.append(
            Told(
                loss=loss.item(),
                ratio_gap=grpo.ratio_gap(ratio_G),
                clipped_share=grpo.clipped_share(ratio_G, clip=config.clip),
                kl=None if penalty is None else penalty.item(),
            )
        )
    return told


def _replay(sampler: Sampler, group: Group, index: int) -> tuple[Step, Tensor]:
    """The step that was taken as the policy sees it now, and the velocity, both on the video's slots."""
    latent, next_latent = group.rollout.latents[index : index + 2]
    t, t_next = sampler.times[index : index + 2]
    velocity = sampling.guided_velocity(sampler.policy, latent, t, group.condition, sampler.config.guidance)
    num_references = group.condition.num_references
    step = sampling.video_step(
        velocity, latent, next_latent, num_references=num_references, t=t, t_next=t_next, rule=sampler.rule
    )
    return step, velocity[:, :, num_references:]


def _penalty(sampler: Sampler, group: Group, index: int, step: Step, velocity: Tensor) -> Tensor:
    with torch.no_grad(), sampler.policy.without_lora():
        before, velocity_before = _replay(sampler, group, index)
    t, t_next = sampler.times[index : index + 2]
    return grpo.kl(
        step.mean - before.mean,
        velocity - velocity_before,
        std=float(step.std),
        dt=t_next - t,
        form=sampler.config.kl_form,
    )
