"""What the runner itself costs: ten stages that do nothing, over a million clips. Run by `pytest -m bench -s`.

`LIKENESS_BENCH_CLIPS` names another number of clips. Every source holds one clip: the dearest case, for a source costs
its own row, item and place in a shard.
"""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from flows import recipe as recipes
from flows.progress import Progress
from flows.runtime import measure_pending
from flows.settings import Settings
from flows.stages.stage import ClipItem, Done, SourceItem
from tests import factories
from warehouse import ids
from warehouse.database import Warehouse

pytestmark = pytest.mark.bench

NUM_CLIPS = int(os.environ.get("LIKENESS_BENCH_CLIPS", "1000000"))
SHARD_SIZE = 5000
CLIP = factories.clip(start_frame=0, end_frame=24, start=Fraction(0), end=Fraction(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingFact:
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OneClip:
    """Takes sources, makes a clip of each, and looks at nothing."""

    name: ClassVar[str] = "one_clip"
    version: ClassVar[int] = 1
    takes: ClassVar[type[SourceItem]] = SourceItem
    fact: ClassVar[type[NothingFact]] = NothingFact
    needs: ClassVar[Sequence[str]] = ()

    def __call__(self, batch: Sequence[SourceItem], /) -> Sequence[Done[NothingFact]]:
        return [
            Done(
                fact=NothingFact(value=1.0),
                made=[
                    replace(
                        CLIP,
                        clip_id=ids.make("clip", item.source.source_id),
                        source_id=item.source.source_id,
                        fact_key=item.fact_key,
                    )
                ],
            )
            for item in batch
        ]


class Nothing:
    """Takes clips, gives a constant; one of nine alike."""

    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[NothingFact]] = NothingFact
    needs: ClassVar[Sequence[str]] = ()

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[NothingFact]]:
        return [Done(fact=NothingFact(value=1.0)) for _ in batch]


def _nothing(number: int) -> type:
    made = type(f"Nothing{number}", (Nothing,), {"name": f"nothing_{number}"})
    return dataclass(frozen=True, kw_only=True)(made)


for _number in range(1, 10):
    globals()[f"Nothing{_number}"] = _nothing(_number)

PROFILE = '[[stage]]\nuse = "tests.bench.bench_runner:OneClip"\nflow = "curate"\n' + "".join(
    f'[[stage]]\nuse = "tests.bench.bench_runner:Nothing{number}"\nflow = "curate"\n'
    f'[[stage.gate]]\nmeasure = "value"\nop = ">="\nthreshold = 0.5\nname = "gate_{number}"\n'
    for number in range(1, 10)
)


@dataclass(slots=True)
class Watch:
    """The most memory that this process, and any worker, held at a time; sampled ten times a second."""

    parent_mb: float = 0
    worker_mb: float = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        here = psutil.Process()
        while not self._ended.wait(0.1):
            self.parent_mb = max(self.parent_mb, here.memory_info().rss / 1e6)
            for child in here.children():
                try:
                    self.worker_mb = max(self.worker_mb, child.memory_info().rss / 1e6)
                except psutil.NoSuchProcess:
                    continue

    def end(self) -> None:
        self._ended.set()


def fill(warehouse: Warehouse, num: int) -> None:
    """Sources that lie nowhere: nothing here opens a file."""
    with warehouse.transaction() as session:
        session.execute(
            "INSERT INTO source BY NAME SELECT 'source_' || substr(sha256(i::varchar), 1, 24) AS source_id,"
            " 'bench' AS dataset, '/nowhere/' || i AS path, sha256(i::varchar) AS sha256, 1 AS num_bytes,"
            " 'somebody walks' AS caption FROM range(?) t(i)",
            [num],
        )
        session.execute("INSERT INTO listing BY NAME SELECT dataset, path AS entry, source_id FROM source")


def test_ten_stages_that_do_nothing(tmp_path: Path) -> None:
    profile = tmp_path / "nothing.toml"
    profile.write_text(PROFILE)
    workers = len(os.sched_getaffinity(0))
    settings = Settings.read(
        {
            "LIKENESS_HOME": str(tmp_path / "home"),
            "LIKENESS_WORKERS": str(workers),
            "LIKENESS_SHARD_SIZE": str(SHARD_SIZE),
            "LIKENESS_ORCHESTRATOR": os.environ.get("LIKENESS_BENCH_ORCHESTRATOR", "none"),
        }
    )
    fill(settings.warehouse, NUM_CLIPS)
    recipe = recipes.load(str(profile))
    watch = Watch()
    thread = threading.Thread(target=watch.run)
    thread.start()
    started = time.monotonic()
    num_new = measure_pending(settings, recipe, "curate", dataset=None, progress=Progress("bench"))
    seconds = time.monotonic() - started
    started = time.monotonic()
    again = measure_pending(settings, recipe, "curate", dataset=None, progress=Progress("bench"))
    rerun = time.monotonic() - started
    watch.end()
    thread.join()
    per_million = 1e6 / NUM_CLIPS
    print(
        f"\n{NUM_CLIPS} clips x 10 stages, {workers} workers, shards of {SHARD_SIZE}: {seconds:.1f} s"
        f" ({seconds * per_million:.0f} s a million clips), nothing new again: {rerun:.1f} s;"
        f" memory {watch.parent_mb:.0f} MB here, {watch.worker_mb:.0f} MB a worker;"
        f" warehouse {settings.home.joinpath('warehouse.duckdb').stat().st_size / 1e6:.0f} MB"
    )
    assert num_new == 10 * NUM_CLIPS
    assert again == 0
