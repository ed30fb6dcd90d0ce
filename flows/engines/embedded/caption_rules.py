"""The people of a caption by rules: a noun is looked up, its phrase grows around it, mentions become people.

A mention is new ("a man", "two women", "another officer", a bare plural), or speaks of somebody already there
("the man", "one in a dark jacket", "he"). Members of a counted group fill its open places, so that "two men, one in
grey and the other in blue" are two people with two phrases. English only; a caption without a person's noun speaks of
nobody.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from flows.engines.embedded import caption_words as words
from flows.engines.ports import ParsedCaption

_TOKEN = re.compile(r"\w+(?:[-'\u2019]\w+)*|[.,;:!?()]")
_END = {".", ";", ":", "!", "?", "(", ")"}
_LEFT_REACH = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mention:
    noun: str
    """Singular; `one` where a pronoun stands for the noun."""
    count: int | None
    is_definite: bool
    can_be_member: bool
    """It may be one of a group named before."""
    lists_members: bool
    """What follows tells who they are: "three people, a man, ..."."""
    article: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def phrase(self, noun: str) -> str:
        described = " ".join((*self.before, noun, *self.after))
        return f"{self.article or _article(described)} {described}".replace(" ,", ",").strip()


@dataclass(slots=True)
class _People:
    """One person, or a counted or uncounted group, as first mentioned."""

    first: _Mention
    members: list[_Mention] = field(default_factory=list)

    @property
    def num_open(self) -> int:
        if self.first.count is None:
            return 0
        return self.first.count - sum(member.count or 1 for member in self.members) if self.first.count > 1 else 0

    def phrases(self) -> Iterator[str]:
        for member in self.members:
            noun = self.first.noun if member.noun == "one" else member.noun
            yield from [member.phrase(noun)] * (member.count or 1)
        yield from [self.first.phrase(self.first.noun)] * ((self.first.count or 0) - self._num_described())

    def _num_described(self) -> int:
        return sum(member.count or 1 for member in self.members)


class CaptionRules:
    """`CaptionParser` without a network."""

    revision: ClassVar[str] = "caption-rules-1"

    def parse(self, captions: Sequence[str]) -> Sequence[ParsedCaption]:
        return [_parse(caption) for caption in captions]


def _parse(caption: str) -> ParsedCaption:
    tokens = [token.replace("\u2019", "'") for token in _TOKEN.findall(caption)]
    people: list[_People] = []
    for mention in _mentions(tokens):
        _place(mention, people)
    is_counted = all(each.first.count is not None for each in people)
    return ParsedCaption(
        phrases=tuple(phrase for each in people for phrase in each.phrases()),
        num_people=sum(each.first.count or 0 for each in people) if is_counted else None,
    )


def _place(mention: _Mention, people: list[_People]) -> None:
    """Put a mention to the people it speaks of, or among them as somebody new."""
    for group in people:
        can_be_member = mention.can_be_member or (group.first.lists_members and not mention.is_definite)
        if can_be_member and group.num_open >= (mention.count or 1) and _compatible(mention.noun, group.first.noun):
            group.members.append(mention)
            return
    if mention.noun == "one":
        return
    if mention.is_definite and any(_compatible(mention.noun, earlier.first.noun) for earlier in people):
        return
    people.append(_People(mention))


def _compatible(noun: str, other: str) -> bool:
    """Whether two nouns can name one person: neither sex nor age speaks against it."""
    pairs = zip(words.traits(noun), words.traits(other), strict=True)
    return all(a is None or b is None or a == b for a, b in pairs)


def _mentions(tokens: Sequence[str]) -> Iterator[_Mention]:
    at = 0
    while at < len(tokens):
        mention, at = _mention_at(tokens, at)
        if mention is not None:
            yield mention


def _mention_at(tokens: Sequence[str], at: int) -> tuple[_Mention | None, int]:
    """The mention whose noun stands at this token, if one does, and where to read on."""
    word = tokens[at].lower()
    following = tokens[at + 1].lower() if at + 1 < len(tokens) else "."
    if word in words.STAND_INS:
        return _stand_in(tokens, at), at + 1
    noun, is_plural = words.person(word)
    if noun is None or words.person(following)[0] is not None:  # "woman doctor": the second is the noun
        return None, at + 1
    if word in words.COLLECTIVES and following == "of" and _number_at(tokens, at + 2) is None:
        return None, at + 1  # "a group of dancers": the dancers are the noun
    before, opener = _before(tokens, at)
    start = at - len(before) - len(opener)
    if _is_no_person(tokens, start, opener):
        return None, at + 1
    after = _after(tokens, at + 1)
    end = at + 1 + len(after)
    mention = _Mention(
        noun=noun,
        count=_count(tokens, start, at),
        is_definite=bool(words.DEFINITE & set(opener)) and not (words.NEW & set(opener)),
        can_be_member=bool(words.MEMBER & {*opener, *before}) or noun in words.RELATIONS,
        lists_members=is_plural and _begins_list(tokens, end),
        article="the" if set(before) & words.SIDES else "",
        before=before,
        after=after,
    )
    return mention, end


def _begins_list(tokens: Sequence[str], at: int) -> bool:
    following = [token.lower() for token in tokens[at : at + 2]]
    return len(following) == 2 and following[0] in {",", ":"} and following[1] in {"a", "an", "one"}


def _number_at(tokens: Sequence[str], at: int) -> int | None:
    """The number of people that `of` may have before it: `a family of four`, and not `a group of four men`."""
    following = tokens[at + 1].lower() if at + 1 < len(tokens) else "."
    is_alone = following in words.CLOSED | _END | {","} or words.is_verb(following)
    return words.NUMBERS.get(tokens[at].lower()) if at < len(tokens) and is_alone else None


def _stand_in(tokens: Sequence[str], at: int) -> _Mention | None:
    """`one`, `another`, `the other` where no noun follows; `he` and `she`."""
    word = tokens[at].lower()
    if word in words.SUBJECT_PRONOUNS:
        noun = words.SUBJECT_PRONOUNS[word]
        return _Mention(noun=noun, count=1, is_definite=True, can_be_member=False, lists_members=False)
    following = tokens[at + 1].lower() if at + 1 < len(tokens) else "."
    is_reciprocal = at > 0 and tokens[at - 1].lower() in {"each", "one"}
    if is_reciprocal or not (following in words.AFTER_STAND_IN or words.is_verb(following)):
        return None
    start = at + 2 if following == "," else at + 1
    after = _after(tokens, start)
    before = tuple(w.lower() for w in tokens[max(at - 1, 0) : at] if w.lower() in words.SIDES)
    count = 2 if word == "others" else 1
    noun = "person" if word == "another" else "one"
    article = "the" if before else ""
    return _Mention(
        noun=noun,
        count=count,
        is_definite=False,
        can_be_member=True,
        lists_members=False,
        article=article,
        before=before,
        after=after,
    )


def _before(tokens: Sequence[str], at: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The adjectives left of a noun, and the words that open its phrase: article, number, `another`."""
    start = at
    while start > 0 and at - start < _LEFT_REACH and _is_modifier(tokens, start - 1, at):
        start -= 1
    opening = start
    while opening > 0 and tokens[opening - 1].lower() in words.OPENERS:
        opening -= 1
    opener = tuple(token.lower() for token in tokens[opening:start])
    before = tuple(tokens[start:at])
    return (before if opener or opening == 0 else _near_adjectives(before)), opener


