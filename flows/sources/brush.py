"""A brush that paints smooth shapes onto a picture, in units of its own: origin anywhere, y downwards."""

from dataclasses import dataclass
from functools import cache, lru_cache
from math import cos, pi, sin
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Shape = NDArray[np.floating[Any]]
"""(points, 2): x, y in the brush's units."""
Colour = tuple[int, int, int]
"""Red, green, blue: 0 to 255."""

_SUBPIXEL_BITS = 4
_CIRCLE = np.array([(cos(2 * pi * turn / 28), sin(2 * pi * turn / 28)) for turn in range(28)])


@cache
def _weights(steps: int) -> Shape:
    """Of the corners before, at, after and beyond a stretch, for each of its steps: (steps, 4). Catmull-Rom."""
    t = np.arange(steps)[:, None] / steps
    return np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]) / 2


@lru_cache(4096)
def curve(*corners: tuple[float, float], steps: int = 8) -> Shape:
    """A smooth closed outline through the corners. Kept: most shapes of an actor return in every frame."""
    points = np.asarray(corners, dtype=float)
    around = np.stack([np.roll(points, shift, 0) for shift in (1, 0, -1, -2)], 1)
    smooth: Shape = (_weights(steps) @ around).reshape(-1, 2)
    smooth.flags.writeable = False
    return smooth


def symmetric(*right: tuple[float, float], steps: int = 8) -> Shape:
    """A smooth outline given by its right half, from top to bottom; the first and the last corner lie on the axis."""
    return curve(*right, *((-x, y) for x, y in right[-2:0:-1]), steps=steps)


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Shape:
    return _CIRCLE * (radius_x, radius_y) + (x, y)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, darker (factor below 1) or lighter."""
    red, green, blue = (min(255, round(value * factor)) for value in colour)
    return red, green, blue


@dataclass(frozen=True, slots=True, kw_only=True)
class Brush:
    """Paints in place."""

    canvas: Picture
    unit_px: float
    """Pixels a unit."""
    turned: Shape
    """(2, 2): units to pixels, turned."""
    moved: Shape
    """(2,): pixels."""

    @classmethod
    def at(
        cls, canvas: Picture, x_px: float, y_px: float, unit_px: float, *, tilt: float = 0.0, pivot_y: float = 0.0
    ) -> "Brush":
        """A brush with its origin at (x_px, y_px), tilted clockwise by so many radians about (0, pivot_y)."""
        turned = unit_px * np.array([[cos(tilt), sin(tilt)], [-sin(tilt), cos(tilt)]])
        pivot = np.array([0.0, pivot_y])
        moved = pivot * unit_px - pivot @ turned + (x_px, y_px)
        return cls(canvas=canvas, unit_px=unit_px, turned=turned, moved=moved)

    def fill(self, shape: Shape, colour: Colour) -> None:
        cv2.fillPoly(self.canvas, [self._fixed(shape)], colour, cv2.LINE_AA, _SUBPIXEL_BITS)

    def line(self, shape: Shape, colour: Colour, width: float, *, closed: bool = False) -> None:
        thickness = max(1, round(width * self.unit_px))
        cv2.polylines(self.canvas, [self._fixed(shape)], closed, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)

    def soft(self, shape: Shape, colour: Colour, strength: float, blur: float, inside: Shape | None = None) -> None:
        """Blend the colour in with soft edges: `blur` is their sigma in units; `inside` keeps them off the rest."""
        corners, sigma = self._pixels(shape), max(0.3, blur * self.unit_px)
        height, width = self.canvas.shape[:2]
        x0, y0 = (max(0, int(v)) for v in corners.min(0) - 3 * sigma)
        x1, y1 = (min(m, int(v) + 1) for v, m in zip(corners.max(0) + 3 * sigma, (width, height), strict=True))
        if x0 >= x1 or y0 >= y1:
            return
        # A stack blur of this window has about that sigma, and a wide one costs no more than a narrow one.
        window = 2 * round(2.2 * sigma) + 1
        alpha = _stack_blur(self._mask(shape, x0, y0, x1, y1), window)
        if inside is not None:
            alpha = cv2.multiply(alpha, self._mask(inside, x0, y0, x1, y1), scale=1 / 255)
        share = cv2.convertScaleAbs(alpha, alpha=strength * 128 / 255).astype(np.int16)[..., None]  # in 128ths
        patch = self.canvas[y0:y1, x0:x1]
        away = np.asarray(colour, np.int16) - patch
        patch[:] = patch + ((away * share + 64) >> 7)

    def _mask(self, shape: Shape, x0: int, y0: int, x1: int, y1: int) -> Picture:
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        corner = np.array([x0, y0]) << _SUBPIXEL_BITS
        cv2.fillPoly(mask, [self._fixed(shape) - corner.astype(np.int32)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        return mask

    def _fixed(self, shape: Shape) -> NDArray[np.int32]:
        return np.round(self._pixels(shape) * (1 << _SUBPIXEL_BITS)).astype(np.int32)

    def _pixels(self, shape: Shape) -> Shape:
        return shape @ self.turned + self.moved


def _stack_blur(mask: Picture, window: int) -> Picture:
    """On one thread: on several it comes out a level brighter or darker where their shares of the picture meet, and the
    same drawing would differ from machine to machine."""
    num_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return np.asarray(cv2.stackBlur(mask, (window, window)), np.uint8)
    finally:
        cv2.setNumThreads(num_threads)
