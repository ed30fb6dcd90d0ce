"""`likeness report`: the page of a run, written whole."""

from pathlib import Path

from flows.recipe import Recipe
from flows.report.gather import gather
from flows.report.page import render
from flows.settings import Settings


def write_report(settings: Settings, recipe: Recipe, *, dataset: str | None) -> Path:
    """Write the report of one data set, or of all, and give its path."""
    name = Path(dataset).name if dataset else "all"
    path = settings.reports / f"{name}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(render(gather(settings, recipe, dataset=dataset)), encoding="utf-8")
    temporary.replace(path)
    return path
