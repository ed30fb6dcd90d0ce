"""Masks as COCO's compressed run lengths, and what can be asked of masks.

A mask is a `bool` array (height, width). Runs go down the columns, the first one counts zeros. From the fourth on, each
count is written as its difference to the one two before, in groups of five bits, least significant first; 0x20 says
that another group follows, and 48 is added to make a printable character (pycocotools' `rleToString`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warehouse.records import Box

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rle:
    """A mask in COCO's compressed form."""

    height_px: int
    width_px: int
    counts: bytes


def encode(mask: Mask) -> Rle:
    pixels = np.concatenate([[False], mask.ravel(order="F")])
    edges = np.flatnonzero(pixels[1:] != pixels[:-1])
    runs = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
    deltas = runs[:3] + [run - runs[at + 1] for at, run in enumerate(runs[3:])]
    counts = bytes(byte for delta in deltas for byte in _spell(delta))
    return Rle(height_px=mask.shape[0], width_px=mask.shape[1], counts=counts)


def decode(rle: Rle) -> Mask:
    runs: list[int] = []
    for delta in _read(rle.counts):
        runs.append(delta + runs[-2] if len(runs) > 2 else delta)
    if sum(runs) != rle.height_px * rle.width_px or min(runs, default=0) < 0:
        raise ValueError(f"runs of {sum(runs)} pixels for a mask of {rle.width_px}x{rle.height_px}")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape((rle.height_px, rle.width_px), order="F")


def _spell(number: int) -> Iterator[int]:
    while True:
        group, number = number & 0x1F, number >> 5
        is_last = number == (-1 if group & 0x10 else 0)
        yield (group if is_last else group | 0x20) + 48
        if is_last:
            return


def _read(counts: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in counts:
        group = byte - 48
        number |= (group & 0x1F) << shift
        shift += 5
        if not group & 0x20:
            yield number - (1 << shift) if group & 0x10 else number
            number = shift = 0


def iou(mask: Mask, other: Mask) -> float:
    """Intersection over union; 0 where both are empty."""
    union = int(np.count_nonzero(mask | other))
    return int(np.count_nonzero(mask & other)) / union if union else 0.0


def box_iou(box: Box, other: Box) -> float:
    """Intersection over union of two boxes; 0 where both are empty."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    union = _area(box) + _area(other) - shared
    return shared / union if union > 0 else 0.0


def box_of(mask: Mask) -> Box | None:
    """The smallest box around a mask, in its own pixels; None: it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def distinct(masks: Sequence[Mask | None], *, same_from: float) -> list[int]:
    """Indices of the masks that show different things: of two with an IoU of `same_from` or more, the first stays."""
    kept: list[int] = []
    for index, mask in enumerate(masks):
        earlier = [masks[at] for at in kept]
        if mask is None or all(other is None or iou(mask, other) < same_from for other in earlier):
            kept.append(index)
    return kept


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
