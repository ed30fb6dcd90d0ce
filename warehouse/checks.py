"""Invariants of the warehouse, each a query of `sql/` that returns the offenders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from warehouse import queries
from warehouse.database import Session
from warehouse.gates import Step

UNIQUE: dict[str, tuple[str, ...]] = {
    "source": ("source_id",),
    "clip": ("clip_id", "fact_key"),
    "subject": ("subject_id", "fact_key"),
    "reference": ("reference_id", "fact_key"),
    "candidate": ("candidate_id", "fact_key"),
    "pair": ("pair_id",),
    "vote": ("vote_id",),
    "label": ("pair_id", "policy", "origin"),
    "showing": ("showing_id",),
    "gold": ("pair_id",),
    "vote_event": ("event_id",),
    "watermark": ("board",),
    "ledger": ("fact_key", "attempt"),
    "snapshot": ("snapshot_id",),
}
"""What must stand once; no table has a key to see to it."""


@dataclass(frozen=True, slots=True)
class Offence:
    """An invariant that does not hold."""

    rule: str
    num: int
    example: dict[str, Any]


def offences(session: Session, steps: Sequence[Step]) -> list[Offence]:
    """Everything that is broken. After `gates.judge`."""
    found = {f"{table} stands once": queries.repeated(session, table, keys) for table, keys in UNIQUE.items()}
    for step in steps:
        found[f"{step.table} stands once"] = queries.repeated(session, step.table, ("fact_key",))
        found[f"every done {step.stage} has its fact"] = queries.done_without_fact(session, step)
    found["every item stands once at a stage"] = queries.unbalanced(session)
    found |= {name.replace("_", " "): queries.orphans(session, name) for name in queries.ORPHANS}
    return [Offence(rule, len(rows), rows[0]) for rule, rows in found.items() if rows]
