"""One file a reward model, all behind `protocol.RewardModel`."""

from pathlib import Path

from trainers import checkpoint
from trainers.checkpoint import RunCard
from trainers.reward_models.image_consistency import ImageConsistency


def load(folder: Path) -> tuple[ImageConsistency, RunCard]:
    """A trained reward model, ready to score, and its run card."""
    weights, card = checkpoint.load(folder)
    model = ImageConsistency.configured(card.config)
    model.load_state_dict(weights)
    return model.eval(), card
