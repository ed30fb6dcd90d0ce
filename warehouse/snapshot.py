"""A snapshot: an immutable, hashed folder of Parquet that training reads. It needs no database to be opened.

<id>/manifest.json                      written last; the id is the sha256 of its canonical form
<id>/README.md                          the data card; `datasets.load_dataset(<folder>)` reads it too
<id>/data/<split>/part-00000.parquet    one row a settled pair
<id>/{clips,candidates,references,votes,media}/part-00000.parquet
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import files, ids
from warehouse.errors import SnapshotDamaged
from warehouse.media import MediaStore

FORMAT = 1
SPLITS = ("train", "test")
TABLES = ("clips", "candidates", "references", "votes", "media")
PART = "part-00000.parquet"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An opened snapshot."""

    path: Path
    manifest: Mapping[str, Any]
    media: MediaStore

    @property
    def id(self) -> str:
        """64 hex digits: the sha256 of the canonical manifest."""
        return ids.digest(dict(self.manifest))

    @property
    def facts(self) -> Mapping[str, Any]:
        """Where it came from: recipe, label policy, seeds, counts."""
        facts: Mapping[str, Any] = self.manifest["facts"]
        return facts

    def pairs(self, split: str) -> pa.Table:
        """The settled pairs of `train` or `test`, ordered by pair id."""
        if split not in SPLITS:
            raise ValueError(f"{split!r} is no split; take one of {', '.join(SPLITS)}")
        return pq.read_table(self.path / "data" / split / PART, partitioning=None)

    def table(self, name: str) -> pa.Table:
        """One of `clips`, `candidates`, `references`, `votes`, `media`, ordered by id."""
        if name not in TABLES:
            raise ValueError(f"{name!r} is no table of a snapshot; take one of {', '.join(TABLES)}")
        return pq.read_table(self.path / name / PART, partitioning=None)

    def media_path(self, sha256: str) -> Path:
        """Where a video or picture lies; `MediaMissing` if it does not."""
        return self.media.path_of(sha256)

    def verify(self) -> None:
        """Read every file and medium; `SnapshotDamaged` or `MediaMissing` at the first that is not as recorded."""
        if self.path.name != self.id:
            raise SnapshotDamaged(
                f"{self.path}: its manifest is that of snapshot {self.id}; take it from its source again"
            )
        for entry in self.manifest["files"]:
            path = self.path / entry["path"]
            if not path.is_file() or ids.file_digest(path) != entry["sha256"]:
                raise SnapshotDamaged(
                    f"{self.id}: {entry['path']} is missing or altered; take it from its source again"
                )
        listed = {entry["path"] for entry in self.manifest["files"]} | {"README.md", "manifest.json"}
        found = {path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()}
        if found - listed:
            raise SnapshotDamaged(f"{self.id}: {min(found - listed)} does not belong to it; remove it")
        for sha256 in self.table("media")["sha256"].to_pylist():
            self.media.verify(sha256)


