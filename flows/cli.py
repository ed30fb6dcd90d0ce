"""The command `likeness`. Results go to standard output, what happens meanwhile to standard error.

Exit codes are those of the error trees; an unforeseen error is 1, with its traceback only under `--debug`.
"""

import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from flows import orchestration
from flows import recipe as recipes
from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from flows.sources.formats import AUTO, FORMATS
from warehouse.errors import BadRecipe, EngineUnavailable, LikenessError
from warehouse.files import full_disk_told

FOLDER = click.Path(path_type=Path)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
DATASET = click.option(
    "--dataset", type=click.Path(resolve_path=True), help="Only this data set: the folder it was ingested from."
)
SOURCE = click.option("--source", type=FOLDER, required=True, help="A folder of videos.")
CAPTIONS = click.option(
    "--captions", type=FOLDER, default=None, help="CSV or JSONL: the captions of the videos; or one part of a data set."
)
FORM = click.option(
    "--format", "form", type=click.Choice(FORMATS), default=AUTO, show_default=True, help="How the folder is laid out."
)
SNAPSHOT = click.option("--snapshot", "prefix", default="", help="The beginning of its id; default: the newest.")


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that all share, and hand it `settings` and `recipe` for them."""

    @click.option("--warehouse", "url", default=None, help="Path or URL; default: a DuckDB file in LIKENESS_HOME.")
    @click.option("--profile", default="embedded", show_default=True, help="A profile's name, or a .toml file.")
    @click.option("--debug", is_flag=True, help="Log an item a line, and show tracebacks.")
    @functools.wraps(function)
    def run(*, url: str | None, profile: str, debug: bool, **options: Any) -> None:
        with told(debug):
            settings = Settings.read(warehouse_url=url)
            orchestration.prepare(settings.home)
            with full_disk_told(settings.home), kept_log(settings.home, debug):
                function(settings=settings, recipe=recipes.load(profile), **options)

    return run


@contextmanager
def told(debug: bool) -> Iterator[None]:
    """An error as one line and an exit code; with `debug` as it is."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of our output has had enough; click knows
    except Exception as error:
        if debug:
            raise
        text, code = str(error), error.exit_code if isinstance(error, LikenessError) else 1
        if not isinstance(error, LikenessError):
            text = f"{type(error).__name__}: {text}; unforeseen: the same command with --debug shows where"
        click.echo(f"likeness: {' '.join(text.split())}", err=True)
        raise SystemExit(code) from error


