"""What a data set said about a source, as a typed record, and bundles of such records as Parquet files.

It is kept as it was stated: spans in frames of the file, boxes and masks in pixels of the cropped picture, scores in
the data set's own units. Nothing here was measured by us.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.stages.masks import Rle
from warehouse.media import MediaStore
from warehouse.records import Box, Source

OPENS2V, OPENHUMANVID = "opens2v", "openhumanvid"

Frames = tuple[int, int]
"""(start, end) in frames of the file, half-open."""
Area = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the file's frames, half-open."""

ROWS_A_GROUP = 16
"""Rows read together when one is asked for: about 0.4 MB of OpenS2V's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBox:
    """A thing that the data set's detector found in the annotated frame."""

    class_name: str | None
    box_px: Box
    """In pixels of the cropped picture."""
    gme_score: float | None
    """Similarity of the box's picture and its class name, as the data set's GME measured it."""
    aesthetic: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenMask:
    """A mask that came with the data."""

    mask_id: str
    """Of the data set; the mask of id `i` belongs to `boxes[i - 1]`, where there is such a box."""
    frame: int
    """Of the file, 0-based."""
    class_name: str | None
    """None: neither the mask map nor a box names it."""
    score: float | None
    rle: Rle
    """Of the cropped picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """All that a data set says about one of its clips. Scores and sizes are None where it says nothing."""

    origin: str
    """Which data set speaks: `OPENS2V` or `OPENHUMANVID`."""
    key: str
    """The row's key there, or its clip id."""
    is_none: bool = False
    """The data set looked and found no faces: it put the text "None" in place of an annotation."""
    path: str | None = None
    """As the data set spells it."""
    cut: Frames | None = None
    face_cut: Frames | None = None
    """The part of `cut` that shows faces."""
    crop_px: Area | None = None
    """The area without watermarks; boxes and masks count from its corner. None: the whole picture."""
    fps: float | None = None
    num_frames: int | None = None
    width_px: int | None = None
    height_px: int | None = None
    aesthetic: float | None = None
    technical: float | None = None
    """Technical quality, in the data set's own unit."""
    motion: float | None = None
    """In the data set's own unit: those of two data sets cannot be compared."""
    luminance_min: float | None = None
    luminance_max: float | None = None
    blur_min: float | None = None
    blur_max: float | None = None
    foreground_aesthetic: float | None = None
    background_aesthetic: float | None = None
    """Of the annotated frame with the people taken out."""
    captions: tuple[tuple[str, str], ...] = ()
    """(variant, text), the one to be preferred first."""
    subject_tags: tuple[str, ...] = ()
    object_tags: tuple[str, ...] = ()
    background_tags: tuple[str, ...] = ()
    predefined_tags: tuple[str, ...] = ()
    """Words that the data set looked for whatever the caption says."""
    frame: int | None = None
    """The annotated one, of the file, 0-based: the first of `face_cut`."""
    frame_width_px: int | None = None
    """Of the cropped picture that boxes and masks speak of."""
    frame_height_px: int | None = None
    boxes: tuple[GivenBox, ...] = ()
    masks: tuple[GivenMask, ...] = ()
    rest: str | None = None
    """A JSON object of every key that has no field here, where it stood in the row; None: there is none."""

    @property
    def span(self) -> Frames | None:
        """The frames that the annotation is about; None: it does not say."""
        return self.face_cut or self.cut


def caption_of(annotation: Annotation) -> str | None:
    """The caption to be preferred; None: no caption came with the source."""
    return annotation.captions[0][1] if annotation.captions else None


def of(source: Source, media: MediaStore) -> Annotation | None:
    """What came with a source; None: nothing did."""
    if source.annotation_sha256 is None or source.annotation_row is None:
        return None
    return read(media.path_of(source.annotation_sha256), source.annotation_row)


