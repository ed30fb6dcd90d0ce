"""Group-relative policy optimisation: the clipped ratio (Identity-GRPO eq. 8), the KL penalty, and the replay gate.

The ratio is that of log-probabilities *averaged* over a latent's elements, as in the public code, which is why the
clip is as small as 1e-3. In the first update on a roll-out it is 1 by construction: clipping acts from the second on.
"""

# B: samples, at one time step

from typing import Literal

import torch
from torch import Tensor

from trainers.errors import ReplayDiffers

KlForm = Literal["per_step", "per_time", "velocity"]
"""What `kl` measures; beta is not portable between them.

per_step: d^2 / (2 std^2), the Gaussian KL of the very step; std = s sqrt(-dt), so d^2 / (2 s^2 (-dt)).
per_time: d^2 / (2 s^2), the released Flow-GRPO's. velocity: mean squared difference of the velocities.
Here d is the difference of the two policies' means.
"""


def policy_loss(
    log_prob_B: Tensor, old_log_prob_B: Tensor, advantage_B: Tensor, *, clip: float, advantage_clip: float
) -> Tensor:
    """-mean of min(ratio A, clip(ratio, 1 - clip, 1 + clip) A): one number. Eq. 8; A is cut to +-`advantage_clip`."""
    ratio_B = torch.exp(log_prob_B - old_log_prob_B)
    advantage_B = advantage_B.clamp(-advantage_clip, advantage_clip)
    return -torch.minimum(ratio_B * advantage_B, ratio_B.clamp(1 - clip, 1 + clip) * advantage_B).mean()


def kl(mean_gap: Tensor, velocity_gap: Tensor, *, std: float, dt: float, form: KlForm) -> Tensor:
    """Distance from the reference policy at one step, averaged over samples and elements: one number, see `KlForm`.

    The gaps are the policy's mean and velocity less the reference's, (B, ...); `dt` < 0.
    """
    if form == "velocity":
        return velocity_gap.square().mean()
    variance = std**2 if form == "per_step" else std**2 / -dt
    return mean_gap.square().mean() / (2 * variance)


def clipped_share(ratio_B: Tensor, *, clip: float) -> float:
    """Share of the ratios beyond the clip: 0 to 1."""
    return float(((ratio_B - 1).abs() > clip).float().mean())


def ratio_gap(ratio_B: Tensor) -> float:
    """Largest |ratio - 1|; NaN if one is NaN."""
    return float((ratio_B - 1).abs().max())


def refuse_unlike_replay(ratio_B: Tensor, *, tolerance: float) -> None:
    """The gate before the first update of a roll-out: `ReplayDiffers` unless every replayed ratio is 1."""
    gap = ratio_gap(ratio_B)
    if not gap <= tolerance:
        raise ReplayDiffers(
            f"replayed ratio differs from 1 by {gap:.2e} before the first update, above {tolerance:.0e}: roll-out and "
            "replay must compute the same thing in the same precision (bf16 moves it by 2.8e-3)"
        )
