import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engines import grounding_text
from flows.engines.grounding_text import people, phrase_of, prompt_of

WORDS = st.sampled_from(["woman", "man", "girl", "red", "coat", "hat", "dog"])
PHRASES = st.lists(st.lists(WORDS, min_size=1, max_size=4, unique=True).map(" ".join), max_size=4, unique=True)


def words(text: str) -> int:
    return len(text.split())


def test_the_prompt_has_each_phrase_once_in_lower_case_and_asks_for_any_person_last() -> None:
    assert prompt_of(["A woman in RED", "a man", "a  man"], words) == "a woman in red. a man. person."
    assert prompt_of([], words) == prompt_of(["Person"], words) == "person."


def test_full_stops_and_question_marks_inside_a_phrase_do_not_close_it() -> None:
    assert prompt_of(["Mr. Smith?"], words) == "mr smith. person."


def test_a_prompt_too_long_loses_its_last_phrases_whole_and_never_the_fallback() -> None:
    phrases = [f"{number} {'red ' * 30}man" for number in range(20)]
    prompt = prompt_of(phrases, words)
    assert words(prompt) <= grounding_text.MAX_TOKENS < words(prompt) + 32
    assert prompt.startswith("0 red") and prompt.endswith("man. person.")
    assert prompt_of(["man " * 300], words) == "person."


@pytest.mark.parametrize(
    ("label", "phrase"),
    [
        ("a woman in a red coat", "A woman in a red coat"),
        ("woman red", "A woman in a red coat"),
        ("[CLS] woman red [SEP]", "A woman in a red coat"),
        ("cafe owner", "the Café owner"),
        ("red - haired girl", "a red-haired girl"),
        ("woman", None),  # two of them are
        ("a", None),
        ("", None),
        ("[SEP]", None),
        ("person", None),  # the fallback's
        ("woman red the owner", None),  # runs over two phrases
        ("##man", None),
        ("dog", None),
    ],
)
def test_a_label_is_told_back_as_the_captions_phrase_where_it_fits_one_alone(label: str, phrase: str | None) -> None:
    said = ["A woman in a red coat", "a woman in blue", "the Café owner", "a red-haired girl"]
    assert phrase_of(label, said) == phrase


def test_a_label_that_is_a_phrase_is_that_phrase_even_where_others_hold_its_words() -> None:
    assert phrase_of("a man", ["a man with a hat", "a man"]) == "a man"
    assert phrase_of("person", ["a person", "a person in red"]) == "a person"


@given(PHRASES, st.data())
def test_a_phrase_told_back_always_holds_every_word_of_its_label(phrases: list[str], data: st.DataObject) -> None:
    label = " ".join(data.draw(st.lists(WORDS, max_size=4)))
    phrase = phrase_of(label, phrases)
    assert phrase is None or (phrase in phrases and set(label.split()) <= set(phrase.split()))


def test_boxes_are_clipped_sorted_and_told_once_with_the_best_score() -> None:
    boxes = [(50.0, 0.0, 90.0, 40.0), (-5.0, -1.0, 20.0, 70.0), (50.0, 0.0, 90.0, 40.0), (99.0, 0.0, 120.0, 40.0)]
    found = people(boxes, [0.4, 0.5, 0.6, 0.7], ["a man", "", "woman", "dog"], ["a man", "a woman"], (90, 60))
    assert [(each.box_px, each.score, each.phrase) for each in found] == [
        ((0.0, 0.0, 20.0, 60.0), 0.5, None),
        ((50.0, 0.0, 90.0, 40.0), 0.6, "a woman"),
    ]
