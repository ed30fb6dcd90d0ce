"""Footage of which some is broken, in ten ways: each item ends as it must, and costs nobody else.

Two hundred items in the default run; two thousand with `pytest -m bench tests/pipeline/test_faults.py`.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows import recipe as recipes
from flows.ingest import ingest
from flows.progress import Progress
from flows.runtime import measure_pending
from flows.settings import Settings
from flows.story import check, funnel
from tests import broken_footage
from tests.broken_footage import NUM_FRAMES, QUOTED, Fault
from warehouse.sql import Row

PROFILE = """
[[stage]]
use = "flows.stages.shots:Shots"
flow = "curate"
detector = { use = "flows.engines.embedded.content_shots:ContentShots" }
[[stage]]
use = "flows.stages.quality:Quality"
flow = "curate"
[[stage]]
use = "flows.stages.captions:Captions"
flow = "curate"
parser = { use = "flows.engines.embedded.caption_rules:CaptionRules" }
"""


@dataclass(frozen=True)
class Run:
    """What became of the footage."""

    num: int
    faulty: dict[str, Fault]
    entries: dict[str, Row]
    """By the listed name."""
    sources: dict[str, Row]
    """By the file's name: caption, and the ledger's outcome and reason at stage shots."""
    funnel: dict[str, dict[str, Any]]
    outside: list[int]
    """When each file outside the root was last read, in ns."""


@pytest.fixture(
    scope="module", params=[200, pytest.param(2000, marks=pytest.mark.bench)], ids=["200 items", "2,000 items"]
)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    base: Path = tmp_path_factory.mktemp("faults")
    footage = base / "footage"
    footage.mkdir()
    faulty = broken_footage.write(footage, num=request.param)
    outside = sorted((base / "outside").iterdir())
    for path in outside:
        os.utime(path, ns=(0, 1))  # read once, it would be newer: relatime notes the first reading after a change
    profile = base / "faults.toml"
    profile.write_text(PROFILE)
    settings = Settings.read(
        {
            "LIKENESS_HOME": str(base / "home"),
            "LIKENESS_WORKERS": "2",
            "LIKENESS_SHARD_SIZE": "50",
            "LIKENESS_ORCHESTRATOR": "none",
        }
    )
    recipe = recipes.load(str(profile))
    ingest(settings, footage, None, progress=Progress("ingest"))
    measure_pending(settings, recipe, "curate", dataset=None, progress=Progress("curate"))
    assert check(settings, recipe) == "all invariants hold"
    with settings.warehouse.session() as session:
        entries = session.execute("SELECT entry, source_id, problem FROM listing").fetchall()
        sources = session.execute(
            "SELECT path, caption, outcome, reason FROM source JOIN ledger ON item_id = source_id AND stage = 'shots'"
        ).fetchall()
    counts = funnel(settings, recipe, dataset=None)["stages"]
    return Run(
        num=request.param,
        faulty=faulty,
        entries={row[0]: dict(zip(("entry", "source_id", "problem"), row, strict=True)) for row in entries},
        sources={
            Path(row[0]).name: dict(zip(("path", "caption", "outcome", "reason"), row, strict=True)) for row in sources
        },
        funnel={row["stage"]: row for row in counts},
        outside=[path.stat().st_atime_ns for path in outside],
    )


def test_every_fault_ends_with_its_own_outcome_and_reason(run: Run) -> None:
    for name, fault in run.faulty.items():
        if fault.becomes == "listed":
            entry = next(entry for listed, entry in run.entries.items() if listed.endswith(name.removeprefix("../")))
            assert (entry["source_id"], entry["problem"]) == (None, fault.reason), name
        else:
            source = run.sources[name]
            assert (source["outcome"], source["reason"]) == (fault.becomes, fault.reason), name


def test_an_empty_file_is_told_on_arrival_too(run: Run) -> None:
    empty = {name for name, fault in run.faulty.items() if fault.name == "zero_bytes"}
    assert {name for name, entry in run.entries.items() if entry["problem"] == "empty file"} == empty


def test_every_good_item_is_measured_to_the_end(run: Run) -> None:
    num_good = run.num - len(run.faulty)
    num_done = sum(fault.becomes == "done" for fault in run.faulty.values())
    assert sum(source["outcome"] == "done" for source in run.sources.values()) == num_good + num_done
    for stage in ("quality", "captions"):
        row = run.funnel[stage]
        assert (row["in"], row["passed"]) == (num_good + num_done, num_good + num_done)


def test_faults_are_three_percent_of_ten_kinds(run: Run) -> None:
    assert len({fault.name for fault in run.faulty.values()}) == 10
    assert 0.03 <= len(run.faulty) / run.num <= 0.05


def test_a_caption_with_quotes_and_newlines_arrives_as_it_was_written(run: Run) -> None:
    captions = [source["caption"] for name, source in run.sources.items() if "quoted" in name]
    assert captions
    assert set(captions) == {QUOTED.strip()}


def test_nothing_outside_the_root_is_read_or_becomes_a_source(run: Run) -> None:
    assert run.outside
    assert set(run.outside) == {0}
    assert not any("outside" in source["path"] for source in run.sources.values())


def test_a_control_file_that_is_read_does_show_it(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    path = tmp_path / "control.mp4"
    path.write_bytes(broken_footage.video(1))
    os.utime(path, ns=(0, 1))
    path.read_bytes()
    assert path.stat().st_atime_ns > 0


def test_odd_sizes_and_variable_rates_are_told_as_they_are(run: Run) -> None:
    assert NUM_FRAMES == 12
    assert {fault.name for name, fault in run.faulty.items() if run.sources.get(name, {}).get("outcome") == "done"} == {
        "odd_size",
        "variable_rate",
        "two_streams",
        "quoted_caption",
    }
