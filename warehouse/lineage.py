"""Who came from whom: from a checkpoint back through its snapshot to votes, clips and sources."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from warehouse import queries, snapshot
from warehouse.database import Session

NUM_IDS = 3
"""Ids shown of each noun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """One noun on the way back."""

    noun: str
    """`reward model` and `policy` among them."""
    num: int
    sorts: tuple[tuple[str, int], ...]
    """How they divide: (`train`, 120), (`test`, 40); for a checkpoint or a snapshot, what it is, with 1."""
    first_ids: tuple[str, ...]
    """Up to three, sorted."""


def of_checkpoint(
    session: Session, card: Mapping[str, Any], *, cards: Mapping[str, Mapping[str, Any]], snapshots: Path
) -> tuple[Ancestor, ...]:
    """The checkpoint itself, the checkpoints it was trained from or with, their snapshots, and all that is in these.

    `card` is a run card's values, `cards` those of other checkpoints by id, `snapshots` the folder that holds the
    snapshots. `SnapshotDamaged` if one that a card names is not there.
    """
    checkpoints = _with_parents(card, cards)
    snapshot_ids = sorted({each["snapshot_id"] for each in checkpoints})
    opened = [snapshot.find(snapshots, snapshot_id) for snapshot_id in snapshot_ids]
    trained = [_checkpoint(each) for each in checkpoints]
    frozen = Ancestor(noun="snapshot", num=len(opened), sorts=(), first_ids=tuple(snapshot_ids[:NUM_IDS]))
    return (*trained, frozen, *_of_snapshots(session, [each.path for each in opened]))


def _with_parents(card: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The card, then its parents, theirs, and so on, each once; one whose card is gone is passed over."""
    found = {card["checkpoint_id"]: card}
    waiting = list(card["parents"])
    while waiting:
        parent = waiting.pop(0)
        if parent in cards and parent not in found:
            found[parent] = cards[parent]
            waiting += cards[parent]["parents"]
    return list(found.values())


def _checkpoint(card: Mapping[str, Any]) -> Ancestor:
    noun = str(card["kind"]).replace("_", " ")
    return Ancestor(noun=noun, num=1, sorts=((card["name"], 1),), first_ids=(card["checkpoint_id"],))


def _of_snapshots(session: Session, folders: list[Path]) -> Iterator[Ancestor]:
    for noun, rows in groupby(queries.ancestors(session, folders), key=lambda row: row["noun"]):
        of_noun = list(rows)
        first_ids = sorted(item_id for row in of_noun for item_id in row["first_ids"])
        yield Ancestor(
            noun=noun,
            num=sum(row["num_items"] for row in of_noun),
            sorts=tuple((row["sort"], row["num_items"]) for row in of_noun if row["sort"]),
            first_ids=tuple(first_ids[:NUM_IDS]),
        )
