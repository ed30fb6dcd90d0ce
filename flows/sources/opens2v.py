"""OpenS2V-5M: part files of one JSON object each, key -> row, streamed; their videos in folders or in split tars.

Every row is an entry `<part>/<key>`: several rows may speak of one file, each of another stretch of it. A part file is
read once, row by row: what is in memory does not grow with it. Layout and traps: DATA.md.
"""

import hashlib
import json
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import ijson.backends.yajl2_c as ijson
from ijson.common import JSONError

from flows.sources import entries, opens2v_row
from flows.sources.entries import Entry
from flows.sources.folder import no_videos
from flows.sources.json_reader import PlainJson
from flows.sources.video_files import Finder, VideoFiles
from flows.stages.annotated import caption_of
from warehouse.errors import BadInput

VIDEOS, JSONS = "Videos", "Jsons"
PARTS = "mask_and_bbox*/*.json"
CROSS_PAIRS = "cross_video_pairs"

_READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossVideoPair:
    """The same thing, as the data set says, in two of its clips."""

    dataset: str
    cur_id: str
    """`<part>/<key>`: an entry of the listing."""
    aft_id: str
    cur_class_name: str | None
    aft_class_name: str | None
    text_similarity: float | None
    image_similarity: float | None
    cur_frame_idx: int | None
    aft_frame_idx: int | None
    extra: str | None
    """What else was said: a JSON object."""
    place: int
    """Position in its file."""
    batch: str


def is_laid_out(root: Path) -> bool:
    """Whether a folder is OpenS2V's: `Jsons` beside `Videos`, or part files that lie in it."""
    return ((root / VIDEOS).is_dir() and (root / JSONS).is_dir()) or bool(part_files(root))


def part_files(root: Path) -> list[Path]:
    """The part files of a data set, in order of their names."""
    if (root / JSONS).is_dir():
        return sorted((root / JSONS).glob(PARTS)) or sorted((root / JSONS).glob("*.json"))
    return [path for path in sorted(root.glob("*.json")) if is_part(path)]


def is_part(path: Path) -> bool:
    """Whether a file's first rows are OpenS2V's: objects with `metadata`, or the text "None"."""
    try:
        with path.open("rb") as file:
            row = next((row for _, row in ijson.kvitems(PlainJson(file), "") if row != opens2v_row.NONE), None)
    except (OSError, JSONError):
        return False
    return isinstance(row, Mapping) and "metadata" in row


def list_rows(root: Path, parts: Sequence[Path]) -> Iterator[Entry]:
    """An entry for every row of every part, then for every file that no row names: those are no sources.

    In memory: the names of the files. `BadInput`: no folder, no video or no part in it, or, when it is reached, a part
    that cannot be read on: the rows before are given first.
    """
    files = VideoFiles(root, VIDEOS if (root / VIDEOS).is_dir() else "")
    if not files or not parts:
        raise BadInput(f"{root}: no part files in it" if files else no_videos(root, len(files.problems)))
    yield from files.problems
    finder, taken = Finder(files, root, root), set[str]()
    for part, path in _named(parts):
        if not path.resolve().is_relative_to(files.root):
            yield Entry(relative=path.name, problem=entries.OUTSIDE)
            continue
        within = posixpath.join(VIDEOS, path.stem) + "/"
        within = within if (files.root / within).is_dir() else ""
        for key, row in _rows(path):
            yield _entry(f"{part}/{key}", key, row, _Place(part, within, finder, files, taken))
    for relative in files.names():
        if relative not in taken:
            yield Entry(relative=relative, problem=entries.FILE_ALONE)


