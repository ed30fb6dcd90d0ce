import re
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import AnswerUnreadable
from annotate.interface import Parsed, instructions_html, labeling_xml, parse_result, result_of
from warehouse.records import Outcome

outcomes = st.sampled_from(Outcome)
parsed_answers = st.builds(
    Parsed,
    outcome=outcomes,
    face=st.none() | outcomes,
    quality=st.none() | outcomes,
    align=st.none() | outcomes,
    broken_a=st.booleans(),
    broken_b=st.booleans(),
    comment=st.none() | st.text(min_size=1).filter(lambda text: text == text.strip()),
)


def choose(name: str, *choices: Any) -> dict[str, Any]:
    """One set of choices, answered, as Label Studio gives it."""
    return {
        "id": "x1",
        "from_name": name,
        "to_name": "prompt",
        "type": "choices",
        "origin": "manual",
        "value": {"choices": list(choices)},
    }


def write(*lines: str) -> dict[str, Any]:
    return {"id": "x2", "from_name": "comment", "to_name": "prompt", "type": "textarea", "value": {"text": list(lines)}}


def test_every_name_that_is_read_stands_in_the_xml() -> None:
    root = ElementTree.fromstring(labeling_xml())
    everything = Parsed(
        outcome=Outcome.A, face=Outcome.A, quality=Outcome.A, align=Outcome.A, broken_a=True, comment="words"
    )
    written = {region["from_name"]: region["to_name"] for region in result_of(everything)}
    in_xml = {tag.attrib["name"]: tag.attrib["toName"] for tag in root.iter() if "toName" in tag.attrib}
    assert written == in_xml
    assert set(written.values()) == {tag.attrib["name"] for tag in root.iter("Text")}


def test_the_page_votes_with_1_2_3_and_no_key_does_two_things() -> None:
    root = ElementTree.fromstring(labeling_xml())
    vote = next(tag for tag in root.iter("Choices") if tag.attrib["name"] == "vote")
    assert vote.attrib["required"] == "true"
    assert [(choice.attrib["hotkey"], choice.attrib["alias"]) for choice in vote] == [
        ("1", "A"),
        ("2", "tie"),
        ("3", "B"),
    ]
    keys = [choice.attrib["hotkey"] for choice in root.iter("Choice")]
    assert len(keys) == len(set(keys)) == 14


def test_the_prompt_is_shown_as_text_alone_so_that_it_cannot_hold_markup() -> None:
    root = ElementTree.fromstring(labeling_xml())
    assert [tag.tag for tag in root.iter() if "$prompt" in tag.attrib.get("value", "")] == ["Text"]


def test_the_style_holds_no_sign_that_label_studio_would_escape() -> None:
    (style,) = ElementTree.fromstring(labeling_xml()).iter("Style")
    assert not set(style.text or "") & set("<>&")


def test_the_guidelines_show_pictures_that_are_served_and_name_the_keys_of_the_page() -> None:
    told = instructions_html()
    pictures = re.findall(r'<img src="/likeness/static/([a-z_]+\.svg)"', told)
    assert len(pictures) == told.count("<img") == 4
    for name in pictures:
        ElementTree.fromstring(files("annotate.gateway.pages").joinpath(name).read_text(encoding="utf-8"))
    hotkeys = {choice.attrib["hotkey"] for choice in ElementTree.fromstring(labeling_xml()).iter("Choice")}
    assert hotkeys <= set(re.findall(r"<kbd>(.+?)</kbd>", told))


def test_the_guidelines_are_one_line_because_label_studio_shows_line_breaks() -> None:
    assert "\n" not in instructions_html()
    assert instructions_html().startswith("<style>")


@given(parsed_answers)
def test_what_the_page_writes_is_read_back(parsed: Parsed) -> None:
    assert parse_result(result_of(parsed)) == parsed


@given(parsed_answers)
def test_swapping_twice_changes_nothing(parsed: Parsed) -> None:
    assert parsed.swapped().swapped() == parsed


def test_a_swap_exchanges_every_part() -> None:
    parsed = Parsed(outcome=Outcome.A, face=Outcome.B, quality=Outcome.TIE, broken_b=True, comment="left is better")
    assert parsed.swapped() == Parsed(
        outcome=Outcome.B, face=Outcome.A, quality=Outcome.TIE, broken_a=True, comment="left is better"
    )


@pytest.mark.parametrize(
    ("spelling", "outcome"),
    [("A", "A"), ("A better", "A"), ("tie", "tie"), ("Ties", "tie"), ("B", "B"), ("B better", "B")],
)
def test_a_vote_is_read_by_its_alias_and_by_its_value(spelling: str, outcome: str) -> None:
    assert parse_result([choose("vote", spelling)]) == Parsed(outcome=Outcome(outcome))


def test_a_full_answer_is_read() -> None:
    result = [
        choose("vote", "B"),
        choose("face", "="),
        choose("quality", "A"),
        choose("align", "B"),
        choose("broken", "broken_a", "B broken"),
        write("the face melts", "from second 2"),
    ]
    assert parse_result(result) == Parsed(
        outcome=Outcome.B,
        face=Outcome.TIE,
        quality=Outcome.A,
        align=Outcome.B,
        broken_a=True,
        broken_b=True,
        comment="the face melts\nfrom second 2",
    )


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ([], "no vote among"),
        ([choose("face", "A")], r"no vote among the answers \['face'\]"),
        ([choose("broken", "broken_a")], "no vote among"),
        ([choose("vote")], "no vote among"),
        ([choose("vote", "C")], "'vote' is 'C'; known are A, A better, B, B better, Ties, tie"),
        ([choose("vote", "=")], "'vote' is '='"),
        ([choose("vote", ["A"])], r"'vote' is \['A'\]"),
        ([choose("vote", "A", "B")], "'vote' has several answers: A, B"),
        ([choose("vote", "A"), choose("vote", "A")], "'vote' is answered twice"),
        ([choose("vote", "A"), choose("beauty", "A")], "'beauty'.* no answer of this page"),
        ([choose("vote", "A"), choose("broken", "broken_c")], "'broken' is 'broken_c'"),
        ([{"from_name": "vote", "value": {"rating": 3}}], "no answer of this page"),
        ([{"type": "relation"}], "no answer of this page"),
    ],
)
def test_what_the_page_cannot_say_is_refused_with_what_was_found(result: list[dict[str, Any]], found: str) -> None:
    with pytest.raises(AnswerUnreadable, match=found):
        parse_result(result)


def test_an_empty_comment_is_none() -> None:
    assert parse_result([choose("vote", "A"), write("  ")]).comment is None
