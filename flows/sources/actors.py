"""Twelve drawn actors, whose faces a detector finds and a recogniser tells apart. No footage is shipped: it is drawn.

An actor is painted from back to front: hair behind, body, face, features, hair before, glasses. Units as in `cast.py`.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from flows.sources import wardrobe
from flows.sources.brush import Brush, Picture, Shape, curve, ellipse, shade, symmetric
from flows.sources.cast import CAST, Actor

NUM_ACTORS = len(CAST)

_INK = (38, 26, 24)
_WHITE = (244, 240, 234)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How an actor stands in one frame. All zero: upright, still, looking into the camera."""

    turn: float = 0.0
    """Radians, towards the right of the picture."""
    tilt: float = 0.0
    """Radians, clockwise."""
    mouth: float = 0.0
    """0 closed to 1 open."""
    blink: float = 0.0
    """0 open to 1 shut."""
    stride: float = 0.0
    """Phase of the walk in radians: arms swing, shoulders sway."""


def portrait(actor: int, *, size_px: int = 256) -> Picture:
    """Head and shoulders before a grey wall: (size_px, size_px, 3), RGB."""
    wall = np.linspace(206, 172, size_px).astype(np.uint8)
    canvas = np.repeat(np.repeat(wall[:, None, None], size_px, 1), 3, 2)
    draw_actor(canvas, actor, x_px=size_px * 0.5, y_px=size_px * 0.47, head_px=size_px * 0.56)
    return canvas


def draw_actor(
    canvas: Picture, actor: int, *, x_px: float, y_px: float, head_px: float, pose: Pose | None = None
) -> None:
    """Paint an actor onto the canvas (height, width, 3), in place; (x_px, y_px) is the middle of the face.

    `head_px` is the height of the head, crown to chin; the body reaches 3.5 heads further down.
    """
    who, pose = CAST[actor], pose or Pose()
    unit = head_px / 2
    sway, bob = 0.05 * sin(pose.stride), 0.025 * cos(2 * pose.stride)
    x_px, y_px = x_px + sway * unit, y_px + bob * unit
    upright = Brush.at(canvas, x_px, y_px, unit)
    head = Brush.at(canvas, x_px, y_px, unit, tilt=pose.tilt, pivot_y=1.0)
    wardrobe.hair_behind(head, who)
    wardrobe.body(upright, who, pose.stride)
    _skin(head, who, pose.turn)
    _beard(head, who, pose.turn)
    for side in (-1, 1):
        _eye(head, who, side, pose)
        _brow(head, who, side, pose.turn)
    _nose(head, who, pose.turn)
    _mouth(head, who, pose)
    wardrobe.hair_before(head, who, pose.turn)
    wardrobe.glasses(head, who, pose.turn)


def _skin(brush: Brush, who: Actor, turn: float) -> None:
    """Ears and face, lit from the upper left."""
    dark, light, outline = shade(who.skin, 0.62), shade(who.skin, 1.14), who.outline
    for side in (-1, 1):
        middle = side * (who.width + 0.02) - 0.12 * turn
        brush.fill(ellipse(middle, 0.08, 0.1, 0.2), shade(who.skin, 0.88))
        brush.soft(ellipse(middle, 0.08, 0.05, 0.12), dark, 0.5, 0.03)
    brush.fill(outline, who.skin)
    brush.soft(ellipse(0.95 * who.width, 0.25, 0.26, 1.0), dark, 0.42, 0.16, outline)
    brush.soft(ellipse(-1.1 * who.width, 0.35, 0.2, 0.9), dark, 0.28, 0.12, outline)
    brush.soft(ellipse(0, 1.1, 0.6, 0.16), dark, 0.42, 0.1, outline)
    brush.soft(who.on_face(ellipse(-0.1, -0.55, 0.32, 0.18), turn), light, 0.55, 0.14, outline)
    blush = (min(255, who.skin[0] + 10), int(who.skin[1] * 0.74), int(who.skin[2] * 0.7))
    for side in (-1, 1):
        brush.soft(who.on_face(ellipse(side * 0.43, 0.32, 0.15, 0.11), turn), blush, 0.42, 0.09, outline)
        brush.soft(who.on_face(ellipse(side * 0.4, 0.2, 0.12, 0.05), turn), light, 0.4, 0.05, outline)
    _lines(brush, who, turn)


