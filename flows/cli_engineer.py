"""The commands that ask how a run stands, and those that steer it: none of them is a step of the road."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

from flows.command import AS_JSON, DATASET, FOLDER, likeness, told, verb
from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from warehouse.errors import BadRecipe, EngineUnavailable, NothingToDo
from warehouse.records import Origin


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


@likeness.command("agreement")
@click.option("--origin", type=click.Choice(["human", "simulated", "vlm"]), default=None, help="Default: the labels'.")
@DATASET
@AS_JSON
@verb
def agreement_(settings: Settings, recipe: Recipe, origin: str | None, dataset: str | None, as_json: bool) -> None:
    """How far annotators agree, how good each of them is, and who is beyond a limit. Settles nothing."""
    from flows.agreement import as_json as exactly
    from flows.agreement import measure
    from flows.agreement_text import agreement_text

    with settings.warehouse.session() as session:
        found = measure(session, recipe, origin=Origin(origin) if origin else None, dataset=dataset)
    if found is None:
        raise NothingToDo("nobody of this origin has voted yet; `likeness collect` takes votes in")
    click.echo(json.dumps(exactly(found), indent=1) if as_json else agreement_text(found))


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
