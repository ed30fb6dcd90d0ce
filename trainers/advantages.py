"""From rewards to advantages, group by group (Identity-GRPO eq. 7)."""

# B: samples

import torch
from torch import Tensor


def group_advantages(reward_B: Tensor, group_B: Tensor, *, epsilon: float, ddof: int) -> Tensor:
    """(reward - mean) / (std + epsilon) within each group: (B,), unit-free.

    `group_B`: integers, one a sample: the number of its *item* (clip), never of its prompt, since equal prompts may
    have other references. `ddof`: 0 divides the variance by n, 1 by n - 1. A NaN reward is one that failed: it is
    quarantined, so it counts in no statistic and gets advantage 0. So does a group whose rewards are all equal.
    """
    advantage_B = torch.zeros_like(reward_B)
    for group in torch.unique(group_B):
        measured_B = (group_B == group) & ~reward_B.isnan()
        reward_G = reward_B[measured_B]
        if _has_signal(reward_G):
            std = reward_G.std(correction=ddof)
            advantage_B[measured_B] = (reward_G - reward_G.mean()) / (std + epsilon)
    return advantage_B


def num_equal_groups(reward_B: Tensor, group_B: Tensor) -> int:
    """Groups without a signal: fewer than two measured rewards, or all of them equal."""
    return sum(not _has_signal(reward_B[(group_B == group) & ~reward_B.isnan()]) for group in torch.unique(group_B))


def _has_signal(reward_G: Tensor) -> bool:
    return reward_G.numel() > 1 and bool(reward_G.max() > reward_G.min())
