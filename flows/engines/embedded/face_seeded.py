"""People by their faces: each face stands on a body of ordinary proportions."""

from collections.abc import Sequence
from typing import ClassVar

from flows.engines.ports import Face, Grounded, Picture
from warehouse.records import Box

BODY_WIDTH = 3.4
"""In widths of the face: shoulders with the arms beside them."""
ABOVE_FACE = 0.55
"""In heights of the face: from the brow, where a detector's box begins, to the top of the hair."""
BODY_HEIGHT = 9.0
"""In heights of the face: a person of 7.5 heads, a head being 1.2 faces."""


class FaceSeeded:
    """`Grounder` without a network. It finds nobody whose face was not found, and reads no phrase."""

    revision: ClassVar[str] = "face-seeded-1"

    def ground(self, picture: Picture, phrases: Sequence[str], faces: Sequence[Face]) -> tuple[Grounded, ...]:
        people = [Grounded(box_px=body_box(face.box_px), score=face.score, phrase=None) for face in faces]
        return tuple(sorted(people, key=lambda person: person.box_px))


def body_box(face_px: Box) -> Box:
    """The whole person around and below a face. It may reach beyond the picture: from it the face can be told again."""
    x0, y0, x1, y1 = face_px
    middle, face_width, face_height = (x0 + x1) / 2, x1 - x0, y1 - y0
    top = y0 - ABOVE_FACE * face_height
    return (
        middle - BODY_WIDTH / 2 * face_width,
        top,
        middle + BODY_WIDTH / 2 * face_width,
        top + BODY_HEIGHT * face_height,
    )
