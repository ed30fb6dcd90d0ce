"""`likeness yields`: what each synthesizer and each of its prompts is good for. Runs no model.

Identity-GRPO (2.1.1) states a yield of more than 80 %: the share of re-synthesised references that are still the same
person.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.recipe import Recipe
from flows.settings import Settings
from flows.stages.references import References
from warehouse import gates, queries
from warehouse.database import Session
from warehouse.errors import BadRecipe


def yields(
    settings: Settings, recipe: Recipe, *, dataset: str | None, keep_from: float | None = None
) -> Mapping[str, Any]:
    """Counts a synthesizer and view, under the identity score that the recipe keeps from, or another."""
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps, dataset=dataset)
        return counted(session, recipe, keep_from=keep_from)


def counted(session: Session, recipe: Recipe, *, keep_from: float | None = None) -> Mapping[str, Any]:
    """The same, after `gates.judge`; `BadRecipe` where the recipe makes no references."""
    stage = next((each.stage for each in recipe.stages if isinstance(each.stage, References)), None)
    if stage is None:
        raise BadRecipe(f"profile {recipe.profile} has no stage that makes references")
    kept_from = stage.least_identity if keep_from is None else keep_from
    rows = queries.yields_of_references(session, kept_from)
    for row in rows:
        row["yield"] = row["num_kept"] / row["num_made"]
    return {"keep_from": kept_from, "yields": rows}


def yields_text(found: Mapping[str, Any]) -> str:
    """The counts as a table, the means beside them."""
    rows: Sequence[Mapping[str, Any]] = found["yields"]
    if not rows:
        return "no references yet"
    first = max(9, *(len(_name(row)) for row in rows))
    columns = ("asked", "made", "comparable", "kept", "yield", "identity", "copy-paste", "chosen")
    lines = [f"kept: identity score of {found['keep_from']:.3g} and more", f"{'':<{first}}" + _line(columns)]
    lines += [f"{_name(row):<{first}}" + _line(_values(row)) for row in rows]
    return "\n".join(lines)


def _name(row: Mapping[str, Any]) -> str:
    if row["synthesizer"] is None:
        return row["view"] or "cut out"
    return f"{row['synthesizer']}: {'all' if row['is_total'] else row['view']}"


def _values(row: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (row["num_asked"], row["num_made"], row["num_comparable"], row["num_kept"])
    means = (_mean(row["identity_score_mean"]), _mean(row["copy_paste_mean"]))
    return (*map(str, counts), f"{100 * row['yield']:.0f} %", *means, str(row["num_chosen"]))


def _mean(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _line(values: Sequence[str]) -> str:
    return "".join(f"{value:>12}" for value in values)
