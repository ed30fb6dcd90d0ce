"""All that a report says, read from warehouse, checkpoints and media store, at any time of the road."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from flows.recipe import Recipe
from flows.report import agreement, curation, training, votes
from flows.report.content import Figure, Labels, Policy, ReportData, Reproduce, Reward, StageRow
from flows.report.page import VOTERS, counted
from flows.settings import Settings
from trainers import checkpoint
from trainers.checkpoint import RunCard
from warehouse import gates, queries
from warehouse.database import Session
from warehouse.sql import Row


def gather(settings: Settings, recipe: Recipe, *, dataset: str | None) -> ReportData:
    """The report of one data set, or of all. But for `made_at`, the same state gives the same data."""
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps, dataset=dataset)
        return _gather(session, settings, recipe, dataset)


def _gather(session: Session, settings: Settings, recipe: Recipe, dataset: str | None) -> ReportData:
    media = settings.media
    items = queries.shown_items(session, curation.MOST_OF_REASON)
    why = curation.reasons(session, recipe.steps)
    stages = curation.stages(session, recipe)
    scene_rows = queries.scenes(session, curation.MOST_SCENES)
    counts = queries.counts_in_play(session)
    labels = votes.labels(session, recipe)
    runs = training.finished(settings.checkpoints)
    policy_run = training.last_of(runs, "policy")
    reward_run = training.last_of(runs, "reward_model")
    reward = training.reward(reward_run) if reward_run else None
    policy = training.policy(policy_run) if policy_run else None
    ancestry, ancestry_note = training.ancestry(session, runs, policy_run or reward_run, settings.snapshots)
    return ReportData(
        title=Path(dataset).name if dataset else "All data sets",
        made_at=f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
        story=tuple(_story(stages, counts, labels, reward, policy)),
        figures=tuple(_figures(counts, labels, reward, policy)),
        arrivals=curation.arrivals(session, dataset),
        stages=stages,
        failures=curation.failures(items, why, media),
        sheets=curation.sheets(session, items, why, recipe.steps, media),
        scenes=curation.scenes(session, scene_rows, media),
        num_scenes=scene_rows[0]["num_scenes"] if scene_rows else 0,
        view_yields=curation.view_yields(session, recipe),
        pairs=votes.shown_pairs(session, recipe, media),
        num_pairs=counts["pairs"],
        labels=labels,
        agreement=agreement.part(session, recipe, dataset),
        reward=reward,
        policy=policy,
        lineage=ancestry,
        lineage_note=ancestry_note,
        reproduce=_reproduce(recipe, dataset, [run.card for run in (reward_run, policy_run) if run]),
    )


def _story(
    stages: Sequence[StageRow], counts: Row, labels: Labels | None, reward: Reward | None, policy: Policy | None
) -> Iterator[str]:
    """What happened, in plain words, as far as it has happened."""
    if not stages:
        yield "Nothing has been taken in yet."
        return
    yield _curated(stages, counts)
    if labels:
        yield _voted(counts, labels)
    if reward:
        yield _learned(reward)
    if policy and policy.before is not None and policy.after is not None:
        yield (
            f"A video policy was then trained towards a reward: on {policy.judged_on} its mean went from"
            f" {policy.before:.4f} to {policy.after:.4f}."
        )


def _curated(stages: Sequence[StageRow], counts: Row) -> str:
    dropped, failed = (sum(getattr(stage, name) for stage in stages) for name in ("dropped", "failed"))
    text = (
        f"{counted(counts['sources'], 'source video')} were cut into {counted(counts['clips'], 'clip')}; on the way"
        f" {counted(dropped)} were dropped by a gate and {counted(failed)} could not be measured."
    )
    if counts["subjects"]:
        people = counted(counts["identities"], "different person")
        text += f" In the clips {counted(counts['subjects'], 'subject')} were found, {people} as far as faces tell."
    return text


def _voted(counts: Row, labels: Labels) -> str:
    num_labels = sum(row.num_a + row.num_tie + row.num_b for row in labels.rows)
    who = VOTERS.get(labels.origin, labels.origin)
    return (
        f"{counted(counts['pairs'], 'pair')} of candidate videos were drawn and {counted(counts['votes'], 'vote')} cast"
        f" on them; {counted(num_labels)} of the pairs have a label, by {who} annotators."
    )


def _learned(reward: Reward) -> str:
    told = [f"{each.name.lower()} {100 * each.value:.0f}%" for each in reward.accuracies[0].measured]
    return (
        f"A reward model learned from {counted(reward.num_train_pairs, 'pair')}. On {counted(reward.num_test_pairs)}"
        f" pairs of people it never saw, ties left out, it says which video was preferred. Right: {', '.join(told)}."
    )


def _figures(counts: Row, labels: Labels | None, reward: Reward | None, policy: Policy | None) -> Iterator[Figure]:
    for name in ("sources", "clips", "subjects", "candidates", "pairs", "votes"):
        note = f"{counted(counts['identities'], 'person')}" if name == "subjects" else ""
        yield Figure(value=counted(counts[name]), name=name, note=note)
    if labels:
        num_ties = sum(row.num_tie for row in labels.rows)
        num = sum(row.num_a + row.num_b for row in labels.rows) + num_ties
        yield Figure(value=counted(num), name="labels", note=f"{counted(num_ties, 'tie')}")
    if reward and reward.accuracies[0].measured:
        best = reward.accuracies[0].measured[0]
        yield Figure(value=f"{100 * best.value:.0f}%", name="reward accuracy", note="held out, no ties")
    if policy and policy.before is not None and policy.after is not None:
        gain = policy.after - policy.before
        yield Figure(value=f"{gain:+.4f}", name="policy reward", note=f"now {policy.after:.4f}")


def _reproduce(recipe: Recipe, dataset: str | None, cards: Sequence[RunCard]) -> Reproduce:
    seeds = {name: str(table["seed"]) for name, table in recipe.options.items() if _has_seed(table)}
    return Reproduce(
        profile=recipe.profile,
        recipe_key=recipe.key,
        command=f"likeness run --source {dataset or 'FOLDER'} --profile {recipe.profile}",
        versions=cards[-1].versions if cards else checkpoint.versions(),
        seeds=seeds | {card.kind.replace("_", " "): str(card.seed) for card in cards},
        stages=tuple((step.stage, step.stage_key) for step in recipe.steps),
    )


def _has_seed(table: object) -> bool:
    return isinstance(table, dict) and "seed" in table
