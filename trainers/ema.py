"""A slow copy of weights: an exponential moving average, which is what evaluation and the checkpoint take."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class MovingAverage:
    """average <- decay average + (1 - decay) weights, every so many updates."""

    def __init__(self, weights: Mapping[str, Tensor], *, decay: float, every: int) -> None:
        self.decay, self.every = decay, every
        self.num_updates = 0
        self.average = {name: weight.detach().clone() for name, weight in weights.items()}

    def restore(self, average: Mapping[str, Tensor], num_updates: int) -> None:
        self.average, self.num_updates = dict(average), num_updates

    @torch.no_grad()
    def follow(self, weights: Mapping[str, Tensor]) -> None:
        """To be called after every update of the weights."""
        self.num_updates += 1
        if self.num_updates % self.every == 0:
            for name, weight in weights.items():
                self.average[name].lerp_(weight, 1 - self.decay)

    @contextmanager
    def standing_in(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """Inside, `weights` hold the average; afterwards they are as they were."""
        kept = {name: weight.detach().clone() for name, weight in weights.items()}
        replace_weights(weights, self.average)
        try:
            yield
        finally:
            replace_weights(weights, kept)


@torch.no_grad()
def replace_weights(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Put these values into the weights of the same names, in place."""
    for name, weight in weights.items():
        weight.copy_(values[name])