def _is_modifier(tokens: Sequence[str], index: int, noun_at: int) -> bool:
    word = tokens[index].lower()
    if word == ",":
        return index + 1 < noun_at and tokens[index + 1].lower() not in words.OPENERS and index > 0
    return word not in words.CLOSED | _END and words.person(word)[0] is None


def _near_adjectives(before: tuple[str, ...]) -> tuple[str, ...]:
    """Without an article nothing shows where the phrase begins: only known adjectives are its own."""
    kept: list[str] = []
    for word in reversed(before):
        if word.lower() not in words.ADJECTIVES:
            break
        kept.insert(0, word.lower())
    return tuple(kept)


def _is_no_person(tokens: Sequence[str], head: int, opener: tuple[str, ...]) -> bool:
    """`no man`, `a statue of a man`, `is a teacher`, `likely a nurse`: nobody, or somebody already named."""
    earlier = [token.lower() for token in tokens[max(head - 3, 0) : head]]
    if {"no", "without"} & {*opener, *earlier[-1:]}:
        return True
    if earlier[-1:] == ["of"] and set(earlier) & words.LIKENESSES:
        return True
    is_copula = bool(earlier) and earlier[-1] in words.COPULAS and not {"there", "here"} & set(earlier)
    return is_copula and not (words.DEFINITE & set(opener))


