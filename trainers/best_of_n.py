"""Best of N: of each clip's candidates the one that a reward model likes best (ICReward, table 2)."""

from pathlib import Path

import torch

from trainers import reward_models
from trainers.snapshot_pairs import EvidenceTables, read_evidence

BATCH = 256


def best_candidates(snapshot: EvidenceTables, reward_model: Path) -> dict[str, str]:
    """Candidate id by clip id, as the checkpoint in the folder `reward_model` scores them; of equals the last by id."""
    model, _ = reward_models.load(reward_model)
    clip_of = {row["candidate_id"]: row["clip_id"] for row in snapshot.table("candidates").to_pylist()}
    candidate_ids = sorted(clip_of)
    evidence = read_evidence(snapshot, candidate_ids)
    with torch.no_grad():
        scores = torch.cat([model.score(evidence[first : first + BATCH]) for first in range(0, len(evidence), BATCH)])
    ranked = sorted(zip(scores.tolist(), candidate_ids, strict=True))
    return {clip_of[candidate_id]: candidate_id for _, candidate_id in ranked}
