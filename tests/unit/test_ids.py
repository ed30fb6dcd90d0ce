import hashlib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse import ids

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def test_an_id_is_the_noun_and_the_first_digits_of_its_contents_digest() -> None:
    assert ids.make("clip", "source_1", 0) == "clip_" + hashlib.sha256(b'["source_1",0]').hexdigest()[:24]


@given(JSON)
def test_equal_content_has_one_digest_in_any_order_of_its_keys(content: object) -> None:
    mapping = {"b": content, "a": [content]}
    assert ids.digest(mapping) == ids.digest(dict(reversed(mapping.items())))


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_other_text_has_another_digest(texts: list[str]) -> None:
    assert ids.digest(texts[0]) != ids.digest(texts[1])


def test_neighbouring_parts_do_not_run_together() -> None:
    assert ids.make("clip", "ab", "c") != ids.make("clip", "a", "bc") != ids.make("clip", "abc")
    assert ids.make("source", "x", None) != ids.make("source", "x", "None")


@given(st.fractions())
def test_a_fraction_is_told_in_lowest_terms(value: Fraction) -> None:
    assert ids.digest(value) == ids.digest(f"{value.numerator}/{value.denominator}")


@pytest.mark.parametrize("content", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(content: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        ids.digest(content)


@pytest.mark.parametrize("content", [{1, 2}, b"bytes", object()])
def test_a_thing_without_a_canonical_form_is_refused(content: object) -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        ids.digest([content])


def test_a_files_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 300_000)
    assert ids.file_digest(path) == hashlib.sha256(b"x" * 300_000).hexdigest()
