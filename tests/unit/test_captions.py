from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engines.embedded.caption_rules import CaptionRules
from flows.engines.ports import ParsedCaption
from flows.stages.captions import Captions, CaptionsFact
from tests import factories
from tests.people import clip_item, side_by_side


def parse(caption: str) -> ParsedCaption:
    return CaptionRules().parse([caption])[0]


@pytest.mark.parametrize(
    ("caption", "phrases"),
    [
        ("A young man waves.", ["a young man"]),
        (
            "A woman in an orange hoodie with a lanyard signs with both hands.",
            ["a woman in an orange hoodie with a lanyard"],
        ),
        ("Two women and a man walk down a corridor.", ["a woman", "a woman", "a man"]),
        ("Three uniformed officers stand in a room.", ["a uniformed officer"] * 3),
        ("A group of four dancers performs.", ["a dancer"] * 4),
        ("A family of three eats.", ["a person"] * 3),
        ("A boy and girl play.", ["a boy", "a girl"]),
        ("A man with long, dark hair and a beard sits by a lake.", ["a man with long, dark hair and a beard"]),
        ("A man in a suit juggles.", ["a man in a suit"]),
        ("A girl in a white dress in the foreground runs.", ["a girl in a white dress"]),
        ("A nurse and her patient talk.", ["a nurse", "a patient"]),
        ("One person hands a cup to another.", ["a person", "a person"]),
    ],
)
def test_every_person_of_a_caption_gets_the_words_that_show_who_it_is(caption: str, phrases: list[str]) -> None:
    assert parse(caption) == ParsedCaption(phrases=tuple(phrases), num_people=len(phrases))


@pytest.mark.parametrize(
    "caption",
    [
        "A man enters. The man sits down and he smiles.",
        "A woman, likely a nurse, stands. She is a teacher.",
        "A man in grey stands; the man's hand is raised.",
        "A woman looks at a statue of a man.",
        "A man in a baker's shop, with no people around him.",
    ],
)
def test_a_person_spoken_of_again_is_counted_once(caption: str) -> None:
    assert parse(caption).num_people == 1


@pytest.mark.parametrize(
    ("caption", "phrases"),
    [
        ("Two men, one in grey and the other in a blue suit, talk.", ["a man in grey", "a man in a blue suit"]),
        ("Two people, a man in grey and a woman in blue, talk.", ["a man in grey", "a woman in blue"]),
        (
            "Three women talk; the middle one, with glasses, laughs.",
            ["the middle woman with glasses", "a woman", "a woman"],
        ),
        ("Two individuals talk. The man is tall. The woman smiles.", ["an individual", "an individual"]),
    ],
)
def test_members_of_a_group_fill_its_places(caption: str, phrases: list[str]) -> None:
    assert parse(caption) == ParsedCaption(phrases=tuple(phrases), num_people=len(phrases))


@pytest.mark.parametrize("caption", ["A crowd cheers.", "Pedestrians cross a street.", "A group of dancers performs."])
def test_an_uncounted_number_stays_unknown(caption: str) -> None:
    assert parse(caption).num_people is None


def test_people_of_a_crowd_who_are_described_keep_their_phrases() -> None:
    assert parse("A girl in red stands before a crowd.") == ParsedCaption(phrases=("a girl in red",), num_people=None)


def test_a_caption_without_people_speaks_of_nobody() -> None:
    assert parse("A red flower opens in the morning light.") == ParsedCaption(phrases=(), num_people=0)


WORDS = "a an the one two another other woman men person in with and of . , wearing red coats is it's he second group"


@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS.split()), max_size=25).map(" ".join)))
def test_any_text_gives_one_phrase_a_counted_person(caption: str) -> None:
    parsed = parse(caption)
    assert parsed.num_people is None or len(parsed.phrases) == parsed.num_people
    assert all(phrase.strip() == phrase and phrase for phrase in parsed.phrases)


def test_the_stage_says_nothing_where_there_is_no_caption(tmp_path: Path) -> None:
    item = clip_item(tmp_path, [side_by_side(None)])
    captions = ["Two women walk.", None, "  "]
    outcomes = Captions(parser=CaptionRules())(
        [replace(item, source=factories.source(caption=caption)) for caption in captions]
    )
    nothing = CaptionsFact(has_caption=False, num_words=0, num_people=None, phrases=())
    two = CaptionsFact(has_caption=True, num_words=3, num_people=2, phrases=("a woman", "a woman"))
    assert [outcome.fact for outcome in outcomes] == [two, nothing, nothing]
