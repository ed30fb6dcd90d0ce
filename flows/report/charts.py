"""Small drawings as inline SVG. Colours are classes that the page's style sheet gives meaning to, in light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 12, 40
DIGITS = 1
"""Decimals of a coordinate: a tenth of a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    name: str
    points: tuple[tuple[float, float], ...]
    """x ascending."""
    tone: str = "one"
    """A class of the style sheet: `one`, `two`, `quiet`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A value with its interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    tone: str = "one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One subject in a picture, all in units of the picture's sides: 0 to 1."""

    box: tuple[float, float, float, float]
    face: tuple[float, float, float, float] | None
    mask: tuple[tuple[tuple[float, float], ...], ...]
    """Closed polygons."""


def bar(parts: Sequence[tuple[str, int]], full: int) -> Markup:
    """A bar of (class, number) parts, on a scale on which `full` is the whole width."""
    cells, x = [], 0.0
    for tone, num in parts:
        width = 100 * num / full if full else 0.0
        if width:
            cells.append(_tag("rect", x=x, y=0, width=width, height=10, class_=f"fill-{tone}"))
        x += width
    return _svg(cells, "0 0 100 10", "bar", preserveAspectRatio="none", aria_hidden="true")


def outlines(shown: Sequence[Outline | None], width_px: int, height_px: int) -> Markup:
    """Boxes, faces and masks to lay over a picture of this size; the n-th subject is numbered and coloured n."""
    shapes = [shape for index, each in enumerate(shown) if each for shape in _outline(each, index, width_px, height_px)]
    return _svg(shapes, f"0 0 {width_px} {height_px}", "overlay", aria_hidden="true")


def curves(shown: Sequence[Curve], *, x_name: str, y_range: tuple[float, float] | None = None) -> Markup:
    """Lines over a common x axis, their last value written at the end."""
    points = [point for curve in shown for point in curve.points]
    if not points:
        return Markup()
    x_axis = _Axis.over([x for x, _ in points], LEFT, WIDTH - RIGHT)
    y_axis = _Axis.over([*(y for _, y in points), *(y_range or ())], HEIGHT - BOTTOM, TOP, is_rounded=not y_range)
    grid = [_tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y_axis(t), y2=y_axis(t), class_="grid") for t in y_axis.ticks]
    grid += [_text(_number(t), LEFT - 8, y_axis(t) + 4, "end") for t in y_axis.ticks]
    grid += [_text(_number(t), x_axis(t), HEIGHT - BOTTOM + 18, "middle") for t in x_axis.ticks]
    grid += [_text(x_name, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, "middle")]
    lines = [line for curve in shown for line in _line(curve, x_axis, y_axis)]
    return _svg([*grid, *lines], f"0 0 {WIDTH} {HEIGHT}", "chart", role="img")


def spark(values: Sequence[float | None], *, low: float, high: float) -> Markup:
    """A line without axes, in the height of a table's row; a value that is unknown interrupts it."""
    step = 100 / max(1, len(values) - 1)
    pixels = [
        None if value is None else (index * step, 23 - 22 * (value - low) / (high - low))
        for index, value in enumerate(values)
    ]
    runs: list[list[tuple[float, float]]] = [[]]
    for pixel in pixels:
        if pixel is None:
            runs.append([])
        else:
            runs[-1].append(pixel)
    lines = [_tag("polyline", points=_points(run), class_="line line-one") for run in runs if len(run) > 1]
    dots = [_tag("circle", cx=run[0][0], cy=run[0][1], r=2, class_="fill-one") for run in runs if len(run) == 1]
    return _svg([*lines, *dots], "-3 -1 106 26", "spark", aria_hidden="true")


