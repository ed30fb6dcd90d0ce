"""What GroundingDINO is asked and what its answer means: phrases to a prompt, labels back to phrases, boxes to people.

The prompt is what its authors trained on: lower-case phrases, each closed by a full stop. "person" is always asked for
as well, as OpenS2V's pipeline does (`pre_define`): people of whom the caption is silent are people too.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

from flows.engines.ports import Grounded
from warehouse.records import Box

FALLBACK = "person"
BOX_THRESHOLD = 0.35
"""Of a box's best token. Default of the authors' `Model.predict_with_caption` (groundingdino-py 0.4.0)."""
TEXT_THRESHOLD = 0.25
"""Of a token that counts into a box's label. The same."""
MAX_TOKENS = 256
"""Of a prompt: `max_text_len` of both libraries and of every published checkpoint."""

_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})
_SPECIAL = re.compile(r"\[[A-Z]+\]")
"""`[SEP]` and its like, which may be decoded with a label."""


def prompt_of(phrases: Sequence[str], num_tokens: Callable[[str], int]) -> str:
    """`a woman in red. a man. person.`: the phrases in the caption's order, each once.

    The last phrases are left out where the prompt would be too long: a network cuts it in the middle of a phrase, and
    its end, the fallback, first.
    """
    asked = [" ".join(re.sub(r"[.?]", " ", phrase).lower().split()) for phrase in phrases]
    distinct = [phrase for phrase in dict.fromkeys(asked) if phrase not in ("", FALLBACK)]
    while distinct and num_tokens(_closed(distinct)) > MAX_TOKENS:
        distinct.pop()
    return _closed(distinct)


def _closed(phrases: Sequence[str]) -> str:
    return ". ".join([*phrases, FALLBACK]) + "."


def phrase_of(label: str, phrases: Sequence[str]) -> str | None:
    """The caption's phrase that a label speaks of.

    A label holds those words of the prompt that scored high, so it is often shorter than its phrase ("woman red") and
    sometimes runs over several. None: it says nothing but an article, is the fallback's, or fits no phrase or several.
    """
    said = _words(_SPECIAL.sub(" ", label))
    by_words = {_words(phrase): phrase for phrase in reversed(phrases)}
    if not said or said in by_words:
        return by_words[said] if said else None
    fitting = [phrase for words, phrase in by_words.items() if said <= words]
    return fitting[0] if len(fitting) == 1 and said != _words(FALLBACK) else None


def people(
    boxes: Sequence[Box], scores: Sequence[float], labels: Sequence[str], phrases: Sequence[str], size: tuple[int, int]
) -> tuple[Grounded, ...]:
    """What was found in a picture of `size` (width, height), left to right; of identical boxes the most certain one.

    Boxes are clipped to the picture; one that has no area in it is nobody.
    """
    found: dict[Box, Grounded] = {}
    for box, score, label in sorted(zip(boxes, scores, labels, strict=True), key=lambda each: -each[1]):
        clipped = _clipped(box, size)
        if clipped[0] < clipped[2] and clipped[1] < clipped[3]:
            found.setdefault(clipped, Grounded(box_px=clipped, score=score, phrase=phrase_of(label, phrases)))
    return tuple(sorted(found.values(), key=lambda person: person.box_px))


def _clipped(box: Box, size: tuple[int, int]) -> Box:
    (x0, y0, x1, y1), (width, height) = box, size
    return max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1)


def _words(text: str) -> frozenset[str]:
    """Lower case and without accents, as the tokenizer of uncased BERT leaves them; articles apart."""
    plain = unicodedata.normalize("NFKD", text.lower())
    letters = "".join(each for each in plain if not unicodedata.combining(each))
    return frozenset(_WORD.findall(letters)) - _ARTICLES
