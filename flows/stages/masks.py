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

_MOST_GROUPS = 8
"""Groups of five bits in the longest count that is read: 40 bits, a trillion pixels."""


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
    """`ValueError` where the counts are no runs of this many pixels."""
    lengths = runs(rle)
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape((rle.height_px, rle.width_px), order="F")


def runs(rle: Rle) -> NDArray[np.int64]:
    """How long each run is, zeros and ones in turn; `ValueError` where they do not add up to the mask's size.

    Much cheaper than `decode`: what a mask costs that is only checked.
    """
    numbers = _read(rle.counts)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    total = int(numbers.sum())
    if total != rle.height_px * rle.width_px or numbers.min() < 0:
        raise ValueError(f"runs of {total} pixels for a mask of {rle.width_px}x{rle.height_px}")
    return numbers


def _spell(number: int) -> Iterator[int]:
    while True:
        group, number = number & 0x1F, number >> 5
        is_last = number == (-1 if group & 0x10 else 0)
        yield (group if is_last else group | 0x20) + 48
        if is_last:
            return


def _read(counts: bytes) -> NDArray[np.int64]:
    """The numbers that the characters spell."""
    groups = np.frombuffer(counts, np.uint8) - np.uint8(48)
    ends = np.flatnonzero(groups < 0x20)
    if not ends.size or ends[-1] != groups.size - 1 or groups.max() > 0x3F:
        raise ValueError(f"{len(counts)} characters of which some are no run lengths")
    sizes = np.concatenate([ends[:1] + 1, ends[1:] - ends[:-1]])
    if sizes.max() > _MOST_GROUPS:
        raise ValueError(f"a run length of {sizes.max()} characters")
    values = groups & 0x1F
    highest = values[ends].astype(np.int64)
    numbers: NDArray[np.int64] = (highest - ((highest & 0x10) << 1)) << 5 * (sizes - 1)
    for place in range(1, int(sizes.max())):
        longer = np.flatnonzero(sizes > place)
        lower = values[ends[longer] - place].astype(np.int64)
        numbers[longer] += lower << 5 * (sizes[longer] - 1 - place)
    return numbers


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


def groups(masks: Sequence[Mask], *, same_from: float) -> list[list[int]]:
    """Indices of the masks that show the same thing: any two with an IoU of `same_from` or more, directly or by way of
    others. Groups and their members ascend."""
    joined: list[list[int]] = []
    for index, mask in enumerate(masks):
        alike = [group for group in joined if any(iou(masks[other], mask) >= same_from for other in group)]
        joined = [group for group in joined if group not in alike]
        joined.append(sorted([index, *(other for group in alike for other in group)]))
    return sorted(joined)


def placed(mask: Mask, x_px: int, y_px: int, *, width_px: int, height_px: int) -> Mask:
    """A mask of part of a picture as one of the whole, the part's corner being at (`x_px`, `y_px`).

    `ValueError` where the part does not lie in the picture.
    """
    height, width = mask.shape
    if not (0 <= x_px <= width_px - width and 0 <= y_px <= height_px - height):
        raise ValueError(f"{width}x{height} pixels at ({x_px}, {y_px}) of a picture of {width_px}x{height_px}")
    whole = np.zeros((height_px, width_px), np.bool_)
    whole[y_px : y_px + height, x_px : x_px + width] = mask
    return whole


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
