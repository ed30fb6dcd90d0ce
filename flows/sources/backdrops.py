"""Places for the drawn actors to be in. Units are picture heights: (0, 0) top left, y downwards, x up to the aspect."""

from collections.abc import Callable

import numpy as np

from flows.sources.brush import Brush, Colour, Picture, Shape, ellipse, shade

Painter = Callable[[Brush, float, np.random.Generator], None]
"""Brush, aspect (width over height), dice."""


def paint(place: str, *, width_px: int, height_px: int, seed: int) -> Picture:
    """A place of `PLACES`: (height_px, width_px, 3), with a little grain, so that no area is perfectly flat."""
    dice = np.random.default_rng(seed)
    canvas = np.zeros((height_px, width_px, 3), np.uint8)
    _PAINTERS[place](Brush.at(canvas, 0, 0, height_px), width_px / height_px, dice)
    grain = dice.normal(0, 3.5, (height_px, width_px, 1))
    return np.clip(canvas + grain, 0, 255).astype(np.uint8)


def _box(x0: float, y0: float, x1: float, y1: float) -> Shape:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _steps(start: float, end: float, step: float, shift: float = 0.0) -> list[float]:
    return [float(x) + shift for x in np.arange(start, end, step)]


def _fade(brush: Brush, y0: float, y1: float, top: Colour, bottom: Colour) -> None:
    """A vertical gradient over the whole width."""
    height = brush.canvas.shape[0]
    rows = np.arange(round(y0 * height), round(y1 * height))
    share = ((rows - rows[0]) / len(rows))[:, None]
    colours = np.asarray(top) * (1 - share) + np.asarray(bottom) * share
    brush.canvas[rows] = colours.astype(np.uint8)[:, None]


def _ridge(aspect: float, y: float, rough: float, dice: np.random.Generator, num: int = 9) -> Shape:
    """The land below a jagged line across the picture."""
    x = np.linspace(-0.1, aspect + 0.1, num)
    line = np.stack([x, y + rough * dice.uniform(-1, 1, num)], 1)
    return np.concatenate([line, [(aspect + 0.1, 1.1), (-0.1, 1.1)]])


def _park(brush: Brush, aspect: float, dice: np.random.Generator) -> None:
    _fade(brush, 0, 0.55, (150, 198, 236), (220, 236, 240))
    brush.fill(_ridge(aspect, 0.46, 0.04, dice), (120, 164, 120))
    _fade(brush, 0.56, 1, (126, 178, 92), (86, 140, 66))
    for x in _steps(0.1, aspect, 0.3, dice.uniform(-0.06, 0.06)):
        _tree(brush, x, dice, (58, 122, 62))
    path = np.array([(aspect * 0.46, 0.56), (aspect * 0.52, 0.56), (aspect * 0.8, 1.05), (aspect * 0.2, 1.05)])
    brush.fill(path, (206, 188, 154))


def _tree(brush: Brush, x: float, dice: np.random.Generator, leaves: Colour) -> None:
    brush.fill(_box(x - 0.014, 0.36, x + 0.014, 0.62), (92, 68, 50))
    for _ in range(9):
        dx, dy = dice.uniform(-0.08, 0.08), dice.uniform(-0.1, 0.08)
        tone = shade(leaves, dice.uniform(0.8, 1.35))
        brush.fill(ellipse(x + dx, 0.3 + dy, 0.07, 0.065), tone)


def _forest(brush: Brush, aspect: float, dice: np.random.Generator) -> None:
    _fade(brush, 0, 0.7, (246, 214, 160), (250, 232, 196))
    for depth, colour in enumerate(((206, 160, 104), (192, 112, 52), (160, 76, 38))):
        for x in _steps(0, aspect + 0.1, 0.24, dice.uniform(0, 0.2)):
            brush.fill(_box(x - 0.012, 0, x + 0.012 + 0.008 * depth, 0.75), shade((110, 84, 66), 1.3 - 0.3 * depth))
            _tree(brush, x, dice, colour)
    _fade(brush, 0.7, 1, (190, 128, 62), (140, 84, 44))
    for _ in range(140):
        x, y = dice.uniform(0, aspect), dice.uniform(0.7, 1)
        brush.fill(ellipse(x, y, 0.012, 0.006), shade((216, 136, 50), dice.uniform(0.7, 1.2)))


def _street(brush: Brush, aspect: float, dice: np.random.Generator) -> None:
    _fade(brush, 0, 0.5, (176, 196, 218), (226, 228, 230))
    x = -0.05
    while x < aspect:
        width, top = dice.uniform(0.26, 0.4), dice.uniform(0.04, 0.22)
        wall = ((184, 110, 84), (208, 188, 158), (150, 160, 172), (196, 148, 110))[int(dice.integers(4))]
        brush.fill(_box(x, top, x + width, 0.74), wall)
        for wx in _steps(x + 0.03, x + width - 0.06, 0.085):
            for wy in _steps(top + 0.05, 0.62, 0.13):
                brush.fill(
                    _box(wx, wy, wx + 0.05, wy + 0.085), (78, 98, 118) if dice.random() < 0.7 else (250, 226, 160)
                )
        x += width + 0.01
    _fade(brush, 0.74, 0.82, (176, 174, 170), (164, 162, 158))
    _fade(brush, 0.82, 1, (92, 94, 98), (74, 76, 80))


