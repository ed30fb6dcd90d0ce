"""Which pairs a step sees: a function of the step alone, so that a resumed run needs no sampler's memory."""

import numpy as np


def batch_at(step: int, *, num_items: int, batch_size: int, seed: int) -> list[int]:
    """Indices of step `step`. The stream is one seeded order of all items after another, a fresh one each epoch."""
    stream = range(step * batch_size, (step + 1) * batch_size)
    orders = {epoch: _epoch_order(num_items, seed, epoch) for epoch in {place // num_items for place in stream}}
    return [orders[place // num_items][place % num_items] for place in stream]


def _epoch_order(num_items: int, seed: int, epoch: int) -> list[int]:
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(num_items).tolist()
    return order
