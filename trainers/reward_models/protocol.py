"""What training and evaluation ask of a reward model."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from torch import Tensor

from trainers.snapshot_pairs import Evidence


class RewardModel(Protocol):
    """Scores candidates by how well they keep the people of the references: higher is better, the unit is a logit."""

    name: ClassVar[str]

    def score(self, evidence: Sequence[Evidence]) -> Tensor:
        """(B,) fp32, one a candidate, with a gradient where the model is being trained."""
        ...