def _lines(brush: Brush, who: Actor, turn: float) -> None:
    """What years and sun leave: folds beside the mouth, wrinkles, freckles."""
    dark, outline = shade(who.skin, 0.62), who.outline
    for side in (-1, 1):
        fold = np.array([(side * 0.2, 0.42), (side * 0.33, 0.54), (side * 0.36, 0.66), (side * 0.3, 0.54)])
        brush.soft(who.on_face(fold, turn), dark, 0.12 + 0.6 * who.age, 0.015 + 0.01 * who.age, outline)
    for y in (-0.58, -0.48) if who.age else ():
        wrinkle = np.array([(-0.34, y + 0.02), (0, y), (0.34, y + 0.02), (0, y + 0.015)])
        brush.soft(who.on_face(wrinkle, turn), dark, 0.75 * who.age, 0.014, outline)
    spots = ((0.3, 0.24), (0.38, 0.3), (0.46, 0.25), (0.24, 0.32), (0.5, 0.34), (0.35, 0.38), (0.12, 0.2))
    for x, y in spots if who.has_freckles else ():
        for side in (-1, 1):
            brush.soft(who.on_face(ellipse(side * x, y, 0.013, 0.013), turn), (188, 116, 80), 0.7, 0.008, outline)


def _eye(brush: Brush, who: Actor, side: int, pose: Pose) -> None:
    """Socket, eyeball between two lids, lashes; the iris is cut off where the lids cover it."""

    def placed(x: Shape, y: Shape) -> Shape:
        """x from the middle of the eye outwards, y from its axis."""
        points = np.stack([side * (who.eye_gap + x), y - 0.02 - who.slant * x / who.eye_width], 1)
        return who.on_face(points, pose.turn)

    dark = shade(who.skin, 0.5)
    brush.soft(placed(*ellipse(-0.01, -0.03, 0.2, 0.14).T), dark, 0.4, 0.055)
    brush.soft(placed(*ellipse(-0.2, -0.02, 0.05, 0.12).T), dark, 0.32, 0.04)
    across = np.linspace(-who.eye_width, who.eye_width, 13)
    there_and_back = np.r_[across, across[::-1]]
    bow = (1 - (across / who.eye_width) ** 2) * who.eye_height
    upper, lower = -bow * (1 - 0.94 * pose.blink), bow * (0.75 - 0.1 * pose.blink)
    if pose.blink:
        brush.fill(placed(there_and_back, np.r_[-bow, lower[::-1]]), shade(who.skin, 0.86))
    brush.fill(placed(there_and_back, np.r_[upper, lower[::-1]]), _WHITE)
    for radius, colour in ((0.084, shade(who.iris, 0.55)), (0.07, who.iris), (0.036, (14, 12, 14))):
        x, y = ellipse(side * 0.12 * pose.turn, -0.008, radius, radius).T
        x = np.clip(x, -who.eye_width, who.eye_width)
        brush.fill(placed(x, np.clip(y, np.interp(x, across, upper), np.interp(x, across, lower))), colour)
    if pose.blink < 0.5:
        brush.fill(placed(*ellipse(-side * 0.025, -0.03, 0.018, 0.018).T), (255, 255, 255))
    lash = (0.036 if who.noun == "woman" else 0.024) * (0.7 + 0.3 * across / who.eye_width)
    brush.fill(placed(there_and_back, np.r_[upper - lash, upper[::-1] + 0.012]), _INK)
    brush.line(placed(across, lower), shade(who.skin, 0.6), 0.012)
    brush.line(placed(across, -bow - 0.06), shade(who.skin, 0.66), 0.014)


def _brow(brush: Brush, who: Actor, side: int, turn: float) -> None:
    along = np.linspace(0, 1, 11)
    x = side * (who.eye_gap - 0.19 + 0.4 * along)
    y = -0.25 - who.arch * np.sin(along * pi * 0.8) * 1.4 + 0.05 * along**3 - who.slant * 0.5
    half = who.brow * (0.55 + 0.45 * np.sin(along * pi * 0.9)) * (1 - 0.5 * along)
    shape = np.concatenate([np.stack([x, y - half], 1), np.stack([x, y + half], 1)[::-1]])
    brush.soft(who.on_face(shape, turn), who.brow_colour, 0.95, 0.012)


