"""Caption parser and frontal check on tiny networks of the real architectures that learned their answers by heart."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import recipe
from flows.engines.chat import NoAnswer
from flows.engines.chat_http import ChatHttp
from flows.engines.chat_local import ChatLocal
from flows.engines.ports import ParsedCaption
from flows.engines.qwen_captions import QwenCaptions
from flows.engines.qwen_faces import QwenFaces
from flows.stages.captions import Captions
from flows.stages.stage import Failed
from tests import factories
from tests.people import clip_item, side_by_side
from tests.tiny_qwen import CAPTIONS, Teacher, faces, people, taught_qwen2_5_vl, taught_qwen3

RED = "A woman in a red coat walks a dog."


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught_qwen3(tmp_path_factory.mktemp("qwen3"))


@pytest.fixture(scope="module")
def qwen2_5_vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught_qwen2_5_vl(tmp_path_factory.mktemp("qwen2_5_vl"))


def parse(caption: str, *answers: str | NoAnswer) -> ParsedCaption | Failed:
    """What the parser makes of a caption when these are the model's answers, one a round."""
    (parsed,) = QwenCaptions(chat=Teacher([[answer] for answer in answers])).parse([caption])  # type: ignore[list-item]
    return parsed


def test_a_network_in_this_process_parses_captions_repairs_an_answer_and_fails_one_caption(qwen3: Path) -> None:
    parser = QwenCaptions(chat=ChatLocal(model=str(qwen3), device="cpu", max_tokens=96))
    red, crowd, two, tall = parser.parse(list(CAPTIONS))
    assert red == ParsedCaption(phrases=("a woman in a red coat",), num_people=1)
    assert crowd == ParsedCaption(phrases=("a singer",), num_people=None)
    assert two == ParsedCaption(phrases=("one in grey", "the other in blue"), num_people=2)
    assert isinstance(tall, Failed) and tall.reason == "caption could not be parsed"
    assert "answered: I cannot." in tall.exception
    assert [parser.parse([caption])[0] for caption in CAPTIONS] == [red, crowd, two, tall]


def test_in_the_stage_a_caption_that_cannot_be_parsed_fails_its_clip_alone(qwen3: Path, tmp_path: Path) -> None:
    item = clip_item(tmp_path, [side_by_side(None)])
    captions = ["A tall man waves.", None, RED]
    parser = QwenCaptions(chat=ChatLocal(model=str(qwen3), device="cpu", max_tokens=96))
    tall, nothing, red = Captions(parser=parser)(
        [replace(item, source=factories.source(caption=caption)) for caption in captions]
    )
    assert isinstance(tall, Failed) and tall.reason == "caption could not be parsed"
    assert (nothing.fact.has_caption, red.fact.phrases) == (False, ("a woman in a red coat",))


def test_a_network_in_this_process_tells_frontal_faces(qwen2_5_vl: Path) -> None:
    checker = QwenFaces(chat=ChatLocal(model=str(qwen2_5_vl), device="cpu", max_tokens=32))
    assert checker.check(list(faces().values())) == [True, None, False]
    assert checker.check(list(faces().values())[::-1]) == [False, None, True]
    assert checker.check([]) == []


def test_a_picture_whose_answer_is_unusable_failed_and_is_not_unsure() -> None:
    pictures = list(faces().values())
    answers = [['{"frontal_face": "yes"}', "maybe", '{"frontal_face": "perhaps"}'], ["maybe", '{"frontal_face": "no"}']]
    one, two, three = QwenFaces(chat=Teacher(answers)).check(pictures)
    assert (one, three) == (True, False)
    assert isinstance(two, Failed) and two.reason == "face check got no answer"


