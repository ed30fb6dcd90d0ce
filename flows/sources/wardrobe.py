"""What the actors wear on their heads and bodies: hair, hats, scarves, glasses, clothes. Units as in `cast.py`."""

from collections.abc import Callable
from math import pi, sin

import numpy as np

from flows.sources.brush import Brush, Colour, Shape, curve, ellipse, shade, symmetric
from flows.sources.cast import Actor


def hair_behind(brush: Brush, who: Actor) -> None:
    """What hangs behind neck and shoulders."""
    w, colour = who.width, shade(who.hair, 0.72)
    for shape in _BEHIND.get(who.style, _nothing)(w):
        brush.fill(shape, who.hair if who.style == "headscarf" else colour)
    if who.style == "afro":
        _curls(brush, colour, _arc(w + 0.42, 1.0, -0.1, 0.6, 15, -0.5), 0.2)
    if who.style == "bun":
        brush.fill(ellipse(0.02, -1.26, 0.36, 0.3), who.hair)
        brush.soft(ellipse(0.08, -1.14, 0.3, 0.1), shade(who.hair, 0.6), 0.6, 0.06)


def _nothing(w: float) -> tuple[Shape, ...]:
    return ()


_BEHIND: dict[str, Callable[[float], tuple[Shape, ...]]] = {
    "long": lambda w: (symmetric((0, -1.22), (w, -1.0), (w + 0.26, -0.1), (w + 0.3, 1.0), (w + 0.2, 1.9), (0, 1.95)),),
    "bob": lambda w: (symmetric((0, -1.2), (w, -1.0), (w + 0.2, -0.1), (w + 0.2, 0.75), (w - 0.1, 0.92), (0, 0.9)),),
    "afro": lambda w: (ellipse(0, -0.5, w + 0.5, 1.08),),
    "bun": lambda w: (symmetric((0, -1.2), (w, -0.9), (w + 0.1, -0.2), (w, 0.3), (0, 0.4)),),
    "ponytail": lambda w: (
        symmetric((0, -1.16), (w, -0.9), (w + 0.06, -0.2), (w - 0.1, 0.2), (0, 0.3)),
        curve((0.5, -0.9), (0.98, -0.7), (1.12, 0.1), (1.0, 0.9), (0.86, 1.3), (0.8, 0.4), (0.66, -0.2)),
    ),
    "headscarf": lambda w: (
        symmetric((0, -1.28), (w, -1.05), (w + 0.22, -0.1), (w + 0.16, 0.9), (0.7, 1.5), (0, 1.6)),
    ),
}


def hair_before(brush: Brush, who: Actor, turn: float) -> None:
    """Hair, hat or scarf over the brow; it follows a turn of the head a little."""
    _BEFORE[who.style](brush, who, 0.25 * turn)


def _swept(brush: Brush, who: Actor, part: float) -> None:
    """Combed away from the brow, to either side of a parting."""
    w, is_long = who.width, who.style == "long"
    line, temple = (-0.5, 0.1) if is_long else (-0.62, -0.25)
    cap = curve(
        *((-w - 0.1, temple), (-w - 0.1, -0.7), (-0.48, -1.16), (0, -1.26), (0.48, -1.16), (w + 0.1, -0.7)),
        *((w + 0.1, temple), (w - 0.1, -0.35), (0.35 + part, line - 0.22), (-0.1 + part, line - 0.34)),
        *((-0.4 + part, line - 0.12), (-w + 0.1, -0.3)),
    )
    brush.fill(cap, who.hair)
    _shine(brush, who.hair, ellipse(-0.3, -0.98, 0.32, 0.07), cap)
    for side in (-1, 1) if is_long else ():
        lock = np.array((-side, 1)) * curve(
            *((-w + 0.08, -0.4), (-w - 0.18, -0.5), (-w - 0.26, 0.5), (-w - 0.22, 1.5)),
            *((-w + 0.1, 1.75), (-w + 0.02, 0.9), (-w - 0.02, 0.2)),
        )
        brush.fill(lock, who.hair)
        _shine(brush, who.hair, ellipse(side * (w + 0.12), 0.4, 0.04, 0.6), lock)