def _nose(brush: Brush, who: Actor, turn: float) -> None:
    dark, light, w, tip = shade(who.skin, 0.55), shade(who.skin, 1.2), who.nose_width, who.nose_length
    outline = who.outline

    def soft(shape: Shape, lift: float, colour: tuple[int, int, int], strength: float, blur: float) -> None:
        brush.soft(who.on_face(shape, turn, lift=lift), colour, strength, blur, outline)

    flank = np.array([(0.05, -0.15), (0.1, 0.1), (w, tip - 0.04), (0.06, tip - 0.03), (0.045, 0.05)])
    soft(flank, 0.06, dark, 0.45, 0.03)
    soft(flank * (-1, 1), 0.06, dark, 0.2, 0.035)
    soft(ellipse(-0.015, 0.08, 0.03, 0.2), 0.08, light, 0.55, 0.025)
    soft(ellipse(0, tip + 0.035, w * 1.05, 0.045), 0.08, dark, 0.5, 0.03)
    soft(ellipse(0, tip - 0.07, w * 0.6, 0.07), 0.16, who.skin, 0.6, 0.03)
    soft(ellipse(-0.025, tip - 0.09, 0.05, 0.045), 0.18, light, 0.7, 0.025)
    for side in (-1, 1):
        soft(ellipse(side * w * 0.88, tip - 0.04, 0.035, 0.055), 0.08, dark, 0.5, 0.016)
        soft(ellipse(side * w * 0.48, tip + 0.005, w * 0.27, 0.024), 0.12, shade(who.skin, 0.3), 0.8, 0.01)


def _mouth(brush: Brush, who: Actor, pose: Pose) -> None:
    """Lips about a gap that opens; the lower one moves down, the corners go up with a smile."""
    w, full, gap = who.mouth_width, who.lips, 0.13 * pose.mouth

    def placed(shape: Shape) -> Shape:
        x, y = shape.T
        return who.on_face(np.stack([x, y + 0.66 - who.smile * (x / w) ** 2], 1), pose.turn, lift=0.04)

    def lip(middle: float, inner: float, inner_edge: float, outer_edge: float) -> Shape:
        edge = ((-w * 0.4, inner_edge), (-w, 0), (-w * inner, outer_edge), (0, middle), (w * inner, outer_edge))
        return placed(curve(*edge, (w, 0), (w * 0.4, inner_edge), (0, inner_edge + 0.008), steps=4))

    chin = placed(ellipse(0, full * 1.6 + gap + 0.05, w * 0.6, 0.03))
    brush.soft(chin, shade(who.skin, 0.55), 0.4, 0.03, who.outline)
    brush.fill(lip(full * 1.3 + gap, 0.5, 0.01, full + gap), who.lip_colour)
    shine = placed(ellipse(-0.03, full * 0.75 + gap, w * 0.4, full * 0.25))
    brush.soft(shine, shade(who.lip_colour, 1.35), 0.6, 0.02)
    brush.fill(lip(-full * 0.68, 0.35, 0.012, -full * 0.9), shade(who.lip_colour, 0.8))
    if pose.mouth > 0.1:
        brush.fill(placed(symmetric((0, 0.006), (w * 0.86, 0), (w * 0.5, gap), (0, gap * 1.15))), (64, 22, 24))
        brush.fill(placed(symmetric((0, 0.01), (w * 0.66, 0.006), (w * 0.4, gap * 0.45), (0, gap * 0.5))), _WHITE)
    else:
        parting = np.array([(-w, 0), (-w * 0.4, 0.01), (0, 0.018), (w * 0.4, 0.01), (w, 0)])
        brush.line(placed(parting), shade(who.lip_colour, 0.42), 0.024)
    for side in (-1, 1):
        brush.soft(placed(ellipse(side * w, 0, 0.02, 0.02)), shade(who.skin, 0.45), 0.5, 0.02, who.outline)


def _beard(brush: Brush, who: Actor, turn: float) -> None:
    colour, outline = who.beard_colour, who.outline
    if who.beard == "full":
        edge = ((0, 0.5), (0.3, 0.5), (0.52, 0.34), (who.width, 0.05), (who.width, 0.7), (0.5, 1.2), (0, 1.2))
        brush.soft(who.on_face(symmetric(*edge), turn), colour, 0.94, 0.035, outline)
        brush.soft(symmetric((0, 0.86), (0.5, 0.8), (0.36, 1.1), (0, 1.17)), colour, 0.96, 0.03)
        brush.soft(who.on_face(ellipse(-0.12, 0.92, 0.2, 0.1), turn), shade(colour, 1.4), 0.35, 0.06)
    if who.beard == "goatee":
        tuft = symmetric((0, 0.76), (0.2, 0.78), (0.17, 1.0), (0, 1.08))
        brush.soft(who.on_face(tuft, turn), colour, 0.9, 0.03)
    if who.beard:
        bushy = 0.07 if who.beard == "moustache" else 0.04
        lip = symmetric((0, 0.5), (0.16, 0.5), (0.34, 0.62 + bushy), (0.2, 0.6 + bushy), (0, 0.57 + bushy / 2))
        brush.soft(who.on_face(lip, turn, lift=0.05), colour, 0.95, 0.018, outline)
