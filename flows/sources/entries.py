"""What every data set is listed as: an entry a file or row, with all that it says, and what does not fit."""

from dataclasses import dataclass
from pathlib import Path

from flows.stages.annotated import Annotation
from flows.stages.footage import Footage

BROKEN_LINK = "broken link"
BROKEN_ROW = "broken row"
BROKEN_TAR = "damaged tar"
CLOSED_FOLDER = "unreadable folder"
DUPLICATE_ROW = "duplicate row"
EMPTY = "empty file"
FILE_ALONE = "file without a row"
OUTSIDE = "outside the root"
ROW_ALONE = "row without a file"
ROW_SAYS_NONE = 'row says "None"'
UNREADABLE = "unreadable file"
UNREADABLE_NAME = "name that is not UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One video file, or one row that leads to none."""

    relative: str
    """Its name in the listing: below the root, with `/`; of a row without a file: as the row spells it; of OpenS2V:
    `<part>/<key>`. A tar counts as a folder."""
    footage: Footage | None = None
    """None: there is nothing to read, and `problem` says why."""
    caption: str | None = None
    extra: str | None = None
    """What else the row said: a JSON object. Of what is broken: how."""
    problem: str | None = None
    """Where there is footage, a remark: it is a source all the same."""
    repaired_from: str | None = None
    """How the row spells the path, where the file lies elsewhere; None: the file is where the row says."""
    annotation: Annotation | None = None
    says: str | None = None
    """Part of the source's id: digest of what the row says besides caption, path and key. None: nothing."""
    part: str = ""
    """The file that it was listed in, where a data set comes in parts."""

    @property
    def path(self) -> Path | None:
        """Of the file, or of the tar's first split."""
        return self.footage.path if self.footage else None
