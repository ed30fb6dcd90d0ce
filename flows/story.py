"""What a person asks of a run: the funnel, one clip's story, where things stand. Nothing here runs a model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from flows.recipe import Recipe
from flows.settings import Settings
from flows.walk import fact_key
from warehouse import checks, gates, queries, snapshot, tables
from warehouse.database import Session
from warehouse.errors import BadInput, Unbalanced
from warehouse.gates import Step
from warehouse.records import Clip, Source

SHOWN_VALUES = 8
"""Longer lists are told by their length."""


def funnel(settings: Settings, recipe: Recipe, *, dataset: str | None) -> dict[str, Any]:
    """Counts a stage, with reasons, under the recipe's gates as they are given."""
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps, dataset=dataset)
        stages = queries.funnel(session, recipe.steps)
        reasons = queries.reasons(session)
        arrivals = {row["arrival"]: row["num_entries"] for row in queries.arrivals(session, dataset)}
    for row in stages:
        row["in"] = row.pop("num_in")
        for verdict in ("dropped", "failed"):
            mine = [each for each in reasons if each["stage"] == row["stage"] and each["verdict"] == verdict]
            row[f"{verdict}_by"] = {each["reason"]: each["num_items"] for each in mine}
    return {"arrivals": arrivals, "stages": stages}


def funnel_text(counts: Mapping[str, Any]) -> str:
    """The funnel as a table, the reasons under each stage."""
    lines = [f"{num:>8}  {arrival}" for arrival, num in counts["arrivals"].items()]
    lines.append(f"{'stage':<14}{'in':>9}{'passed':>9}{'dropped':>9}{'failed':>9}{'pending':>9}")
    for row in counts["stages"]:
        numbers = "".join(f"{row[name]:>9}" for name in ("in", "passed", "dropped", "failed", "pending"))
        lines.append(f"{row['stage']:<14}{numbers}")
        for verdict in ("dropped", "failed"):
            lines += [f"{'':<16}{num} {verdict}: {reason}" for reason, num in row[f"{verdict}_by"].items()]
    return "\n".join(lines)


def why(settings: Settings, recipe: Recipe, name: str) -> str:
    """The story of every clip that `name` may mean, or of a source that gave none; `BadInput` if there is neither."""
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        source_ids = queries.sources_of_name(session, name)
        if not source_ids:
            if listed := queries.entries_of_name(session, name):
                return "\n".join(f"{row['entry']}  in {row['dataset']}: {row['problem']}; no source" for row in listed)
            raise BadInput(f"{name}: no clip or source begins with it, and no file has it in its name")
        sources = tables.from_arrow(Source, queries.sources(session, source_ids))
        return "\n\n".join("\n".join(_source_story(session, recipe, source, name)) for source in sources)


def _source_story(session: Session, recipe: Recipe, source: Source, name: str) -> Iterator[str]:
    yield f"{source.source_id}  {source.path}"
    yield f"  caption: {source.caption if source.caption is not None else '(none came with the file)'}"
    yield from _stage_lines(session, recipe, "source", source.source_id, indent=2)
    clips = tables.from_arrow(Clip, queries.in_play(session, "clip", [source.source_id]))
    asked = [clip for clip in clips if clip.clip_id.startswith(name)] or clips
    for clip in asked:
        yield f"  {clip.clip_id}  shot {clip.shot_index}: frames [{clip.start_frame}, {clip.end_frame})"
        yield from _stage_lines(session, recipe, "clip", clip.clip_id, indent=4)
        yield from _things_made(session, clip, source, recipe)


def _things_made(session: Session, clip: Clip, source: Source, recipe: Recipe) -> Iterator[str]:
    for noun, shown in (("subject", "phrase"), ("reference", "view"), ("candidate", "generator")):
        for row in queries.in_play(session, noun, [source.source_id]).to_pylist():
            if row["clip_id"] == clip.clip_id:
                yield f"    {row[f'{noun}_id']}  {shown}: {row[shown]}"
                if noun == "candidate":
                    yield from _stage_lines(session, recipe, noun, row["candidate_id"], indent=6)
    for row in queries.outcomes_of_clip(session, clip.clip_id):
        sides = f"{row['candidate_a']} or {row['candidate_b']}"
        yield f"    {row['pair_id']}  {sides}: votes {row['votes']}; {row['label']}"


def _stage_lines(session: Session, recipe: Recipe, noun: str, item_id: str, *, indent: int) -> Iterator[str]:
    """A line a stage that the item reached: verdict, reason, and every value that was measured."""
    verdicts = {row["stage"]: row for row in queries.story(session, [item_id])}
    for step in recipe.steps:
        row = verdicts.get(step.stage)
        if row is not None and step.noun == noun:
            reason = f" ({row['reason']})" if row["reason"] else ""
            yield f"{'':<{indent}}{step.stage}: {row['verdict']}{reason}{_measured(session, step, item_id)}"


def _measured(session: Session, step: Step, item_id: str) -> str:
    fact = queries.fact(session, step, fact_key(step, item_id))
    if fact is None:
        exception = queries.exception(session, fact_key(step, item_id))
        return f": {exception}" if exception else ""
    values = ", ".join(f"{each.name} {_short(fact[each.name])}" for each in fields(step.fact))
    wanted = ", ".join(f"{gate.measure} {gate.op} {gate.threshold:g}" for gate in step.gates)
    return f"  [{values}]" + (f"  gates: {wanted}" if wanted else "")


def _short(value: Any) -> str:
    if isinstance(value, list) and (len(value) > SHOWN_VALUES or any(isinstance(each, list) for each in value)):
        return f"({len(value)} values)"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def status(settings: Settings, recipe: Recipe) -> dict[str, Any]:
    """How much of everything there is, and what is pending."""
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        nouns = queries.noun_counts(session)
        pending = {row["stage"]: row["pending"] for row in queries.funnel(session, recipe.steps) if row["pending"]}
    return {
        "home": str(settings.home),
        "warehouse": settings.warehouse_url,
        "nouns": nouns,
        "pending": pending,
        "snapshots": _names(settings.snapshots, "manifest.json"),
        "checkpoints": _names(settings.checkpoints, "run_card.json"),
    }


def status_text(found: Mapping[str, Any]) -> str:
    """The status as lines."""
    lines = [f"home       {found['home']}", f"warehouse  {found['warehouse']}"]
    lines += [f"{num:>8}  {noun}" for noun, num in found["nouns"].items()]
    pending = ", ".join(f"{num} at {stage}" for stage, num in found["pending"].items())
    lines.append(f"pending    {pending or 'nothing'}")
    lines += [f"snapshot   {name}" for name in found["snapshots"]]
    lines += [f"checkpoint {name}" for name in found["checkpoints"]]
    return "\n".join(lines)


def check(settings: Settings, recipe: Recipe) -> str:
    """`Unbalanced` if an invariant of the warehouse is broken, with an example of each offence; `SnapshotDamaged` or
    `MediaMissing` if a file of a snapshot is not as recorded."""
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        found = checks.offences(session, recipe.steps)
    if found:
        lines = "; ".join(f"{each.rule}: {each.num} offend, such as {each.example}" for each in found)
        raise Unbalanced(f"broken: {lines}")
    names = _names(settings.snapshots, "manifest.json")
    for name in names:
        snapshot.open(settings.snapshots / name, media_root=settings.media.root).verify()
    return "all invariants hold" + (f"; {len(names)} snapshots are as recorded" if names else "")


def _names(folder: Path, marker: str) -> Sequence[str]:
    return sorted(path.parent.name for path in folder.glob(f"*/{marker}"))
