"""Which masks that came with a clip show people, and which of them show the same one.

A data set names each mask by a word of the clip's caption, or by one it always looks for ("person"). Its detector
found the same woman as person, as individual and as woman: such masks overlap almost wholly, and are one person's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flows.engines.embedded import caption_words as words
from flows.engines.ports import Mask
from flows.stages import masks
from flows.stages.annotated import Annotation, GivenMask

ANYBODY = frozenset({"person", "individual", "human", "figure", "someone", "somebody", "adult"})
"""Nouns that would fit whoever is seen: they are not kept as a person's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPerson:
    """One person of the annotated frame."""

    mask: Mask
    """Of the cropped picture; of several masks of this person, that of the best score."""
    phrase: str | None
    """The most telling of the names that the data set gave; None: none says more than that it is a person."""
    is_certain: bool
    """False: no name is known to be a person's; the data set calls it a subject, which animals are too."""


def find(annotation: Annotation, frame: int, *, same_from: float) -> list[GivenPerson]:
    """The people whose masks the data set gives in a frame of the file. Masks with an IoU of `same_from` or more are
    one person's. Empty masks show nobody."""
    subjects = frozenset(annotation.subject_tags)
    named = [mask for mask in annotation.masks if mask.frame == frame and _may_be_person(mask, subjects)]
    decoded = [(mask, masks.decode(mask.rle)) for mask in named]
    shown = [(mask, pixels) for mask, pixels in decoded if pixels.any()]
    groups = masks.groups([pixels for _, pixels in shown], same_from=same_from)
    return [_person([shown[index] for index in group]) for group in groups]


def person_noun(class_name: str | None) -> str | None:
    """The noun for one person, in the singular, that a class is named by: `woman` of "young women in blue".

    None: it names a thing ("human head", "woman's hat"), a group, or nothing that is known.
    """
    noun = words.person(_last_word(class_name or ""))[0]
    return None if noun in words.COLLECTIVES or _last_word(class_name or "") in words.COLLECTIVES else noun


def _last_word(class_name: str) -> str:
    """The last word before `in blue` or `with a hat`; the detector puts spaces about a hyphen."""
    spoken = re.sub(r"\s*-\s*", "-", class_name.lower()).split()
    end = next((at for at, word in enumerate(spoken) if at and word in words.CLOSED | words.APPEARANCE), len(spoken))
    return spoken[end - 1] if spoken else ""


def _may_be_person(mask: GivenMask, subjects: frozenset[str]) -> bool:
    is_group = _last_word(mask.class_name or "") in words.COLLECTIVES
    return person_noun(mask.class_name) is not None or (mask.class_name in subjects and not is_group)


def _person(same: Sequence[tuple[GivenMask, Mask]]) -> GivenPerson:
    names = [mask.class_name for mask, _ in same if mask.class_name]
    best = max(same, key=lambda each: each[0].score if each[0].score is not None else -1.0)
    telling = [name for name in names if person_noun(name) not in ANYBODY]
    return GivenPerson(
        mask=best[1],
        phrase=max(telling, key=lambda name: len(name.split()), default=None),
        is_certain=any(person_noun(name) for name in names),
    )
