"""The command `likeness`: the steps of the road, each a command."""

import functools
import json
from contextlib import closing
from pathlib import Path

import click

from flows import cli_board, cli_engineer  # noqa: F401, add their commands
from flows.command import DATASET, FOLDER, likeness, verb
from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from flows.sources.formats import AUTO, FORMATS
from warehouse.errors import BadInput

SOURCE = click.option("--source", type=FOLDER, required=True, help="A folder of videos.")
CAPTIONS = click.option(
    "--captions", type=FOLDER, default=None, help="CSV or JSONL: the captions of the videos; or one part of a data set."
)
FORM = click.option(
    "--format", "form", type=click.Choice(FORMATS), default=AUTO, show_default=True, help="How the folder is laid out."
)
SNAPSHOT = click.option("--snapshot", "prefix", default="", help="The beginning of its id; default: the newest.")


@likeness.command("run")
@SOURCE
@CAPTIONS
@FORM
@verb
def run_(settings: Settings, recipe: Recipe, source: Path, captions: Path | None, form: str) -> None:
    """Walk the whole road, from a folder of videos to a trained policy and a report."""
    from flows.road import road

    click.echo(road(settings, recipe, source, captions, form=form))


@likeness.command()
@click.argument("folder", type=FOLDER)
@verb
def sample(settings: Settings, recipe: Recipe, folder: Path) -> None:
    """Draw the sample: footage of drawn people, with captions and deliberate troubles."""
    from flows.sources.drawn import draw_sample

    step = Progress("sample")
    draw_sample(folder)
    step.finish(str(folder))


@likeness.command("ingest")
@SOURCE
@CAPTIONS
@FORM
@verb
def ingest_(settings: Settings, recipe: Recipe, source: Path, captions: Path | None, form: str) -> None:
    """List a folder of videos and their captions, and report what does not fit."""
    from flows.ingest import ingest

    found = ingest(settings, source, captions, progress=Progress("ingest"), form=form)
    for arrival, num in found.items():
        click.echo(f"{num:>8}  {arrival}")


@likeness.command("curate")
@DATASET
@verb
def curate_(settings: Settings, recipe: Recipe, dataset: str | None) -> None:
    """Measure what is pending from shots to references."""
    from flows.curate import curate

    num_new = curate(settings, recipe, dataset=dataset, progress=Progress("curate"))
    click.echo(f"{num_new} new facts")


@likeness.command("generate")
@DATASET
@verb
def generate_(settings: Settings, recipe: Recipe, dataset: str | None) -> None:
    """Generate candidates of every curated clip, measure them, and draw pairs."""
    from flows.generate import generate

    made = generate(settings, recipe, dataset=dataset, progress=Progress("generate"))
    told = [f"{made.num_facts} new facts", f"{made.num_pairs} new pairs"]
    told.append(f"{made.drawn.num_straddling} clips straddle the split")
    if "text_video_gap_max" in recipe.options["pairs"]:
        told.append(f"{made.drawn.num_far_apart} pairs discarded for their gap in text-video scores")
        told.append(f"{made.drawn.num_gap_unknown} drawn although a score is unknown")
    click.echo(", ".join(told))


@likeness.command("judge")
@verb
def judge_(settings: Settings, recipe: Recipe) -> None:
    """Let models vote on the pairs."""
    from flows.judge import judge

    judged = judge(settings, recipe, progress=Progress("judge"))
    for reason, num in sorted(judged.failed.items()):
        click.echo(f"{num} not asked, {reason}; the next run asks again", err=True)
    click.echo(f"{judged.num_votes} new votes, {judged.num_abstentions} abstentions")


@likeness.command("publish")
@click.option("--most", type=click.IntRange(min=1), default=None, help="Put up so many pairs at most; default: all.")
@click.option(
    "--select",
    type=click.Choice(["seeded", "uncertain"]),
    default="seeded",
    show_default=True,
    help="Which first: as the seed falls, or those of which the newest reward model is least sure.",
)
@click.option("--only", multiple=True, metavar="PAIR_ID", help="Only this pair; may be given again.")
@click.option(
    "--gold", type=FOLDER, default=None, help="CSV or JSONL with pair_id and outcome (A: candidate_a is better)."
)
@click.option("--withdraw", multiple=True, metavar="PAIR_ID", help="Show this pair to nobody any more; nothing else.")
@click.option("--withdraw-out-of-play", is_flag=True, help="Withdraw all pairs whose candidates no longer pass.")
@verb
def publish_(
    settings: Settings,
    recipe: Recipe,
    most: int | None,
    select: str,
    only: tuple[str, ...],
    gold: Path | None,
    withdraw: tuple[str, ...],
    withdraw_out_of_play: bool,
) -> None:
    """Put up the pairs that are not on the board yet, or take pairs down."""
    from flows import publish
    from flows.board import board_of

    is_withdrawing = withdraw or withdraw_out_of_play
    if is_withdrawing and (most or only or gold or select != "seeded"):
        raise BadInput("--withdraw goes alone; publish in a second call")
    with closing(board_of(settings, recipe)) as board:
        if is_withdrawing:
            gone = publish.withdraw(settings, recipe, board, pair_ids=withdraw, out_of_play=withdraw_out_of_play)
            click.echo(f"{gone} showings withdrawn")
            return
        step = Progress("publish")
        done = publish.publish(settings, recipe, board, most=most, select=select, only=only, gold=gold, progress=step)
        click.echo(done.told())


