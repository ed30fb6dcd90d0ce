"""Masks by GrabCut at a reduced size, carried from frame to frame by optical flow.

The box says where the person is, ordinary proportions (`face_seeded`) where head and trunk are in it; GrabCut (Rother,
Kolmogorov, Blake 2004) finds the outline. In the next frame the mask, moved along the flow, is the guess that GrabCut
refines. Where the flow there and the flow back do not meet, what is shown is no longer the same person: the mask is
lost, and is not looked for again.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from flows.engines.embedded.face_seeded import ABOVE_FACE, BODY_WIDTH
from flows.engines.ports import Mask, Picture
from warehouse.records import Box

Guess = NDArray[np.uint8]
"""What GrabCut is told of each pixel: surely or probably person, surely or probably background."""


class GrabCut:
    """`Segmenter` without a network.

    `side_px`: the longest side that is worked at. `kept_from`: the share of a moved mask, on which the flow there and
    back ends within `returns_px`, from which it is believed. Measured on nine real clips, looking up to four times a
    second: 0.29 to 1 within a shot, 0 to 0.09 over a cut.
    """

    def __init__(
        self, *, side_px: int = 256, num_iterations: int = 2, kept_from: float = 0.2, returns_px: float = 2.0
    ) -> None:
        self.side_px = side_px
        self.num_iterations = num_iterations
        self.kept_from = kept_from
        self.returns_px = returns_px
        self.revision = f"grabcut-1-opencv-{cv2.__version__}-{side_px}px-{num_iterations}-{kept_from}-{returns_px}"

    def track(self, frames: Sequence[Picture], key_index: int, boxes: Sequence[Box]) -> Sequence[Sequence[Mask | None]]:
        """For each subject (a box in `frames[key_index]`) its mask in every frame, None where it is not seen."""
        height, width = frames[key_index].shape[:2]
        scale = min(1.0, self.side_px / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
        guesses = first_guesses([tuple(edge * scale for edge in box) for box in boxes], size)
        tracks: list[list[Mask | None]] = [[None] * len(frames) for _ in boxes]
        for track, guess in zip(tracks, guesses, strict=True):
            track[key_index] = self._cut(small[key_index], guess)
        for at, before in _outwards(key_index, len(frames)):
            self._step(small, tracks, at, before)
        return [[None if mask is None else _resize(mask, (width, height)) for mask in track] for track in tracks]

    def _step(self, frames: Sequence[Picture], tracks: list[list[Mask | None]], at: int, before: int) -> None:
        """Carry every mask still followed from one frame to its neighbour."""
        if all(track[before] is None for track in tracks):
            return
        positions = _flow_positions(frames[at], frames[before])
        returns = _distances(positions, _flow_positions(frames[before], frames[at])) < self.returns_px
        for track in tracks:
            earlier = track[before]
            if earlier is not None:
                moved = cv2.remap(earlier.astype(np.uint8), positions, None, cv2.INTER_NEAREST) > 0
                is_kept = np.count_nonzero(returns & moved) >= self.kept_from * max(1, np.count_nonzero(moved))
                track[at] = self._cut(frames[at], _next_guess(moved)) if is_kept else None

    def _cut(self, frame: Picture, guess: Guess) -> Mask | None:
        """The outline nearest to a guess, in one piece; None: GrabCut left nothing."""
        near = guess != cv2.GC_BGD
        if np.count_nonzero(guess == cv2.GC_FGD) < 2:
            return None
        window = _window(near)
        labels, picture = guess[window].copy(), np.ascontiguousarray(frame[window])
        if not np.any((labels == cv2.GC_BGD) | (labels == cv2.GC_PR_BGD)):
            return np.asarray(near)  # the person fills the picture: no background to learn from
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(picture, labels, None, *models, self.num_iterations, cv2.GC_INIT_WITH_MASK)
        mask = np.zeros(guess.shape, dtype=np.bool_)
        mask[window] = _main_piece((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
        return mask if mask.any() else None


def first_guesses(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> list[Guess]:
    """One guess a box: head and trunk are surely the person, other people's heads surely are not."""
    guesses, cores = zip(*(_first_guess(box, size) for box in boxes), strict=True) if boxes else ((), ())
    for index, guess in enumerate(guesses):
        for other, core in enumerate(cores):
            if other != index:
                guess[core & (guess != cv2.GC_FGD)] = cv2.GC_BGD
    return list(guesses)


