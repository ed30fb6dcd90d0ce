"""What training asks of a video policy: a flow-matching model that draws videos from a prompt and references."""

# B samples, C channels, N slots of latent time (references first, then the video's), T frames, H, W; L text tokens, D

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Condition:
    """One clip's prompt and references, encoded once and shared by all samples of its group."""

    prompt_LD: Tensor
    empty_LD: Tensor
    """The empty prompt, for classifier-free guidance."""
    control_CNHW: Tensor
    """What the control branch sees: references, the absent source video, and the mask of what is to be drawn."""
    references_CNHW: Tensor
    """Latents of the references, one slot each, in the order given."""

    @property
    def num_references(self) -> int:
        return self.references_CNHW.shape[1]


class VideoPolicy(Protocol):
    """One network with its encoders. Latents are normalised; pictures and videos are RGB from -1 to 1."""

    name: str

    def condition(
        self, prompt: str, references: Sequence[Tensor], *, num_frames: int, size_px: tuple[int, int]
    ) -> Condition:
        """Encode a prompt and pictures (3, h, w), one a subject by `subject_index`. Size: height, width."""
        ...

    def encode(self, video_B3THW: Tensor) -> Tensor:
        """Videos to latents (B, C, N, H, W), without slots for references."""
        ...

    def decode(self, latent_BCNHW: Tensor) -> Tensor:
        """Latents without slots for references to videos (B, 3, T, H, W)."""
        ...

    def latent_shape(self, condition: Condition) -> tuple[int, int, int, int]:
        """(C, N, H, W) of one sample, slots for references included."""
        ...

    def predict(self, latent_BCNHW: Tensor, t_B: Tensor, text_BLD: Tensor, control_BCNHW: Tensor) -> Tensor:
        """The velocity eps - x0 at times from 0 (data) to 1 (noise), unguided: (B, C, N, H, W)."""
        ...

    def add_lora(self, *, rank: int, alpha: int, seed: int) -> Mapping[str, Tensor]:
        """Freeze everything and add low-rank adapters, which start as no change. Their parameters, by name."""
        ...

    def without_lora(self) -> AbstractContextManager[None]:
        """Inside, the adapters are off: the policy as it was before GRPO."""
        ...
