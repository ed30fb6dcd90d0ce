"""`likeness report`: the page of a run, written whole."""

from pathlib import Path

from flows.recipe import Recipe
from flows.report.gather import gather
from flows.report.page import render
from flows.settings import Settings
from warehouse import files


def write_report(settings: Settings, recipe: Recipe, *, dataset: str | None) -> Path:
    """Write the report of one data set, or of all, and give its path."""
    name = Path(dataset).name if dataset else "all"
    path = settings.reports / f"{name}.html"
    files.write(path, render(gather(settings, recipe, dataset=dataset)).encode())
    return path