def cross_pairs(root: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(file, pair) of every cross-video pair, in order: lists of objects, or objects of such lists.

    `BadInput` for a file that cannot be read on.
    """
    folder = root / JSONS / CROSS_PAIRS
    for path in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
        num = 0
        try:
            with path.open("rb") as file:
                for found in _values(file):
                    num += 1
                    for pair in found if isinstance(found, list) else [found]:
                        if isinstance(pair, Mapping) and "cur_id" in pair and "aft_id" in pair:
                            yield path.relative_to(folder).as_posix(), pair
        except JSONError as error:
            raise BadInput(f"{path}: cannot be read on after item {num} ({_short(error)}); get it anew") from error


def pair_of(pair: Mapping[str, Any], *, dataset: str, place: int) -> CrossVideoPair:
    """A pair as a row; its batch is not known yet. What is not of the right kind is left to `extra`."""
    left = dict(pair)

    def take(name: str, *kinds: type) -> Any:
        return left.pop(name) if isinstance(left.get(name), kinds) else None

    def score(name: str) -> float | None:
        found = take(name, int, float, Decimal)
        return None if found is None else float(found)

    return CrossVideoPair(
        dataset=dataset,
        cur_id=take("cur_id", str) or "",
        aft_id=take("aft_id", str) or "",
        cur_class_name=take("cur_class_name", str),
        aft_class_name=take("aft_class_name", str),
        text_similarity=score("text_similarity"),
        image_similarity=score("image_similarity"),
        cur_frame_idx=take("cur_frame_idx", int),
        aft_frame_idx=take("aft_frame_idx", int),
        extra=json.dumps(left, sort_keys=True, ensure_ascii=False, default=float) if left else None,
        place=place,
        batch="",
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the files of one part are looked for."""

    part: str
    within: str
    """The folder that they should lie in; empty: the root."""
    finder: Finder
    files: VideoFiles
    taken: set[str]


def _named(parts: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Each part's name: the file's, and its folder's too where two folders have a part of that name."""
    times = Counter(path.stem for path in parts)
    for path in parts:
        yield path.stem if times[path.stem] == 1 else f"{path.parent.name}/{path.stem}", path


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    key, num = None, 0
    try:
        with path.open("rb") as file:
            for key, row in ijson.kvitems(PlainJson(file), "", buf_size=_READ_BYTES):
                num += 1
                yield key, row
    except JSONError as error:
        last = f"after row {num}, {key}" if num else "at its start"
        raise BadInput(
            f"{path}: cannot be read on {last} ({_short(error)}); what came before is kept: get the file anew"
        ) from error
    if not num:
        raise BadInput(f"{path}: no rows in it; a part is one JSON object, key -> row")


def _entry(relative: str, key: str, row: Any, place: _Place) -> Entry:
    try:
        annotation = opens2v_row.parse(key, row)
    except ValueError as error:
        return Entry(relative=relative, problem=entries.BROKEN_ROW, extra=str(error), part=place.part)
    name = annotation.path or opens2v_row.video_of(key)
    found = place.finder.find(name, within=place.within)
    if found.relative is None:
        return Entry(relative=relative, problem=found.problem or entries.ROW_ALONE, part=place.part)
    place.taken.add(found.relative)
    return Entry(
        relative=relative,
        footage=place.files.footage(found.relative),
        caption=caption_of(annotation),
        problem=entries.ROW_SAYS_NONE if annotation.is_none else None,
        repaired_from=annotation.path if found.is_repaired else None,
        annotation=annotation,
        says=_digest(row),
        part=place.part,
    )


def _digest(row: Any) -> str:
    """Of all that the row says but for the path: the same said of the same bytes under another name is the same."""
    metadata = row.get("metadata") if isinstance(row, Mapping) else None
    if isinstance(metadata, Mapping):
        row = {**row, "metadata": {name: value for name, value in metadata.items() if name != "path"}}
    return hashlib.sha256(json.dumps(row, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def _values(file: Any) -> Iterator[Any]:
    """The things in a JSON file: a list's, or an object's values."""
    is_list = file.read(_READ_BYTES).lstrip().startswith(b"[")
    file.seek(0)
    if is_list:
        return iter(ijson.items(PlainJson(file), "item", buf_size=_READ_BYTES))
    return (value for _, value in ijson.kvitems(PlainJson(file), "", buf_size=_READ_BYTES))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
