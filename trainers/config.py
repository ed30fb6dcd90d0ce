"""What a reward-model run is: one frozen record, checked at construction, written whole into the run card."""

import math
from dataclasses import dataclass

from warehouse.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardConfig:
    """Training of the image-consistency head over face vectors, for a few hundred pairs on one CPU core.

    Values without a source were chosen on distorted clips of drawn actors, 220 training pairs: more steps, more width
    or less dropout did no better on people not seen.
    """

    seed: int = 0
    num_steps: int = 150
    batch_pairs: int = 32
    """Identity-GRPO 2.2: 32."""
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    grad_norm: float = 1.0
    """Gradients are clipped to this norm (ID-Crafter)."""
    theta: float = 5.0
    """Tie parameter, at least 1 (Identity-GRPO 2.2)."""
    width: int = 16
    """Of a token."""
    dropout: float = 0.3
    subject_balance: float = 0.5
    """Gamma of ID-Crafter: (1 - gamma) average + gamma minimum over the subjects."""
    save_every: int = 50
    """Steps between two resume states."""
    log_every: int = 10

    def __post_init__(self) -> None:
        positive = ("num_steps", "batch_pairs", "learning_rate", "grad_norm", "width", "save_every", "log_every")
        for name in positive:
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} = {getattr(self, name)}: must be above 0")
        for name in ("dropout", "subject_balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} = {getattr(self, name)}: must lie between 0 and 1")
        if self.theta < 1:
            raise BadInput(f"theta = {self.theta}: a tie parameter is at least 1; 1 is plain Bradley-Terry")

    @property
    def tie_logit(self) -> float:
        return math.log(self.theta)
