"""The report's charts and pictures."""

import base64
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.report import charts, content, pictures
from flows.report.charts import Curve
from flows.stages.encode import encode


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=4))
def test_the_parts_of_a_bar_lie_side_by_side_and_fill_it(numbers: list[int]) -> None:
    drawn = ElementTree.fromstring(str(charts.bar([("one", num) for num in numbers], sum(numbers))))
    parts = [(float(part.attrib["x"]), float(part.attrib["width"])) for part in drawn]
    assert len(parts) == sum(num > 0 for num in numbers)
    for (x, width), (next_x, _) in pairwise(parts):
        assert x + width == pytest.approx(next_x, abs=0.02)
    if parts:
        assert sum(parts[-1]) == pytest.approx(100, abs=0.02)


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e6, 1e6)), min_size=1, max_size=30, unique_by=lambda p: p[0])
)
def test_a_curve_stays_inside_its_chart(points: list[tuple[int, float]]) -> None:
    drawn = charts.curves([Curve(name="loss", points=tuple(sorted(points)))], x_name="step")
    line = ElementTree.fromstring(str(drawn)).find("polyline")
    assert line is not None
    for x, y in (point.split(",") for point in line.attrib["points"].split()):
        assert charts.LEFT - 0.1 <= float(x) <= charts.WIDTH - charts.RIGHT + 0.1
        assert charts.TOP - 0.1 <= float(y) <= charts.HEIGHT - charts.BOTTOM + 0.1


def test_a_chart_without_points_is_nothing() -> None:
    assert charts.curves([Curve(name="loss", points=())], x_name="step") == ""


def test_a_square_mask_becomes_one_polygon_of_four_corners() -> None:
    mask = np.zeros((100, 200), bool)
    mask[20:60, 50:150] = True
    (polygon,) = pictures.polygons(mask)
    assert {(round(x, 1), round(y, 1)) for x, y in polygon} == {(0.3, 0.2), (0.7, 0.2), (0.7, 0.6), (0.3, 0.6)}


def test_specks_of_a_mask_are_left_out() -> None:
    mask = np.zeros((100, 200), bool)
    mask[3:5, 3:5] = True
    assert pictures.polygons(mask) == ()


def grey_steps(folder: Path, num: int) -> Path:
    """A video whose n-th frame has the grey 20 n."""
    frames = [np.full((48, 64, 3), 20 * number, np.uint8) for number in range(num)]
    path = folder / "steps.mp4"
    path.write_bytes(encode(frames, frame_rate=Fraction(30000, 1001)))
    return path


def grey_of(picture: content.Picture | None) -> float:
    assert picture is not None
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(picture.uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None and pixels.shape[:2] == (picture.height_px, picture.width_px)
    return float(pixels.mean())


def test_the_frame_shown_at_a_time_is_found(tmp_path: Path) -> None:
    path = grey_steps(tmp_path, 12)
    for number in range(12):
        shown = pictures.at_time(path, Fraction(1001 * number, 30000), "a step")
        assert grey_of(shown) == pytest.approx(20 * number, abs=4)


def test_between_two_frames_the_earlier_one_is_shown(tmp_path: Path) -> None:
    shown = pictures.at_time(grey_steps(tmp_path, 12), Fraction(1001, 30000) * Fraction(9, 2), "a step")
    assert grey_of(shown) == pytest.approx(80, abs=4)


def test_what_cannot_be_read_gives_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for path in (tmp_path / "text.mp4", tmp_path / "gone.mp4"):
        assert pictures.at_time(path, Fraction(0), "nothing") is None
        assert pictures.video(path, "nothing") is None
