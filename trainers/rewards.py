"""Rewards of generated videos, as pure functions, and how they are put together.

`reference_appearance` is a stand-in. At 32 to 48 px no face can be read, so the face reward of the papers cannot be
asked of the tiny policy; what can is whether a video wears the colours of its reference pictures. It says nothing of
identity, and a policy trained on it keeps nobody's face.
"""

# B samples, T frames, S subjects, M moments; pictures and videos RGB from 0 to 1

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def combined(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """R = sum of weight times term, over the same names: (B,). ID-Crafter: 0.6 fidelity + 0.4 quality."""
    if terms.keys() != weights.keys():
        raise ValueError(f"terms {sorted(terms)} and weights {sorted(weights)} must have the same names")
    return torch.stack([weights[name] * terms[name] for name in sorted(terms)]).sum(0)


def balanced(score_BS: Tensor, gamma: float) -> Tensor:
    """(1 - gamma) average + gamma minimum over the subjects: (B,). ID-Crafter, gamma = 0.5."""
    return (1 - gamma) * score_BS.mean(-1) + gamma * score_BS.amin(-1)


def colour_moments(picture_3HW: Tensor) -> Tensor:
    """Mean and standard deviation of red, green and blue: (..., 6), each from 0 to 1."""
    pixels = picture_3HW.flatten(-2)
    return torch.cat([pixels.mean(-1), pixels.std(-1, correction=0)], -1)


def reference_appearance(video_BT3HW: Tensor, reference_3HW: Tensor) -> Tensor:
    """1 - mean distance between the colour moments of each frame and of a reference: (B,), 1 is alike. A stand-in."""
    gap_BTM = colour_moments(video_BT3HW) - colour_moments(reference_3HW)
    return 1 - gap_BTM.abs().mean((-1, -2))


def steadiness(video_BT3HW: Tensor) -> Tensor:
    """1 - mean difference between consecutive frames: (B,). A frozen video gets 1, so weigh it low."""
    return 1 - video_BT3HW.diff(dim=1).abs().mean((1, 2, 3, 4))


def appearance_terms(video_BT3HW: Tensor, references: Sequence[Tensor], *, gamma: float) -> dict[str, Tensor]:
    """The two terms of the tiny policy's reward, (B,) each; references (3, h, w), one a subject."""
    score_BS = torch.stack([reference_appearance(video_BT3HW, reference) for reference in references], -1)
    return {"reference_appearance": balanced(score_BS, gamma), "steadiness": steadiness(video_BT3HW)}
