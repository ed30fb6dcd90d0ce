"""What a recogniser's vectors say of a candidate without saying whose they are: how its faces lie to the references,
to each other, and to the other people's. Heads that see only these carry over to people they never saw.

Unknown is NaN: a face not read, a reference without a face, a clip with one person where two are compared.
"""
# Shape letters: B candidates, S subjects, T looked frames, R references a subject, D vector; F features.

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.snapshot_pairs import Evidence

EPSILON = 0.02
"""Added to distances between unit vectors before the logarithm: below it lie coding noise and identical pictures."""

FRAME_FEATURES = ("likeness", "distance", "stir", "margin", "centre")
COURSES = FRAME_FEATURES[:4]
REFERENCE_FEATURES = ("mean likeness", "best likeness", "agreement")
SUMMARY_FEATURES = (
    *(f"{series} {part}" for series in COURSES for part in ("mean", "least", "most", "spread", "slope")),
    "share seen",
    "spread",
    "first to last",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relations:
    """The three views of a candidate."""

    frame_BSTF: Tensor
    """`FRAME_FEATURES` of each looked frame."""
    reference_BSRF: Tensor
    """`REFERENCE_FEATURES` of each reference."""
    summary_BSF: Tensor
    """`SUMMARY_FEATURES` of each subject over all frames."""


def relate(evidence: Evidence) -> Relations:
    """Of a batch (`collate`).

    likeness   cosine to the nearest of the subject's references
    distance   ln of the distance to it: tells a copy of a reference from a good likeness
    stir       ln of the distance to the subject's face in the frame seen before: tells a still picture from a calm one
    margin     likeness minus the cosine to the nearest of the other subjects' references
    centre     ln of the distance to the mean of the subject's faces in the candidate
    """
    seen_BST, has_BSR = evidence.is_seen_ST, evidence.has_reference_SR
    unit_BSTD, reference_BSRD = F.normalize(evidence.vector_STD, dim=-1), F.normalize(evidence.reference_SRD, dim=-1)
    cosine_BSTR = _known(unit_BSTD @ reference_BSRD.mT, seen_BST[..., None] & has_BSR[:, :, None])
    likeness_BST = _most(cosine_BSTR)
    centre_BSTD = F.normalize(unit_BSTD.sum(2, keepdim=True), dim=-1)
    frame_BSTF = torch.stack(
        [
            likeness_BST,
            _log_distance(likeness_BST),
            _log_distance(_from_frame_before(unit_BSTD, seen_BST)),
            likeness_BST - _likeness_to_others(unit_BSTD, reference_BSRD, seen_BST, has_BSR),
            _log_distance(_known((unit_BSTD * centre_BSTD).sum(-1), seen_BST)),
        ],
        -1,
    )
    return Relations(
        frame_BSTF=frame_BSTF,
        reference_BSRF=_of_references(cosine_BSTR, reference_BSRD, has_BSR),
        summary_BSF=_summary(frame_BSTF, unit_BSTD, evidence),
    )


def _summary(frame_BSTF: Tensor, unit_BSTD: Tensor, evidence: Evidence) -> Tensor:
    position_BST = evidence.position_T[:, None].expand(evidence.is_seen_ST.shape)
    parts = [part for f in range(len(COURSES)) for part in _course(frame_BSTF[..., f], position_BST)]
    share_BS = evidence.is_seen_ST.sum(-1) / evidence.has_frame_T.sum(-1).clamp(min=1)[:, None]
    spread_BS = frame_BSTF[..., -1].nanmean(-1)
    ends_BS = _log_distance(_first_to_last(unit_BSTD, evidence.is_seen_ST))
    return torch.stack([*parts, share_BS, spread_BS, ends_BS], -1)


def _course(value_BST: Tensor, position_BST: Tensor) -> tuple[Tensor, ...]:
    """Mean, least, most, standard deviation and least-squares slope of a series, each (B, S)."""
    mean_BS = value_BST.nanmean(-1)
    away_BST = value_BST - mean_BS[..., None]
    time_BST = _known(position_BST, ~value_BST.isnan())
    time_BST = time_BST - time_BST.nanmean(-1, keepdim=True)
    slope_BS = (away_BST * time_BST).nanmean(-1) / (time_BST**2).nanmean(-1)
    return mean_BS, -_most(-value_BST), _most(value_BST), (away_BST**2).nanmean(-1).sqrt(), slope_BS


def _of_references(cosine_BSTR: Tensor, reference_BSRD: Tensor, has_BSR: Tensor) -> Tensor:
    agreement_BSRR = _known(reference_BSRD @ reference_BSRD.mT, has_BSR[..., None] & has_BSR[:, :, None])
    return torch.stack([cosine_BSTR.nanmean(2), _most(cosine_BSTR.mT), agreement_BSRR.nanmean(-1)], -1)


def _likeness_to_others(unit_BSTD: Tensor, reference_BSRD: Tensor, seen_BST: Tensor, has_BSR: Tensor) -> Tensor:
    """(B, S, T): cosine to the nearest reference of any other subject."""
    num_subjects = unit_BSTD.shape[1]
    is_other_SS = ~torch.eye(num_subjects, dtype=torch.bool, device=unit_BSTD.device)
    cosine_BSTSR = torch.einsum("bstd,bqrd->bstqr", unit_BSTD, reference_BSRD)
    is_known_BSTSR = seen_BST[..., None, None] & has_BSR[:, None, None] & is_other_SS[:, None, :, None]
    return _most(_known(cosine_BSTSR, is_known_BSTSR).flatten(3))


def _from_frame_before(unit_BSTD: Tensor, seen_BST: Tensor) -> Tensor:
    """(B, S, T): cosine to the subject's face in the last frame before, in which it was seen."""
    order_T = torch.arange(seen_BST.shape[-1], device=seen_BST.device)
    latest_BST = torch.where(seen_BST, order_T, -1).cummax(-1).values
    before_BST = F.pad(latest_BST[..., :-1], (1, 0), value=-1)
    before_BSTD = unit_BSTD.gather(2, before_BST.clamp(min=0)[..., None].expand_as(unit_BSTD))
    return _known((unit_BSTD * before_BSTD).sum(-1), seen_BST & (before_BST >= 0))


def _first_to_last(unit_BSTD: Tensor, seen_BST: Tensor) -> Tensor:
    """(B, S): cosine between the first and the last face seen; NaN where they are one."""
    order_T = torch.arange(seen_BST.shape[-1], device=seen_BST.device)
    last_BS = torch.where(seen_BST, order_T, -1).amax(-1)
    first_BS = torch.where(seen_BST, order_T, len(order_T)).amin(-1)
    ends = [
        unit_BSTD.gather(2, end_BS.clamp(0, len(order_T) - 1)[..., None, None].expand(-1, -1, 1, unit_BSTD.shape[-1]))
        for end_BS in (first_BS, last_BS)
    ]
    return _known((ends[0] * ends[1]).sum(-1)[..., 0], last_BS > first_BS)


def _log_distance(cosine: Tensor) -> Tensor:
    """ln(epsilon + |u - v|) of unit vectors with this cosine."""
    return ((2 - 2 * cosine).clamp(min=0).sqrt() + EPSILON).log()


def _most(value: Tensor) -> Tensor:
    """The greatest of what is known along the last axis; NaN where nothing is."""
    most = value.nan_to_num(nan=-math.inf).amax(-1)
    return _known(most, most > -math.inf)


def _known(value: Tensor, is_known: Tensor) -> Tensor:
    return torch.where(is_known, value, math.nan)
