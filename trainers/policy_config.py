"""What a policy run is: one frozen record of plain values, checked at construction, written whole into the run card."""

from dataclasses import dataclass
from typing import Literal

from trainers.flow_sde import Cps, Dance, FlowGrpo, IdentityGrpo, Rule
from trainers.objectives.grpo import KlForm
from warehouse.errors import BadInput

RuleName = Literal["identity_grpo", "identity_grpo_released", "flow_grpo", "dance", "cps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """Codec and supervised warm-up, then GRPO. The defaults are the tiny policy's, for a minute of two CPU cores."""

    seed: int = 0
    base: str = "tiny"
    """`tiny`, built from the seed; else a folder or hub name in the format of diffusers' WanVACEPipeline."""
    height_px: int = 32
    width_px: int = 32
    num_frames: int = 5
    is_crop_preferred: bool = True
    """Which view of a subject is its reference: the crop, or another where there is one (2.1.1: against copy-paste)."""

    codec_steps: int = 40
    """0: the codec is trained already."""
    codec_learning_rate: float = 3e-3
    codec_batch: int = 8
    sft_steps: int = 300
    sft_learning_rate: float = 2e-3
    sft_batch: int = 16
    text_dropout: float = 0.1
    """Share of samples that see the empty prompt, for guidance."""

    rule: RuleName = "identity_grpo"
    noise_level: float = 1.6
    """The rule's a or eta; of Identity-GRPO the scale of s = scale t, 1 in the paper. Louder here: on one seed
    12 epochs then raised the held-out reward by 0.020 in place of 0.004."""
    sample_steps: int = 6
    eval_steps: int = 6
    shift: float = 3.0
    guidance: float = 1.0
    """1: none, which halves the work. Identity-GRPO, released: 4.5."""
    is_noise_shared: bool = False
    """Whether a group starts from one noise. Identity-GRPO 2.3.3: each sample from its own."""

    num_epochs: int = 14
    """An epoch is one roll-out and the updates made on it."""
    groups_per_epoch: int = 6
    """At most the number of clips: a clip is never drawn twice in an epoch."""
    updates_per_epoch: int = 3
    group_size: int = 8
    """Identity-GRPO 3.2: 8."""
    learning_rate: float = 1e-2
    is_rate_decayed: bool = True
    """By a half cosine to 0 over the epochs, or a short run would end on its last noisy step. False: constant."""
    clip: float = 1e-2
    """Identity-GRPO 3.2: 1e-3. The ratio is of averages, so its spread falls with the root of the latent's size: the
    tiny policy's 512 elements against the paper's 225 thousand."""
    advantage_clip: float = 5.0
    """Identity-GRPO, released."""
    advantage_epsilon: float = 1e-8
    """ID-Crafter S.4."""
    advantage_ddof: int = 0
    replay_tolerance: float = 1e-4
    """Of the ratio before the first update: a tenth of the paper's clip."""
    kl_beta: float = 0.0
    kl_form: KlForm = "per_time"
    grad_norm: float = 1.0
    """ID-Crafter: 1.0."""
    lora_rank: int = 8
    lora_alpha: int = 8
    ema_decay: float = 0.8
    """Identity-GRPO, released: 0.9 every 8 updates, of many more."""
    ema_every: int = 1
    """Updates."""

    appearance_weight: float = 0.6
    """ID-Crafter: 0.6 fidelity."""
    steadiness_weight: float = 0.4
    """ID-Crafter: 0.4 quality."""
    subject_balance: float = 0.5
    """Gamma of ID-Crafter."""

    eval_samples: int = 4
    """A held-out clip."""
    eval_every: int = 4
    """Epochs."""
    save_every: int = 4
    """Epochs between two resume states."""
    num_kept_videos: int = 4
    """Generated videos kept in the checkpoint, of the warm-up policy and of the final one."""

    def __post_init__(self) -> None:
        self._refuse_below_one(
            "height_px", "width_px", "sft_batch", "codec_batch", "num_epochs", "groups_per_epoch", "updates_per_epoch",
            "lora_rank", "ema_every", "eval_samples", "eval_every", "save_every",
        )  # fmt: skip
        if self.height_px % 16 or self.width_px % 16:
            raise BadInput(f"{self.height_px} x {self.width_px} px: Wan needs multiples of 16")
        if self.num_frames % 4 != 1 or self.num_frames < 5:
            raise BadInput(f"num_frames = {self.num_frames}: Wan needs 4 k + 1, and at least 5")
        if self.group_size < 2:
            raise BadInput(f"group_size = {self.group_size}: advantages need at least 2 samples of a clip")
        if self.sample_steps < 2:
            raise BadInput(f"sample_steps = {self.sample_steps}: the last is not trained, so at least 2")
        if self.updates_per_epoch > self.groups_per_epoch:
            raise BadInput(f"updates_per_epoch = {self.updates_per_epoch}: at most groups_per_epoch")
        if not 0 < self.clip < 1:
            raise BadInput(f"clip = {self.clip}: must lie between 0 and 1")
        if not 0 <= self.ema_decay < 1:
            raise BadInput(f"ema_decay = {self.ema_decay}: must be 0 or above, and below 1")
        if not 0 <= self.subject_balance <= 1:
            raise BadInput(f"subject_balance = {self.subject_balance}: must lie between 0 and 1")
        if self.base == "tiny" and not self.sft_steps:
            raise BadInput("sft_steps = 0: the tiny policy is random before its warm-up; give it some")

    @property
    def size_px(self) -> tuple[int, int]:
        """Height, width."""
        return self.height_px, self.width_px

    @property
    def reward_weights(self) -> dict[str, float]:
        return {"reference_appearance": self.appearance_weight, "steadiness": self.steadiness_weight}

    def step_rule(self, t_second: float) -> Rule:
        """The rule of sampling; `t_second` is the schedule's second time."""
        match self.rule:
            case "identity_grpo":
                return IdentityGrpo(self.noise_level)
            case "identity_grpo_released":
                return IdentityGrpo(t_second)
            case "flow_grpo":
                return FlowGrpo(self.noise_level, t_second)
            case "dance":
                return Dance(self.noise_level)
            case "cps":
                return Cps(self.noise_level)

    def _refuse_below_one(self, *names: str) -> None:
        for name in names:
            if getattr(self, name) < 1:
                raise BadInput(f"{name} = {getattr(self, name)}: must be at least 1")
