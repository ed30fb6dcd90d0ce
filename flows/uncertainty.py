"""How unsure the newest reward model is of pairs that nobody was asked about yet: the entropy of their three outcomes.

Read from what the warehouse measured, as `freeze` would hand it to training; no snapshot has to hold the pairs.
"""
# Shape letters: B candidates, P pairs.

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from flows import train
from flows.exhibits import pairs_in_play
from flows.freeze import SCHEMAS, candidate_row
from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from flows.showings import showings_on
from trainers import preference, reward_models
from trainers.reward_models.protocol import RewardModel
from trainers.snapshot_pairs import read_evidence
from warehouse import gates, queries
from warehouse.database import Session
from warehouse.records import Pair

CLIPS_AT_ONCE = 2048
"""Whose faces are in memory together. The warehouse is let go of while they are scored."""
SCORED_AT_ONCE = 1024
SEEN = "likeness"
"""The stage that measures what reward models read of a candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the warehouse knows of some clips, in a snapshot's tables (`trainers.snapshot_pairs.EvidenceTables`)."""

    id: str
    tables: Mapping[str, pa.Table]

    def table(self, name: str) -> pa.Table:
        return self.tables[name]


def uncertainties(
    settings: Settings, recipe: Recipe, board: str, *, progress: Progress | None = None
) -> Mapping[str, float | None]:
    """By id of every pair in play that has no showing on the board: 0, the model is sure, to ln 3.

    None: nothing was measured of one of its candidates. `NothingToDo` where no reward model is trained.
    """
    model, card = reward_models.load(train.newest(settings, "reward_model"))
    tie_logit = math.log(card.config["theta"])
    pairs = _fresh(settings, recipe, board)
    known: dict[str, float] = {}
    with train.threads(recipe):
        for measured, some in _pieces(settings, recipe, pairs):
            known |= entropies(model, tie_logit, measured, some)
            if progress:
                progress.say(f"uncertainty of {len(known)}/{len(pairs)} pairs")
    return {pair.pair_id: known.get(pair.pair_id) for pair in pairs}


@torch.no_grad()
def entropies(model: RewardModel, tie_logit: float, measured: Measured, pairs: Sequence[Pair]) -> Mapping[str, float]:
    """By pair id, in nats. Pairs with a candidate that is not among the measured ones are left out."""
    there = set(measured.table("candidates")["candidate_id"].to_pylist())
    scored = [pair for pair in pairs if {pair.candidate_a, pair.candidate_b} <= there]
    named = sorted({each for pair in scored for each in (pair.candidate_a, pair.candidate_b)})
    score_B = dict(zip(named, _scores(model, measured, named).tolist(), strict=True))
    score_a_P = torch.tensor([score_B[pair.candidate_a] for pair in scored], dtype=torch.float64)
    score_b_P = torch.tensor([score_B[pair.candidate_b] for pair in scored], dtype=torch.float64)
    entropy_P = torch.special.entr(preference.outcome_log_probs(score_a_P, score_b_P, tie_logit).exp()).sum(-1)
    return dict(zip((pair.pair_id for pair in scored), entropy_P.tolist(), strict=True))


def _scores(model: RewardModel, measured: Measured, candidate_ids: Sequence[str]) -> Tensor:
    evidence = read_evidence(measured, candidate_ids)
    batches = [evidence[start : start + SCORED_AT_ONCE] for start in range(0, len(evidence), SCORED_AT_ONCE)]
    return torch.cat([torch.zeros(0), *map(model.score, batches)])


def _fresh(settings: Settings, recipe: Recipe, board: str) -> list[Pair]:
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        shown = {showing.pair_id for showing in showings_on(session, board)}
        return [pair for pair in pairs_in_play(session, recipe) if pair.pair_id not in shown]


def _pieces(settings: Settings, recipe: Recipe, pairs: Sequence[Pair]) -> Iterator[tuple[Measured, list[Pair]]]:
    """The pairs clip by clip, with what was measured of their clips. Nothing where no stage measures it."""
    if not any(step.stage == SEEN for step in recipe.steps):
        return
    of_clip: dict[str, list[Pair]] = {}
    for pair in pairs:
        of_clip.setdefault(pair.clip_id, []).append(pair)
    clip_ids = sorted(of_clip)
    for start in range(0, len(clip_ids), CLIPS_AT_ONCE):
        asked = [pair for clip_id in clip_ids[start : start + CLIPS_AT_ONCE] for pair in of_clip[clip_id]]
        with settings.warehouse.session() as session:
            gates.judge(session, recipe.steps)
            measured = _measured(session, settings.warehouse.path, asked)
        yield measured, asked


def _measured(session: Session, warehouse: Path, pairs: Sequence[Pair]) -> Measured:
    clip_ids = sorted({pair.clip_id for pair in pairs})
    named = sorted({each for pair in pairs for each in (pair.candidate_a, pair.candidate_b)})
    rows: dict[str, list[dict[str, Any]]] = {
        "clips": queries.frozen_clips(session, clip_ids),
        "candidates": [candidate_row(row) for row in queries.frozen_candidates(session, clip_ids, named)],
        "references": queries.frozen_references(session, clip_ids),
    }
    tables = {name: pa.Table.from_pylist(found, schema=SCHEMAS[name]) for name, found in rows.items()}
    return Measured(id=str(warehouse), tables=tables)
