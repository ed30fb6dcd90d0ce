import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.walk import fact_key
from tests import factories
from warehouse import queries, tables
from warehouse.errors import BadRecipe
from warehouse.gates import OPERATORS, Gate, Step, ensure_fact_table, judge
from warehouse.migrate import migrate
from warehouse.records import Clip

Session = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    real: float | None
    whole: int | None
    truth: bool | None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    size: float


MEASURES = Step(stage="probe", stage_key="key", noun="source", fact=Measures, gates=())


@pytest.fixture(scope="module")
def shared() -> Iterator[Session]:
    with duckdb.connect() as connection:
        migrate(connection)
        yield connection


@pytest.fixture
def session(shared: Session) -> Iterator[Session]:
    """A migrated warehouse in memory; what a test does in it is taken back."""
    shared.begin()
    yield shared
    shared.rollback()


def arrive(session: Session, *source_ids: str, dataset: str = "sample") -> None:
    session.executemany(
        "INSERT INTO listing (dataset, entry, source_id, problem) VALUES (?, ?, ?, NULL)",
        [[dataset, each, each] for each in source_ids],
    )


def settle(session: Session, step: Step, item_id: str, fact: Any = None, *, attempt: int = 1, reason: str = "") -> None:
    """A ledger row and, where the item did not fail, its fact."""
    key = fact_key(step, item_id)
    session.execute(
        "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, NULL, ?, 0, 'shard', TIMESTAMP '2026-01-01')",
        [key, step.stage, step.stage_key, item_id, "failed" if reason else "done", reason or None, attempt],
    )
    if fact is not None:
        ensure_fact_table(session, step)
        columns = pa.table({"fact_key": [key], "item_id": [item_id]})
        for name, column in zip(
            tables.schema(type(fact)).names, tables.to_arrow(type(fact), [fact]).columns, strict=True
        ):
            columns = columns.append_column(name, column)
        tables.insert(session, step.table, columns)


def verdicts(session: Session, steps: Sequence[Step], **options: Any) -> dict[tuple[str, str], tuple[str, str | None]]:
    judge(session, steps, **options)
    rows = session.execute("SELECT stage, item_id, verdict, reason FROM verdict ORDER BY ALL").fetchall()
    assert len({row[:2] for row in rows}) == len(rows)
    return {(stage, item): (verdict, reason) for stage, item, verdict, reason in rows}


def gated(*gates: Gate) -> Step:
    return replace(MEASURES, gates=gates)


def measures(**override: Any) -> Measures:
    return Measures(**({"real": 0.5, "whole": 3, "truth": True} | override))


NUMBERS = (
    st.sampled_from([0, 1, 2, -1, 0.5, 1.0, 1e-9, math.inf, -math.inf])
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
)
FACTS = st.builds(
    Measures,
    real=st.none() | st.just(math.nan) | NUMBERS.map(float),
    whole=st.none() | st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    truth=st.none() | st.booleans(),
)
GATES = st.builds(
    Gate,
    measure=st.sampled_from(["real", "whole", "truth"]),
    op=st.sampled_from(sorted(OPERATORS)),
    threshold=NUMBERS,
    after=st.just("probe"),
)


@settings(max_examples=60)
@given(facts=st.lists(FACTS, min_size=1, max_size=6), gate=GATES)
def test_a_gate_says_in_python_what_it_says_in_sql(shared: Session, facts: list[Measures], gate: Gate) -> None:
    names = [f"source_{place}" for place in range(len(facts))]
    shared.begin()
    try:
        arrive(shared, *names)
        for name, fact in zip(names, facts, strict=True):
            settle(shared, gated(gate), name, fact)
        found = verdicts(shared, [gated(gate)])
    finally:
        shared.rollback()
    reasons = [gate.reason_to_drop(fact) for fact in facts]
    assert [found["probe", name] for name in names] == [
        ("passed", None) if reason is None else ("dropped", reason) for reason in reasons
    ]


