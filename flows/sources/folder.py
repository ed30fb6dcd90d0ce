"""A folder of videos, with or without captions, as a listing that accounts for every file and every caption row."""

import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flows.sources.caption_table import CaptionRow, read_captions
from warehouse.errors import BadCaptions, BadInput

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "f4v", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
        *("ogv", "ts", "vob", "webm", "wmv", "y4m"),
    )
)
SIDECARS = ("captions.csv", "captions.jsonl", "OpenHumanVid_part_*.csv")
"""Looked for in the folder when no caption file is given."""

CAPTION_ALONE = "caption without a file"
FILE_ALONE = "file without a caption"
OUTSIDE = "outside the root"
DUPLICATE_ROW = "duplicate caption row"
BROKEN_LINK = "broken link"
CLOSED_FOLDER = "unreadable folder"
UNREADABLE_NAME = "name that is not UTF-8"

_PREFIX = "clips/"
"""OpenHumanVid's paths have it, its folders on disk may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One video file, or one caption row that leads to none."""

    path: Path | None
    """Absolute; None: there is nothing to read, and `problem` says why."""
    relative: str
    """Below the root, with `/`; of a caption row without a file: as the row spells it."""
    caption: str | None
    extra: str | None
    """What else the caption row said: a JSON object."""
    problem: str | None
    """`file without a caption` is a remark: the file is a source all the same. Made only when there are captions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All that lies in a folder, sorted."""

    root: Path
    captions: Path | None
    entries: tuple[Entry, ...]


def list_folder(root: Path, captions: Path | None) -> Listing:
    """The videos below `root` with their captions, and what does not fit. Hidden files and folders are not looked at.

    Nothing outside `root` is followed. `BadInput`: no folder, or no video in it; `BadCaptions`: of the caption file.
    """
    if not root.is_dir():
        raise BadInput(f"{root}: no such folder; give one with videos in it")
    found = _walk(root.resolve())
    table = captions or _sidecar(root)
    entries = [*found.problems, *_matched(found, root, table)]
    if not any(entry.path for entry in entries):
        raise BadInput(f"{root}: no videos in it ({len(entries)} entries, none of them readable); give another folder")
    entries.sort(key=lambda entry: (entry.relative, entry.path is None, entry.problem or "", entry.caption or ""))
    return Listing(root=root.resolve(), captions=table, entries=tuple(entries))


@dataclass(slots=True, kw_only=True)
class _Found:
    """What one walk over the folder saw; names are relative to the root."""

    root: Path
    videos: list[str] = field(default_factory=list)
    unsuffixed: set[str] = field(default_factory=set)
    """Files that are videos only if a caption row names them."""
    problems: list[Entry] = field(default_factory=list)


