import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engines.chat import Ask, NoAnswer, Turn, answers_in_json, ask, parsed, without_thoughts
from tests.tiny_qwen import Teacher

SCHEMA = {
    "type": "object",
    "properties": {"num": {"type": "integer"}},
    "required": ["num"],
    "additionalProperties": False,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_any_json_is_read_bare_fenced_and_after_a_thought(value: Any) -> None:
    text = json.dumps(value)
    for written in (
        text,
        f"  {text}\n",
        f"```json\n{text}\n```",
        f"```\n{text}\n```",
        f"<think>\n{{}}\n</think>\n\n{text}",
    ):
        assert parsed(written) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        parsed(text, SCHEMA)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('Sure! {"num": 1}', "not JSON"),
        ('{"num": 1} I hope this helps', "not JSON"),
        ("<think> it never ends {}", "not JSON"),
        ("", "not JSON"),
        ('{"num": NaN}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"num": "1"}', r"the answer\.num: '1' is not of type 'integer'"),
        ('{"num": 1, "why": ""}', r"the answer: Additional properties are not allowed"),
        ("{}", "'num' is a required property"),
        ("[]", "not of type 'object'"),
    ],
)
def test_what_is_wrong_with_an_answer_is_told(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parsed(text, SCHEMA)


def test_every_thought_is_taken_out() -> None:
    assert without_thoughts("<think>a</think>b<think>\nc</think> d <think> e") == "b d"


def test_a_bad_answer_is_sent_back_once_with_what_is_wrong_and_the_rest_is_not_asked_again() -> None:
    teacher = Teacher([['{"num": 1}', "two", "three"], ['{"num": 2}', "3!"]])
    asks = [ask("one?", schema=SCHEMA), ask("two?", schema=SCHEMA), ask("three?", schema=SCHEMA)]
    one, two, three = answers_in_json(teacher, asks)
    assert (one, two) == ({"num": 1}, {"num": 2})
    assert isinstance(three, NoAnswer) and three.reason == "answer not usable after a repair" and "3!" in three.detail
    first, repair = teacher.lessons[1][0], teacher.lessons[3][0]
    assert repair.turns[:-2] == first.turns and repair.schema == first.schema
    assert [(turn.role, turn.parts) for turn in repair.turns[-2:]] == [
        ("assistant", ("two",)),
        ("user", (repair.turns[-1].parts[0],)),
    ]
    assert "it is not JSON" in str(repair.turns[-1].parts[0])
    assert len(teacher.lessons) == 5


def test_a_valid_answer_may_be_objected_to() -> None:
    teacher = Teacher([['{"num": 1}', '{"num": 2}'], ['{"num": 3}']])
    asks = [ask("a", schema=SCHEMA), ask("b", schema=SCHEMA)]
    values = answers_in_json(
        teacher, asks, objection=lambda index, value: "even" if index == 1 and value["num"] % 2 == 0 else None
    )
    assert values == [{"num": 1}, {"num": 3}]


def test_where_there_was_no_answer_nothing_is_repaired() -> None:
    nothing = NoAnswer("the service failed")
    assert answers_in_json(Teacher([[nothing]]), [ask("a", schema=SCHEMA)]) == [nothing]  # type: ignore[list-item]
    assert answers_in_json(Teacher([[]]), []) == []


def test_a_turn_of_somebody_else_is_refused() -> None:
    with pytest.raises(ValueError, match="take one of system, user, assistant"):
        Turn(role="tool", parts=("x",))
    assert Ask(turns=()).schema is None
