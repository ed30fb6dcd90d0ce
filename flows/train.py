"""`likeness train reward` and `train policy`: a snapshot becomes checkpoints, whose run cards name it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from trainers import checkpoint
from trainers.checkpoint import RunCard
from trainers.config import RewardConfig
from trainers.policy_config import PolicyConfig
from trainers.train_policy import train_policy
from trainers.train_reward import train_reward
from warehouse import ids, lineage, queries
from warehouse import snapshot as snapshots
from warehouse.errors import BadRecipe, NothingToDo
from warehouse.snapshot import Snapshot


def reward(settings: Settings, recipe: Recipe, snapshot: Snapshot, *, progress: Progress) -> RunCard:
    """Train the reward model that the recipe describes, go on with it, or find it trained."""
    config = _configured(RewardConfig, recipe, "reward")
    folder = _folder(settings, "reward", snapshot, asdict(config))
    with threads(recipe):
        return train_reward(snapshot, config, folder=folder, progress=progress.say)


def policy(
    settings: Settings, recipe: Recipe, snapshot: Snapshot, reward_model: Path, *, progress: Progress
) -> RunCard:
    """Train the policy that the recipe describes, go on with it, or find it trained."""
    config = _configured(PolicyConfig, recipe, "policy")
    parent = checkpoint.load_card(reward_model).checkpoint_id
    folder = _folder(settings, "policy", snapshot, [asdict(config), parent])
    with threads(recipe):
        return train_policy(snapshot, config, reward_model=reward_model, folder=folder, progress=progress.say)


def chosen(settings: Settings, prefix: str) -> Snapshot:
    """The snapshot whose id begins so; the one frozen last where nothing is said."""
    if prefix:
        return snapshots.find(settings.snapshots, prefix)
    with settings.warehouse.session() as session:
        newest = queries.newest_snapshot(session)
    if newest is None:
        raise NothingToDo("nothing is frozen yet; `likeness freeze` makes a snapshot")
    return snapshots.open(settings.snapshots / newest, media_root=settings.media.root)


def newest(settings: Settings, kind: str, snapshot: Snapshot | None = None) -> Path:
    """The folder of the checkpoint that was finished last from this snapshot, or from any; `NothingToDo` if there is
    none."""
    of_kind = [(folder, card) for folder, card in _finished(settings) if card.kind == kind]
    found = [folder for folder, card in of_kind if snapshot is None or card.snapshot_id == snapshot.id]
    if not found:
        where = f"on snapshot {snapshot.id[:12]}" if snapshot else f"below {settings.checkpoints}"
        raise NothingToDo(f"no {kind} is trained {where}; train it first")
    return found[-1]


def folder_of(settings: Settings, checkpoint_id: str) -> Path:
    """Where a finished checkpoint lies; `NothingToDo` if it is not there."""
    found = [folder for folder, card in _finished(settings) if card.checkpoint_id == checkpoint_id]
    if not found:
        raise NothingToDo(f"{checkpoint_id} is not below {settings.checkpoints}; train it first")
    return found[-1]


def ancestry(settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """From a finished checkpoint back to its sources, one noun an entry."""
    cards = {card.checkpoint_id: asdict(card) for _, card in _finished(settings)}
    card = asdict(checkpoint.load_card(folder))
    with settings.warehouse.session() as session:
        return [
            asdict(each) for each in lineage.of_checkpoint(session, card, cards=cards, snapshots=settings.snapshots)
        ]


@contextmanager
def threads(recipe: Recipe) -> Iterator[None]:
    """As many of torch's CPU threads as the profile's `[training]` says; torch's own number where it says nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(recipe.options.get("training", {}).get("num_threads", before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _finished(settings: Settings) -> list[tuple[Path, RunCard]]:
    """Finished checkpoints, the oldest first."""
    cards = sorted(settings.checkpoints.glob(f"*/{checkpoint.CARD}"), key=lambda path: path.stat().st_mtime_ns)
    return [(path.parent, checkpoint.load_card(path.parent)) for path in cards]


def _folder(settings: Settings, name: str, snapshot: Snapshot, content: Any) -> Path:
    return settings.checkpoints / f"{name}-{snapshot.id[:12]}-{ids.digest(content)[:8]}"


def _configured(config_type: type[Any], recipe: Recipe, table: str) -> Any:
    try:
        return config_type(**recipe.options.get(table, {}))
    except TypeError as error:
        raise BadRecipe(f"profile {recipe.profile}: [{table}]: {error}") from error
