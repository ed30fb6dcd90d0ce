"""One step of stochastic sampling of a flow-matching model, and its log-probability.

z_t = (1 - t) x0 + t eps and v = eps - x0; t runs from 1 (noise) to 0 (data), so dt = t_next - t < 0. The SDE

    mean = z + [v + s^2 / (2t) (z + (1 - t) v)] dt        std = s sqrt(-dt)        (Identity-GRPO eq. 10)

keeps the marginals of the ODE dz = v dt for every s(t): Flow-GRPO, Identity-GRPO and DanceGRPO differ in s alone. CPS
(coefficient-preserving sampling) mixes the predicted data and noise anew instead, and has no s.
"""

# B: samples; v, z: any shape (B, ...)

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class FlowGrpo:
    """s = a sqrt(t / (1 - t)); a = 0.7 (Flow-GRPO), 1.0 (ID-Crafter)."""

    a: float
    t_second: float
    """The schedule's second t: stands for t in (1 - t) at t = 1, where s would be infinite."""

    def s(self, t: float) -> float:
        return self.a * math.sqrt(t / (1 - (self.t_second if t == 1 else t)))


@dataclass(frozen=True, slots=True)
class IdentityGrpo:
    """s = scale t; the scale is 1 in the paper (2.3.2), the schedule's second t in the released code."""

    scale: float

    def s(self, t: float) -> float:
        return self.scale * t


@dataclass(frozen=True, slots=True)
class Dance:
    """s = eta, constant; DanceGRPO takes 0.25 to 0.3."""

    eta: float

    def s(self, t: float) -> float:
        return self.eta


@dataclass(frozen=True, slots=True)
class Cps:
    """std = t_next sin(a pi / 2); a = 0.8."""

    a: float


Rule = FlowGrpo | IdentityGrpo | Dance | Cps


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a step leads, and how likely that was. At least fp32, whatever the model computes in."""

    latent: Tensor
    """(B, ...), at `t_next`."""
    mean: Tensor
    """(B, ...)"""
    std: Tensor
    """One number: the same for every element."""
    log_prob: Tensor
    """(B,): of `latent`, averaged over all other dimensions."""


def step(
    velocity: Tensor,
    latent: Tensor,
    *,
    t: float,
    t_next: float,
    rule: Rule,
    next_latent: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Step:
    """From `t` to `t_next`, `velocity` and `latent` (B, ...) at `t`. PAPERS.md section 5.

    Draws one `torch.randn` of the latent's shape from `generator`; with `next_latent` it draws nothing and tells the
    log-probability of that very step (replay). A step of std 0 leads to its mean for certain: log-probability 0.
    """
    if not 0 <= t_next < t <= 1:
        raise ValueError(f"t = {t}, t_next = {t_next}: t runs down from 1 to 0")
    dtype = torch.promote_types(latent.dtype, torch.float32)
    z, v = latent.to(dtype), velocity.to(dtype)
    mean, std = _moments(v, z, t, t_next, rule)
    if next_latent is not None:
        reached = next_latent.to(dtype)
    else:
        reached = mean + std * torch.randn(z.shape, generator=generator, dtype=dtype, device=z.device)
    return Step(
        latent=reached,
        mean=mean,
        std=torch.tensor(std, dtype=dtype, device=z.device),
        log_prob=_log_prob(reached, mean, std, rule),
    )


def _moments(v: Tensor, z: Tensor, t: float, t_next: float, rule: Rule) -> tuple[Tensor, float]:
    data, noise = z - t * v, z + (1 - t) * v
    if isinstance(rule, Cps):
        std = t_next * math.sin(rule.a * math.pi / 2)
        return (1 - t_next) * data + math.sqrt(t_next**2 - std**2) * noise, std
    s, dt = rule.s(t), t_next - t
    return z + (v + s**2 / (2 * t) * noise) * dt, s * math.sqrt(-dt)


def _log_prob(reached: Tensor, mean: Tensor, std: float, rule: Rule) -> Tensor:
    """The Gaussian log-density; for CPS, as its authors have it, -(z_next - mean)^2 without any constant."""
    square = (reached - mean.to(reached.dtype)) ** 2
    if isinstance(rule, Cps):
        each = -square
    elif std == 0:
        each = torch.zeros_like(square)
    else:
        each = -square / (2 * std**2) - math.log(std) - 0.5 * math.log(2 * math.pi)
    return each.flatten(1).mean(1)
