"""One subject's way through a clip, as a Parquet file of the media store: one row a frame that was looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.stages.masks import Rle
from warehouse.records import Box

_BOX = pa.list_(pa.float64(), 4)
SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("subject_index", pa.int32(), nullable=False),
        pa.field("box_px", _BOX),
        pa.field("face_box_px", _BOX),
        pa.field("mask", pa.struct([("h", pa.int32()), ("w", pa.int32()), ("counts", pa.binary())])),
        pa.field("face_vector", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A subject in one frame looked at; all None: it was not seen there."""

    frame: int
    """Of the source."""
    subject_index: int
    box_px: Box | None
    """The whole person, in pixels of the source."""
    face_box_px: Box | None
    mask: Rle | None
    """Of the whole frame, at the size it was looked at, which may be smaller than the source's."""
    face_vector: tuple[float, ...] | None

    @property
    def is_seen(self) -> bool:
        return self.box_px is not None or self.face_box_px is not None


def write(sightings: Sequence[Sighting]) -> bytes:
    """The file's bytes: the same sightings give the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([_row(each) for each in sightings], schema=SCHEMA), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read(path: Path) -> tuple[Sighting, ...]:
    """The sightings of a file, in the order of its rows."""
    return tuple(_sighting(row) for row in pq.read_table(path, schema=SCHEMA).to_pylist())


def _row(sighting: Sighting) -> dict[str, Any]:
    mask = sighting.mask
    return {
        "frame": sighting.frame,
        "subject_index": sighting.subject_index,
        "box_px": sighting.box_px,
        "face_box_px": sighting.face_box_px,
        "mask": {"h": mask.height_px, "w": mask.width_px, "counts": mask.counts} if mask else None,
        "face_vector": sighting.face_vector,
    }


def _sighting(row: dict[str, Any]) -> Sighting:
    mask = row["mask"]
    return Sighting(
        frame=row["frame"],
        subject_index=row["subject_index"],
        box_px=_tuple(row["box_px"]),
        face_box_px=_tuple(row["face_box_px"]),
        mask=Rle(height_px=mask["h"], width_px=mask["w"], counts=mask["counts"]) if mask else None,
        face_vector=_tuple(row["face_vector"]),
    )


def _tuple(values: Sequence[float] | None) -> Any:
    return tuple(values) if values is not None else None
