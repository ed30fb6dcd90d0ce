"""What the caption says of the people in the clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flows.engines.ports import CaptionParser, ParsedCaption
from flows.stages.stage import ClipItem, Done, Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionsFact:
    has_caption: bool
    num_words: int
    num_people: int | None
    """None: there is no caption, or it speaks of an uncounted number."""
    phrases: tuple[str, ...]
    """One noun phrase a person, in the order of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captions:
    """Reads the people out of each clip's caption."""

    name: ClassVar[str] = "captions"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[CaptionsFact]] = CaptionsFact
    needs: ClassVar[Sequence[str]] = ("shots",)

    parser: CaptionParser

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[CaptionsFact] | Failed]:
        captions = [(item.source.caption or "").strip() for item in batch]
        parsed = iter(self.parser.parse([caption for caption in captions if caption]))
        return [_outcome(caption, next(parsed)) if caption else Done(fact=_NOTHING) for caption in captions]


_NOTHING = CaptionsFact(has_caption=False, num_words=0, num_people=None, phrases=())


def _outcome(caption: str, parsed: ParsedCaption | Failed) -> Done[CaptionsFact] | Failed:
    if isinstance(parsed, Failed):
        return parsed
    num_words = len(caption.split())
    return Done(
        fact=CaptionsFact(has_caption=True, num_words=num_words, num_people=parsed.num_people, phrases=parsed.phrases)
    )
