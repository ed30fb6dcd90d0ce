"""What is played in the drawn sample, and the captions it implies.

24 clips; among them four people, nobody, a dark one and one without a caption. Beside them, the last two: a truncated
file, and a caption without a file. People who play together form small groups, so that identities can be split.
"""

from dataclasses import dataclass
from enum import StrEnum

from flows.sources.cast import CAST


class Trouble(StrEnum):
    """What is wrong on purpose."""

    TRUNCATED = "truncated file"
    NO_FILE = "caption without a file"
    NO_CAPTION = "file without a caption"
    FOUR_PEOPLE = "four people"
    NOBODY = "nobody"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Shot:
    """One place, its cast from left to right, and what they do."""

    place: str
    cast: tuple[int, ...]
    action: str
    """`walk`, `talk` or `look`."""
    num_frames: int = 52


@dataclass(frozen=True, slots=True)
class Script:
    """One file."""

    title: str
    """Unique; the clip's id is made from it."""
    width_px: int
    height_px: int
    shots: tuple[Shot, ...]
    trouble: Trouble | None = None

    @property
    def caption(self) -> str | None:
        return None if self.trouble is Trouble.NO_CAPTION else _caption(self.shots)

    @property
    def cut_frames(self) -> list[int]:
        """First frame of each new shot."""
        return [sum(shot.num_frames for shot in self.shots[:n]) for n in range(1, len(self.shots))]


_ONE = {"walk": "walks {}", "talk": "talks to the camera {}", "look": "looks around {}"}
_MANY = {"walk": "walk {}", "talk": "talk to each other {}", "look": "look around {}"}


def _where(place: str) -> str:
    return f"{'on' if place in ('a beach', 'a street') else 'in'} {place}"


def _caption(shots: tuple[Shot, ...]) -> str:
    first = shots[0]
    if not first.cast:
        return f"An empty {first.place.partition(' ')[2]} on a quiet day."
    parts = [_sentence(first)]
    for shot in shots[1:]:
        is_same = shot.cast == first.cast
        doing = (_ONE if len(shot.cast) == 1 else _MANY)[shot.action].format(_where(shot.place))
        parts.append(f"then {doing}" if is_same else f"then {_sentence(shot)}")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _sentence(shot: Shot) -> str:
    who, where = [CAST[actor].phrase for actor in shot.cast], _where(shot.place)
    if len(who) == 1:
        return f"{who[0]} {_ONE[shot.action].format(where)}"
    if len(who) == 2 and shot.action == "walk":
        return f"{who[0]} walks {where} beside {who[1]}"
    return f"{', '.join(who[:-1])} and {who[-1]} {_MANY[shot.action].format(where)}"


SCRIPTS = (
    Script("red hair, park", 384, 288, (Shot("a park", (0,), "walk"),)),
    Script("beard, street", 320, 240, (Shot("a street", (1,), "talk", 60),)),
    Script("curls, kitchen", 384, 288, (Shot("a kitchen", (2,), "look"),)),
    Script("shaved head, beach", 480, 270, (Shot("a beach", (3,), "walk"),)),
    Script("bob, library", 320, 240, (Shot("a library", (4,), "talk"),)),
    Script("moustache, forest", 384, 288, (Shot("a forest", (5,), "walk", 56),)),
    Script("white hair, kitchen", 240, 320, (Shot("a kitchen", (6,), "talk"),)),
    Script("blond, valley", 480, 270, (Shot("a snowy valley", (7,), "walk"),)),
    Script("headscarf, street", 272, 360, (Shot("a street", (8,), "look"),)),
    Script("ponytail, office", 384, 288, (Shot("an office", (10,), "talk"),)),
    Script("glasses, park", 384, 288, (Shot("a park", (11,), "look"),)),
    Script(
        "ponytail, two places", 384, 288, (Shot("a forest", (10,), "walk", 48), Shot("a library", (10,), "look", 48))
    ),
    Script("hat, two places", 320, 240, (Shot("an office", (9,), "look", 48), Shot("a street", (9,), "walk", 48))),
    Script("park walk of two", 448, 320, (Shot("a park", (0, 1), "walk", 56),)),
    Script("office talk of two", 448, 320, (Shot("an office", (3, 4), "talk"),)),
    Script("library talk of two", 448, 320, (Shot("a library", (5, 6), "talk"),)),
    Script(
        "two in two places",
        448,
        320,
        (Shot("a beach", (7, 8), "look", 48), Shot("a library", (7, 8), "talk", 48)),
    ),
    Script("three on a beach", 512, 384, (Shot("a beach", (0, 1, 2), "look"),)),
    Script("three in a street", 512, 384, (Shot("a street", (2, 0, 1), "walk"),)),
    Script("one after another", 384, 288, (Shot("an office", (3,), "talk", 48), Shot("a forest", (4,), "look", 48))),
    Script("no caption", 384, 288, (Shot("a library", (11,), "talk"),), Trouble.NO_CAPTION),
    Script("four", 512, 384, (Shot("a park", (2, 9, 6, 10), "look", 48),), Trouble.FOUR_PEOPLE),
    Script("nobody", 384, 288, (Shot("a beach", (), "look", 48),), Trouble.NOBODY),
    Script("dark", 320, 240, (Shot("a street", (5,), "walk", 48),), Trouble.DARK),
    Script("truncated", 320, 240, (Shot("a park", (7,), "look", 48),), Trouble.TRUNCATED),
    Script("no file", 320, 240, (Shot("an office", (6,), "talk", 48),), Trouble.NO_FILE),
)