def _walk(root: Path) -> _Found:
    found, waiting = _Found(root=root), [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as items:
                inside = sorted((item for item in items if not item.name.startswith(".")), key=lambda item: item.name)
        except OSError:
            found.problems.append(_problem(folder or ".", CLOSED_FOLDER))
            continue
        for item in inside:
            relative = posixpath.join(folder, item.name)
            if not _is_text(relative):
                found.problems.append(_problem(relative.encode(errors="backslashreplace").decode(), UNREADABLE_NAME))
            elif item.is_symlink():
                _sort_in_link(found, relative)
            elif item.is_dir(follow_symlinks=False):
                waiting.append(relative)
            elif item.is_file(follow_symlinks=False):
                _sort_in(found, relative)
    found.videos.sort()
    return found


def _is_text(name: str) -> bool:
    """False where the disk's bytes were no UTF-8: such a name can be put into no table."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _sort_in(found: _Found, relative: str) -> None:
    suffix = posixpath.splitext(relative)[1].lower()
    if suffix in VIDEO_SUFFIXES:
        found.videos.append(relative)
    elif not suffix:
        found.unsuffixed.add(relative)


def _sort_in_link(found: _Found, relative: str) -> None:
    """A link to a file is listed if its target lies below the root; a folder's files are found where they lie."""
    target = (found.root / relative).resolve()
    may_hold_video = target.is_dir() or posixpath.splitext(relative)[1].lower() in VIDEO_SUFFIXES
    if may_hold_video and not target.is_relative_to(found.root):
        found.problems.append(_problem(relative, OUTSIDE))
    elif may_hold_video and not target.exists():
        found.problems.append(_problem(relative, BROKEN_LINK))
    elif target.is_file():
        _sort_in(found, relative)


def _problem(relative: str, problem: str) -> Entry:
    return Entry(path=None, relative=relative, caption=None, extra=None, problem=problem)


def _sidecar(root: Path) -> Path | None:
    """The caption file that lies in the folder, if it is plain which one."""
    files = sorted({path for pattern in SIDECARS for path in root.glob(pattern) if path.is_file()})
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise BadCaptions(f"{root}: several caption files ({names}); name one with --captions")
    return files[0] if files else None


def _matched(found: _Found, root: Path, table: Path | None) -> Iterator[Entry]:
    """An entry for every video and for every caption row that leads to none."""
    rows: dict[str, CaptionRow] = {}
    if table:
        finder = _Finder(found, root.absolute(), table.absolute().parent)
        yield from _assigned(read_captions(table), finder, rows)
    for relative in sorted({*found.videos, *rows}):
        row = rows.get(relative)
        caption, extra = (row.caption, row.extra) if row else (None, None)
        remark = FILE_ALONE if table and caption is None else None
        yield Entry(path=found.root / relative, relative=relative, caption=caption, extra=extra, problem=remark)


def _assigned(rows: Iterable[CaptionRow], finder: "_Finder", taken: dict[str, CaptionRow]) -> Iterator[Entry]:
    """Put each row into `taken` under its file; give an entry for each row that is left over."""
    missing: set[str] = set()
    for row in rows:
        relative, problem = finder.find(row.name)
        if problem is None and relative is None:
            continue
        key = relative or row.name
        if key in taken or (row.name and key in missing):
            problem = DUPLICATE_ROW
        elif relative:
            taken[relative] = row
            continue
        missing.add(key)
        shown = key or f"row at line {row.line}"
        yield Entry(path=None, relative=shown, caption=row.caption, extra=row.extra, problem=problem)


class _Finder:
    """Which file a caption row means. Asks no disk: it looks into what the walk saw."""

    def __init__(self, found: _Found, root: Path, table_folder: Path) -> None:
        self._roots = tuple(dict.fromkeys((root.as_posix(), found.root.as_posix())))
        self._starts = (*self._roots, table_folder.as_posix(), table_folder.resolve().as_posix())
        self._named = {name: name for name in (*found.unsuffixed, *found.videos)}
        self._stems: dict[str, str] = {}
        self._last: dict[str, str | None] = {}
        for name in found.videos:
            self._stems.setdefault(_without_suffix(name), name)
        for name in self._named:
            for last in {posixpath.basename(name), posixpath.basename(_without_suffix(name))}:
                self._last[last] = None if last in self._last else name  # None: several files are called so

    def find(self, name: str) -> tuple[str | None, str | None]:
        """The file's relative name, or the problem; neither: the row speaks of something that is no video."""
        if not name:
            return None, CAPTION_ALONE
        places = self._inside(name.replace("\\", "/"))
        if not places:
            return None, OUTSIDE
        for place in places:
            for spelled in (place, place.removeprefix(_PREFIX), _PREFIX + place):
                if relative := self._spelled(spelled):
                    return relative, None
        if relative := self._alone(posixpath.basename(places[0])):
            return relative, None
        suffix = posixpath.splitext(places[0])[1].lower()
        return None, None if suffix and suffix not in VIDEO_SUFFIXES else CAPTION_ALONE

    def _inside(self, name: str) -> list[str]:
        """What the name may mean below the root: as seen from the root, or from the caption file's folder."""
        full = dict.fromkeys(posixpath.normpath(posixpath.join(start, name)) for start in self._starts)
        below = (path.removeprefix(root + "/") for path in full for root in self._roots if path.startswith(root + "/"))
        return list(dict.fromkeys(below))

    def _spelled(self, name: str) -> str | None:
        """With its suffix, without, or with one that the file on disk lacks."""
        return self._named.get(name) or self._stems.get(name) or self._named.get(_without_suffix(name))

    def _alone(self, last: str) -> str | None:
        return self._last.get(last) or self._last.get(_without_suffix(last))


def _without_suffix(name: str) -> str:
    """The name less its suffix, if that is a video's."""
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in VIDEO_SUFFIXES else name
