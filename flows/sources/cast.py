"""The twelve drawn actors: their faces, their wardrobes, and the words a caption has for them.

Units are half-heads: the middle of the face is (0, 0), the crown about -1, the chin 1; y downwards.
"""

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from flows.sources.brush import Colour, Shape, shade, symmetric


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A face and a wardrobe."""

    noun: str
    """`woman` or `man`."""
    trait: str
    """What a caption says of the looks: `red hair`, `a grey moustache`."""
    garment: str
    """And of the clothes: `a green coat`."""
    skin: Colour
    hair: Colour
    style: str
    cloth: Colour
    trim: Colour
    """Collar, shirt below, or trousers."""
    cut: str = "jumper"
    width: float = 0.74
    """Half-width of the face."""
    jaw: float = 0.6
    chin: float = 0.3
    eye_gap: float = 0.335
    """From the middle of the face to the middle of an eye."""
    eye_width: float = 0.15
    eye_height: float = 0.078
    slant: float = 0.0
    """Outer corner up (positive) or down."""
    iris: Colour = (92, 62, 40)
    brow: float = 0.05
    """Thickness."""
    arch: float = 0.04
    nose_width: float = 0.15
    nose_length: float = 0.4
    mouth_width: float = 0.26
    lips: float = 0.07
    lip_colour: Colour = (176, 92, 88)
    smile: float = 0.045
    """How far the corners of the mouth go up."""
    beard: str = ""
    beard_colour: Colour = (60, 44, 36)
    glasses: Colour | None = None
    age: float = 0.0
    """0 young to 1 old: lines in the face."""
    has_freckles: bool = False

    @property
    def phrase(self) -> str:
        return f"a {self.noun} with {self.trait} in {self.garment}"

    @property
    def brow_colour(self) -> Colour:
        if self.style in ("bun", "receding"):
            return shade(self.hair, 0.8)
        return shade(self.beard_colour if self.style in ("headscarf", "bald") else self.hair, 0.62)

    @property
    def outline(self) -> Shape:
        """Of the face, crown to chin."""
        w = self.width
        return symmetric(
            (0, -1), (0.62 * w, -0.88), (w, -0.4), (w, 0.06), (self.jaw, 0.6), (self.chin, 0.92), (0, 1.02)
        )

    def on_face(self, shape: Shape, turn: float, *, lift: float = 0.0) -> Shape:
        """A shape that lies on the face (or `lift` before it), seen after the head has turned by so many radians."""
        x, y = shape[:, 0], shape[:, 1]
        depth = 0.8 * np.sqrt(np.clip(1 - (x / (self.width * 1.05)) ** 2, 0, 1)) + lift
        return np.stack([x * cos(turn) + depth * sin(turn), y], 1)


# fmt: off
CAST = (
    Actor(noun="woman", trait="red hair", garment="a green coat", skin=(244, 208, 186), hair=(176, 62, 24),
          style="long", cloth=(40, 124, 76), trim=(238, 226, 204), cut="coat", width=0.7, jaw=0.5, chin=0.24,
          eye_width=0.165, eye_height=0.095, iris=(70, 128, 84), brow=0.035, arch=0.07, nose_width=0.12,
          nose_length=0.36, lips=0.075, lip_colour=(196, 82, 84), has_freckles=True),
    Actor(noun="man", trait="a beard", garment="a blue shirt", skin=(226, 176, 144), hair=(82, 52, 32), style="short",
          cloth=(52, 96, 176), trim=(226, 232, 240), cut="shirt", width=0.77, jaw=0.68, chin=0.38, eye_gap=0.35,
          eye_height=0.066, brow=0.075, arch=0.02, nose_width=0.18, nose_length=0.43, mouth_width=0.27, lips=0.055,
          lip_colour=(160, 88, 80), beard="full", beard_colour=(92, 58, 36)),
    Actor(noun="woman", trait="curly black hair", garment="a yellow dress", skin=(122, 76, 50), hair=(30, 22, 20),
          style="afro", cloth=(236, 186, 44), trim=(250, 226, 140), cut="dress", width=0.74, jaw=0.56, chin=0.28,
          eye_gap=0.35, eye_width=0.16, eye_height=0.088, iris=(56, 36, 26), brow=0.04, arch=0.06, nose_width=0.2,
          nose_length=0.37, mouth_width=0.29, lips=0.105, lip_colour=(146, 62, 66)),
    Actor(noun="man", trait="a shaved head", garment="a red jumper", skin=(92, 58, 40), hair=(40, 30, 26),
          style="bald", cloth=(180, 42, 46), trim=(120, 26, 32), width=0.76, jaw=0.68, chin=0.4, eye_gap=0.36,
          eye_width=0.14, eye_height=0.064, iris=(48, 30, 22), brow=0.06, arch=0.01, nose_width=0.225,
          nose_length=0.4, mouth_width=0.3, lips=0.1, lip_colour=(124, 68, 62), beard="goatee",
          beard_colour=(36, 26, 22)),
    Actor(noun="woman", trait="a black bob", garment="a pink blouse", skin=(248, 220, 190), hair=(26, 24, 30),
          style="bob", cloth=(232, 132, 160), trim=(250, 224, 230), cut="blouse", width=0.76, jaw=0.56, chin=0.22,
          eye_gap=0.36, eye_width=0.165, eye_height=0.06, slant=0.035, iris=(44, 30, 24), brow=0.035, arch=0.02,
          nose_width=0.13, nose_length=0.33, mouth_width=0.21, lips=0.075, lip_colour=(206, 84, 96)),
    Actor(noun="man", trait="a grey moustache", garment="a brown jacket", skin=(234, 190, 166), hair=(160, 158, 158),
          style="receding", cloth=(118, 80, 50), trim=(214, 206, 188), cut="coat", width=0.72, jaw=0.62, chin=0.34,
          eye_gap=0.31, eye_width=0.125, eye_height=0.058, slant=-0.03, iris=(88, 116, 146), brow=0.075, arch=0.0,
          nose_width=0.2, nose_length=0.47, mouth_width=0.25, lips=0.045, lip_colour=(174, 104, 98),
          beard="moustache", beard_colour=(176, 174, 172), age=1.0),
    Actor(noun="woman", trait="white hair", garment="a purple cardigan", skin=(240, 204, 184), hair=(232, 230, 228),
          style="bun", cloth=(116, 72, 150), trim=(236, 228, 240), cut="coat", width=0.74, jaw=0.6, chin=0.3,
          eye_gap=0.32, eye_width=0.13, eye_height=0.064, slant=-0.03, iris=(96, 124, 150), brow=0.03, arch=0.05,
          nose_width=0.16, nose_length=0.42, mouth_width=0.22, lips=0.05, lip_colour=(188, 86, 92),
          glasses=(150, 40, 50), age=0.9),
    Actor(noun="man", trait="blond hair", garment="an orange hoodie", skin=(246, 206, 176), hair=(222, 180, 98),
          style="fringe", cloth=(232, 122, 40), trim=(250, 206, 160), cut="hoodie", width=0.7, jaw=0.58, chin=0.32,
          eye_gap=0.33, eye_width=0.15, eye_height=0.08, iris=(74, 128, 176), brow=0.05, arch=0.03, nose_width=0.15,
          nose_length=0.4, mouth_width=0.3, lips=0.06, lip_colour=(204, 112, 104)),
    Actor(noun="woman", trait="a teal headscarf", garment="a grey coat", skin=(214, 164, 126), hair=(28, 130, 138),
          style="headscarf", cloth=(128, 134, 146), trim=(22, 108, 116), cut="coat", width=0.71, jaw=0.54, chin=0.26,
          eye_gap=0.34, eye_width=0.175, eye_height=0.085, slant=0.02, iris=(84, 58, 30), brow=0.06, arch=0.07,
          nose_width=0.15, nose_length=0.42, mouth_width=0.25, lips=0.09, lip_colour=(170, 64, 78)),
    Actor(noun="man", trait="a black hat", garment="a white shirt", skin=(198, 146, 104), hair=(30, 26, 28),
          style="hat", cloth=(232, 232, 226), trim=(70, 74, 86), cut="shirt", width=0.72, jaw=0.62, chin=0.3,
          eye_gap=0.32, eye_width=0.14, eye_height=0.07, iris=(52, 34, 24), brow=0.085, arch=0.03, nose_width=0.17,
          nose_length=0.46, mouth_width=0.26, lips=0.06, lip_colour=(160, 88, 78), beard="moustache",
          beard_colour=(46, 38, 38)),
    Actor(noun="woman", trait="a blonde ponytail", garment="a navy dress", skin=(232, 174, 134), hair=(232, 196, 116),
          style="ponytail", cloth=(40, 54, 112), trim=(226, 230, 244), cut="dress", width=0.78, jaw=0.66, chin=0.36,
          eye_gap=0.34, eye_width=0.15, eye_height=0.076, slant=0.015, iris=(80, 134, 170), brow=0.04, arch=0.04,
          nose_width=0.15, nose_length=0.34, mouth_width=0.33, lips=0.08, lip_colour=(200, 62, 76)),
    Actor(noun="man", trait="curly brown hair", garment="a teal jumper", skin=(176, 122, 84), hair=(70, 42, 26),
          style="curls", cloth=(32, 128, 134), trim=(18, 92, 100), width=0.73, jaw=0.58, chin=0.3, eye_gap=0.335,
          eye_width=0.155, eye_height=0.074, slant=-0.015, iris=(72, 46, 28), brow=0.065, arch=0.045,
          nose_width=0.19, nose_length=0.41, mouth_width=0.25, lips=0.085, lip_colour=(156, 84, 76),
          glasses=(34, 30, 34)),
)
# fmt: on
