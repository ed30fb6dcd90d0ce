"""Named runs: each function returns one complete configuration."""

from trainers.policy_config import PolicyConfig


def policy_tiny() -> PolicyConfig:
    """About a minute on two CPU cores: the profile `embedded`."""
    return PolicyConfig()


def policy_paper() -> PolicyConfig:
    """Identity-GRPO on VACE-1.3B (section 3.2 and, where it is silent, the released code)."""
    return PolicyConfig(
        base="Wan-AI/Wan2.1-VACE-1.3B-diffusers",
        height_px=240,
        width_px=416,
        num_frames=33,
        is_crop_preferred=False,
        codec_steps=0,
        sft_steps=0,
        noise_level=1.0,
        sample_steps=25,
        eval_steps=50,
        guidance=4.5,
        num_epochs=200,
        groups_per_epoch=32,
        group_size=8,
        updates_per_epoch=2,
        learning_rate=1e-4,
        is_rate_decayed=False,
        clip=1e-3,
        kl_beta=0.004,
        lora_rank=32,
        lora_alpha=32,
        ema_decay=0.9,
        ema_every=8,
    )
