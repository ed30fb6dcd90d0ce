"""One row of OpenS2V-5M's part files, read into an `Annotation`. Every key is used, or kept in its `rest`.

Rows of all steps of the data set's own making are understood: early ones lack captions, tags, boxes and masks. Numbers
may be `Decimal`, as a streaming reader gives them. Source: DATA.md, and the demo rows of OpenS2V-Nexus.
"""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flows.stages.annotated import OPENS2V, Annotation, Area, Frames, GivenBox, GivenMask
from flows.stages.masks import Rle

NONE = "None"
"""Stands where Python's None was written: for a clip without faces, in place of a whole object."""

_CAPTIONS = ("face_cap_qwen", "face_cap_glm", "face_cap_Aria")
"""The first that is there is the caption; then any other `face_cap_...`, then the `cap` of older rows."""

_TAGS = {
    "subject": "subject_tags",
    "object": "object_tags",
    "background": "background_tags",
    "pre_define": "predefined_tags",
}


def parse(key: str, row: Mapping[str, Any] | str) -> Annotation:
    """The annotation in a row. `ValueError`, with the key and what was found, for what cannot be right."""
    try:
        return _parse(key, row)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def video_of(key: str) -> str:
    """The name, without suffix, of the video that a row's key speaks of: `<video>_step1-0-95_...`."""
    return key.split("_step", 1)[0]


def _parse(key: str, row: Mapping[str, Any] | str) -> Annotation:
    if row == NONE:
        return Annotation(origin=OPENS2V, key=key, is_none=True)
    if not isinstance(row, Mapping):
        raise ValueError(f"a row that is {_shown(row)}; an object, or the text None, was expected")
    keys = _Keys(row)
    is_none = row.get("annotation") == NONE and keys.take("annotation") is None
    values = (
        _metadata(keys.inside("metadata")) | _tags(keys.inside("word_tags")) | _annotated(keys.inside("annotation"))
    )
    left = keys.left()
    rest = json.dumps(_plain(left), ensure_ascii=False, sort_keys=True) if left else None
    return Annotation(origin=OPENS2V, key=key, is_none=is_none, rest=rest, **values)


class _Keys:
    """An object of the row that is used up key by key; what is left of it is kept."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._found = dict(found)
        self._inside: dict[str, _Keys] = {}

    def names(self) -> list[str]:
        return list(self._found)

    def take(self, name: str) -> Any:
        """A value, used up; None where there is none, or the text "None"."""
        value = self._found.pop(name, None)
        return None if value == NONE else value

    def inside(self, name: str) -> "_Keys":
        """An object within this one; an empty one where something else stands, which is kept."""
        found = self._found.pop(name) if isinstance(self._found.get(name), Mapping) else {}
        return self._inside.setdefault(name, _Keys(found))

    def each(self, name: str) -> "list[_Keys]":
        """The objects of a list; what is left of them is kept as an object, by their positions."""
        found = self.take(name) or ()
        if not _is_list(found) or not all(isinstance(each, Mapping) for each in found):
            raise ValueError(f"{name} that are {_shown(found)}; a list of objects was expected")
        self._inside[name] = _Keys({str(position): each for position, each in enumerate(found)})
        return [self._inside[name].inside(str(position)) for position in range(len(found))]

    def number(self, name: str) -> float | None:
        """A finite number, used up; anything else is kept, and None is given."""
        return float(self._found.pop(name)) if _is_number(self._found.get(name)) else None

    def count(self, name: str) -> int | None:
        """A whole number, used up; anything else is kept, and None is given."""
        value: Any = self._found.get(name)
        return int(self._found.pop(name)) if _is_number(value) and value == int(value) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Texts, used up: a list of them, or one alone; anything else is kept, and none is given."""
        value: Any = self._found.get(name)
        texts = [value] if isinstance(value, str) else value
        if not _is_list(texts) or not all(isinstance(text, str) for text in texts):
            return ()
        del self._found[name]
        return tuple(text for text in texts if text != NONE)

    def text(self, name: str) -> str | None:
        """A text, used up; anything else is kept, and None is given."""
        return self.take(name) if isinstance(self._found.get(name), str) else None

    def left(self) -> dict[str, Any]:
        return self._found | {name: left for name, keys in self._inside.items() if (left := keys.left())}


def _metadata(keys: _Keys) -> dict[str, Any]:
    size = keys.inside("resolution")
    return {
        "path": keys.text("path"),
        "cut": _span("cut", keys.take("cut")),
        "face_cut": _span("face_cut", keys.take("face_cut")),
        "crop_px": _crop(keys.take("crop")),
        "fps": keys.number("fps"),
        "num_frames": keys.count("num_frames"),
        "width_px": size.count("width"),
        "height_px": size.count("height"),
        "aesthetic": keys.number("aesthetic"),
        "technical": keys.number("tech"),
        "motion": keys.number("motion"),
        "captions": _captions(keys),
    }


