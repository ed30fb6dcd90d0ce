"""A folder of exported rows with their media, that opens without our code. Its manifest is written last.

manifest.json                     written last: digests of the other files, and where the rows came from
README.md                         the data card; `datasets.load_dataset(<folder>)` reads it too
triplets.parquet, triplets.jsonl  the same rows twice
media.parquet                     every medium: sha256, path, number of bytes
media/ab/cd/<sha256>.<suffix>     linked where the disk allows it, else copied
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import files, ids
from warehouse.errors import BadInput

FORMAT = 1
MANIFEST = "manifest.json"
ROWS, LINES, MEDIA = "triplets.parquet", "triplets.jsonl", "media.parquet"
_OURS = {MANIFEST, "README.md", ROWS, LINES, MEDIA, "media"}
_MEDIA_SCHEMA = pa.schema([("sha256", pa.string()), ("path", pa.string()), ("num_bytes", pa.int64())])
ROWS_A_GROUP = 4096


class Altered(Exception):
    """A file is not what its hash says, or is not there."""


class Content(Protocol):
    """Where a medium's bytes come from."""

    def open(self) -> Any: ...


class ExportFolder:
    """The folder while it is being written. A killed export is gone on with: what lies in its place stays."""

    def __init__(self, root: Path, *, schema: pa.Schema) -> None:
        """`BadInput` for a folder that holds anything else."""
        self.root, self.schema = root, schema
        root.mkdir(parents=True, exist_ok=True)
        strange = sorted({path.name for path in root.iterdir() if not path.name.startswith(".writing-")} - _OURS)
        if strange:
            raise BadInput(f"{root}: {strange[0]} is not of an export; give an empty folder, or one of an export")
        for left in root.rglob(".writing-*"):
            left.unlink()
        self._placed: dict[str, int] = {}
        self._of_row: dict[str, int] = {}
        self.scratch = root / ".writing-scratch"
        """A file for whoever fills the folder; gone when it is finished."""

    def link(self, sha256: str, path: Path, *, suffix: str, is_trusted: bool) -> str:
        """Put a file into the folder, and give its path there. `Altered` if it is not there or, unless it is trusted,
        if its bytes are others. A link shares its bytes with the file; where the disk knows none it is copied."""
        relative, target = self._place(sha256, suffix)
        if not target.exists():
            try:
                if not is_trusted and ids.file_digest(path) != sha256:
                    raise Altered(f"{path}: its bytes have changed")
                os.link(path.resolve(), target)
            except FileNotFoundError as error:
                raise Altered(f"{path} is not there") from error
            except OSError:
                self._copied(sha256, lambda: path.open("rb"), target)
        self._of_row[relative] = target.stat().st_size
        return relative

    def copy(self, sha256: str, content: Content, *, suffix: str) -> str:
        """Put what is no file of its own into the folder. `Altered` if its bytes are gone or have changed."""
        relative, target = self._place(sha256, suffix)
        if not target.exists():
            self._copied(sha256, content.open, target)
        self._of_row[relative] = target.stat().st_size
        return relative

    def forget(self) -> None:
        """Take back what was placed since the last row: there is to be none of it."""
        self._of_row.clear()

    def write(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Write the rows as they come, whose media they place meanwhile; how many there were."""
        (self.root / MANIFEST).unlink(missing_ok=True)
        lines, table = self.root / ".writing-lines", self.root / ".writing-rows"
        num_rows = 0
        with lines.open("wb") as text, pq.ParquetWriter(table, self.schema, compression="zstd") as parquet:
            group: list[Mapping[str, Any]] = []
            for row in rows:
                text.write(json.dumps(row, ensure_ascii=False, sort_keys=True).encode() + b"\n")
                group.append(row)
                num_rows += 1
                self._placed |= self._of_row
                self._of_row.clear()
                if len(group) == ROWS_A_GROUP:
                    parquet.write_table(pa.Table.from_pylist(group, schema=self.schema))
                    group = []
            if group:
                parquet.write_table(pa.Table.from_pylist(group, schema=self.schema))
        for path, name in ((lines, LINES), (table, ROWS)):
            _kept(path, self.root / name)
        return num_rows

    def finish(self, facts: Mapping[str, Any], *, card: str) -> Mapping[str, Any]:
        """List the media, clear away those of an earlier export, and write the manifest."""
        listed = [
            {"sha256": Path(path).stem, "path": path, "num_bytes": num} for path, num in sorted(self._placed.items())
        ]
        pq.write_table(pa.Table.from_pylist(listed, schema=_MEDIA_SCHEMA), self.root / ".writing-media")
        _kept(self.root / ".writing-media", self.root / MEDIA)
        files.write(self.root / "README.md", card.encode())
        for path in (self.root / "media").rglob("*"):
            if path.is_file() and path.relative_to(self.root).as_posix() not in self._placed:
                path.unlink()
        self.scratch.unlink(missing_ok=True)
        names = ("README.md", ROWS, LINES, MEDIA)
        written = [{"path": name, "sha256": ids.file_digest(self.root / name)} for name in names]
        manifest = {"format": FORMAT, "facts": dict(facts), "files": written, "num_media": len(listed)}
        files.write(self.root / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
        return manifest

    def _place(self, sha256: str, suffix: str) -> tuple[str, Path]:
        relative = f"media/{sha256[:2]}/{sha256[2:4]}/{sha256}{suffix}"
        target = self.root / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        return relative, target

    def _copied(self, sha256: str, opened: Callable[[], Any], target: Path) -> None:
        """Whole or not at all, and only if the bytes are those of the hash."""
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".writing-")
        copied = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as copy, opened() as file:
                shutil.copyfileobj(file, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
            if (found := ids.file_digest(copied)) != sha256:
                raise Altered(f"{target.name}: its bytes are those of {found} now")
            copied.chmod(files.READABLE)
            copied.replace(target)
        except OSError as error:
            if files.is_disk_full(error):
                raise
            raise Altered(str(error)) from error
        finally:
            copied.unlink(missing_ok=True)


def _kept(path: Path, target: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.replace(target)
    files.sync_folder(target.parent)
