"""Preference between two candidates, ties allowed: Bradley-Terry with a tie parameter (Rao and Kupper 1967).

Identity-GRPO's eq. 1-4 with theta = 5, in log space and in fp32 at least: the paper's eq. 3, taken as it is written,
is NaN in fp32 at scores of 90.

`tie_logit` is ln(theta), theta >= 1. Theta = 1 is plain Bradley-Terry, which knows no ties: a tie has probability 0
there, says nothing of the scores, and counts as invalid.
"""
# Shape letters: B pairs.

import math

import torch
import torch.nn.functional as F
from torch import Tensor

A, TIE, B = 0, 1, 2


def outcome_log_probs(score_a_B: Tensor, score_b_B: Tensor, tie_logit: float) -> Tensor:
    """Log-probabilities of A, tie, B: (B, 3). Rao and Kupper 1967; theta = exp(tie_logit)."""
    precision = torch.promote_types(score_a_B.dtype, torch.float32)
    gap_B = score_a_B.to(precision) - score_b_B.to(precision)
    log_a_B, log_b_B = F.logsigmoid(gap_B - tie_logit), F.logsigmoid(-gap_B - tie_logit)
    return torch.stack([log_a_B, log_a_B + log_b_B + _log_expm1(2 * tie_logit), log_b_B], -1)


def loss(score_a_B: Tensor, score_b_B: Tensor, outcome_B: Tensor, tie_logit: float) -> Tensor:
    """Mean negative log-likelihood of the valid outcomes, a scalar; 0, with a zero gradient, where none is valid.

    Outcomes are 0 A, 1 tie, 2 B; anything else is invalid, and so is a tie under plain Bradley-Terry.
    """
    log_probs_B3 = outcome_log_probs(score_a_B, score_b_B, tie_logit)
    is_valid_B = (outcome_B >= A) & (outcome_B <= B)
    if tie_logit == 0:
        is_valid_B = is_valid_B & (outcome_B != TIE)
    chosen_B = torch.where(is_valid_B, outcome_B, A).long()
    nll_B = -log_probs_B3.gather(-1, chosen_B[:, None])[:, 0]
    return torch.where(is_valid_B, nll_B, 0).sum() / is_valid_B.sum().clamp(min=1)


def tie_margin(tie_logit: float) -> float:
    """The gap below which a tie is the likeliest outcome: ln((theta^2 - 2) / theta); 0 where it never is."""
    theta = math.exp(tie_logit)
    return max(0.0, math.log((theta**2 - 2) / theta)) if theta**2 > 2 else 0.0


def _log_expm1(value: float) -> float:
    """ln(e^value - 1), -inf at 0; stable for large values."""
    if value < 0:
        raise ValueError(f"theta = {math.exp(value / 2):.3g}: a tie parameter is at least 1")
    return value + math.log(-math.expm1(-value)) if value > 0 else -math.inf
