"""The size that a video is drawn at, and the way back to the size wanted."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engines import wan
from flows.engines.ports import Picture
from flows.stages.frames import Frame
from tests.tiny_wan import request


@dataclass(frozen=True)
class Wan:
    """The real transformer's steps."""

    grid_px: int = 16
    time_scale: int = 4


def canvas(height: int, width: int, *, num_frames: int = 5, most_pixels: int = wan.MOST_PIXELS) -> wan.Canvas:
    rgb = np.zeros((height, width, 3), np.uint8)
    original = tuple(Frame(index=index, time=request().original[0].time, rgb=rgb) for index in range(num_frames))
    return wan.canvas_of(request(original=original), Wan(), most_pixels=most_pixels)


@pytest.mark.parametrize(
    ("wanted", "drawn"),
    [((240, 416), (240, 416)), ((234, 416), (240, 416)), ((480, 832), (480, 832)), ((720, 1280), (480, 848))],
)
def test_a_frame_is_drawn_at_the_next_size_that_the_model_draws(
    wanted: tuple[int, int], drawn: tuple[int, int]
) -> None:
    assert canvas(*wanted).size_px == drawn


@given(height=st.integers(1, 900), width=st.integers(1, 900), num_frames=st.integers(1, 60))
def test_what_is_drawn_comes_back_at_the_size_and_length_wanted(height: int, width: int, num_frames: int) -> None:
    found = canvas(height, width, num_frames=num_frames, most_pixels=40_000)
    assert found.num_frames % 4 == 1
    assert all(side % 16 == 0 for side in found.size_px)
    video = np.zeros((min(found.num_frames, 2), *found.size_px, 3), np.uint8)
    assert [picture.shape for picture in found.fitted(video)] == [(height, width, 3)] * min(num_frames, len(video))


def test_what_is_drawn_is_cut_and_not_stretched() -> None:
    drawn = checks(240, 416)
    (picture,) = canvas(234, 410).fitted(drawn[None])
    assert np.array_equal(picture, drawn[3:237, 3:413])


def checks(height: int, width: int) -> Picture:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_transformer_is_called_by_its_release_s_size() -> None:
    sizes = [(12, 30), (40, 40), (4, 2)]
    configs = [SimpleNamespace(num_attention_heads=n, attention_head_dim=128, num_layers=k) for n, k in sizes]
    assert [wan.size_of(config) for config in configs] == ["1.3b", "14b", "512x2"]
