"""How often a reward agrees with the settled pairs, ties counted and not, beside two baselines.

Mean face similarity: cosine of each face to the nearest of its subject's references, averaged over faces, then over
subjects; 0, which is unlike, where no face was read. Chance: for every pair the outcome that is most frequent in
training; 0.5 without ties.
"""
# Shape letters: P pairs, B candidates, C clips, K resamplings.

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainers.face_relations import FRAME_FEATURES, relate
from trainers.preference import TIE
from trainers.reward_models.protocol import RewardModel
from trainers.snapshot_pairs import Evidence, PairSet, collate

BATCH = 256
NUM_RESAMPLINGS = 2000


def evaluate(model: RewardModel, train: PairSet, test: PairSet) -> dict[str, Any]:
    """Accuracies on `test` for the run card; the gap that counts as a tie is settled on `train`, for each score alone.

    `interval_95` is a bootstrap over clips, because pairs of one clip are not independent.
    """
    reward = gaps(model, train), gaps(model, test)
    likeness = gaps(FaceSimilarity(), train), gaps(FaceSimilarity(), test)
    guess = torch.bincount(train.outcome_P, minlength=3).argmax()
    is_tie_P = test.outcome_P == TIE
    return {
        "num_train_pairs": len(train),
        "num_test_pairs": len(test),
        "num_test_ties": int(is_tie_P.sum()),
        "with_ties": _compared(
            with_ties(reward[1], test.outcome_P, tie_gap(reward[0], train.outcome_P)),
            with_ties(likeness[1], test.outcome_P, tie_gap(likeness[0], train.outcome_P)),
            (test.outcome_P == guess).float(),
            test,
        ),
        "without_ties": _compared(
            without_ties(reward[1], test.outcome_P),
            without_ties(likeness[1], test.outcome_P),
            torch.where(is_tie_P, math.nan, 0.5),
            test,
        ),
    }


class FaceSimilarity:
    """The baseline, as a reward model."""

    name: ClassVar[str] = "face_similarity"

    def score(self, evidence: Sequence[Evidence]) -> Tensor:
        """(B,) cosines."""
        likeness_BST = relate(collate(evidence)).frame_BSTF[..., FRAME_FEATURES.index("likeness")]
        return likeness_BST.nanmean(-1).nanmean(-1).nan_to_num(nan=0.0)


@torch.no_grad()
def gaps(model: RewardModel, pairs: PairSet) -> Tensor:
    """(P,) score of side A minus that of side B. The model stands in evaluation mode already."""
    batches = [pairs.evidence[start : start + BATCH] for start in range(0, len(pairs.evidence), BATCH)]
    score_B = torch.cat([torch.zeros(0), *map(model.score, batches)])
    return score_B[list(pairs.side_a)] - score_B[list(pairs.side_b)]


def without_ties(gap_P: Tensor, outcome_P: Tensor) -> Tensor:
    """(P,) 1 where the higher score won, 0 where it lost, 0.5 where both are equal, NaN where the people tied."""
    agreement_P = (gap_P.sign() * (1 - outcome_P) + 1) / 2
    return torch.where(outcome_P == TIE, torch.nan, agreement_P)


def with_ties(gap_P: Tensor, outcome_P: Tensor, tie_gap: float) -> Tensor:
    """(P,) 1 where the predicted outcome is the settled one, else 0. A gap up to `tie_gap` predicts a tie."""
    predicted_P = torch.where(gap_P.abs() <= tie_gap, TIE, 1 - gap_P.sign().long())
    return (predicted_P == outcome_P).float()


def tie_gap(gap_P: Tensor, outcome_P: Tensor) -> float:
    """The gap with the best accuracy: every one that occurs is tried, and -1 (never a tie); of equals the least."""
    occurring: list[float] = torch.unique(gap_P.abs()).tolist()
    return max([-1.0, *occurring], key=lambda gap: (with_ties(gap_P, outcome_P, gap).sum().item(), -gap))


def _compared(reward_P: Tensor, face_similarity_P: Tensor, chance_P: Tensor, pairs: PairSet) -> dict[str, Any]:
    return {
        "reward_model": _accuracy(reward_P, pairs),
        "face_similarity": _accuracy(face_similarity_P, pairs),
        "chance": _accuracy(chance_P, pairs),
        "reward_model_minus_face_similarity": _accuracy(reward_P - face_similarity_P, pairs),
    }


def _accuracy(agreement_P: Tensor, pairs: PairSet) -> dict[str, Any] | None:
    """Mean over the pairs that count, and its bootstrap interval; None where no pair counts."""
    counts_P = ~agreement_P.isnan()
    if not counts_P.any():
        return None
    clips = {clip_id: c for c, clip_id in enumerate(sorted(set(pairs.clip_ids)))}
    clip_P = torch.tensor([clips[clip_id] for clip_id in pairs.clip_ids])
    right_C = torch.zeros(len(clips)).index_add(0, clip_P, agreement_P.nan_to_num(0.0))
    number_C = torch.zeros(len(clips)).index_add(0, clip_P, counts_P.float())
    drawn_KC = torch.randint(len(clips), (NUM_RESAMPLINGS, len(clips)), generator=torch.Generator().manual_seed(0))
    mean_K = right_C[drawn_KC].sum(1) / number_C[drawn_KC].sum(1)
    low, high = mean_K[mean_K.isfinite()].quantile(torch.tensor([0.025, 0.975])).tolist()
    return {"accuracy": (right_C.sum() / number_C.sum()).item(), "interval_95": [low, high]}
