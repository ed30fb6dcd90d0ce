import errno
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import recipe as recipes
from flows.recipe import Recipe
from flows.shards import Shard
from flows.stages.stage import Done, Failed
from flows.walk import fact_key, measured, walk
from tests import factories
from tests.fake_stages import MEASURED, write_profile
from warehouse.errors import DiskFull
from warehouse.media import MediaStore
from warehouse.records import Source
from warehouse.staging import ShardRows

CURATE = frozenset({"cut", "size"})
ALL = CURATE | {"copy", "look"}


@dataclass(frozen=True)
class Doubled:
    """A stage of numbers that raises if one of them is `bad`, and counts its calls."""

    bad: frozenset[int]
    calls: list[int]
    error: Exception
    name = "doubled"

    def __call__(self, batch: Sequence[int]) -> Sequence[Done[int]]:
        self.calls.append(len(batch))
        if self.bad & set(batch):
            raise self.error
        return [Done(fact=2 * item) for item in batch]


@given(st.lists(st.integers(0, 30), max_size=20), st.frozensets(st.integers(0, 30)))
def test_every_item_that_does_not_raise_is_measured_whatever_its_neighbours_do(
    batch: list[int], bad: frozenset[int]
) -> None:
    stage: Any = Doubled(bad, [], KeyError("colour"))
    outcomes = measured(stage, batch)
    assert [outcome.fact if isinstance(outcome, Done) else None for outcome in outcomes] == [
        None if item in bad else 2 * item for item in batch
    ]


def test_the_culprit_of_a_batch_fails_alone_by_its_error_and_is_found_by_halving() -> None:
    stage: Any = Doubled(frozenset({5}), [], ValueError("too wide"))
    outcomes = measured(stage, range(8))
    assert [outcome for outcome in outcomes if isinstance(outcome, Failed)] == [
        Failed(reason="ValueError", exception="too wide")
    ]
    assert stage.calls == [8, 4, 4, 2, 1, 1, 2]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), DiskFull("no space left")])
def test_a_full_disk_fails_no_item_but_stops_the_walk(error: Exception) -> None:
    stage: Any = Doubled(frozenset({5}), [], error)
    with pytest.raises(DiskFull, match="no space left"):
        measured(stage, range(8))


def test_a_stage_that_answers_for_fewer_items_than_it_got_is_a_fault_of_ours() -> None:
    class Forgetful:
        name = "forgetful"

        def __call__(self, batch: Sequence[int]) -> Sequence[Done[int]]:
            return [Done(fact=1)]

    stage: Any = Forgetful()
    with pytest.raises(AssertionError, match="stage forgetful gave 1 outcomes for 2 items"):
        measured(stage, [1, 2])


@given(st.text(max_size=40))
def test_a_fact_key_is_the_one_that_the_warehouse_computes(item_id: str) -> None:
    step = recipes.load("embedded").steps[0]
    in_sql = duckdb.execute("SELECT sha256(? || ?)", [step.stage_key, item_id.replace("\0", "")]).fetchone()
    assert in_sql == (fact_key(step, item_id.replace("\0", "")),)


def test_a_fact_key_worked_by_hand() -> None:
    step = recipes.load("embedded").steps[0]
    assert fact_key(step, "clip_1") == hashlib.sha256((step.stage_key + "clip_1").encode()).hexdigest()


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    MEASURED.clear()
    return recipes.load(write_profile(tmp_path / "fake.toml"))


def a_shard(*captions: str, known: Mapping[tuple[str, str], Any] | None = None, **records: Any) -> Shard:
    return Shard(
        shard_id="shard_1",
        sources=[source(caption, place) for place, caption in enumerate(captions)],
        records=records,
        known=known or {},
    )


def source(caption: str, place: int) -> Source:
    return factories.source(source_id=f"source_{place}", caption=caption, path=f"/nowhere/{place}.mp4")


def outcomes_of(rows: ShardRows, stage: str) -> list[tuple[str, str | None]]:
    return [(row.outcome, row.reason) for row in rows.ledger if row.stage == stage]


def test_one_source_that_raises_costs_itself_and_not_its_batch(recipe: Recipe, tmp_path: Path) -> None:
    rows = walk(recipe, CURATE, a_shard("good", "raises", "good"), MediaStore(tmp_path))
    assert outcomes_of(rows, "cut") == [("done", None), ("failed", "RuntimeError"), ("done", None)]
    assert len(rows.records["clip"]) == 4


