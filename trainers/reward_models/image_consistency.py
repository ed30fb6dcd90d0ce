"""The embedded reward model: an image-consistency head over face vectors.

From ICReward (3.2): reference and frame tokens, an image-consistency token that attends over both, r = W h_IC + b.
Departures: tokens are relations of a recogniser's vectors, not patches, so that a head trained on a dozen people
judges people it never saw (`face_relations.py`); there is one consistency token a subject, and r is balanced between
the average and the least of the subjects (ID-Crafter, gamma = 0.5); in place of quality tokens the measured qualities
of the candidate go into the consistency token.

The order of references does not matter; that of frames does (`position_T`); a face not read is a token of its own.
"""
# Shape letters: B candidates, S subjects, T frames, R references, N = B * S, K tokens, Q qualities, F features, W width

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trainers.face_relations import FRAME_FEATURES, REFERENCE_FEATURES, SUMMARY_FEATURES, Relations, relate
from trainers.snapshot_pairs import QUALITIES, Evidence, collate

TIME_WAVES = 2
LEAST_QUALITY = 0.05
"""Added to the qualities before the logarithm, for a quality may be 0."""


class ImageConsistency(nn.Module):
    """Scores candidates; `fit_scale` once before training."""

    name: ClassVar[str] = "image_consistency"

    def __init__(self, *, width: int, dropout: float, subject_balance: float) -> None:
        super().__init__()
        self.subject_balance = subject_balance
        self.frame_scale = Scale(len(FRAME_FEATURES))
        self.reference_scale = Scale(len(REFERENCE_FEATURES))
        self.summary_scale = Scale(len(SUMMARY_FEATURES))
        self.quality_scale = Scale(len(QUALITIES))
        self.frame_token = nn.Linear(len(FRAME_FEATURES) + 1 + 2 * TIME_WAVES, width)
        self.reference_token = nn.Linear(len(REFERENCE_FEATURES), width)
        self.consistency_token = nn.Linear(len(SUMMARY_FEATURES) + len(QUALITIES), width)
        self.attention = nn.MultiheadAttention(width, 2, dropout=dropout, batch_first=True)
        self.mixing = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)
        self.reward = nn.Linear(width, 1)

    @classmethod
    def configured(cls, config: Mapping[str, Any]) -> "ImageConsistency":
        """Untrained, as a `RewardConfig` or the configuration in a run card says."""
        return cls(**{name: config[name] for name in ("width", "dropout", "subject_balance")})

    def fit_scale(self, evidence: Sequence[Evidence]) -> None:
        """Measure mean and spread of every feature over the training candidates; they are kept among the weights."""
        batch = collate(evidence)
        relations = relate(batch)
        self.frame_scale.fit(relations.frame_BSTF)
        self.reference_scale.fit(relations.reference_BSRF)
        self.summary_scale.fit(relations.summary_BSF)
        self.quality_scale.fit(_log_quality(batch))

    def score(self, evidence: Sequence[Evidence]) -> Tensor:
        """(B,) rewards."""
        batch = collate(evidence)
        reward_BS = self.forward(relate(batch), batch)
        return balanced(reward_BS, batch.has_reference_SR.any(-1), self.subject_balance)

    def forward(self, relations: Relations, batch: Evidence) -> Tensor:
        """(B, S) rewards, one a subject."""
        num_subjects = batch.is_seen_ST.shape[1]
        has_frame_NT = batch.has_frame_T.repeat_interleave(num_subjects, 0)
        is_padding_NK = ~torch.cat([batch.has_reference_SR.flatten(0, 1), has_frame_NT], 1)
        tokens_NKW = torch.cat([self._reference_tokens(relations), self._frame_tokens(relations, batch)], 1)
        hidden_NW = self._consistency_tokens(relations, batch)
        attended_NW = self._attend(hidden_NW, tokens_NKW, is_padding_NK)
        hidden_NW = hidden_NW + self.dropout(attended_NW)
        hidden_NW = hidden_NW + self.dropout(self.mixing(hidden_NW))
        reward_N1: Tensor = self.reward(hidden_NW)
        return reward_N1.view(-1, num_subjects)

    def _attend(self, query_NW: Tensor, tokens_NKW: Tensor, is_padding_NK: Tensor) -> Tensor:
        """What the consistency token reads from the others; 0 where there are none."""
        is_empty_N = is_padding_NK.all(1)
        mask_NK = is_padding_NK & ~is_empty_N[:, None]
        attended_N1W, _ = self.attention(
            query_NW[:, None], tokens_NKW, tokens_NKW, key_padding_mask=mask_NK, need_weights=False
        )
        return torch.where(is_empty_N[:, None], 0, attended_N1W[:, 0])

    def _consistency_tokens(self, relations: Relations, batch: Evidence) -> Tensor:
        quality_BSQ = self.quality_scale(_log_quality(batch))[:, None].expand(-1, batch.is_seen_ST.shape[1], -1)
        features = torch.cat([self.summary_scale(relations.summary_BSF), quality_BSQ], -1)
        tokens: Tensor = self.consistency_token(features)
        return tokens.flatten(0, 1)

    def _reference_tokens(self, relations: Relations) -> Tensor:
        tokens: Tensor = self.reference_token(self.reference_scale(relations.reference_BSRF))
        return tokens.flatten(0, 1)

    def _frame_tokens(self, relations: Relations, batch: Evidence) -> Tensor:
        is_missing_BST1 = (~batch.is_seen_ST)[..., None].float()
        time_BSTF = _waves(batch.position_T)[:, None].expand(-1, batch.is_seen_ST.shape[1], -1, -1)
        features = torch.cat([self.frame_scale(relations.frame_BSTF), is_missing_BST1, time_BSTF], -1)
        tokens: Tensor = self.frame_token(features)
        return tokens.flatten(0, 1)


class Scale(nn.Module):
    """Features in units of their spread over the training candidates; what is unknown (NaN) becomes 0, the average."""

    mean: Tensor
    spread: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("spread", torch.ones(num_features))

    def fit(self, features: Tensor) -> None:
        rows = features.flatten(0, -2)
        mean = rows.nanmean(0)
        spread = ((rows - mean) ** 2).nanmean(0).sqrt()
        self.mean.copy_(mean.nan_to_num(0.0))
        self.spread.copy_(torch.where(spread > 1e-6, spread, 1.0))

    def forward(self, features: Tensor) -> Tensor:
        return ((features - self.mean) / self.spread).nan_to_num(0.0).clamp(-4, 4)


def balanced(reward_BS: Tensor, is_known_BS: Tensor, gamma: float) -> Tensor:
    """(B,): (1 - gamma) average + gamma least over the known subjects (ID-Crafter); 0 where none is known."""
    average_B = torch.where(is_known_BS, reward_BS, 0).sum(1) / is_known_BS.sum(1).clamp(min=1)
    least_B = torch.where(is_known_BS, reward_BS, math.inf).amin(1)
    return torch.where(is_known_BS.any(1), (1 - gamma) * average_B + gamma * least_B, 0)


def _waves(position_BT: Tensor) -> Tensor:
    """(B, T, 4): cosines and sines of the place in the video."""
    angle = math.pi * position_BT[..., None] * torch.arange(1, TIME_WAVES + 1, device=position_BT.device)
    return torch.cat([angle.cos(), angle.sin()], -1)


def _log_quality(batch: Evidence) -> Tensor:
    """(B, Q): logarithms, so that a difference between candidates of one clip is a ratio."""
    return (batch.quality_Q + LEAST_QUALITY).log()