def open(path: Path | str, *, media_root: Path | None = None) -> Snapshot:
    """Open a snapshot's folder. Media lie in `media_root`, by default in the `media` folder beside `snapshots`."""
    folder = Path(path).resolve()
    try:
        manifest = dict(json.loads((folder / "manifest.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise SnapshotDamaged(f"{folder}: no snapshot (no readable manifest.json)") from error
    if manifest.get("format") != FORMAT:
        raise SnapshotDamaged(f"{folder}: format {manifest.get('format')}, this version reads {FORMAT}")
    return Snapshot(folder, manifest, MediaStore(media_root or folder.parent.parent / "media"))


def freeze(tables: Mapping[str, pa.Table], *, root: Path, media: MediaStore, facts: Mapping[str, Any]) -> Snapshot:
    """Write a snapshot below `root`, or find the equal one that is there.

    `tables` holds `pairs` (with a column `split`) and those of `TABLES` but `media`, which is gathered here from
    every column called `sha256`. `facts` go into the manifest: no times, no paths of this machine.
    """
    root.mkdir(parents=True, exist_ok=True)
    staging = root / f".staging-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        written = [_write(staging, path, table) for path, table in _layout(tables, media).items()]
        manifest = {"format": FORMAT, "facts": dict(facts), "files": written}
        snapshot_id = ids.digest(manifest)
        files.write(staging / "README.md", _data_card(snapshot_id, facts, written).encode())
        files.write(staging / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True).encode())
        target = root / snapshot_id
        if not target.exists():
            staging.rename(target)
            files.sync_folder(root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return open(target, media_root=media.root)


def find(root: Path, prefix: str) -> Snapshot:
    """The one snapshot below `root` whose id begins with `prefix`."""
    names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    found = [root / name for name in names if name.startswith(prefix) and not name.startswith(".")]
    if len(found) != 1:
        raise SnapshotDamaged(f"{prefix!r} names {len(found)} snapshots below {root}; `likeness status` lists them")
    return open(found[0])


def diff(old: Snapshot, new: Snapshot) -> dict[str, dict[str, list[str]]]:
    """Ids that came and went, a table each: what changed between two snapshots."""

    def changes(before: pa.Table, after: pa.Table) -> dict[str, list[str]]:
        was, now = set(before.column(0).to_pylist()), set(after.column(0).to_pylist())
        return {"added": sorted(now - was), "removed": sorted(was - now)}

    found = {f"pairs/{split}": changes(old.pairs(split), new.pairs(split)) for split in SPLITS}
    return found | {name: changes(old.table(name), new.table(name)) for name in TABLES}


def _layout(tables: Mapping[str, pa.Table], media: MediaStore) -> dict[str, pa.Table]:
    pairs = tables["pairs"]
    layout = {
        f"data/{split}/{PART}": pairs.filter(pc.equal(pairs["split"], split)).drop_columns(["split"])
        for split in SPLITS
    }
    layout |= {f"{name}/{PART}": tables[name] for name in TABLES if name != "media"}
    layout[f"media/{PART}"] = _media_table(tables, media)
    return layout


def _media_table(tables: Mapping[str, pa.Table], media: MediaStore) -> pa.Table:
    named = {
        sha256 for table in tables.values() if "sha256" in table.column_names for sha256 in table["sha256"].to_pylist()
    }
    rows = [
        {"sha256": sha256, "path": media.relative_path(sha256), "num_bytes": media.path_of(sha256).stat().st_size}
        for sha256 in sorted(named)
    ]
    schema = pa.schema([("sha256", pa.string()), ("path", pa.string()), ("num_bytes", pa.int64())])
    return pa.Table.from_pylist(rows, schema=schema)


def _write(folder: Path, relative: str, table: pa.Table) -> dict[str, Any]:
    path = folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = table.sort_by(table.column_names[0]).combine_chunks()
    with path.open("wb") as file:
        pq.write_table(ordered, file, compression="zstd", row_group_size=65536)
        file.flush()
        os.fsync(file.fileno())
    return {
        "path": relative,
        "sha256": ids.file_digest(path),
        "num_rows": ordered.num_rows,
        "rows_sha256": _rows_digest(ordered),
    }


def _rows_digest(table: pa.Table) -> str:
    """Of the rows as a set: equal for any order and any version of the file format."""
    total = sum(int(ids.digest(row), 16) for batch in table.to_batches(4096) for row in batch.to_pylist())
    return f"{total % (1 << 256):064x}"


def _data_card(snapshot_id: str, facts: Mapping[str, Any], written: list[dict[str, Any]]) -> str:
    configs = ["configs:", "- config_name: pairs", "  default: true", "  data_files:"]
    configs += [f"  - split: {split}\n    path: data/{split}/*.parquet" for split in SPLITS]
    for name in TABLES:
        configs += [f"- config_name: {name}", f"  data_files: {name}/*.parquet"]
    rows = "\n".join(f"| {entry['path']} | {entry['num_rows']} |" for entry in written)
    told = "\n".join(f"- {key}: `{json.dumps(value, sort_keys=True)}`" for key, value in sorted(facts.items()))
    return (
        "---\n" + "\n".join(configs) + "\n---\n"
        f"# Snapshot {snapshot_id[:12]}\n\nPairs of videos of the same people, with settled preferences. "
        "`outcome` is 0 (A better), 1 (tie), 2 (B better).\n\n"
        f"| file | rows |\n|---|---|\n{rows}\n\n## Where it came from\n\n{told}\n"
    )
