"""Which data set a folder is, and its entries."""

from collections.abc import Iterator
from pathlib import Path

from flows.sources import folder, openhumanvid, opens2v
from flows.sources.entries import Entry

FOLDER, OPENHUMANVID, OPENS2V = "folder", "openhumanvid", "opens2v"
AUTO = "auto"
FORMATS = (AUTO, FOLDER, OPENHUMANVID, OPENS2V)


def recognised(root: Path, captions: Path | None) -> str:
    """The format of a folder, or of the caption file that is named with it."""
    if captions is None:
        if opens2v.is_laid_out(root):
            return OPENS2V
        return OPENHUMANVID if any(root.glob(openhumanvid.PARTS)) else FOLDER
    if captions.match(openhumanvid.PARTS):
        return OPENHUMANVID
    return OPENS2V if captions.suffix.lower() == ".json" and opens2v.is_part(captions) else FOLDER


def list_entries(root: Path, captions: Path | None, form: str = AUTO) -> Iterator[Entry]:
    """Everything that lies in a folder, one entry at a time, in the same order each time; `captions`: only this table.

    `BadInput` where nothing can be listed, or, when it is reached, where a table cannot be read on.
    """
    form = recognised(root, captions) if form == AUTO else form
    if form == OPENHUMANVID:
        return openhumanvid.list_parts(root, [captions] if captions else sorted(root.glob(openhumanvid.PARTS)))
    if form == OPENS2V:
        return opens2v.list_rows(root, [captions] if captions else opens2v.part_files(root))
    return folder.list_folder(root, captions)