def _captions(keys: _Keys) -> tuple[tuple[str, str], ...]:
    others = sorted(name for name in keys.names() if name.startswith("face_cap_") and name not in _CAPTIONS)
    return tuple((name, text) for name in (*_CAPTIONS, *others, "cap") for text in keys.texts(name) if text.strip())


def _tags(keys: _Keys) -> dict[str, Any]:
    return {field: keys.texts(name) for name, field in _TAGS.items()}


def _annotated(keys: _Keys) -> dict[str, Any]:
    frame = keys.inside("ann_frame_data")
    if (box_format := frame.take("box_format")) not in (None, "xyxy"):
        raise ValueError(f"boxes in the form {_shown(box_format)}; xyxy was expected")
    boxes = tuple(_box(each) for each in frame.each("annotations"))
    return {
        "boxes": boxes,
        "masks": _masks(keys.inside("mask_annotation"), keys.inside("mask_map"), boxes),
        "frame": frame.count("ann_frame_idx"),
        "frame_width_px": frame.count("img_width"),
        "frame_height_px": frame.count("img_height"),
        "foreground_aesthetic": frame.number("foreground_ase_score"),
        "background_aesthetic": frame.number("background_ase_score"),
    }


def _box(keys: _Keys) -> GivenBox:
    x0, y0, x1, y1 = _numbers("box", keys.take("bbox"), 4)
    if x1 < x0 or y1 < y0:
        raise ValueError(f"a box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g})")
    return GivenBox(
        class_name=keys.text("class_name"),
        box_px=(x0, y0, x1, y1),
        gme_score=keys.number("gme_score"),
        aesthetic=keys.number("aes_score"),
    )


def _masks(by_frame: _Keys, names: _Keys, boxes: Sequence[GivenBox]) -> tuple[GivenMask, ...]:
    """The masks of every frame, by frame and id. Whether their runs add up is found when a mask is needed: to look at
    all would take longer than all else here, and a bad mask of a park is no reason to lose the people."""
    if unknown := [frame for frame in by_frame.names() if not frame.isdecimal()]:
        raise ValueError(f"masks of frame {_shown(unknown[0])}; its number was expected")
    made = []
    for frame in sorted(by_frame.names(), key=int):
        here = by_frame.inside(frame)
        for mask_id in sorted(here.names(), key=_place):
            mask = here.inside(mask_id)
            box = boxes[int(mask_id) - 1] if mask_id.isdecimal() and 0 < int(mask_id) <= len(boxes) else None
            score = _numbers("score", mask.take("score"))
            made.append(
                GivenMask(
                    mask_id=mask_id,
                    frame=int(frame),
                    class_name=names.inside(mask_id).text("class_name") or (box.class_name if box else None),
                    score=score[0] if score else None,
                    rle=_rle(mask_id, mask),
                )
            )
    return tuple(made)


def _rle(mask_id: str, mask: _Keys) -> Rle:
    height_px, width_px = (int(side) for side in _numbers(f"size of mask {mask_id}", mask.take("size"), 2))
    counts = mask.text("counts")
    if not counts:
        raise ValueError(f"mask {mask_id} without counts")
    return Rle(height_px=height_px, width_px=width_px, counts=counts.encode())


def _place(mask_id: str) -> tuple[int, str]:
    return int(mask_id) if mask_id.isdecimal() else 0, mask_id


def _span(name: str, found: Any) -> Frames | None:
    if found is None:
        return None
    start, end = (int(bound) for bound in _numbers(name, found, 2))
    if not 0 <= start < end:
        raise ValueError(f"{name} from {start} to {end}; a span is half-open and not empty")
    return start, end


def _crop(found: Any) -> Area | None:
    """The file gives x0, x1, y0, y1."""
    if found is None:
        return None
    x0, x1, y0, y1 = (int(edge) for edge in _numbers("crop", found, 4))
    if not (0 <= x0 < x1 and 0 <= y0 < y1):
        raise ValueError(f"crop of columns {x0} to {x1} and rows {y0} to {y1}")
    return x0, y0, x1, y1


def _numbers(name: str, found: Any, count: int | None = None) -> list[float]:
    """So many finite numbers; without `count`: a list of them, one alone, or none."""
    if count is None and (found is None or _is_number(found)):
        found = [] if found is None else [found]
    if not _is_list(found) or not all(map(_is_number, found)) or (count is not None and len(found) != count):
        raise ValueError(f"{name} is {_shown(found)}; {'numbers' if count is None else f'{count} numbers'} expected")
    return [float(number) for number in found]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(value: Any) -> Any:
    """What JSON can say: `Decimal` as a number, and null for a number that is none."""
    if isinstance(value, Mapping):
        return {str(name): _plain(within) for name, within in value.items()}
    if _is_list(value):
        return [_plain(within) for within in value]
    if isinstance(value, Decimal):
        value = int(value) if value.is_finite() and value == int(value) else float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
