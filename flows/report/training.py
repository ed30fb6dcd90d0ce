"""The part of a report on checkpoints: the reward model, the policy, and where they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.report import pictures
from flows.report.charts import Curve, Measured
from flows.report.content import Accuracy, Ancestor, Policy, Reward, Samples
from flows.report.page import counted
from trainers import checkpoint, runlog
from trainers.checkpoint import RunCard
from warehouse import lineage
from warehouse.database import Session
from warehouse.errors import SnapshotDamaged

RIVALS = (
    ("reward_model", "Reward model", "one"),
    ("face_similarity", "Face similarity", "two"),
    ("chance", "Chance", "quiet"),
)
COUNTINGS = (
    ("without_ties", "Ties left out", "which of the two did annotators prefer?"),
    ("with_ties", "Ties counted", "A, tie or B?"),
)
PHASES = (("codec", "codec", "quiet"), ("sft", "supervised warm-up", "one"))
SAMPLES = (("warmup", "Before: after the warm-up alone"), ("final", "After: trained towards the reward"))
MOST_SAMPLES = 4
SETTINGS = (
    ("rule", "sampling rule"),
    ("group_size", "videos a group"),
    ("groups_per_epoch", "groups an epoch"),
    ("num_epochs", "epochs"),
    ("learning_rate", "learning rate"),
    ("clip", "ratio clip"),
    ("lora_rank", "LoRA rank"),
    ("seed", "seed"),
)
TRAINED = ("reward model", "policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run's folder and its card."""

    folder: Path
    card: RunCard


def finished(checkpoints: Path) -> tuple[Run, ...]:
    """The finished runs, the one finished last standing last."""
    cards = sorted(checkpoints.glob(f"*/{checkpoint.CARD}"), key=lambda path: (path.stat().st_mtime_ns, path))
    return tuple(Run(folder=path.parent, card=checkpoint.load_card(path.parent)) for path in cards)


def last_of(runs: Sequence[Run], kind: str) -> Run | None:
    return next((run for run in reversed(runs) if run.card.kind == kind), None)


def reward(run: Run) -> Reward:
    metrics = run.card.metrics
    log = runlog.read(run.folder)
    return Reward(
        checkpoint_id=run.card.checkpoint_id,
        snapshot_id=run.card.snapshot_id,
        name=run.card.name.replace("_", " "),
        num_train_pairs=metrics["num_train_pairs"],
        num_test_pairs=metrics["num_test_pairs"],
        num_test_ties=metrics["num_test_ties"],
        loss=curve("training loss", log, "loss"),
        accuracy=curve("held-out accuracy", log, "accuracy"),
        accuracies=tuple(_accuracy(metrics[counting], title, words) for counting, title, words in COUNTINGS),
    )


def policy(run: Run) -> Policy:
    log = runlog.read(run.folder)
    warm_up = [row for row in log if row["phase"] != "grpo"]
    epochs = [row | {"step": row["epoch"]} for row in log if row["phase"] == "grpo"]
    metrics = run.card.metrics
    judged_on = "held-out clip" if metrics["is_eval_held_out"] else "training clip"
    return Policy(
        checkpoint_id=run.card.checkpoint_id,
        snapshot_id=run.card.snapshot_id,
        name=run.card.name.replace("_", " "),
        rewards=(
            curve("samples trained on", epochs, "reward_mean", "two"),
            curve(f"{judged_on}s", epochs, "eval_reward"),
        ),
        judged_on=counted(metrics["num_eval_clips"], judged_on),
        warm_up=tuple(
            curve(name, [row for row in warm_up if row["phase"] == phase], "loss", tone)
            for phase, name, tone in PHASES
            if any(row["phase"] == phase for row in warm_up)
        ),
        before=metrics["before"]["eval_reward"],
        after=metrics["after"]["eval_reward"],
        facts=tuple((name, str(run.card.config[key])) for key, name in SETTINGS if key in run.card.config),
        samples=tuple(_samples(run.folder / "samples" / part, name) for part, name in SAMPLES),
    )


def _samples(folder: Path, name: str) -> Samples:
    """Some of the videos that a run kept; none where it kept none."""
    paths = sorted(folder.glob("*.mp4"))[:MOST_SAMPLES]
    found = [pictures.video(path, f"{name}: {path.stem}") for path in paths]
    return Samples(name=name, clips=tuple(clip for clip in found if clip is not None))


def curve(name: str, log: Sequence[Mapping[str, Any]], key: str, tone: str = "one") -> Curve:
    """One measure over the steps that have it."""
    return Curve(name=name, points=tuple((row["step"], row[key]) for row in log if row.get(key) is not None), tone=tone)


def ancestry(
    session: Session, runs: Sequence[Run], final: Run | None, snapshots: Path
) -> tuple[tuple[Ancestor, ...], str]:
    """The final checkpoint's lineage, and a line on what is missing."""
    if final is None:
        return (), "Nothing has been trained yet."
    cards = {run.card.checkpoint_id: asdict(run.card) for run in runs}
    try:
        found = lineage.of_checkpoint(session, asdict(final.card), cards=cards, snapshots=snapshots)
    except SnapshotDamaged as error:
        return (), f"The snapshot of {final.card.checkpoint_id} cannot be read: {error}"
    lost = sorted(set(final.card.parents) - cards.keys())
    return tuple(map(_ancestor, found)), f"The run card of {', '.join(lost)} is gone." if lost else ""


def _ancestor(each: lineage.Ancestor) -> Ancestor:
    is_single = each.sorts and len(each.sorts) == 1 and each.noun in TRAINED
    divided = ", ".join(name.replace("_", " ") if is_single else f"{num:,} {name}" for name, num in each.sorts)
    return Ancestor(noun=each.noun, num=each.num, detail=divided, first_ids=each.first_ids)


def _accuracy(values: Mapping[str, Any], title: str, words: str) -> Accuracy:
    found = tuple(_measured(name, values[key], tone) for key, name, tone in RIVALS)
    return Accuracy(
        title=title,
        words=words,
        measured=tuple(each for each in found if each is not None),
        difference=_measured("difference", values["reward_model_minus_face_similarity"], "one"),
    )


def _measured(name: str, value: Mapping[str, Any] | None, tone: str) -> Measured | None:
    """None where no pair counts."""
    if value is None:
        return None
    low, high = value["interval_95"]
    return Measured(name=name, value=value["accuracy"], low=low, high=high, tone=tone)
