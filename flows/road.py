"""`likeness run`: the whole road, from a folder of videos to a trained policy and a report. Every step is a resume."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from flows import train
from flows.board import board_of
from flows.collect import collect
from flows.curate import curate
from flows.freeze import freeze
from flows.generate import generate
from flows.ingest import ingest
from flows.judge import judge
from flows.progress import Progress
from flows.publish import publish
from flows.recipe import Recipe
from flows.report.write import write_report
from flows.settings import Settings
from flows.sources.formats import AUTO
from warehouse.errors import NothingToDo


def road(settings: Settings, recipe: Recipe, source: Path, captions: Path | None, *, form: str = AUTO) -> Path:
    """Walk it, one line a step, and give the report's path.

    Where nothing is left to train on the report is written before `NothingToDo` is raised: it shows why.
    """
    dataset = str(source.resolve())
    step = Progress("ingest")
    step.finish(_listed(ingest(settings, source, captions, progress=step, form=form)))
    num_new = _to_labels(settings, recipe, dataset)
    try:
        _to_policy(settings, recipe)
    except NothingToDo:
        _report(settings, recipe, dataset)
        raise
    path = _report(settings, recipe, dataset)
    if not num_new:
        Progress("done").finish("nothing was new: every fact, pair and vote was there")
    return path


def _to_labels(settings: Settings, recipe: Recipe, dataset: str) -> int:
    """From sources to labels; how many facts, pairs and votes were new."""
    step = Progress("curate")
    num_facts = curate(settings, recipe, dataset=dataset, progress=step)
    step.finish(_new(num_facts, "fact"))

    step = Progress("generate")
    made = generate(settings, recipe, dataset=dataset, progress=step)
    apart = f", {made.drawn.num_far_apart} discarded for their text-video gap" if made.drawn.num_far_apart else ""
    step.finish(f"{_new(made.num_facts, 'fact')}, {_new(made.num_pairs, 'pair')}{apart}")

    step = Progress("judge")
    judged = judge(settings, recipe, progress=step)
    abstained = f", {judged.num_abstentions} abstentions" if judged.num_abstentions else ""
    not_asked = f", {sum(judged.failed.values())} not asked" if judged.failed else ""
    step.finish(_new(judged.num_votes, "model vote") + abstained + not_asked)

    with closing(board_of(settings, recipe)) as board:
        step = Progress("publish")
        step.finish(publish(settings, recipe, board, progress=step).told())

        step = Progress("collect")
        collected = collect(settings, recipe, board)
    step.finish(f"{_new(collected.num_votes, 'vote')}, {collected.num_labels} labels")
    return num_facts + made.num_facts + made.num_pairs + judged.num_votes + collected.num_votes


def _to_policy(settings: Settings, recipe: Recipe) -> None:
    step = Progress("freeze")
    snapshot = freeze(settings, recipe)
    step.finish(f"snapshot {snapshot.id[:12]}")

    step = Progress("train reward")
    reward = train.reward(settings, recipe, snapshot, progress=step)
    step.finish(f"held-out accuracy {_accuracies(reward.metrics)}; {reward.checkpoint_id}")

    step = Progress("train policy")
    folder = train.folder_of(settings, reward.checkpoint_id)
    policy = train.policy(settings, recipe, snapshot, folder, progress=step)
    step.finish(f"held-out reward {_rewards(policy.metrics)}; {policy.checkpoint_id}")


def _report(settings: Settings, recipe: Recipe, dataset: str) -> Path:
    step = Progress("report")
    path = write_report(settings, recipe, dataset=dataset)
    step.finish(str(path))
    return path


def _new(num: int, what: str) -> str:
    return f"{num} new {what}s" if num else f"no new {what}s"


def _listed(arrivals: Mapping[str, int]) -> str:
    return ", ".join(f"{num} {what}" for what, num in arrivals.items())


def _accuracies(metrics: Mapping[str, Any]) -> str:
    """Of the model and of what it is measured against, ties left out."""
    told = {name: metrics["without_ties"][name] for name in ("reward_model", "face_similarity", "chance")}
    if any(each is None for each in told.values()):
        return "unknown: nobody is held out"
    return ", ".join(f"{name.replace('_', ' ')} {each['accuracy']:.3f}" for name, each in told.items())


def _rewards(metrics: Mapping[str, Any]) -> str:
    """Before and after, on the same clips and noise."""
    before, after = (metrics[moment]["eval_reward"] for moment in ("before", "after"))
    return "unknown" if before is None or after is None else f"{before:.4f} -> {after:.4f}"