@contextmanager
def kept_log(home: Path, debug: bool) -> Iterator[None]:
    """Our own log: a line a shard in the home's `likeness.log`, and with `debug` everything on standard error too."""
    home.mkdir(parents=True, exist_ok=True)
    log = logging.getLogger("flows")
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = debug
    file = logging.FileHandler(home / "likeness.log", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(file)
    try:
        yield
    finally:
        log.removeHandler(file)
        file.close()


@click.group(context_settings={"max_content_width": 100})
@click.version_option(package_name="likeness")
def likeness() -> None:
    """From raw human video to preference-trained models.

    source -> clip -> subject -> reference -> candidate -> pair -> vote -> label -> snapshot -> reward model -> policy
    """
    logging.basicConfig(stream=sys.stderr, format="%(message)s")


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
    for arrival, num in sorted(found.items()):
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
@verb
def publish_(settings: Settings, recipe: Recipe) -> None:
    """Put up the pairs that are not on the board yet."""
    from flows.publish import board_of, publish

    click.echo(f"{publish(settings, recipe, board_of(settings))} pairs put up")


@likeness.command("collect")
@verb
def collect_(settings: Settings, recipe: Recipe) -> None:
    """Take votes in from the board, and settle labels."""
    from flows.collect import collect
    from flows.publish import board_of

    collected = collect(settings, recipe, board_of(settings))
    for line in collected.unreadable:
        click.echo(line, err=True)
    click.echo(f"{collected.num_votes} new votes, {collected.num_skipped} skipped, {collected.num_labels} labels")


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


@likeness.command("funnel")
@click.option("--set", "thresholds", multiple=True, metavar="GATE=VALUE", help="Another threshold, just to see.")
@DATASET
@AS_JSON
@verb
def funnel_(
    settings: Settings, recipe: Recipe, thresholds: tuple[str, ...], dataset: str | None, as_json: bool
) -> None:
    """How many items passed, were dropped, or failed at each stage, and why. Runs no model."""
    from flows.story import funnel, funnel_text

    counts = funnel(settings, recipe.with_thresholds(parsed_thresholds(thresholds)), dataset=dataset)
    click.echo(json.dumps(counts, indent=1) if as_json else funnel_text(counts))


@likeness.command("why")
@click.argument("clip")
@verb
def why_(settings: Settings, recipe: Recipe, clip: str) -> None:
    """Tell a clip's whole story. CLIP: the beginning of its id or its source's, or a part of its file's name."""
    from flows.story import why

    click.echo(why(settings, recipe, clip))


@likeness.command("retry")
@click.option("--stage", required=True, help="Where they failed.")
@click.option("--reason", default=None, help="As `likeness funnel` tells it; default: any.")
@DATASET
@verb
def retry_(settings: Settings, recipe: Recipe, stage: str, reason: str | None, dataset: str | None) -> None:
    """Take failed items up again: the next run of their flow measures them once more."""
    from flows.retry import reopen

    click.echo(f"{reopen(settings, recipe, stage=stage, reason=reason, dataset=dataset)} items reopened")


@likeness.command("quarantine")
@click.option("--most", type=click.IntRange(min=1), default=200, show_default=True, help="Items of a stage and reason.")
@DATASET
@verb
def quarantine_(settings: Settings, recipe: Recipe, most: int, dataset: str | None) -> None:
    """Write a page of what failed: a preview frame, what was met, and the command to try again."""
    from flows.report.write import write_quarantine

    click.echo(write_quarantine(settings, recipe, most=most, dataset=dataset))


@likeness.command("canary")
@click.argument("num", type=click.IntRange(min=1), metavar="N")
@click.option("--flow", type=click.Choice(["curate", "generate"]), default="curate", show_default=True)
@click.option("--price", "price_an_hour", type=float, default=None, help="Of an hour of one worker.")
@click.option("--yes", is_flag=True, help="Go on with the rest without asking.")
@DATASET
@verb
def canary_(
    settings: Settings,
    recipe: Recipe,
    num: int,
    flow: str,
    price_an_hour: float | None,
    yes: bool,
    dataset: str | None,
) -> None:
    """Measure N pending sources, show yield, time and cost of the rest, and wait for yes."""
    from flows.canary import canary, canary_text
    from flows.curate import curate
    from flows.generate import generate

    step = Progress("canary")
    found = canary(settings, recipe, flow, num=num, dataset=dataset, price_an_hour=price_an_hour, progress=step)
    click.echo(canary_text(found))
    if found.num_left and (yes or click.confirm(f"Run {flow} on the {found.num_left:,} sources left?", err=True)):
        {"curate": curate, "generate": generate}[flow](settings, recipe, dataset=dataset, progress=Progress(flow))


@likeness.command("doctor")
@click.option("--profile", default="embedded", show_default=True, help="A profile's name, or a .toml file.")
@click.option("--load", is_flag=True, help="Also load every engine's weights, or reach its service.")
def doctor_(profile: str, load: bool) -> None:
    """What is installed, and which engines of a profile can load here. Exit code 10 if something is missing."""
    from flows.doctor import examine, findings_text

    with told(debug=False):
        findings = list(examine(profile, load=load))
    click.echo(findings_text(findings))
    if any(finding.stops_work for finding in findings):
        raise SystemExit(EngineUnavailable.exit_code)


@likeness.command("yields")
@click.option("--keep-from", type=float, default=None, help="Identity score to keep from; default: the recipe's.")
@DATASET
@AS_JSON
@verb
def yields_(settings: Settings, recipe: Recipe, keep_from: float | None, dataset: str | None, as_json: bool) -> None:
    """How many references each synthesizer made with each prompt, and how many are still the same person."""
    from flows.yields import yields, yields_text

    found = yields(settings, recipe, dataset=dataset, keep_from=keep_from)
    click.echo(json.dumps(found, indent=1) if as_json else yields_text(found))


@likeness.command("status")
@AS_JSON
@verb
def status_(settings: Settings, recipe: Recipe, as_json: bool) -> None:
    """What there is, and what is pending."""
    from flows.story import status, status_text

    found = status(settings, recipe)
    click.echo(json.dumps(found, indent=1) if as_json else status_text(found))


@likeness.command("check")
@verb
def check_(settings: Settings, recipe: Recipe) -> None:
    """Look for broken invariants (exit code 6) and damaged snapshots (7)."""
    from flows.story import check

    click.echo(check(settings, recipe))


@likeness.command("lineage")
@click.argument("checkpoint", type=FOLDER)
@verb
def lineage_(settings: Settings, recipe: Recipe, checkpoint: Path) -> None:
    """Walk from a checkpoint's folder back to snapshot, votes, clips and sources."""
    from flows import train

    click.echo(json.dumps(train.ancestry(settings, checkpoint), indent=1))


def parsed_thresholds(texts: tuple[str, ...]) -> Mapping[str, float]:
    """`gate=value` texts; `BadRecipe` for one that is not."""
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise BadRecipe(f"--set {text}: give it as gate=number") from error
    return found


def main() -> None:
    """Entry point of the command."""
    likeness()
