"""Supervised flow matching: the velocity of a straight line from data to noise."""

# B: samples; x, z, v: (B, ...)

import torch
from torch import Tensor


def noised(data: Tensor, noise: Tensor, t_B: Tensor) -> Tensor:
    """z_t = (1 - t) x0 + t eps, (B, ...); `t_B` (B,) from 0 (data) to 1 (noise)."""
    t = t_B.view(-1, *[1] * (data.ndim - 1))
    return (1 - t) * data + t * noise


def velocity_loss(velocity: Tensor, data: Tensor, noise: Tensor) -> Tensor:
    """Mean squared distance from v = eps - x0: one number."""
    return (velocity - (noise - data)).square().mean()


def shifted(t: Tensor, shift: float) -> Tensor:
    """shift t / (1 + (shift - 1) t): more of the steps go to the noisy end, as video needs (Wan: 3 to 16)."""
    return shift * t / (1 + (shift - 1) * t)


def draw_times(count: int, shift: float, generator: torch.Generator) -> Tensor:
    """Times to train at, uniform and then shifted as in sampling: (count,)."""
    return shifted(torch.rand(count, generator=generator), shift)
