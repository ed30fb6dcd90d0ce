"""The voting page as Label Studio's XML (`pair.xml`), its guidelines (`instructions.html`), and its answers read back.

The XML is the only list of what the page can answer: the names, aliases and values that the parser takes come from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

from annotate.errors import AnswerUnreadable
from warehouse.records import Outcome

BROKEN_A, BROKEN_B = "broken_a", "broken_b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What one annotator said, about the sides as they were shown."""

    outcome: Outcome
    face: Outcome | None = None
    """Facial consistency; None: not answered, as for the other two criteria."""
    quality: Outcome | None = None
    align: Outcome | None = None
    broken_a: bool = False
    broken_b: bool = False
    comment: str | None = None

    @property
    def is_broken(self) -> bool:
        return self.broken_a or self.broken_b

    def swapped(self) -> "Parsed":
        """The same answer, with the two sides exchanged in every part of it."""
        return replace(
            self,
            outcome=self.outcome.swapped(),
            face=self.face and self.face.swapped(),
            quality=self.quality and self.quality.swapped(),
            align=self.align and self.align.swapped(),
            broken_a=self.broken_b,
            broken_b=self.broken_a,
        )


@cache
def labeling_xml() -> str:
    """The labeling configuration that a Label Studio project is given."""
    return files("annotate").joinpath("pair.xml").read_text(encoding="utf-8")


@cache
def instructions_html() -> str:
    """The guidelines that a Label Studio project is given as `expert_instruction`: tags and attributes that it lets
    through, and no line breaks, because it shows them as such."""
    lines = files("annotate").joinpath("instructions.html").read_text(encoding="utf-8").splitlines()
    return " ".join(line.strip() for line in lines)


def parse_result(result: Sequence[Mapping[str, Any]]) -> Parsed:
    """The answers in an annotation's `result`. `AnswerUnreadable` where it is not one that this page can give."""
    found: dict[str, tuple[str, ...]] = {}
    for region in result:
        name, answer = _read_region(region)
        if name in found:
            raise AnswerUnreadable(f"{name!r} is answered twice: {found[name]} and {answer}")
        found[name] = answer
    outcome = _single(found, "vote")
    if outcome is None:
        raise AnswerUnreadable(f"no vote among the answers {sorted(found)}")
    broken = found.get("broken", ())
    return Parsed(
        outcome=outcome,
        face=_single(found, "face"),
        quality=_single(found, "quality"),
        align=_single(found, "align"),
        broken_a=BROKEN_A in broken,
        broken_b=BROKEN_B in broken,
        comment="\n".join(found.get("comment", ())).strip() or None,
    )


def result_of(parsed: Parsed) -> tuple[Mapping[str, Any], ...]:
    """The `result` that the page gives for these answers: the inverse of `parse_result`."""
    return tuple(_regions(parsed))


def _regions(parsed: Parsed) -> Iterator[Mapping[str, Any]]:
    single = {"vote": parsed.outcome, "face": parsed.face, "quality": parsed.quality, "align": parsed.align}
    choices = {name: [outcome.value] for name, outcome in single.items() if outcome is not None}
    if parsed.is_broken:
        flags = {BROKEN_A: parsed.broken_a, BROKEN_B: parsed.broken_b}
        choices["broken"] = [alias for alias, is_set in flags.items() if is_set]
    for name, chosen in choices.items():
        yield {"from_name": name, "to_name": "prompt", "type": "choices", "value": {"choices": chosen}}
    if parsed.comment is not None:
        yield {"from_name": "comment", "to_name": "prompt", "type": "textarea", "value": {"text": [parsed.comment]}}


def _read_region(region: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The name of one control and what was answered there: aliases of choices, or lines of text."""
    match region:
        case {"from_name": str(name), "value": {"choices": [*chosen]}} if name in _aliases():
            return name, tuple(_alias(name, choice) for choice in chosen)
        case {"from_name": "comment", "value": {"text": str(text)}}:
            return "comment", (text,)
        case {"from_name": "comment", "value": {"text": [*lines]}}:
            return "comment", tuple(str(line) for line in lines)
    raise AnswerUnreadable(f"{dict(region)!r} is no answer of this page; was the project's labeling changed?")


def _alias(name: str, choice: object) -> str:
    aliases = _aliases()[name]
    if not isinstance(choice, str) or choice not in aliases:
        raise AnswerUnreadable(f"{name!r} is {choice!r}; known are {', '.join(sorted(aliases))}")
    return aliases[choice]


def _single(found: Mapping[str, tuple[str, ...]], name: str) -> Outcome | None:
    answer = found.get(name, ())
    if len(answer) > 1:
        raise AnswerUnreadable(f"{name!r} has several answers: {', '.join(answer)}")
    return Outcome(answer[0]) if answer else None


@cache
def _aliases() -> Mapping[str, Mapping[str, str]]:
    """For each set of choices, the alias of every spelling that an answer may have: its alias, or its value."""
    return {
        choices.attrib["name"]: {
            spelling: choice.attrib["alias"]
            for choice in choices.iter("Choice")
            for spelling in (choice.attrib["alias"], choice.attrib["value"])
        }
        for choices in ElementTree.fromstring(labeling_xml()).iter("Choices")
    }