def _first_guess(box: Sequence[float], size: tuple[int, int]) -> tuple[Guess, Mask]:
    """The guess of one box, and its sure pixels.

    Measures are in widths of the face, which is the box's width over `BODY_WIDTH`.
    """
    x0, y0, x1, y1 = box
    face, middle = (x1 - x0) / BODY_WIDTH, (x0 + x1) / 2
    head_y = y0 + (ABOVE_FACE + 0.4) * face
    chin_y = y0 + (ABOVE_FACE + 1.05) * face
    guess = np.full((size[1], size[0]), cv2.GC_BGD, dtype=np.uint8)
    core = np.zeros_like(guess)
    _fill(guess, (x0, chin_y, x1, y1), cv2.GC_PR_BGD)
    _ellipse(guess, (middle, head_y), (1.3 * face, 1.4 * face), cv2.GC_PR_BGD)  # hair and raised hands
    _fill(guess, (middle - 1.35 * face, chin_y + 0.3 * face, middle + 1.35 * face, y1), cv2.GC_PR_FGD)
    _ellipse(guess, (middle, head_y), (0.75 * face, 0.95 * face), cv2.GC_PR_FGD)
    _ellipse(core, (middle, head_y + 0.1 * face), (0.4 * face, 0.5 * face), 1)
    _fill(core, (middle - 0.8 * face, chin_y + 0.6 * face, middle + 0.8 * face, min(y1, chin_y + 2.5 * face)), 1)
    guess[core > 0] = cv2.GC_FGD
    return guess, core > 0


def _next_guess(moved: Mask) -> Guess:
    """A moved mask's inside is sure, its rim open, and all that is far from it background."""
    reach = max(1, round(0.06 * np.sqrt(np.count_nonzero(moved))))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    pixels = moved.astype(np.uint8)
    guess = np.full(moved.shape, cv2.GC_BGD, dtype=np.uint8)
    guess[cv2.dilate(pixels, kernel) > 0] = cv2.GC_PR_BGD
    guess[moved] = cv2.GC_PR_FGD
    guess[cv2.erode(pixels, kernel) > 0] = cv2.GC_FGD
    return guess


def _outwards(start: int, length: int) -> list[tuple[int, int]]:
    """Frames from the key frame to both ends, each with the neighbour it is reached from."""
    return [(at, at - 1) for at in range(start + 1, length)] + [(at, at + 1) for at in range(start - 1, -1, -1)]


def _flow_positions(frame: Picture, before: Picture) -> NDArray[np.float32]:
    """(height, width, 2): where each pixel of `frame` was in `before`; dense inverse search (Kroeger et al. 2016)."""
    grey, earlier = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (frame, before))
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey, earlier, None)
    rows, columns = np.indices(grey.shape, dtype=np.float32)
    return np.asarray(flow + np.dstack([columns, rows]), dtype=np.float32)


def _distances(positions: NDArray[np.float32], back: NDArray[np.float32]) -> NDArray[np.float32]:
    """(height, width): how far from itself, in pixels, each pixel comes back from where it went."""
    nowhere = (-1e6, -1e6)
    returned = cv2.remap(back, positions, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=nowhere)
    rows, columns = np.indices(returned.shape[:2], dtype=np.float32)
    return np.asarray(np.hypot(returned[..., 0] - columns, returned[..., 1] - rows))


def _main_piece(mask: Mask) -> Mask:
    """The largest connected piece, smoothed by one opening and with its holes closed."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    num, pieces, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    if num < 2:
        return np.zeros_like(mask)
    piece = (pieces == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(piece, cv2.MORPH_CLOSE, kernel) > 0)


def _window(near: Mask) -> tuple[slice, slice]:
    """The guess's surroundings: a fifth of its size on each side, so that GrabCut sees background."""
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    margin = 2 + max(np.ptp(rows), np.ptp(columns)) // 5
    return (
        slice(max(0, int(rows[0] - margin)), int(rows[-1] + margin + 1)),
        slice(max(0, int(columns[0] - margin)), int(columns[-1] + margin + 1)),
    )


def _fill(picture: Guess, box: Sequence[float], value: int) -> None:
    x0, y0, x1, y1 = (max(0, round(edge)) for edge in box)
    picture[y0:y1, x0:x1] = value


def _ellipse(picture: Guess, middle: tuple[float, float], radii: tuple[float, float], value: int) -> None:
    centre, axes = [(round(pair[0]), round(pair[1])) for pair in (middle, radii)]
    cv2.ellipse(picture, centre, axes, 0, 0, 360, value, cv2.FILLED)


def _resize(mask: Mask, size: tuple[int, int]) -> Mask:
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) >= 0.5)