def _beach(brush: Brush, aspect: float, dice: np.random.Generator) -> None:
    _fade(brush, 0, 0.45, (108, 176, 232), (214, 236, 246))
    for _ in range(4):
        x, y = dice.uniform(0, aspect), dice.uniform(0.06, 0.24)
        brush.soft(ellipse(x, y, 0.16, 0.03), (255, 255, 255), 0.8, 0.03)
    _fade(brush, 0.45, 0.7, (38, 124, 168), (96, 190, 198))
    for _ in range(60):
        x, y = dice.uniform(0, aspect), dice.uniform(0.47, 0.7)
        brush.fill(_box(x, y, x + dice.uniform(0.02, 0.08), y + 0.006), (190, 226, 230))
    _fade(brush, 0.7, 1, (236, 214, 170), (214, 184, 134))


def _mountains(brush: Brush, aspect: float, dice: np.random.Generator) -> None:
    _fade(brush, 0, 0.8, (130, 166, 210), (232, 226, 222))
    brush.fill(_ridge(aspect, 0.3, 0.14, dice, 11), (222, 230, 240))
    brush.fill(_ridge(aspect, 0.42, 0.1, dice, 14), (134, 150, 178))
    brush.fill(_ridge(aspect, 0.58, 0.05, dice, 20), (88, 112, 120))
    _fade(brush, 0.72, 1, (206, 214, 222), (236, 240, 244))


def _office(brush: Brush, aspect: float, dice: np.random.Generator) -> None:
    _fade(brush, 0, 1, (226, 222, 212), (200, 194, 184))
    for x in _steps(0.12, aspect, 0.62):
        brush.fill(_box(x, 0.1, x + 0.4, 0.5), (250, 250, 248))
        brush.fill(_box(x + 0.015, 0.115, x + 0.385, 0.485), (158, 204, 230))
        brush.line(np.array([(x + 0.2, 0.1), (x + 0.2, 0.5)]), (250, 250, 248), 0.012)
        for y in _steps(0.13, 0.13 + 0.25 * dice.random(), 0.03):
            brush.line(np.array([(x + 0.015, y), (x + 0.385, y)]), (236, 236, 230), 0.01)
        brush.fill(_box(x + 0.43, 0.28, x + 0.56, 0.46), (70, 110, 90))
        brush.fill(_box(x + 0.445, 0.295, x + 0.545, 0.445), (236, 176, 96))
    brush.fill(_box(0, 0.74, aspect, 0.8), (150, 104, 66))
    _fade(brush, 0.8, 1, (120, 82, 52), (96, 66, 44))


def _library(brush: Brush, aspect: float, dice: np.random.Generator) -> None:
    _fade(brush, 0, 1, (96, 66, 46), (74, 50, 36))
    covers = (
        (150, 48, 46),
        (44, 84, 120),
        (60, 110, 78),
        (190, 150, 80),
        (104, 70, 112),
        (214, 204, 184),
        (54, 54, 60),
    )
    for shelf in (0.19, 0.44, 0.69, 0.94):
        x = 0.01
        while x < aspect:
            width, height = dice.uniform(0.018, 0.045), dice.uniform(0.13, 0.2)
            cover = shade(covers[int(dice.integers(len(covers)))], dice.uniform(0.8, 1.1))
            brush.fill(_box(x, shelf - height, x + width - 0.003, shelf), cover)
            x += width
        brush.fill(_box(0, shelf, aspect, shelf + 0.03), (146, 104, 70))


def _kitchen(brush: Brush, aspect: float, dice: np.random.Generator) -> None:
    _fade(brush, 0, 1, (232, 236, 226), (214, 218, 206))
    for x in _steps(0, aspect, 0.09):
        for y in _steps(0.3, 0.66, 0.09):
            tile = shade((156, 196, 190), dice.uniform(0.88, 1.1))
            brush.fill(_box(x + 0.004, y + 0.004, x + 0.086, y + 0.086), tile)
    for x in _steps(0, aspect, 0.36):
        brush.fill(_box(x + 0.01, -0.02, x + 0.35, 0.25), (104, 132, 150))
        brush.fill(ellipse(x + 0.31, 0.2, 0.012, 0.012), (232, 214, 160))
        brush.fill(_box(x + 0.01, 0.73, x + 0.35, 1.02), (92, 118, 136))
    brush.fill(_box(0, 0.66, aspect, 0.72), (206, 170, 126))


_PAINTERS: dict[str, Painter] = {
    "a beach": _beach,
    "a forest": _forest,
    "a kitchen": _kitchen,
    "a library": _library,
    "a park": _park,
    "a snowy valley": _mountains,
    "a street": _street,
    "an office": _office,
}
PLACES = tuple(_PAINTERS)
"""As captions name them."""
