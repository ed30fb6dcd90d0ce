"""A video, decoded once and shared by every stage of a worker."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture of a video."""

    index: int
    """0-based, in decode order."""
    time: Fraction
    """Seconds since the first frame, from the container's timestamps."""
    rgb: NDArray[np.uint8]
    """(height, width, 3)."""


class Video: 
    """A lazy reader of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
