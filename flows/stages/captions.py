"""What the caption says of the people in the clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flows.engines.ports import CaptionParser, ParsedCaption
from flows.stages.stage import ClipItem, Done


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

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[CaptionsFact]]:
        captions = [(item.source.caption or "").strip() for item in batch]
        parsed = iter(self.parser.parse([caption for caption in captions if caption]))
        return [Done(fact=_said(caption, next(parsed)) if caption else _NOTHING) for caption in captions]


_NOTHING = CaptionsFact(has_caption=False, num_words=0, num_people=None, phrases=())


def _said(caption: str, parsed: ParsedCaption) -> CaptionsFact:
    return CaptionsFact(
        has_caption=True, num_words=len(caption.split()), num_people=parsed.num_people, phrases=parsed.phrases
    )