def _bob(brush: Brush, who: Actor, part: float) -> None:
    w = who.width
    cap = symmetric(
        *((0, -1.25), (0.5, -1.16), (w + 0.12, -0.72), (w + 0.16, 0.2), (w + 0.1, 0.82), (w - 0.14, 0.8)),
        *((w - 0.04, 0.1), (w - 0.12, -0.36), (0.3, -0.4), (0, -0.41)),
    )
    brush.fill(cap, who.hair)
    brush.soft(ellipse(-0.1, -0.92, 0.5, 0.08), (120, 122, 150), 0.5, 0.06, cap)


def _cropped(brush: Brush, who: Actor, part: float) -> None:
    w = who.width
    temple, middle = {"short": (-0.6, -0.7), "fringe": (-0.36, -0.52), "receding": (-0.66, -0.96)}[who.style]
    cap = symmetric(
        *((0, -1.22), (0.48, -1.12), (w + 0.07, -0.7), (w + 0.07, -0.2), (w - 0.03, -0.04)),
        *((w - 0.07, -0.4), (w - 0.26, temple), (0.2, middle), (0, middle)),
    )
    brush.fill(cap, who.hair)
    _shine(brush, who.hair, ellipse(-0.25, -1.0, 0.3, 0.07), cap)
    if who.style == "fringe":
        corners = ((-w - 0.02, -0.5), (-0.4, -1.2), (0.5, -1.25), (w, -0.6), (0.3, -0.62), (-0.1, -0.4), (-0.5, -0.34))
        sweep = curve(*corners)
        brush.fill(sweep, shade(who.hair, 1.06))
        _shine(brush, who.hair, ellipse(-0.1, -0.85, 0.4, 0.06), sweep)


def _afro(brush: Brush, who: Actor, part: float) -> None:
    _curls(brush, who.hair, _arc(who.width + 0.06, 0.62, 0.02, 0.48, 9, -0.42), 0.2)
    _curls(brush, who.hair, _arc(who.width + 0.2, 0.95, 0.03, 0.47, 11, -0.42), 0.22)


def _curly(brush: Brush, who: Actor, part: float) -> None:
    _curls(brush, who.hair, _arc(who.width + 0.04, 0.72, 0.0, 0.5, 11, -0.28), 0.15)
    _curls(brush, who.hair, _arc(who.width + 0.02, 0.9, 0.06, 0.44, 9, -0.32), 0.19)


def _shaved(brush: Brush, who: Actor, part: float) -> None:
    brush.soft(ellipse(-0.2, -0.8, 0.2, 0.1), shade(who.skin, 1.7), 0.6, 0.08, who.outline)


def _headscarf(brush: Brush, who: Actor, part: float) -> None:
    w, dark = who.width, shade(who.hair, 0.6)
    brush.fill(symmetric((0, 0.96), (0.5, 0.8), (0.62, 1.2), (0.4, 1.56), (0, 1.7)), shade(who.hair, 0.86))
    for side in (-1, 1):  # two halves, which overlap under the chin and above the brow
        half = np.array((side, 1)) * curve(
            *((-0.06, -1.3), (0.5, -1.2), (w + 0.16, -0.7), (w + 0.22, 0.2), (0.72, 0.95), (-0.06, 1.24)),
            *((-0.06, 1.0), (0.5, 0.76), (w - 0.06, 0.2), (w - 0.1, -0.3), (0.36, -0.68), (-0.06, -0.76)),
        )
        brush.fill(half, who.hair)
        brush.soft(ellipse(side * 0.66, 0.7, 0.04, 0.3), dark, 0.6, 0.05, half)
    brush.soft(symmetric((0, -0.8), (0.4, -0.72), (w - 0.06, -0.3), (0.4, -0.68), (0, -0.74)), dark, 0.7, 0.03)
    brush.soft(ellipse(-0.3, -1.0, 0.36, 0.08), shade(who.hair, 1.35), 0.5, 0.06)