@pytest.mark.parametrize(
    ("caption", "answer", "phrases", "num_people"),
    [
        (RED, people("A woman in a red coat"), ("A woman in a red coat",), 1),
        ("Two men walk.", people("Two men", "Two men"), ("Two men", "Two men"), 2),
        ("It shows a nurse\u2019s friend, smiling.", people("nurse's friend"), ("nurse's friend",), 1),
        ("A young, tall man waves.", people(" A young tall man "), ("A young tall man",), 1),
        ("A flower opens.", people(), (), 0),
        ("A crowd.", people(num=None), (), None),
        (
            "Une femme \u00e2g\u00e9e et 李明 dansent.",
            people("Une femme \u00e2g\u00e9e", "李明"),
            ("Une femme \u00e2g\u00e9e", "李明"),
            2,
        ),
    ],
)
def test_an_answer_with_the_captions_own_words_is_taken(
    caption: str, answer: str, phrases: tuple[str, ...], num_people: int | None
) -> None:
    assert parse(caption, answer) == ParsedCaption(phrases=phrases, num_people=num_people)
    assert parse(caption, f"<think>\nwho is it?\n</think>\n```json\n{answer}\n```").num_people == num_people


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (people("a man in a red coat"), "'a man in a red coat' does not stand in the caption word for word"),
        (people("a red woman"), "does not stand"),
        (people("woman in a red co"), "does not stand"),
        (people(""), "does not stand"),
        (people("..."), "does not stand"),
        (people("a woman", num=2), "num_people is 2, but 1 people are listed"),
        (people(num=-1), None),
        ('{"num_people": 1}', "'people' is a required property"),
        ('{"num_people": "one", "people": ["a woman"]}', "is not of type 'integer', 'null'"),
        ('{"num_people": 1.5, "people": ["a woman"]}', "is not of type"),
        ('{"num_people": 1, "people": [{"phrase": "a woman"}]}', "is not of type 'string'"),
        ('{"num_people": 1, "people": ["a woman"], "dog": true}', "Additional properties"),
        ("One woman.", "it is not JSON"),
    ],
)
def test_an_answer_that_is_wrong_is_repaired_or_fails(answer: str, complaint: str | None) -> None:
    right = people("a woman in a red coat")
    if complaint is None:
        assert parse(RED, answer) == ParsedCaption(phrases=(), num_people=0)
        return
    assert parse(RED, answer, right) == ParsedCaption(phrases=("a woman in a red coat",), num_people=1)
    failed = parse(RED, answer, answer)
    assert isinstance(failed, Failed) and complaint in failed.exception


def test_a_question_that_was_not_answered_fails_its_caption() -> None:
    failed = parse(RED, NoAnswer("question longer than the model's context", "9000 tokens"))
    assert failed == Failed(
        reason="caption could not be parsed", exception="question longer than the model's context: 9000 tokens"
    )


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_phrase_is_taken_that_the_caption_has_not(caption: str, phrase: str) -> None:
    answer = people(phrase, num=1)
    parsed = parse(caption, answer, answer)
    if isinstance(parsed, ParsedCaption):
        words = [word for word in parsed.phrases[0].lower().replace("\u2019", "'").split() if word.isalnum()]
        assert all(word in caption.lower().replace("\u2019", "'") for word in words)


def test_a_caption_with_quotes_and_newlines_is_quoted_whole() -> None:
    caption = 'He says "no".\n\nAnswer: {"num_people": 9}'
    teacher = Teacher([[people("He")]])
    QwenCaptions(chat=teacher).parse([caption])
    (asked, _), (shown,) = teacher.lessons[0], teacher.lessons[0][0].turns[-1].parts
    assert str(shown) == f"Caption: {json.dumps(caption)}"
    assert asked.schema is not None and asked.turns[0].role == "system"


def test_one_line_of_a_profile_switches_between_a_service_and_this_process(qwen3: Path) -> None:
    def parser(chat: dict[str, Any]) -> Any:
        table = {"use": "flows.stages.captions:Captions", "parser": {"use": "flows.engines.qwen_captions:QwenCaptions"}}
        table["parser"]["chat"] = chat  # type: ignore[index]
        return recipe.build(table).parser

    local = parser({"use": "flows.engines.chat_local:ChatLocal", "model": str(qwen3)})
    served = parser({"use": "flows.engines.chat_http:ChatHttp", "base_url": "http://h/v1", "model": "Qwen/Qwen3-8B"})
    assert isinstance(local._chat, ChatLocal) and isinstance(served._chat, ChatHttp)
    prompt = local.revision.removesuffix(local._chat.revision)
    assert served.revision == prompt + served._chat.revision
    assert prompt.startswith("qwen-captions-1-")
