from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flows.stages import looks, proxies
from flows.stages.decode import Decoded, Display
from flows.stages.encode import encode
from flows.stages.frames import Video
from flows.stages.looks import Looks
from flows.stages.proxies import Film, Proxy, ProxyScaler, even_fitted, matrix_of

Picture = NDArray[np.uint8]
COLOURS = [(200, 40, 30), (20, 180, 60), (30, 50, 220), (255, 255, 255), (0, 0, 0), (128, 128, 128)]


def decoded(raw: Any, *, time: Fraction = Fraction(0), display: Display | None = None) -> Decoded:
    return Decoded(time=time, duration=None, frame_rate=Fraction(24), raw=raw, display=display or Display(), entry=None)


def proxy(raw: Any, display: Display | None = None) -> Proxy:
    planes = ProxyScaler()(decoded(raw, display=display))
    return Proxy(index=0, time=Fraction(0), planes=planes, matrix=matrix_of(raw))


def tiles() -> Picture:
    """The colours, side by side, 16 px each."""
    return np.repeat(np.array([COLOURS], np.uint8).repeat(32, axis=0), 16, axis=1)


def as_raw(rgb: Picture, pixel_format: str, colorspace: str | None = None) -> Any:
    raw = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return raw if pixel_format == "rgb24" else raw.reformat(format=pixel_format, dst_colorspace=colorspace)


@pytest.mark.parametrize("colorspace", ["ITU601", "ITU709", "SMPTE240M", "BT2020", "FCC"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_colours_come_back_by_the_matrix_they_were_made_with(pixel_format: str, colorspace: str) -> None:
    shown = proxy(as_raw(tiles(), pixel_format, colorspace))
    for rgb in (shown.rgb[::2, 8::16], shown.half_rgb[:, 4::8]):
        assert np.abs(rgb.astype(int) - COLOURS).max() <= 6


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgra", "gbrp", "gray"])
def test_pictures_that_are_no_yuv_have_proxies_too(pixel_format: str) -> None:
    expected = np.array(COLOURS) if pixel_format != "gray" else np.array(COLOURS) @ [[0.299], [0.587], [0.114]]
    assert np.abs(proxy(as_raw(tiles(), pixel_format)).rgb[0, 8::16].astype(int) - expected).max() <= 6


def test_luma_is_full_range_whatever_the_file_says() -> None:
    for pixel_format in ("yuv420p", "yuvj420p"):
        luma = proxy(as_raw(tiles(), pixel_format)).luma
        assert (luma[0, 8 + 16 * 3], luma[0, 8 + 16 * 4]) == (255, 0)


def test_a_proxy_is_turned_and_mirrored_for_display() -> None:
    raw = as_raw(tiles(), "yuv420p")
    as_coded = proxy(raw)
    turned = proxy(raw, Display(is_transposed=True, is_flipped_x=True))
    assert np.array_equal(turned.luma, np.rot90(as_coded.luma, -1))
    assert np.array_equal(turned.half_rgb, np.rot90(as_coded.half_rgb, -1))


@given(width=st.integers(1, 5000), height=st.integers(1, 5000))
def test_a_proxys_sides_are_even_and_never_larger_than_the_source(width: int, height: int) -> None:
    sides = even_fitted(width, height, 256)
    assert all(side % 2 == 0 and 2 <= side <= 256 for side in sides)
    assert all(side <= max(2, source) for side, source in zip(sides, (width, height), strict=True))


def test_proxies_in_a_file_are_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), dtype=np.uint8)
    (tmp_path / "a.mp4").write_bytes(encode(noise, frame_rate=Fraction(24)))
    kept = [shown.planes for shown in Video(tmp_path / "a.mp4").proxies]
    monkeypatch.setattr(proxies, "MAX_BYTES_IN_MEMORY", 7 * kept[0].nbytes)
    spilt = [shown.planes for shown in Video(tmp_path / "a.mp4").proxies]
    assert kept[0].base is None
    assert spilt[0].base is not None
    assert spilt[0].base.shape == (20, 72, 64)  # one map of them all
    assert all(np.array_equal(one, other) for one, other in zip(kept, spilt, strict=True))
    for planes in (kept[0], spilt[0]):
        with pytest.raises(ValueError, match="read-only"):
            planes[0] = 0


def test_a_film_holds_no_more_in_memory_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "MAX_BYTES_IN_MEMORY", 300)
    film, held = Film(), []
    for number in range(9):
        film.add(np.full((10, 10), number, np.uint8))
        held.append(film.num_held)
    assert max(held) == 3
    assert [planes[0, 0] for planes in film.developed()] == list(range(9))


def test_looks_are_the_same_whether_they_waited_as_decoded_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    raws = [as_raw(np.roll(tiles(), shift, 1), "yuv420p") for shift in range(6)]

    def seen() -> list[Picture]:
        kept = Looks()
        for index, raw in enumerate(raws):
            kept.offer(index, decoded(raw, time=Fraction(index, 4)))
        num_raw.append(sum(look.raw_bytes > 0 for look in kept.spread.values()))
        return [look.frame.rgb for look in kept.spread.values()]

    num_raw: list[int] = []
    waited = seen()
    monkeypatch.setattr(looks, "MAX_RAW_BYTES", 2 * sum(plane.buffer_size for plane in raws[0].planes))
    converted = seen()
    assert num_raw == [6, 2]
    assert all(np.array_equal(one, other) for one, other in zip(waited, converted, strict=True))