def _hat(brush: Brush, who: Actor, part: float) -> None:
    w, felt = who.width, who.hair
    brush.fill(symmetric((0, -0.6), (w, -0.5), (w + 0.05, -0.1), (w - 0.1, -0.1), (w - 0.14, -0.4), (0, -0.5)), felt)
    brush.fill(symmetric((0, -1.42), (0.4, -1.46), (0.66, -1.2), (w + 0.02, -0.66), (0, -0.6)), felt)
    brush.fill(symmetric((0, -0.86), (w, -0.82), (w, -0.68), (0, -0.66)), (150, 46, 46))
    brush.fill(symmetric((0, -0.74), (w, -0.68), (w + 0.5, -0.72), (w + 0.2, -0.56), (0, -0.5)), shade(felt, 1.5))
    brow = symmetric((0, -0.5), (w, -0.56), (w, -0.36), (0, -0.3))
    brush.soft(brow, shade(who.skin, 0.4), 0.6, 0.05, who.outline)
    brush.soft(ellipse(-0.25, -1.2, 0.2, 0.12), (96, 90, 96), 0.6, 0.08)


_BEFORE: dict[str, Callable[[Brush, Actor, float], None]] = {
    **dict.fromkeys(("long", "ponytail", "bun"), _swept),
    **dict.fromkeys(("short", "fringe", "receding"), _cropped),
    "bob": _bob,
    "afro": _afro,
    "curls": _curly,
    "bald": _shaved,
    "headscarf": _headscarf,
    "hat": _hat,
}


def _shine(brush: Brush, colour: Colour, shape: Shape, inside: Shape) -> None:
    brush.soft(shape, shade(colour, 1.35), 0.55, 0.06, inside)


def _curls(brush: Brush, colour: Colour, spots: Shape, radius: float) -> None:
    """A heap of round locks, each with a lit side."""
    for x, y in spots:
        brush.fill(ellipse(x, y, radius, radius), colour)
    for x, y in spots:
        lit = ellipse(x - radius * 0.3, y - radius * 0.3, radius * 0.4, radius * 0.3)
        brush.soft(lit, shade(colour, 1.7), 0.4, 0.04)


def _arc(radius_x: float, radius_y: float, start: float, end: float, num: int, y: float) -> Shape:
    """Points of an elliptic arc about (0, y); start and end in turns, 0 at the right, 0.25 at the top."""
    angle = np.linspace(start, end, num) * 2 * pi
    return np.stack([radius_x * np.cos(angle), y - radius_y * np.sin(angle)], 1)


def glasses(brush: Brush, who: Actor, turn: float) -> None:
    if who.glasses is None:
        return
    for side in (-1, 1):
        rim = who.on_face(ellipse(side * who.eye_gap, 0.0, 0.245, 0.2), turn, lift=0.08)
        brush.line(rim, who.glasses, 0.035, closed=True)
        temple = np.array([(side * (who.eye_gap + 0.24), -0.03), (side * (who.width + 0.02), -0.06)])
        brush.line(who.on_face(temple, turn), who.glasses, 0.035)
    bridge = np.array([(-who.eye_gap + 0.24, -0.03), (0, -0.06), (who.eye_gap - 0.24, -0.03)])
    brush.line(who.on_face(bridge, turn, lift=0.1), who.glasses, 0.035)


def body(brush: Brush, who: Actor, stride: float) -> None:
    """Trousers or skirt, arms, torso, neck and collar; `stride` (radians) swings the arms."""
    broad = 1.5 if who.noun == "man" else 1.28
    is_dress = who.cut == "dress"
    hip, flare = (broad * 0.95, 1.2) if is_dress else (broad * 0.78, 1.0)
    legs = shade(who.cloth, 0.85) if is_dress else (58, 62, 78)
    brush.fill(symmetric((0, 4.2), (hip * 0.86, 4.2), (hip, 5.4), (hip * flare, 8), (0, 8)), legs)
    for side in (-1, 1):
        _arm(brush, who, side, broad, 0.16 * sin(stride) * side)
    torso = symmetric(
        *((0, 1.2), (0.42, 1.3), (broad - 0.2, 1.56), (broad, 1.95), (broad * 0.84, 3.2), (hip, 4.5), (0, 4.6))
    )
    dark = shade(who.cloth, 0.62)
    brush.fill(torso, who.cloth)
    brush.soft(ellipse(broad * 0.8, 3.2, 0.3, 1.5), dark, 0.7, 0.2, torso)
    brush.soft(ellipse(-broad * 0.45, 2.1, 0.4, 0.4), shade(who.cloth, 1.3), 0.4, 0.25, torso)
    for side in (-1, 1):
        crease = np.array([(side * broad * 0.78, 2.3), (side * broad * 0.82, 3.4), (side * broad * 0.74, 3.4)])
        brush.soft(crease, dark, 0.8, 0.05)
    _collar(brush, who)


