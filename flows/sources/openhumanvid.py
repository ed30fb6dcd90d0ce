"""OpenHumanVid: CSV parts that name clips on disk, whose paths are repaired by prefix, suffix or clip id.

Columns and known complaints: DATA.md. What a part says besides path and caption is kept twice: word for word in the
source's `extra`, and as numbers in an annotation.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.sources import entries
from flows.sources.caption_table import CaptionRow, read_captions
from flows.sources.entries import Entry
from flows.sources.folder import no_videos
from flows.sources.video_files import Finder, Found, VideoFiles
from flows.stages.annotated import OPENHUMANVID, Annotation
from warehouse import ids
from warehouse.errors import BadInput

PARTS = "OpenHumanVid_part_*.csv"

_CLIP_ID = "clip_id"
_SCORES: Mapping[str, str] = {
    "luminance_min": "luminance_min",
    "luminance_max": "luminance_max",
    "blur_min": "blur_min",
    "blur_max": "blur_max",
    "aesthetic": "aesthetic",
    "technical_score": "technical",
    "global_motion": "motion",
}
"""The annotation's name of each column."""


def list_parts(root: Path, parts: Sequence[Path]) -> Iterator[Entry]:
    """The rows of every part, in order, then the files that no row names. In memory: the names of the files.

    `BadInput`: no folder, or no video in it; `BadCaptions`: of a part, when it is reached.
    """
    files = VideoFiles(root)
    if not files and not files.unsuffixed:
        raise BadInput(no_videos(root, len(files.problems)))
    yield from files.problems
    taken: set[str] = set()
    for part in parts:
        finder = Finder(files, root, part.absolute().parent)
        for row in read_captions(part, needed=(_CLIP_ID,)):
            yield _entry(row, part.stem, _found(row, finder), files, taken)
    if not files and not taken:
        raise BadInput(no_videos(root, len(files.problems)))
    for relative in files.names():
        if relative not in taken:
            yield Entry(relative=relative, footage=files.footage(relative), problem=entries.FILE_ALONE)


def _found(row: CaptionRow, finder: Finder) -> Found:
    """By the path, else by the clip id."""
    found = finder.find(row.name)
    if found.relative or found.problem == entries.OUTSIDE:
        return found
    by_id = finder.alone(_clip_id(row)) if _clip_id(row) else None
    return Found(by_id, is_repaired=True) if by_id else Found(problem=entries.ROW_ALONE)


def _entry(row: CaptionRow, part: str, found: Found, files: VideoFiles, taken: set[str]) -> Entry:
    shown = found.relative or row.name or _clip_id(row) or f"row at line {row.line}"
    if found.relative is None or found.relative in taken:
        problem = found.problem or entries.DUPLICATE_ROW
        return Entry(relative=shown, caption=row.caption, extra=row.extra, problem=problem, part=part)
    taken.add(found.relative)
    said = {name: value for name, value in sorted(row.rest.items()) if name.lower() != _CLIP_ID}
    return Entry(
        relative=shown,
        footage=files.footage(found.relative),
        caption=row.caption,
        extra=row.extra,
        repaired_from=row.name if found.is_repaired else None,
        annotation=_annotation(row, said) if said else None,
        says=ids.digest(said) if said else None,
        part=part,
    )


def _annotation(row: CaptionRow, said: Mapping[str, Any]) -> Annotation:
    """What the row says of the clip, which is not its name."""
    scores = {_SCORES[name.lower()]: _number(text) for name, text in said.items() if name.lower() in _SCORES}
    rest = {name: text for name, text in said.items() if scores.get(_SCORES.get(name.lower(), "")) is None}
    return Annotation(
        origin=OPENHUMANVID,
        key=_clip_id(row),
        path=row.name,
        captions=(("caption", row.caption),) if row.caption else (),
        rest=json.dumps(rest, ensure_ascii=False, sort_keys=True) if rest else None,
        **scores,  # type: ignore[arg-type]  # names of fields that are numbers
    )


def _clip_id(row: CaptionRow) -> str:
    found = next((value for name, value in row.rest.items() if name.lower() == _CLIP_ID), "")
    return str(found).strip()


def _number(text: Any) -> float | None:
    """None: the column says nothing, or what is no number."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