def _count(tokens: Sequence[str], start: int, at: int) -> int | None:
    """People named by the noun at `at`, whose phrase begins at `start`; None: an uncounted number."""
    noun, is_plural = tokens[at].lower(), words.person(tokens[at].lower())[1]
    if noun in words.COLLECTIVES:
        return _number_at(tokens, at + 2) or words.COLLECTIVES[noun]
    if not is_plural:
        return 1
    numbers = [words.NUMBERS[token.lower()] for token in tokens[start:at] if token.lower() in words.NUMBERS]
    if start >= 2 and tokens[start - 1] == "of" and not numbers:
        return words.COLLECTIVES.get(tokens[start - 2].lower())
    return numbers[-1] if numbers else None


def _after(tokens: Sequence[str], start: int) -> tuple[str, ...]:
    """The words right of a noun that tell how the person looks: `in an orange hoodie with a lanyard`."""
    end = start
    while end < len(tokens) and (further := _appearance_end(tokens, end)) > end:
        end = further
    return tuple(tokens[start:end])


def _appearance_end(tokens: Sequence[str], start: int) -> int:
    """Where one `in ...` or `with ...` ends; `start` itself if none begins there."""
    at = start + 1 if tokens[start] == "," else start
    if at >= len(tokens) or tokens[at].lower() not in words.APPEARANCE:
        return start
    while at < len(tokens) and tokens[at].lower() in words.APPEARANCE:
        at += 1
    end = _noun_chunk_end(tokens, at)
    is_place = any(token.lower() in words.PLACES for token in tokens[at:end])
    return start if is_place or end == at else end


def _noun_chunk_end(tokens: Sequence[str], start: int) -> int:
    """Where the phrase of one or several things worn ends; `start` itself if it names a person."""
    end = _thing_end(tokens, start)
    while end < len(tokens) and tokens[end].lower() in {"and", "or"}:
        following = _thing_end(tokens, end + 1)
        if following == end + 1:
            break
        end = following
    return end


def _thing_end(tokens: Sequence[str], start: int) -> int:
    """Where a thing's noun phrase ends: at a verb, a preposition, a mark; `start` itself if it names a person."""
    at, has_plural = start, False
    while at < len(tokens) and tokens[at].lower() in words.OPENERS:
        at += 1
    first, is_single = at, tokens[start : start + 1] in (["a"], ["an"])
    while at < len(tokens):
        word = tokens[at].lower()
        if word in words.STAND_INS or words.person(word)[0] is not None:
            return start
        looks_plural = word.endswith("s") and not word.endswith(("ss", "us", "is"))
        is_second_s = looks_plural and at > first and (is_single or has_plural)  # "a suit juggles", "glasses walks"
        is_verb = words.is_verb(word) and at > first and not tokens[at - 1].lower().endswith("ing")
        if (word in words.CLOSED | _END | {","} or is_second_s or is_verb) and not _joins_adjectives(tokens, at):
            break
        has_plural |= looks_plural
        at += 1
    return at if at > first else start


def _joins_adjectives(tokens: Sequence[str], at: int) -> bool:
    """Whether this is the comma of "short, dark hair"."""
    near = [token.lower() for token in tokens[max(at - 1, 0) : at + 2]]
    return len(near) == 3 and near[1] == "," and {near[0], near[2]} <= words.ADJECTIVES


def _article(described: str) -> str:
    begins = described.lower()
    return "an" if begins[:1] in "aeiou" and not begins.startswith(("uni", "one", "use")) else "a"