def whiskers(shown: Sequence[Measured], *, low: float, high: float, rule: float | None = None) -> Markup:
    """A row each: a dot at the value, a line over its interval, on a scale from `low` to `high`."""
    left, right, step, top = 130, 60, 30, 8
    height = top + step * len(shown) + 24
    axis = _Axis.over([low, high], left, WIDTH - right)
    foot = height - 24
    rows = [_tag("line", x1=axis(t), x2=axis(t), y1=top, y2=foot, class_="grid") for t in axis.ticks]
    rows += [_text(f"{100 * t:.0f}%", axis(t), height - 6, "middle") for t in axis.ticks]
    if rule is not None:
        rows.append(_tag("line", x1=axis(rule), x2=axis(rule), y1=top, y2=foot, class_="rule"))
    for index, each in enumerate(shown):
        rows += _whisker(each, axis, top + step * (index + 0.5), left)
    return _svg(rows, f"0 0 {WIDTH} {height}", "chart", role="img")


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values to pixels, linear, with round ticks; `is_rounded`: from a tick to a tick."""

    low: float
    high: float
    from_px: float
    to_px: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Sequence[float], from_px: float, to_px: float, *, is_rounded: bool = False) -> "_Axis":
        low, high = min(values), max(values)
        if low == high:
            low, high = low - 0.5, high + 0.5
        step = _round_step((high - low) / 4)
        outer = range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)
        ticks = [index * step for index in outer]
        if is_rounded:
            return cls(ticks[0], ticks[-1], from_px, to_px, tuple(ticks))
        return cls(low, high, from_px, to_px, tuple(tick for tick in ticks if low <= tick <= high))

    def __call__(self, value: float) -> float:
        return self.from_px + (value - self.low) / (self.high - self.low) * (self.to_px - self.from_px)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _line(curve: Curve, x_axis: _Axis, y_axis: _Axis) -> list[Markup]:
    if not curve.points:
        return []
    pixels = [(x_axis(x), y_axis(y)) for x, y in curve.points]
    last_x, last_y = pixels[-1]
    return [
        _tag("polyline", points=_points(pixels), class_=f"line line-{curve.tone}"),
        _tag("circle", cx=last_x, cy=last_y, r=3.5, class_=f"fill-{curve.tone}"),
    ]


def _whisker(each: Measured, axis: _Axis, y: float, left: float) -> list[Markup]:
    shapes = [_text(each.name, left - 12, y + 4, "end", "name")]
    if each.low is not None and each.high is not None:
        shapes.append(
            _tag("line", x1=axis(each.low), x2=axis(each.high), y1=y, y2=y, class_=f"whisker line-{each.tone}")
        )
    shapes.append(_tag("circle", cx=axis(each.value), cy=y, r=5, class_=f"fill-{each.tone}"))
    return [*shapes, _text(f"{100 * each.value:.1f}%", WIDTH - 2, y + 4, "end", "value")]


def _outline(each: Outline, index: int, width_px: int, height_px: int) -> list[Markup]:
    def scaled(polygon: Sequence[tuple[float, float]]) -> str:
        return _points([(x * width_px, y * height_px) for x, y in polygon])

    tone = f"subject-{index % 4}"
    shapes = [_tag("polygon", points=scaled(polygon), class_=f"mask {tone}") for polygon in each.mask]
    for name, box in (("box", each.box), ("face", each.face)):
        if box is not None:
            x0, y0, x1, y1 = (value * side for value, side in zip(box, (width_px, height_px) * 2, strict=True))
            shapes.append(_tag("rect", x=x0, y=y0, width=x1 - x0, height=y1 - y0, class_=f"{name} {tone}"))
    size = max(width_px, height_px) / 26
    x, y = each.box[0] * width_px, each.box[1] * height_px
    shapes.append(_tag("rect", x=x, y=y, width=size * 1.2, height=size * 1.2, class_=f"tag {tone}"))
    number = _tag("text", Markup.escape(str(index)), x=x + size * 0.6, y=y + size * 0.95, font_size=size)
    return [*shapes, number]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def _points(pixels: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.{DIGITS}f},{y:.{DIGITS}f}" for x, y in pixels)


def _text(text: str, x: float, y: float, anchor: str, name: str = "tick") -> Markup:
    return _tag("text", Markup.escape(text), x=x, y=y, text_anchor=anchor, class_=name)


def _svg(children: Sequence[Markup], view_box: str, name: str, **attributes: str) -> Markup:
    return _tag("svg", Markup().join(children), viewBox=view_box, class_=name, **attributes)


def _tag(name: str, content: Markup | None = None, /, **attributes: str | float) -> Markup:
    """An element; `class_` is class, and `_` in other names is `-`."""
    spelled = Markup().join(
        Markup(' {}="{}"').format(
            key.removesuffix("_").replace("_", "-"), value if isinstance(value, str) else f"{value:.{DIGITS + 1}f}"
        )
        for key, value in attributes.items()
    )
    if content is None:
        return Markup("<{0}{1}/>").format(Markup(name), spelled)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), spelled, content)
