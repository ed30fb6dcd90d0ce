"""A home, some would-be videos and the four fake stages: all that tests of the runtime need."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import recipe as recipes
from flows.ingest import ingest
from flows.progress import Progress
from flows.recipe import Recipe
from flows.runtime import measure_pending
from flows.settings import Settings
from flows.story import funnel
from tests.fake_stages import write_profile

CAPTIONS = ["good", "raises", "better", "fails", "unknown", "raises later", "best"]


@dataclass
class Road:
    """A home, a folder of would-be videos, and a profile beside the home that tests may write anew."""

    home: Path
    folder: Path
    num_workers: int = 0
    shard_size: int = 4

    @property
    def settings(self) -> Settings:
        numbers = {"LIKENESS_WORKERS": str(self.num_workers), "LIKENESS_SHARD_SIZE": str(self.shard_size)}
        return Settings.read({"LIKENESS_HOME": str(self.home), "LIKENESS_ORCHESTRATOR": "none", **numbers})

    def recipe(self, **override: object) -> Recipe:
        return recipes.load(write_profile(self.home.parent / "fake.toml", **override))

    def ingest(self, captions: Sequence[str] = CAPTIONS) -> None:
        for place, caption in enumerate(captions):
            (self.folder / f"{place}.mp4").write_bytes(f"{place} {caption}".encode())
        rows = [{"path": f"{place}.mp4", "caption": caption} for place, caption in enumerate(captions)]
        (self.folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
        ingest(self.settings, self.folder, None, progress=Progress("ingest"))

    def run(self, *flows: str, **override: object) -> int:
        recipe = self.recipe(**override)
        progress = Progress("test")
        return sum(
            measure_pending(self.settings, recipe, flow, dataset=None, progress=progress)
            for flow in flows or ("curate", "generate")
        )

    def stages(self, recipe: Recipe) -> dict[str, dict[str, Any]]:
        return {row["stage"]: row for row in funnel(self.settings, recipe, dataset=None)["stages"]}

    def contents(self) -> dict[str, Sequence[Any]]:
        """All that a run may change, without times and shards."""
        with self.settings.warehouse.session() as session:
            names = [name for (name,) in session.execute("SHOW TABLES").fetchall() if name != "verdict"]
            told = {name: "* EXCLUDE (seconds, committed_at, shard_id)" if name == "ledger" else "*" for name in names}
            return {name: session.execute(f"SELECT {told[name]} FROM {name} ORDER BY ALL").fetchall() for name in names}

    def copy(self, home: Path) -> "Road":
        """The same footage and the same state, in a home of its own."""
        shutil.copytree(self.home, home)
        return Road(home, self.folder)
