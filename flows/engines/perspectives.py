"""The perspectives from which image models are asked to re-synthesise a person: a named prompt each.

Identity-GRPO (2.1.1) re-synthesises "from other perspectives" against copy-paste and does not print its prompts; these
are ours. Each changes one thing that a pasted copy would keep (direction of the head, height of the camera, light),
asks for a plain ground, so that no scenery is copied either, and ends by saying what must stay. All are below the 77
tokens that the CLIP encoder of FLUX.1 reads. Which of them keep the person is measured: `likeness yields`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

STAYS = (
    "Keep exactly the same person: same facial features, hairstyle, skin tone, age and clothes. One person, photograph."
)

PERSPECTIVES: Mapping[str, str] = MappingProxyType(
    {
        name: f"{text} {STAYS}"
        for name, text in {
            "three_quarter_left": "Turn the head to a three-quarter view facing left, plain light grey background.",
            "three_quarter_right": "Turn the head to a three-quarter view facing right, plain light grey background.",
            "profile": "Show this person in profile, looking to the side, plain light grey background.",
            "from_above": "Show this person from slightly above, looking up at the camera, plain beige background.",
            "from_below": "Show this person from slightly below, plain light blue background.",
            "window_light": "Show this person from the front in soft daylight from one side, plain white background.",
            "evening_light": "Show this person from the front in warm evening light, plain dark background.",
            "smiling": "Show this person from the front with a slight smile, plain light grey background.",
        }.items()
    }
)
"""By name."""


def chosen(prompts: Sequence[str]) -> Mapping[str, str]:
    """Prompts by name, in order: each entry names one of `PERSPECTIVES` or is its own, as `name: text`; none: all.

    `ValueError` for a name that is not known, or given twice.
    """
    found: dict[str, str] = {}
    for entry in prompts or PERSPECTIVES:
        name, _, text = (part.strip() for part in entry.partition(":"))
        if not text and name not in PERSPECTIVES:
            raise ValueError(f"prompt {name!r} is none of {', '.join(PERSPECTIVES)}; give an own one as 'name: text'")
        if name in found:
            raise ValueError(f"prompt {name!r} is given twice")
        found[name] = text or PERSPECTIVES[name]
    return found
