import io
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.sources.json_reader import PlainJson

VALUES = st.recursive(
    st.none() | st.integers() | st.floats() | st.text("aN:[],I{}", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def plain(value: Any) -> Any:
    """None for what is no number."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(content: bytes, size: int) -> bytes:
    file, pieces = PlainJson(io.BytesIO(content)), []
    while piece := file.read(size):
        pieces.append(piece)
    return b"".join(pieces)


@given(value=st.dictionaries(st.text(max_size=4), VALUES, max_size=4), size=st.sampled_from([1, 3, 7, 50, 1 << 16]))
def test_numbers_that_are_none_are_read_as_null_and_all_else_as_it_stands(value: Any, size: int) -> None:
    nested = {"row": value, "score": [math.nan], "low": -math.inf}
    assert json.loads(read(json.dumps(nested).encode(), size)) == {**plain(nested), "score": [None], "low": None}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lists_in_lists_are_looked_into(size: int) -> None:
    content = json.dumps({"a": [[math.inf], [[math.nan, 1.5]]], "b": [1, [-math.inf]]}).encode()
    assert json.loads(read(content, size)) == {"a": [[None], [[None, 1.5]]], "b": [1, [None]]}


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_what_only_looks_like_it_inside_run_lengths_stays(size: int) -> None:
    content = b'{"counts": "0:NaN]O[NaN]1NaN,Infinity}"}'
    assert read(content, size) == content
