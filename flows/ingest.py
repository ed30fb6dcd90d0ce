"""`likeness ingest`: what lies in a folder becomes sources, and what does not fit is reported, never passed over."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.progress import Progress
from flows.settings import Settings
from flows.sources.folder import Entry, list_folder
from warehouse import ids, tables
from warehouse.database import Session
from warehouse.records import Source

log = logging.getLogger(__name__)

DUPLICATE = "duplicate of another entry"
UNREADABLE = "unreadable file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One entry of a data set, and the source it is."""

    dataset: str
    entry: str
    source_id: str | None
    """None: there is no file, or it may not be read."""
    problem: str | None


def ingest(settings: Settings, root: Path, captions: Path | None, *, progress: Progress) -> Counter[str]:
    """List a folder anew; count its entries by `source` or by problem. The data set is named by the folder's path."""
    listing = list_folder(root, captions)
    dataset = str(root.resolve())
    found: list[tuple[Listed, Source | None]] = []
    for number, entry in enumerate(listing.entries, start=1):
        found.append(_listed(dataset, entry))
        progress.say(f"{number}/{len(listing.entries)} entries")
    found = mark_duplicates(found)
    with settings.warehouse.transaction() as session:
        _replace(session, dataset, [listed for listed, _ in found], [source for _, source in found if source])
    return Counter(listed.problem or "source" for listed, _ in found)


def mark_duplicates(found: Iterable[tuple[Listed, Source | None]]) -> list[tuple[Listed, Source | None]]:
    """Entries of the same bytes and the same caption are one source: all but the first say so."""
    seen: set[str] = set()
    marked: list[tuple[Listed, Source | None]] = []
    for listed, source in found:
        if source and source.source_id in seen:
            marked.append((replace(listed, problem=DUPLICATE), None))
        else:
            marked.append((listed, source))
        if source:
            seen.add(source.source_id)
    return marked


def _listed(dataset: str, entry: Entry) -> tuple[Listed, Source | None]:
    if entry.path is None:
        return Listed(dataset=dataset, entry=entry.relative, source_id=None, problem=entry.problem), None
    try:
        sha256, num_bytes = ids.file_digest(entry.path), entry.path.stat().st_size
    except OSError as error:
        log.warning("%s: %s", entry.path, error.strerror)
        return Listed(dataset=dataset, entry=entry.relative, source_id=None, problem=UNREADABLE), None
    source = Source(
        source_id=ids.make("source", sha256, entry.caption),
        dataset=dataset,
        path=str(entry.path),
        sha256=sha256,
        num_bytes=num_bytes,
        caption=entry.caption,
        extra=entry.extra,
    )
    return Listed(dataset=dataset, entry=entry.relative, source_id=source.source_id, problem=entry.problem), source


def _replace(session: Session, dataset: str, listed: Sequence[Listed], sources: Sequence[Source]) -> None:
    """The data set's listing as it is now. A source that lies elsewhere now is moved; none is forgotten."""
    rows = tables.to_arrow(Listed, listed)
    tables.replace(session, "listing", rows, where="dataset = ?", values=[dataset])
    moved = [source.source_id for source in sources]
    rows = tables.to_arrow(Source, sources)
    tables.replace(session, "source", rows, where="source_id IN (SELECT unnest(?::VARCHAR[]))", values=[moved])
