"""A folder of videos, with or without captions, as entries that account for every file and every caption row."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from flows.sources import entries
from flows.sources.caption_table import CaptionRow, read_captions
from flows.sources.entries import Entry
from flows.sources.video_files import Finder, VideoFiles
from warehouse.errors import BadCaptions, BadInput

SIDECARS = ("captions.csv", "captions.jsonl", "OpenHumanVid_part_*.csv")
"""Looked for in the folder when no caption file is given."""

CAPTION_ALONE = "caption without a file"
FILE_ALONE = "file without a caption"
DUPLICATE_ROW = "duplicate caption row"


def list_folder(root: Path, captions: Path | None) -> Iterator[Entry]:
    """The videos below `root` with their captions, and what does not fit: rows as the table has them, then files that
    no row names.

    `BadInput`: no folder, or no video in it; `BadCaptions`: of the caption file.
    """
    files = VideoFiles(root)
    table = captions or _sidecar(root)
    if not files and not (table and files.unsuffixed):
        raise BadInput(no_videos(root, len(files.problems)))
    yield from files.problems
    taken: set[str] = set()
    if table:
        yield from _of_rows(files, Finder(files, root, table.absolute().parent), read_captions(table), taken)
    if not files and not taken:
        raise BadInput(no_videos(root, len(files.problems)))
    for relative in files.names():
        if relative not in taken:
            yield Entry(relative=relative, footage=files.footage(relative), problem=FILE_ALONE if table else None)


def no_videos(root: Path, num_problems: int) -> str:
    """What to say of such a folder."""
    return f"{root}: no videos in it ({num_problems} entries cannot be read); give another folder"


def _sidecar(root: Path) -> Path | None:
    """The caption file that lies in the folder, if it is plain which one."""
    files = sorted({path for pattern in SIDECARS for path in root.glob(pattern) if path.is_file()})
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise BadCaptions(f"{root}: several caption files ({names}); name one with --captions")
    return files[0] if files else None


def _of_rows(files: VideoFiles, finder: Finder, rows: Iterable[CaptionRow], taken: set[str]) -> Iterator[Entry]:
    """An entry for every row that speaks of a video; the files that rows lead to are put into `taken`."""
    missing: set[str] = set()
    for row in rows:
        found = finder.find(row.name)
        if found.relative is None and found.problem is None:
            continue
        key = found.relative or row.name
        problem = CAPTION_ALONE if found.problem == entries.ROW_ALONE else found.problem
        if key in taken or (row.name and key in missing):
            problem = DUPLICATE_ROW
        if found.relative and problem is None:
            taken.add(found.relative)
            yield Entry(
                relative=found.relative,
                footage=files.footage(found.relative),
                caption=row.caption,
                extra=row.extra,
                problem=None if row.caption else FILE_ALONE,
                repaired_from=row.name if found.is_repaired else None,
            )
        else:
            missing.add(key)
            shown = key or f"row at line {row.line}"
            yield Entry(relative=shown, caption=row.caption, extra=row.extra, problem=problem)
