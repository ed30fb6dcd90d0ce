"""Random numbers by name: each purpose has a generator of its own, so that a resumed run needs no generator's state."""

from typing import Any

import torch

from warehouse import ids

DIGITS = 15
"""Hex digits of a seed: 60 bits."""


def seed_for(*purpose: Any) -> int:
    """The same for the same words and numbers, on any machine."""
    return int(ids.digest(list(purpose))[:DIGITS], 16)


def generator_for(*purpose: Any) -> torch.Generator:
    return torch.Generator().manual_seed(seed_for(*purpose))
