"""Gates: what divides measured items into passed and dropped, in SQL, over facts that were measured once.

`judge` walks a recipe's steps and fills one table with the verdict on every item that reached each stage:

    pending   no fact yet, or failed and reopened
    failed    could not be measured
    dropped   measured, and a gate said no; the reason is the gate's name
    passed    goes on to the next stage
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warehouse import tables
from warehouse.database import Session
from warehouse.errors import BadRecipe

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}

PARENTS: Mapping[str, str] = {"clip": "source", "candidate": "clip"}
"""Which noun a stage's items descend from."""

NUMBERS = ("DOUBLE", "BIGINT", "BOOLEAN")
"""Column types that a gate can compare with its threshold; true is 1."""

UNKNOWN = " unknown"
"""Added to a gate's name where the measure is NULL: what is unknown does not pass."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One line of a recipe: `Gate("face_frontal_share", ">=", 0.5, after="faces")`."""

    measure: str
    op: str
    threshold: float
    after: str
    name: str = ""
    """What reasons and `--set` call it; the measure's name where nothing else is said."""

    def __post_init__(self) -> None:
        if self.op not in OPERATORS:
            raise BadRecipe(f"gate {self.measure}: {self.op!r} is no comparison; take one of {' '.join(OPERATORS)}")
        if not isinstance(self.threshold, int | float) or math.isnan(self.threshold):
            raise BadRecipe(f"gate {self.name or self.measure}: {self.threshold!r} is no threshold; give a number")
        if not self.name:
            object.__setattr__(self, "name", self.measure)

    def reason_to_drop(self, fact: Any) -> str | None:
        """None where the fact passes; equal, value by value, to what the SQL of `judge` says: both compare doubles."""
        value = getattr(fact, self.measure)
        if value is None or value != value:
            return self.name + UNKNOWN
        return None if OPERATORS[self.op](float(value), float(self.threshold)) else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A stage as the warehouse sees it: where its facts are and which gates stand behind it."""

    stage: str
    stage_key: str
    """Digest of the stage's name, version, parameters and weights, and of the stages it needs."""
    noun: str
    """`source`, `clip` or `candidate`."""
    fact: type
    gates: tuple[Gate, ...]

    def __post_init__(self) -> None:
        numbers = {name for name, kind in tables.sql_columns(self.fact) if kind.removesuffix(" NOT NULL") in NUMBERS}
        for gate in self.gates:
            if gate.measure not in numbers:
                has = ", ".join(sorted(numbers))
                raise BadRecipe(f"gate {gate.name}: stage {self.stage} measures no {gate.measure}; it has {has}")

    @property
    def table(self) -> str:
        return f"fact_{self.stage}"


def ensure_fact_table(session: Session, step: Step) -> None:
    """Make the stage's table, or add the columns that its fact has gained.

    Its values may be NULL, whatever the fact says: facts of an older version lack columns gained since, and newer ones
    those that were given up.
    """
    values = [(name, kind.removesuffix(" NOT NULL")) for name, kind in tables.sql_columns(step.fact)]
    columns = [("fact_key", "VARCHAR NOT NULL"), ("item_id", "VARCHAR NOT NULL"), *values]
    listed = ", ".join(f'"{name}" {kind}' for name, kind in columns)
    session.execute(f'CREATE TABLE IF NOT EXISTS "{step.table}" ({listed})')
    present = {row[0] for row in session.execute(f'DESCRIBE "{step.table}"').fetchall()}
    for name, kind in columns:
        if name not in present:
            session.execute(f'ALTER TABLE "{step.table}" ADD COLUMN "{name}" {kind}')


_LATEST = """
    SELECT l.item_id, l.fact_key, l.outcome, l.reason, l.attempt FROM ledger l
    ANTI JOIN (SELECT fact_key, attempt FROM ledger WHERE attempt > 1) later
        ON later.fact_key = l.fact_key AND later.attempt > l.attempt
    WHERE l.stage_key = ?
"""
"""What became of the items of one stage, as it is configured, at the last attempt. Few items have a second one, so
that this costs less than putting all attempts in order."""

_SOURCE_OF: Mapping[str, str] = {
    "source": "SELECT source_id AS item_id, source_id FROM source",
    "clip": "SELECT DISTINCT clip_id AS item_id, source_id FROM clip",
    "candidate": "SELECT DISTINCT candidate_id AS item_id, source_id FROM candidate JOIN clip USING (clip_id)",
}
"""SQL for the source that each item of a noun comes from."""


