"""`likeness ingest`: what lies in a folder becomes sources, and what does not fit is reported, never passed over.

Entries stream: a batch of them is looked at (files that changed are hashed, in threads), its annotations are put into
the media store, and its rows are committed with those of the last few seconds. A batch is named by what it holds, so
that one which stands in the listing already costs no more than a look at its files' sizes and times: after a kill the
same command goes on where it was, and a second run adds nothing. What is in memory grows with the names of the files,
not with their rows.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from flows.progress import Progress
from flows.settings import Settings
from flows.sources import opens2v
from flows.sources.entries import BROKEN_ROW, BROKEN_TAR, EMPTY, UNREADABLE, Entry
from flows.sources.formats import AUTO, OPENS2V, list_entries, recognised
from flows.stages import annotated
from flows.stages.footage import Footage
from warehouse import ids, queries, staging, tables
from warehouse.database import Session
from warehouse.errors import BadInput
from warehouse.records import Source

log = logging.getLogger(__name__)

DUPLICATE = "duplicate of another entry"

BATCH_ENTRIES = 256
COMMIT_S = 5.0
"""Seconds between commits: what a kill loses at most, besides the batch in hand. A commit looks through all sources,
which takes 0.1 s where they are three million."""
COMMIT_ENTRIES = 8192
"""Entries that wait for a commit at most."""
BUNDLE_ROWS = 256
NUM_HASHERS = 4
REMEMBERED_FILES = 4096
"""Files whose hash is at hand: rows of one file stand close together."""
WAREHOUSE_MEMORY = "64MB"
"""Of DuckDB, while we commit; a batch needs a few, the last step spills to disk."""
_FORM = 1
"""Of batches and bundles: bump it when the same entries give other rows or annotations, and all are written anew."""

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One entry of a data set, and the source it is."""

    dataset: str
    entry: str
    source_id: str | None
    """None: there is no file, or it may not be read."""
    problem: str | None
    """What a report says: `own_problem`, or that an earlier entry is the same source."""
    own_problem: str | None = None
    """What was wrong with the entry by itself."""
    repaired_from: str | None = None
    """How the data set spells the path, where the file lies elsewhere."""
    path: str | None = None
    member: str | None = None
    offset: int | None = None
    """Where the file is, as in `Source`."""
    num_bytes: int | None = None
    mtime_ns: int | None = None
    sha256: str | None = None
    """Of the file when it was last read: it is read again when size or time have changed."""
    place: int | None = None
    """Position in the batch."""
    batch: str | None = None
    """The transaction it came in: a digest of the batch."""


Stat = tuple[int, int]
"""Size in bytes, time of the last change in ns."""


def ingest(
    settings: Settings, root: Path, captions: Path | None, *, progress: Progress, form: str = AUTO
) -> Counter[str]:
    """List a folder anew; count its entries by `source` or by problem. The data set is named by the folder's path.

    `form`: one of `flows.sources.formats.FORMATS`. `BadInput` where the folder or a table cannot be read on: what came
    before is kept.
    """
    if not root.is_dir():
        raise BadInput(f"{root}: no such folder; give one with videos in it")
    form = recognised(root, captions) if form == AUTO else form
    dataset = str(root.resolve())
    with staging.only_committer(settings.home / "arrivals"), ThreadPoolExecutor(NUM_HASHERS) as hashers:
        arrivals = _Arrivals(settings, dataset, hashers)
        num = 0
        try:
            for batch in _batches(list_entries(root, captions, form)):
                progress.say(f"{num} entries")
                arrivals.take(batch)
                num += len(batch)
        finally:
            arrivals.commit()
        pairs = _CrossPairs(settings, dataset)
        if form == OPENS2V:
            pairs.take(root)
        with _frugal(settings) as session:
            tables.forget_others(session, "listing", dataset, arrivals.seen)
            tables.forget_others(session, "cross_video_pair", dataset, pairs.seen)
            queries.settle_listing(session, dataset, DUPLICATE)
            return Counter({row["arrival"]: row["num_entries"] for row in queries.arrivals(session, dataset)})


