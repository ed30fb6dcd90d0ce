"""Weights with a run card, and the state from which an unfinished run goes on.

A run owns one folder: `metrics.jsonl` grows (`runlog.py`), `state.pt` is replaced every so often, and at the end come
`weights.safetensors` and, last of all, `run_card.json`. Every file is written beside its place, synced and renamed, so
that a folder with a card is whole, whenever the process was killed.
"""

import hashlib
import io
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from trainers.errors import CheckpointDamaged, OtherRun
from warehouse import files, ids

WEIGHTS, CARD, STATE = "weights.safetensors", "run_card.json", "state.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCard:
    """Where weights came from and what they are worth. Plain JSON values only."""

    checkpoint_id: str
    kind: str
    """`reward_model` or `policy`."""
    name: str
    """Of the architecture: `image_consistency`, `tiny_wan_vace`, ..."""
    snapshot_id: str
    config: Mapping[str, Any]
    """The whole configuration; its content is part of `checkpoint_id`."""
    seed: int
    versions: Mapping[str, str]
    metrics: Mapping[str, Any]
    parents: tuple[str, ...] = ()
    """Checkpoints this one was trained from or with: a policy names its reward model."""


def checkpoint_id(kind: str, snapshot_id: str, config: Mapping[str, Any]) -> str:
    """The same for the same kind, snapshot and configuration (seed included), on any machine."""
    return ids.make(kind, snapshot_id, config)


def versions() -> dict[str, str]:
    """What made the weights: interpreter, torch, and this distribution."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "likeness": metadata.version("likeness"),
    }


def save(folder: Path, weights: Mapping[str, Tensor], card: RunCard) -> None:
    """Finish a run: weights, then the card; the state it could be resumed from goes away."""
    content = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    values = asdict(card) | {"weights_sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(values, indent=2, sort_keys=True, allow_nan=False)
    (folder / CARD).unlink(missing_ok=True)
    files.write(folder / WEIGHTS, content)
    files.write(folder / CARD, text.encode())
    (folder / STATE).unlink(missing_ok=True)


def load(folder: Path) -> tuple[dict[str, Tensor], RunCard]:
    """The weights and the card of a finished run; `CheckpointDamaged` if the weights are not those of the card."""
    card, weights_sha256 = _read_card(folder)
    content = _read(folder / WEIGHTS)
    found = hashlib.sha256(content).hexdigest()
    if found != weights_sha256:
        raise CheckpointDamaged(f"{folder / WEIGHTS}: sha256 {found}, not the card's {weights_sha256}; train it again")
    try:
        return safetensors.torch.load(content), card
    except SafetensorError as error:
        raise CheckpointDamaged(f"{folder / WEIGHTS}: cannot be read ({error}); train it again") from error


def load_card(folder: Path) -> RunCard:
    """The card alone."""
    return _read_card(folder)[0]


def is_finished(folder: Path) -> bool:
    return (folder / CARD).exists()


def finished_card(folder: Path, run_id: str) -> RunCard | None:
    """The card if this very run is finished; None if it is not; `OtherRun` if the folder holds another one."""
    if not is_finished(folder):
        return None
    card = load_card(folder)
    _refuse_other(folder, card.checkpoint_id, run_id)
    return card


def save_state(folder: Path, run_id: str, state: Mapping[str, Any]) -> None:
    """Replace the state of an unfinished run. Values: tensors, numbers, texts, and lists and dicts of them."""
    buffer = io.BytesIO()
    torch.save({"checkpoint_id": run_id, "state": dict(state)}, buffer)
    files.write(folder / STATE, buffer.getvalue())


def load_state(folder: Path, run_id: str) -> dict[str, Any] | None:
    """What `save_state` kept for this run; None if nothing; `OtherRun` if the folder holds another run's."""
    path = folder / STATE
    if not path.exists():
        return None
    try:
        kept: dict[str, Any] = torch.load(io.BytesIO(_read(path)), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, EOFError, UnpicklingError, ... for a damaged file
        raise CheckpointDamaged(f"{path}: cannot be read ({error}); delete it to start the run over") from error
    _refuse_other(folder, kept["checkpoint_id"], run_id)
    state: dict[str, Any] = kept["state"]
    return state


def _refuse_other(folder: Path, found: str, wanted: str) -> None:
    if found != wanted:
        raise OtherRun(f"{folder}: holds {found}, this run is {wanted}; train into another folder or delete this one")


def _read_card(folder: Path) -> tuple[RunCard, str]:
    path = folder / CARD
    try:
        values = json.loads(_read(path))
        weights_sha256 = values.pop("weights_sha256")
        return RunCard(**(values | {"parents": tuple(values["parents"])})), weights_sha256
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointDamaged(f"{path}: is no run card ({error}); train it again") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointDamaged(f"{path}: is missing; train it again") from error