def _arm(brush: Brush, who: Actor, side: int, broad: float, swing: float) -> None:
    sleeve = curve(
        *((side * (broad - 0.36), 1.6), (side * broad, 1.75), (side * (broad + 0.18), 2.9)),
        *((side * (broad + 0.12) + swing, 4.3), (side * (broad - 0.3) + swing, 4.35), (side * (broad - 0.34), 3.0)),
    )
    brush.fill(ellipse(side * (broad - 0.08) + swing, 4.5, 0.2, 0.3), who.skin)
    brush.fill(sleeve, shade(who.cloth, 0.86))


def _collar(brush: Brush, who: Actor) -> None:
    neck = 0.42 if who.noun == "man" else 0.33
    dark = shade(who.cloth, 0.6)
    if who.cut == "hoodie":
        brush.fill(symmetric((0, 1.0), (0.7, 1.02), (0.82, 1.36), (0.4, 1.7), (0, 1.8)), dark)
    if who.cut == "coat":
        brush.fill(np.array([(-0.46, 1.28), (0.46, 1.28), (0.0, 3.1)]), who.trim)
    throat = symmetric((0, 0.5), (neck, 0.5), (neck, 1.2), (neck + 0.1, 1.42), (0, 1.55))
    brush.fill(throat, shade(who.skin, 0.9))
    under = symmetric((0, 0.9), (neck, 0.8), (neck, 1.12), (0, 1.26))
    brush.soft(under, shade(who.skin, 0.45), 0.7, 0.06, throat)
    _COLLARS[who.cut](brush, who, dark)


def _lapels(brush: Brush, who: Actor, dark: Colour) -> None:
    for side in (-1, 1):
        lapel = np.array([(side * 0.4, 1.22), (side * 0.86, 1.56), (side * 0.66, 2.1), (side * 0.02, 3.1)])
        brush.fill(lapel, shade(who.cloth, 0.86))
        brush.line(lapel, dark, 0.03)


def _buttoned(brush: Brush, who: Actor, dark: Colour) -> None:
    brush.line(np.array([(0.0, 1.6), (0.0, 4.5)]), dark, 0.04)
    for y in (1.95, 2.5, 3.05, 3.6):
        brush.fill(ellipse(0, y, 0.05, 0.05), who.trim)
    for side in (-1, 1):
        wing = np.array([(0, 1.62), (side * 0.36, 1.1), (side * 0.58, 1.36), (side * 0.4, 1.84)])
        brush.fill(wing, who.trim if who.cut == "blouse" else shade(who.cloth, 1.12))
        brush.line(wing, dark, 0.025, closed=True)


def _knitted(brush: Brush, who: Actor, dark: Colour) -> None:
    brush.line(curve((-0.5, 1.28), (0, 1.6), (0.5, 1.28), (0, 1.62), steps=6), who.trim, 0.12)


def _laced(brush: Brush, who: Actor, dark: Colour) -> None:
    for side in (-1, 1):
        brush.line(np.array([(side * 0.2, 1.74), (side * 0.24, 2.6)]), who.trim, 0.05)


def _rounded(brush: Brush, who: Actor, dark: Colour) -> None:
    brush.line(np.array([(-0.48, 1.36), (-0.2, 1.58), (0, 1.63), (0.2, 1.58), (0.48, 1.36)]), who.trim, 0.06)
    brush.soft(symmetric((0, 4.05), (1.1, 4.0), (1.1, 4.2), (0, 4.25)), dark, 0.8, 0.05)


_COLLARS: dict[str, Callable[[Brush, Actor, Colour], None]] = {
    "coat": _lapels,
    "shirt": _buttoned,
    "blouse": _buttoned,
    "jumper": _knitted,
    "hoodie": _laced,
    "dress": _rounded,
}