class _Arrivals:
    """One run over a data set."""

    def __init__(self, settings: Settings, dataset: str, hashers: ThreadPoolExecutor) -> None:
        self.seen: list[str] = []
        """The batches of this run."""
        self._settings, self._dataset, self._hashers = settings, dataset, hashers
        self._hashes: dict[tuple[Footage, Stat], str] = {}
        self._listed: list[Listed] = []
        self._sources: dict[str, Source] = {}
        self._committed = time.monotonic()
        self._part, self._number = "", -1
        with _frugal(settings) as session:
            self._known = {
                row["batch"]
                for row in queries.batches_listed(session, dataset, UNREADABLE)
                if all(settings.media.has(bundle) for bundle in row["bundles"] or ())
            }
            self._is_first = not queries.arrivals(session, dataset)

    def take(self, batch: Sequence[Entry]) -> None:
        """Take a batch in, unless it stands in the listing already; commit if the last time is long ago."""
        footage = list(dict.fromkeys(entry.footage for entry in batch if entry.footage))
        stats = dict(zip(footage, self._hashers.map(_stat, footage), strict=True))
        part = batch[0].part
        self._part, self._number = part, self._number + 1 if part == self._part else 0
        name = ids.digest([_FORM, part, self._number, [_told(entry, stats) for entry in batch]])
        self.seen.append(name)
        if name in self._known:
            return
        hashes = self._hashed({each: stat for each, stat in stats.items() if stat})
        found = [self._found(entry, stats, hashes) for entry in batch]
        self._listed += [
            _listed(self._dataset, entry, source, stats, batch=name, place=place)
            for place, (entry, source) in enumerate(zip(batch, found, strict=True))
        ]
        taken = [(source, entry) for source, entry in zip(found, batch, strict=True) if source]
        self._sources |= {source.source_id: source for source in self._bundled(taken)}
        if len(self._listed) >= COMMIT_ENTRIES or time.monotonic() - self._committed > COMMIT_S:
            self.commit()

    def commit(self) -> None:
        """Commit all batches that were taken in."""
        if self._listed:
            batches = list({each.batch for each in self._listed})
            with _frugal(self._settings) as session:
                rows = tables.to_arrow(Listed, self._listed)
                where = "dataset = ? AND batch IN (SELECT unnest(?::VARCHAR[]))"
                tables.replace(session, "listing", rows, where=where, values=[self._dataset, batches])
                rows = tables.to_arrow(Source, self._sources.values())
                where = "source_id IN (SELECT unnest(?::VARCHAR[]))"
                tables.replace(session, "source", rows, where=where, values=[list(self._sources)])
        self._listed, self._sources, self._committed = [], {}, time.monotonic()
        pa.default_memory_pool().release_unused()

    def _hashed(self, stats: Mapping[Footage, Stat]) -> dict[Footage, str]:
        """The hashes of files; without those that cannot be read."""
        unknown = [each for each in stats.items() if each not in self._hashes]
        if unknown and not self._is_first:
            self._hashes |= self._remembered(dict(unknown))
            unknown = [each for each in unknown if each not in self._hashes]
        for each, sha256 in zip(unknown, self._hashers.map(_hash, [footage for footage, _ in unknown]), strict=True):
            if sha256:
                self._hashes[each] = sha256
        found = {
            footage: self._hashes[footage, stat] for footage, stat in stats.items() if (footage, stat) in self._hashes
        }
        for old in list(islice(self._hashes, max(0, len(self._hashes) - REMEMBERED_FILES))):
            del self._hashes[old]
        return found

    def _remembered(self, stats: Mapping[Footage, Stat]) -> dict[tuple[Footage, Stat], str]:
        """The hashes that the listing remembers of these files, if they have not changed since."""
        places = {(str(each.path), each.offset): each for each in stats}
        asked = pa.table(
            {"path": [path for path, _ in places], "offset": [offset for _, offset in places]},
            schema=pa.schema([("path", pa.string()), ("offset", pa.int64())]),
        )
        with _frugal(self._settings) as session:
            rows = queries.files_looked_at(session, self._dataset, asked)
        then = [
            (places[row["path"], row["offset"]], (row["num_bytes"], row["mtime_ns"]), row["sha256"]) for row in rows
        ]
        return {(footage, stat): sha256 for footage, stat, sha256 in then if stat == stats[footage]}

    def _found(
        self, entry: Entry, stats: Mapping[Footage, Stat | None], hashes: Mapping[Footage, str]
    ) -> Source | None:
        """None: there is no file, or it cannot be read."""
        footage = entry.footage
        stat = stats[footage] if footage else None
        if footage is None or stat is None or footage not in hashes:
            return None
        said = (entry.caption,) if entry.says is None else (entry.caption, entry.says)
        return Source(
            source_id=ids.make("source", hashes[footage], *said),
            dataset=self._dataset,
            path=str(footage.path),
            sha256=hashes[footage],
            num_bytes=stat[0],
            caption=entry.caption,
            extra=entry.extra,
            member=footage.member,
            offset=footage.offset,
        )

    def _bundled(self, taken: Sequence[tuple[Source, Entry]]) -> list[Source]:
        """The sources, and what the data set says of them put into the media store."""
        made = [source for source, entry in taken if entry.annotation is None]
        for bundle in _cut(((source, entry.annotation) for source, entry in taken if entry.annotation), BUNDLE_ROWS):
            sha256 = self._settings.media.put(annotated.write([annotation for _, annotation in bundle]))
            made += [
                replace(source, annotation_sha256=sha256, annotation_row=row) for row, (source, _) in enumerate(bundle)
            ]
        return made


