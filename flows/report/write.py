"""`likeness report` and `likeness quarantine`: pages, written whole."""

from datetime import UTC, datetime
from pathlib import Path

from flows.recipe import Recipe
from flows.report import curation
from flows.report.content import Quarantine
from flows.report.gather import gather
from flows.report.page import render, render_quarantine
from flows.settings import Settings
from warehouse import files, gates, queries


def write_report(settings: Settings, recipe: Recipe, *, dataset: str | None) -> Path:
    """Write the report of one data set, or of all, and give its path."""
    name = Path(dataset).name if dataset else "all"
    path = settings.reports / f"{name}.html"
    files.write(path, render(gather(settings, recipe, dataset=dataset)).encode())
    return path


def write_quarantine(settings: Settings, recipe: Recipe, *, most: int, dataset: str | None) -> Path:
    """Write the page of what failed, `most` items of a stage and reason at most, and give its path."""
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps, dataset=dataset)
        rows = [row for row in queries.shown_items(session, most) if row["verdict"] == "failed"]
        why = curation.reasons(session, recipe.steps)
    page = Quarantine(
        made_at=f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
        failures=curation.failures(rows, why, settings.media),
    )
    path = settings.reports / "quarantine.html"
    files.write(path, render_quarantine(page).encode())
    return path