@likeness.command("collect")
@click.option("--full", is_flag=True, help="Read the whole board again, whatever was read before.")
@click.option("--reconcile", is_flag=True, help="Look for deleted tasks too; once a day it is done by itself.")
@click.option("--watch", "is_watch", is_flag=True, help="Go on until SIGINT or SIGTERM, whenever something happens.")
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="With --watch: seconds at most."
)
@verb
def collect_(settings: Settings, recipe: Recipe, full: bool, reconcile: bool, is_watch: bool, every: float) -> None:
    """Take votes in from the board, and settle labels."""
    from flows.board import board_of
    from flows.collect import collect

    if not is_watch or full or reconcile:
        with closing(board_of(settings, recipe)) as board:
            collected = collect(settings, recipe, board, full=full, reconcile=reconcile)
        for line in collected.unreadable:
            click.echo(line, err=True)
        click.echo(collected.told())
    if is_watch:
        from flows.watch import Watch, ended_by_signals

        watch = Watch(settings, recipe, click.echo, functools.partial(click.echo, err=True), every_s=every)
        with ended_by_signals(watch.ending):
            watch.run()


@likeness.command("serve")
@click.option(
    "--every", type=click.IntRange(min=5), default=60, show_default=True, help="Collect each so many seconds."
)
@verb
def serve_(settings: Settings, recipe: Recipe, every: int) -> None:
    """Let a Prefect server (PREFECT_API_URL) collect by schedule, and reconcile each night."""
    from flows.deployments import serve

    serve(settings, recipe, every_s=every)


@likeness.command("freeze")
@verb
def freeze_(settings: Settings, recipe: Recipe) -> None:
    """Freeze the settled pairs into a snapshot."""
    from flows.freeze import freeze

    click.echo(freeze(settings, recipe).id)


@likeness.group()
def train() -> None:
    """Train from a snapshot."""


@train.command("reward")
@SNAPSHOT
@verb
def train_reward_(settings: Settings, recipe: Recipe, prefix: str) -> None:
    """Train the reward model."""
    from flows import train

    card = train.reward(settings, recipe, train.chosen(settings, prefix), progress=Progress("train reward"))
    click.echo(json.dumps({"checkpoint_id": card.checkpoint_id, **card.metrics}, indent=1))


@train.command("policy")
@SNAPSHOT
@verb
def train_policy_(settings: Settings, recipe: Recipe, prefix: str) -> None:
    """Train the policy against the newest reward model of the snapshot."""
    from flows import train

    snapshot = train.chosen(settings, prefix)
    folder = train.newest(settings, "reward_model", snapshot)
    card = train.policy(settings, recipe, snapshot, folder, progress=Progress("train policy"))
    click.echo(json.dumps({"checkpoint_id": card.checkpoint_id, **card.metrics}, indent=1))


@likeness.group("export")
def export_() -> None:
    """Hand data on to other code."""


@export_.command("triplets")
@click.option("--out", "folder", type=FOLDER, required=True, help="A new folder, or one of an earlier export.")
@DATASET
@verb
def export_triplets_(settings: Settings, recipe: Recipe, folder: Path, dataset: str | None) -> None:
    """Write references, prompt and original video of every curated clip into a folder."""
    from flows.export import export_triplets

    exported = export_triplets(settings, recipe, folder, dataset=dataset, progress=Progress("export"))
    for reason, num in sorted(exported.left_out.items()):
        click.echo(f"{num} clips left out: {reason}", err=True)
    click.echo(f"{exported.num_triplets} triplets in {folder}")


@likeness.command("report")
@DATASET
@verb
def report_(settings: Settings, recipe: Recipe, dataset: str | None) -> None:
    """Write the HTML report of where things stand."""
    from flows.report.write import write_report

    click.echo(write_report(settings, recipe, dataset=dataset))


def main() -> None:
    """Entry point of the command."""
    likeness()