class _CrossPairs:
    """The cross-video pairs of one run."""

    def __init__(self, settings: Settings, dataset: str) -> None:
        self.seen: list[str] = []
        self._settings, self._dataset = settings, dataset

    def take(self, root: Path) -> None:
        """Commit all, a batch at a time, but for the batches that are there."""
        with _frugal(self._settings) as session:
            known = set(queries.cross_pair_batches(session, self._dataset))
        pairs = (
            opens2v.pair_of(pair, dataset=self._dataset, place=place)
            for place, (_, pair) in enumerate(opens2v.cross_pairs(root))
        )
        for batch in _cut(pairs, BATCH_ENTRIES):
            rows = tables.to_arrow(opens2v.CrossVideoPair, batch)
            name = ids.digest([_FORM, rows.to_pylist()])
            self.seen.append(name)
            if name not in known:
                rows = rows.set_column(rows.num_columns - 1, "batch", pa.array([name] * rows.num_rows))
                with _frugal(self._settings) as session:
                    tables.insert(session, "cross_video_pair", rows)


@contextmanager
def _frugal(settings: Settings) -> Iterator[Session]:
    """A transaction in which DuckDB stays small."""
    with settings.warehouse.transaction() as session:
        session.execute(f"SET memory_limit = '{WAREHOUSE_MEMORY}'")
        session.execute("SET threads = 1")
        yield session


def _batches(entries: Iterable[Entry]) -> Iterator[Sequence[Entry]]:
    """Entries in batches that do not reach from one part into the next. Where the entries end in an error, those before
    are given first."""
    batch: list[Entry] = []
    try:
        for entry in entries:
            if batch and (len(batch) == BATCH_ENTRIES or entry.part != batch[0].part):
                yield batch
                batch = []
            batch.append(entry)
    except BadInput:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _cut(items: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece


def _told(entry: Entry, stats: Mapping[Footage, Stat | None]) -> list[object]:
    """All of an entry that decides what is written for it."""
    footage = entry.footage
    where = [str(footage.path), footage.member, footage.offset, stats[footage]] if footage else []
    said = [entry.caption, entry.extra, entry.says, entry.annotation.key if entry.annotation else None]
    return [entry.relative, entry.problem, entry.repaired_from, where, said]


def _listed(
    dataset: str, entry: Entry, source: Source | None, stats: Mapping[Footage, Stat | None], *, batch: str, place: int
) -> Listed:
    stat = stats[entry.footage] if entry.footage else None
    problem = entry.problem
    if problem in (BROKEN_ROW, BROKEN_TAR):
        log.warning("%s: %s: %s", entry.relative, problem, entry.extra)
    if entry.footage and source is None:
        problem = UNREADABLE
    elif source and not source.num_bytes:
        problem = EMPTY
    return Listed(
        dataset=dataset,
        entry=entry.relative,
        source_id=source.source_id if source else None,
        problem=problem,
        own_problem=problem,
        repaired_from=entry.repaired_from,
        path=source.path if source else None,
        member=source.member if source else None,
        offset=source.offset if source else None,
        num_bytes=stat[0] if source and stat else None,
        mtime_ns=stat[1] if source and stat else None,
        sha256=source.sha256 if source else None,
        place=place,
        batch=batch,
    )


def _stat(footage: Footage) -> Stat | None:
    try:
        return footage.stat()
    except OSError as error:
        log.warning("%s: %s", footage.path, error.strerror or error)
        return None


def _hash(footage: Footage) -> str | None:
    try:
        return footage.digest()
    except OSError as error:
        log.warning("%s: %s", footage.path, error.strerror or error)
        return None