@pytest.mark.parametrize(
    ("op", "dropped"),
    [(">=", [0.4]), (">", [0.4, 0.5]), ("<=", [0.6]), ("<", [0.5, 0.6]), ("==", [0.4, 0.6]), ("!=", [0.5])],
)
def test_what_each_comparison_drops(session: Session, op: str, dropped: list[float]) -> None:
    step = gated(Gate("real", op, 0.5, after="probe"))
    arrive(session, "0.4", "0.5", "0.6")
    for value in (0.4, 0.5, 0.6):
        settle(session, step, str(value), measures(real=value))
    found = verdicts(session, [step])
    assert [float(item) for (_, item), (verdict, _) in found.items() if verdict == "dropped"] == dropped


@pytest.mark.parametrize("value", [None, math.nan])
def test_what_is_unknown_does_not_pass_and_has_a_reason_of_its_own(session: Session, value: float | None) -> None:
    step = gated(Gate("real", "<", 0.5, after="probe", name="narrow"))
    arrive(session, "one")
    settle(session, step, "one", measures(real=value))
    assert verdicts(session, [step]) == {("probe", "one"): ("dropped", "narrow unknown")}


def test_the_first_gate_that_says_no_gives_the_reason(session: Session) -> None:
    step = gated(
        Gate("real", ">=", 0, after="probe"),
        Gate("whole", ">", 5, after="probe"),
        Gate("truth", "==", 0, after="probe"),
    )
    arrive(session, "one")
    settle(session, step, "one", measures())
    assert verdicts(session, [step]) == {("probe", "one"): ("dropped", "whole")}


def test_a_truth_is_compared_as_a_number(session: Session) -> None:
    arrive(session, "yes", "no")
    for threshold, passing in ((0.5, {"yes"}), (2, set())):
        step = gated(Gate("truth", ">=", threshold, after="probe"))
        if threshold == 0.5:
            settle(session, step, "yes", measures(truth=True))
            settle(session, step, "no", measures(truth=False))
        found = verdicts(session, [step])
        assert {item for (_, item), (verdict, _) in found.items() if verdict == "passed"} == passing


def test_an_item_without_a_ledger_row_is_pending(session: Session) -> None:
    arrive(session, "one")
    assert verdicts(session, [MEASURES]) == {("probe", "one"): ("pending", None)}


def test_a_failed_item_is_failed_by_its_reason_and_never_dropped(session: Session) -> None:
    step = gated(Gate("real", ">", 9, after="probe"))
    arrive(session, "one")
    settle(session, step, "one", reason="truncated")
    assert verdicts(session, [step]) == {("probe", "one"): ("failed", "truncated")}


def test_the_latest_attempt_counts(session: Session) -> None:
    arrive(session, "one")
    settle(session, MEASURES, "one", reason="truncated")
    settle(session, MEASURES, "one", measures(), attempt=2)
    assert verdicts(session, [MEASURES]) == {("probe", "one"): ("passed", None)}


def test_only_what_passes_reaches_the_next_stage_of_its_noun(session: Session) -> None:
    first = gated(Gate("real", ">=", 0.5, after="probe"))
    second = Step(stage="size", stage_key="key of size", noun="source", fact=Size, gates=())
    arrive(session, "big", "small", "broken", "new")
    settle(session, first, "big", measures(real=0.9))
    settle(session, first, "small", measures(real=0.1))
    settle(session, first, "broken", reason="truncated")
    assert {item for stage, item in verdicts(session, [first, second]) if stage == "size"} == {"big"}


def test_only_clips_of_sources_that_pass_and_of_current_facts_are_judged(session: Session) -> None:
    cut = gated(Gate("real", ">=", 0.5, after="probe"))
    size = Step(stage="size", stage_key="key of size", noun="clip", fact=Size, gates=())
    arrive(session, "big", "small")
    settle(session, cut, "big", measures(real=0.9))
    settle(session, cut, "small", measures(real=0.1))
    clips = [
        factories.clip(clip_id="kept", source_id="big", fact_key=fact_key(cut, "big")),
        factories.clip(clip_id="of an older cut", source_id="big", fact_key="older"),
        factories.clip(clip_id="of a dropped source", source_id="small", fact_key=fact_key(cut, "small")),
    ]
    tables.insert(session, "clip", tables.to_arrow(Clip, clips))
    found = verdicts(session, [cut, size])
    assert {item: verdict for (stage, item), (verdict, _) in found.items() if stage == "size"} == {"kept": "pending"}