_SPAN, _BOX, _TEXTS = pa.list_(pa.int64(), 2), pa.list_(pa.float64(), 4), pa.list_(pa.string())
_RLE = pa.struct([("height_px", pa.int32()), ("width_px", pa.int32()), ("counts", pa.binary())])
_GIVEN_BOX = pa.struct(
    [("class_name", pa.string()), ("box_px", _BOX), ("gme_score", pa.float64()), ("aesthetic", pa.float64())]
)
_GIVEN_MASK = pa.struct(
    [
        ("mask_id", pa.string()),
        ("frame", pa.int64()),
        ("class_name", pa.string()),
        ("score", pa.float64()),
        ("rle", _RLE),
    ]
)
_INTS = ("num_frames", "width_px", "height_px", "frame", "frame_width_px", "frame_height_px")
_SCORES = (
    *("fps", "aesthetic", "technical", "motion", "luminance_min", "luminance_max", "blur_min", "blur_max"),
    *("foreground_aesthetic", "background_aesthetic"),
)
_TAGS = ("subject_tags", "object_tags", "background_tags", "predefined_tags")
SCHEMA = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("is_none", pa.bool_(), nullable=False),
        pa.field("path", pa.string()),
        pa.field("cut", _SPAN),
        pa.field("face_cut", _SPAN),
        pa.field("crop_px", pa.list_(pa.int64(), 4)),
        *(pa.field(name, pa.int64()) for name in _INTS),
        *(pa.field(name, pa.float64()) for name in _SCORES),
        pa.field("captions", pa.list_(pa.list_(pa.string(), 2))),
        *(pa.field(name, _TEXTS) for name in _TAGS),
        pa.field("boxes", pa.list_(_GIVEN_BOX)),
        pa.field("masks", pa.list_(_GIVEN_MASK)),
        pa.field("rest", pa.string()),
    ]
)


def write(annotations: Sequence[Annotation]) -> bytes:
    """A bundle: one Parquet file, a row an annotation, in this order. The same annotations give the same bytes."""
    table = pa.Table.from_pylist([_row(each) for each in annotations], schema=SCHEMA)
    sink = pa.BufferOutputStream()
    pq.write_table(
        table, sink, compression="zstd", row_group_size=ROWS_A_GROUP, use_dictionary=False, write_statistics=False
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read(path: Path, row: int) -> Annotation:
    """The annotation in a row of a bundle, 0-based; `IndexError` past its end. A bundle never changes: files of the
    media store are named by their content, so that a few groups of rows are remembered by path."""
    return _group(path, row // ROWS_A_GROUP)[row % ROWS_A_GROUP]


@lru_cache(maxsize=4)
def _group(path: Path, number: int) -> tuple[Annotation, ...]:
    with pq.ParquetFile(path) as file:
        if not 0 <= number < file.num_row_groups:
            raise IndexError(f"{path}: group {number} of {file.num_row_groups}")
        return tuple(_annotation(row) for row in file.read_row_group(number).to_pylist())


def _row(annotation: Annotation) -> dict[str, Any]:
    return _values(annotation) | {
        "boxes": [_values(box) for box in annotation.boxes],
        "masks": [_values(mask) | {"rle": _values(mask.rle)} for mask in annotation.masks],
    }


def _values(record: Any) -> dict[str, Any]:
    """The fields of a record as they are: `asdict` would copy what lies below them, at five times the cost."""
    return {name: getattr(record, name) for name in type(record).__slots__}


def _annotation(row: dict[str, Any]) -> Annotation:
    tuples = {name: tuple(row[name]) for name in _TAGS}
    spans = {name: tuple(row[name]) if row[name] is not None else None for name in ("cut", "face_cut", "crop_px")}
    nested = {
        "captions": tuple((variant, text) for variant, text in row["captions"]),
        "boxes": tuple(GivenBox(**each | {"box_px": tuple(each["box_px"])}) for each in row["boxes"]),
        "masks": tuple(GivenMask(**each | {"rle": Rle(**each["rle"])}) for each in row["masks"]),
    }
    return Annotation(**row | tuples | spans | nested)