def test_one_clip_that_raises_costs_itself_and_not_its_siblings(recipe: Recipe, tmp_path: Path) -> None:
    rows = walk(recipe, CURATE, a_shard("raises later", "good"), MediaStore(tmp_path))
    assert sorted(outcomes_of(rows, "size")) == [("done", None)] * 3 + [("failed", "ValueError")]


def test_a_stage_may_say_failed_with_its_own_reason_and_nothing_follows(recipe: Recipe, tmp_path: Path) -> None:
    rows = walk(recipe, CURATE, a_shard("fails"), MediaStore(tmp_path))
    assert outcomes_of(rows, "cut") == [("failed", "truncated")]
    assert [row.exception for row in rows.ledger] == ["after 0.2 s"]
    assert not rows.facts.get("cut")
    assert not outcomes_of(rows, "size")


def test_a_batch_is_the_items_of_as_many_sources_as_the_profile_says(tmp_path: Path) -> None:
    path = tmp_path / "fake.toml"
    name = write_profile(path)
    sizes: dict[str, list[int]] = {}

    def noted(stage: Any, batch: Sequence[Any]) -> Sequence[Any]:
        sizes.setdefault(stage.name, []).append(len(batch))
        return measured(stage, batch)

    path.write_text(path.read_text() + "[work]\nsources_at_once = 3\n")
    walk(recipes.load(name), CURATE, a_shard(*["good"] * 7), MediaStore(tmp_path), measure=noted)
    assert sizes == {"cut": [3, 3, 1], "size": [6, 6, 2]}


def test_what_a_gate_drops_is_measured_no_further(recipe: Recipe, tmp_path: Path) -> None:
    strict = recipe.with_thresholds({"size": 2.0})
    rows = walk(strict, ALL, a_shard("good"), MediaStore(tmp_path))
    assert len(rows.facts["size"]) == 2
    assert not outcomes_of(rows, "copy")


def test_what_is_unknown_is_measured_no_further(recipe: Recipe, tmp_path: Path) -> None:
    lenient = recipe.with_thresholds({"size": 0.0})
    rows = walk(lenient, ALL, a_shard("unknown", "good"), MediaStore(tmp_path))
    assert [row.fact.size is None for row in rows.facts["size"]] == [True, True, False, False]
    assert len(outcomes_of(rows, "copy")) == 2


def test_records_carry_the_key_of_the_fact_they_came_with(recipe: Recipe, tmp_path: Path) -> None:
    rows = walk(recipe.with_thresholds({"size": 0.0}), ALL, a_shard("good"), MediaStore(tmp_path))
    for noun, stage in (("clip", "cut"), ("candidate", "copy")):
        assert {record.fact_key for record in rows.records[noun]} == {row.fact_key for row in rows.facts[stage]}


def test_what_is_known_is_not_measured_again_and_leads_on(recipe: Recipe, tmp_path: Path) -> None:
    recipe = recipe.with_thresholds({"size": 0.0})
    first = walk(recipe, CURATE, a_shard("good"), MediaStore(tmp_path))
    MEASURED.clear()
    known = {(stage, row.item_id): row.fact for stage, rows in first.facts.items() for row in rows}
    rows = walk(recipe, ALL, a_shard("good", known=known, clip=first.records["clip"]), MediaStore(tmp_path))
    assert {stage for stage, _ in MEASURED} == {"copy", "look"}
    assert len(rows.facts["look"]) == 2


def test_what_failed_before_is_not_tried_again(recipe: Recipe, tmp_path: Path) -> None:
    known = {("cut", "source_0"): Failed(reason="truncated")}
    rows = walk(recipe, ALL, a_shard("good", "good", known=known), MediaStore(tmp_path))
    assert {row.item_id for row in rows.ledger if row.stage == "cut"} == {"source_1"}


def test_a_walk_gives_the_same_rows_however_often_it_is_done(recipe: Recipe, tmp_path: Path) -> None:
    captions = ("good", "raises", "unknown", "fails", "raises later")
    one, two = (walk(recipe, ALL, a_shard(*captions), MediaStore(tmp_path)) for _ in range(2))
    assert (one.facts, one.records) == (two.facts, two.records)
    assert [(row.fact_key, row.outcome, row.reason) for row in one.ledger] == [
        (row.fact_key, row.outcome, row.reason) for row in two.ledger
    ]