def recall(session: Session, steps: Sequence[Step], active: Iterable[str], *, most: int | None = None) -> None:
    """Fill two temporary tables. After `judge`.

    `pending_source` (source_id): sources with something left to measure in the `active` stages, at most `most` of
    them, the first by id. `known` (stage, item_id, source_id, fact_key, outcome, reason, attempt): all that became of
    their items at the stages as they are configured now, whether or not they reach them at present.
    """
    session.execute(
        "CREATE OR REPLACE TEMP TABLE pending_source AS SELECT DISTINCT source_id FROM verdict"
        " WHERE verdict = 'pending' AND stage IN (SELECT unnest(?::VARCHAR[])) ORDER BY source_id LIMIT ?",
        [sorted(active), most if most is not None else 2**62],
    )
    session.execute(
        "CREATE OR REPLACE TEMP TABLE known (stage VARCHAR, item_id VARCHAR, source_id VARCHAR, fact_key VARCHAR,"
        " outcome VARCHAR, reason VARCHAR, attempt BIGINT)"
    )
    for step in steps:
        session.execute(
            f"INSERT INTO known SELECT ?, l.item_id, s.source_id, l.fact_key, l.outcome, l.reason, l.attempt"
            f" FROM ({_LATEST}) l JOIN ({_SOURCE_OF[step.noun]}) s USING (item_id)"
            " SEMI JOIN pending_source USING (source_id)",
            [step.stage, step.stage_key],
        )


def judge(session: Session, steps: Sequence[Step], *, dataset: str | None = None) -> None:
    """Fill the temporary table `verdict` (stage, noun, item_id, source_id, fact_key, verdict, reason): one row for
    each item that reached each stage, from all data sets or from one."""
    session.execute(
        "CREATE OR REPLACE TEMP TABLE verdict (stage VARCHAR, noun VARCHAR, item_id VARCHAR, source_id VARCHAR,"
        " fact_key VARCHAR, verdict VARCHAR, reason VARCHAR)"
    )
    last_of_noun: dict[str, Step] = {}
    for step in steps:
        ensure_fact_table(session, step)
        entering, values = _entering(step, last_of_noun, dataset)
        session.execute(_judgement(step, entering), [*values, *_judgement_values(step)])
        last_of_noun[step.noun] = step


def _entering(step: Step, last_of_noun: Mapping[str, Step], dataset: str | None) -> tuple[str, list[Any]]:
    """SQL for (item_id, source_id) of the items that reach a stage, and its values."""
    before = last_of_noun.get(step.noun)
    if before is not None:
        return "SELECT item_id, source_id FROM verdict WHERE stage = ? AND verdict = 'passed'", [before.stage]
    if step.noun == "source":
        return (
            "SELECT DISTINCT source_id AS item_id, source_id FROM listing"
            " WHERE source_id IS NOT NULL AND (?::VARCHAR IS NULL OR dataset = ?)",
            [dataset, dataset],
        )
    parent = PARENTS[step.noun]
    return (
        f"SELECT n.{step.noun}_id AS item_id, p.source_id FROM {step.noun} n"
        f" JOIN verdict p ON p.item_id = n.{parent}_id AND p.stage = ? AND p.verdict = 'passed'"
        " WHERE n.fact_key IN (SELECT fact_key FROM verdict WHERE noun = ?)",
        [last_of_noun[parent].stage, parent],
    )


def _judgement(step: Step, entering: str) -> str:
    reasons = " ".join(
        f"""WHEN f."{gate.measure}" IS NULL OR isnan(f."{gate.measure}"::DOUBLE) THEN ?
            WHEN NOT (f."{gate.measure}"::DOUBLE {gate.op} ?::DOUBLE) THEN ?"""
        for gate in step.gates
    )
    dropped = f"CASE {reasons} END" if step.gates else "NULL"
    return f"""
        INSERT INTO verdict
        WITH entering AS ({entering}),
        latest AS ({_LATEST}),
        measured AS (
            SELECT e.item_id, e.source_id, coalesce(l.fact_key, sha256(? || e.item_id)) AS fact_key, l.outcome,
                l.reason AS why_failed, {dropped} AS why_dropped
            FROM entering e
            LEFT JOIN latest l USING (item_id)
            LEFT JOIN "{step.table}" f ON f.fact_key = l.fact_key
        )
        SELECT ?, ?, item_id, source_id, fact_key,
            CASE WHEN outcome IS NULL OR outcome = 'reopened' THEN 'pending' WHEN outcome = 'failed' THEN 'failed'
                 WHEN why_dropped IS NOT NULL THEN 'dropped' ELSE 'passed' END,
            CASE WHEN outcome = 'failed' THEN why_failed WHEN outcome = 'done' THEN why_dropped END
        FROM measured
    """


def _judgement_values(step: Step) -> list[Any]:
    gates = [value for gate in step.gates for value in (gate.name + UNKNOWN, gate.threshold, gate.name)]
    return [step.stage_key, step.stage_key, *gates, step.stage, step.noun]
