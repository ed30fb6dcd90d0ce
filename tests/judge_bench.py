"""A home whose candidates are made, and a service that judges them: for tests of automatic pairs and their labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import recipe as recipes
from flows.board import board_of
from flows.collect import collect
from flows.generate import Made, generate
from flows.judge import Judged, judge
from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from tests.loopback import Loopback
from tests.pair_stages import write_profile
from warehouse import queries
from warehouse.records import Label, Outcome, Pair, Vote

CAPTIONS = ("one", "two", "three", "no text")


@dataclass
class Bench:
    """A home whose candidates are made, and a service that judges."""

    home: Path
    server: Loopback

    @property
    def settings(self) -> Settings:
        return Settings.read(
            {"LIKENESS_HOME": str(self.home), "LIKENESS_WORKERS": "0", "LIKENESS_ORCHESTRATOR": "none"}
        )

    def recipe(self, *models: str, num_inferences: int = 3, more: str = "", **override: str) -> Recipe:
        judges = "\n".join(self.table(model, num_inferences=num_inferences) for model in models) + more
        return recipes.load(write_profile(self.home.parent / "pairs.toml", judges=judges, **override))

    def table(self, model: str, *, num_inferences: int = 3, name: str = "", base_url: str = "") -> str:
        return (
            '[[judge]]\nuse = "flows.engines.vlm_judge:VlmJudge"\n'
            f'name = "{name or model}"\nnum_inferences = {num_inferences}\nnum_frames = 2\n'
            f'chat = {{ use = "flows.engines.chat_http:ChatHttp", base_url = "{base_url or self.server.base_url}",'
            f' model = "{model}", temperature = 0.7, backoff_s = 0.01, num_retries = 1 }}\n'
        )

    def generate(self, recipe: Recipe) -> Made:
        return generate(self.settings, recipe, dataset=None, progress=Progress("test"))

    def judge(self, recipe: Recipe) -> Judged:
        return judge(self.settings, recipe, progress=Progress("test"))

    def collect(self, recipe: Recipe) -> int:
        return collect(self.settings, recipe, board_of(self.settings, recipe)).num_labels

    def records(self, noun: str) -> list[Any]:
        with self.settings.warehouse.session() as session:
            return queries.records(session, noun)

    def better(self) -> Callable[[Pair, Outcome | None], str]:
        """Who an outcome names, by generator: `tie`, or `nobody`."""
        generators = {one.candidate_id: one.generator for one in self.records("candidate")}

        def told(pair: Pair, outcome: Outcome | None) -> str:
            winner = {Outcome.A: pair.candidate_a, Outcome.B: pair.candidate_b}
            return "nobody" if outcome is None else generators[winner[outcome]] if outcome in winner else "tie"

        return told

    def votes(self) -> list[Vote]:
        return self.records("vote")

    def labels(self, policy: str) -> list[Label]:
        return [label for label in self.records("label") if label.policy == policy]