def test_another_stage_key_finds_no_facts_and_the_old_ones_stand_beside_the_new(session: Session) -> None:
    arrive(session, "one")
    old, new = MEASURES, replace(MEASURES, stage_key="another")
    settle(session, old, "one", measures(real=0.1))
    assert verdicts(session, [new]) == {("probe", "one"): ("pending", None)}
    settle(session, new, "one", measures(real=0.9))
    assert verdicts(session, [old]) == verdicts(session, [new]) == {("probe", "one"): ("passed", None)}
    assert session.execute("SELECT real FROM fact_probe ORDER BY real").fetchall() == [(0.1,), (0.9,)]


def test_one_data_set_is_judged_without_the_others_and_a_source_in_both_once(session: Session) -> None:
    arrive(session, "one", "both")
    arrive(session, "two", "both", dataset="other")
    assert {item for _, item in verdicts(session, [MEASURES], dataset="sample")} == {"one", "both"}
    assert {item for _, item in verdicts(session, [MEASURES])} == {"one", "two", "both"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    real: float
    whole: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    real: float
    gained: float
    """`whole` was given up."""


def test_a_fact_that_gains_and_loses_a_column_lives_beside_its_older_self(session: Session) -> None:
    older = Step(stage="probe", stage_key="1", noun="source", fact=Older, gates=(Gate("whole", ">", 0, after="probe"),))
    newer = Step(
        stage="probe", stage_key="2", noun="source", fact=Newer, gates=(Gate("gained", ">", 0, after="probe"),)
    )
    arrive(session, "one")
    settle(session, older, "one", Older(real=0.5, whole=3))
    assert verdicts(session, [newer]) == {("probe", "one"): ("pending", None)}
    settle(session, newer, "one", Newer(real=0.5, gained=0.7))
    assert verdicts(session, [newer]) == {("probe", "one"): ("passed", None)}
    assert verdicts(session, [older]) == {("probe", "one"): ("passed", None)}
    judge(session, [newer])
    assert tables.from_arrow(Newer, queries.facts(session, newer)) == [Newer(real=0.5, gained=0.7)]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"op": "=>"}, "'=>' is no comparison"),
        ({"threshold": math.nan}, "gate real: nan is no threshold"),
        ({"threshold": "0.5"}, "gate real: '0.5' is no threshold"),
        ({"measure": "surreal"}, "gate surreal: stage probe measures no surreal; it has real, truth, whole"),
        ({"measure": "name"}, "gate name: stage probe measures no name; it has real, truth, whole"),
    ],
)
def test_a_gate_that_cannot_be_asked_is_refused_before_anything_runs(values: dict[str, Any], complaint: str) -> None:
    given: dict[str, Any] = {"measure": "real", "op": ">=", "threshold": 0.5, "after": "probe"} | values
    with pytest.raises(BadRecipe) as raised:
        gated(Gate(**given))
    assert complaint in str(raised.value)


def test_a_funnel_has_a_row_a_stage_in_the_order_of_the_road_and_zeros_where_nothing_came(session: Session) -> None:
    later = Step(stage="a later one", stage_key="key", noun="source", fact=Size, gates=())
    step = gated(Gate("real", ">=", 0.5, after="probe"))
    arrive(session, "1", "2", "3", "4")
    settle(session, step, "1", measures(real=0.1))
    settle(session, step, "2", reason="truncated")
    settle(session, step, "3", measures(real=None))
    judge(session, [step, later])
    first, second = queries.funnel(session, [step, later])
    assert first == {
        "stage": "probe",
        "noun": "source",
        "num_in": 4,
        "passed": 0,
        "dropped": 2,
        "failed": 1,
        "pending": 1,
    }
    assert second == {
        "stage": "a later one",
        "noun": "source",
        "num_in": 0,
        "passed": 0,
        "dropped": 0,
        "failed": 0,
        "pending": 0,
    }
    assert [(row["verdict"], row["reason"], row["num_items"]) for row in queries.reasons(session)] == [
        ("dropped", "real", 1),
        ("dropped", "real unknown", 1),
        ("failed", "truncated", 1),
    ]
