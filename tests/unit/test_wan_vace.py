"""The tiny Wan VACE: beside diffusers' own pipeline, through its file format, and in our sampler."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanVACEPipeline
from PIL import Image
from torch import Tensor

from trainers.errors import CheckpointDamaged
from trainers.flow_sde import IdentityGrpo, Rule
from trainers.policies import sampling, tiny
from trainers.policies.wan_vace import NOTE, WanVACE, on_canvas

SIZE = (32, 32)
TIMES = sampling.schedule(4, 3.0)
RULE = IdentityGrpo(1.0)


@pytest.fixture(scope="module")
def policy() -> WanVACE:
    return tiny.build(0)


def picture(seed: int, height: int = 32, width: int = 32) -> Tensor:
    """(3, h, w) from -1 to 1, in steps of an 8-bit picture."""
    pixels = torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(seed))
    return pixels / 127.5 - 1


def as_image(picture_3HW: Tensor) -> Image.Image:
    return Image.fromarray(((picture_3HW + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())


def condition_of(policy: WanVACE, *references: Tensor, prompt: str = "a woman in a red coat walks") -> Any:
    return policy.condition(prompt, references, num_frames=5, size_px=SIZE)


def noise_of(policy: WanVACE, condition: Any, count: int, seed: int = 0) -> Tensor:
    return sampling.initial_noise(policy, condition, count, torch.Generator().manual_seed(seed), is_shared=False)


def rolled_out(policy: WanVACE, condition: Any, noise: Tensor, rule: Rule = RULE) -> sampling.Rollout:
    draws = torch.Generator().manual_seed(1)
    return sampling.roll_out(policy, condition, noise, TIMES, rule=rule, guidance=1.5, generator=draws)


class OurTimes(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """diffusers' Euler scheduler at the times of our schedule."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        super().set_timesteps(sigmas=list(sampling.schedule(num_inference_steps, 3.0)[:-1]), device=device)


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_the_ode_sampler_is_the_pipeline_s_with_its_references_turned_round(policy: WanVACE, guidance: float) -> None:
    references = [picture(1), picture(2, 32, 20)]
    condition = condition_of(policy, *references)
    noise = noise_of(policy, condition, 1)
    pipeline = WanVACEPipeline(
        tokenizer=policy.tokenizer,
        text_encoder=policy.text_encoder,
        vae=policy.vae,
        transformer=policy.transformer,
        scheduler=OurTimes(),
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt="a woman in a red coat walks",
        reference_images=[as_image(one) for one in reversed(references)],
        height=SIZE[0],
        width=SIZE[1],
        num_frames=5,
        num_inference_steps=4,
        guidance_scale=guidance,
        latents=noise,
        max_sequence_length=policy.num_tokens,
        output_type="latent",
    ).frames
    ours = sampling.integrate(policy, condition, noise, TIMES, guidance=guidance)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_references_stand_first_to_last_in_front_of_the_video(policy: WanVACE) -> None:
    first, second = picture(1), picture(2)
    condition = condition_of(policy, first, second)
    turned = condition_of(policy, second, first)
    for slot, reference in enumerate((first, second)):
        alone = policy.encode(reference[None, :, None])[0]
        torch.testing.assert_close(condition.control_CNHW[:4, slot : slot + 1], alone)
        torch.testing.assert_close(condition.references_CNHW[:, slot : slot + 1], alone)
    assert not torch.allclose(condition.control_CNHW, turned.control_CNHW)
    assert condition.control_CNHW[8:, :2].eq(0).all()
    assert condition.control_CNHW[8:, 2:].eq(1).all()


def test_the_order_of_references_is_stored_and_another_one_refused(policy: WanVACE, tmp_path: Path) -> None:
    policy.save(tmp_path, shift=3.0, note={})
    note = json.loads((tmp_path / NOTE).read_text())
    assert note["reference_order"] == "first to last"
    (tmp_path / NOTE).write_text(json.dumps(note | {"reference_order": "last to first"}))
    with pytest.raises(CheckpointDamaged, match="last to first"):
        WanVACE.load(tmp_path)


def test_a_saved_policy_comes_back_to_the_bit(policy: WanVACE, tmp_path: Path) -> None:
    policy.save(tmp_path, shift=3.0, note={})
    again = WanVACE.load(tmp_path)
    condition, reread = condition_of(policy, picture(1)), condition_of(again, picture(1))
    assert torch.equal(condition.prompt_LD, reread.prompt_LD)
    noise = noise_of(policy, condition, 2)
    latent = rolled_out(policy, condition, noise).latents[-1]
    assert torch.equal(latent, rolled_out(again, reread, noise).latents[-1])
    assert torch.equal(sampling.videos_of(policy, condition, latent), sampling.videos_of(again, reread, latent))


def test_diffusers_opens_a_saved_policy(policy: WanVACE, tmp_path: Path) -> None:
    policy.save(tmp_path, shift=3.0, note={})
    pipeline = WanVACEPipeline.from_pretrained(tmp_path)
    assert pipeline.scheduler.config.shift == 3.0
    assert torch.equal(pipeline.transformer.proj_out.weight, policy.transformer.proj_out.weight)


def test_the_same_seed_builds_the_same_weights_and_another_seed_others(policy: WanVACE) -> None:
    again, other = tiny.build(0).transformer.state_dict(), tiny.build(1).transformer.state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in policy.transformer.state_dict().items())
    assert not torch.equal(again["proj_out.weight"], other["proj_out.weight"])


def test_prompts_of_other_words_and_unknown_letters_are_told_apart(policy: WanVACE) -> None:
    tokens = [policy.tokenizer(text).input_ids for text in ("a red coat", "a blue coat", "zyx")]
    assert len({tuple(ids) for ids in tokens}) == 3
    assert policy.tokenizer.unk_token_id not in tokens[2]


def test_the_codec_starts_as_the_mean_colour_of_each_patch(policy: WanVACE) -> None:
    flat = torch.tensor([0.5, -0.3, 0.1]).view(1, 3, 1, 1, 1).expand(1, 3, 5, *SIZE)
    video = policy.decode(policy.encode(flat))
    torch.testing.assert_close(video, flat, atol=0.15, rtol=0)


def test_slots_of_references_are_cut_off_and_no_part_of_the_log_probability(policy: WanVACE) -> None:
    condition = condition_of(policy, picture(1), picture(2))
    noise = noise_of(policy, condition, 2)
    rollout = rolled_out(policy, condition, noise)
    assert noise.shape == (2, 4, 4, 8, 8)
    assert sampling.videos_of(policy, condition, rollout.latents[-1]).shape == (2, 5, 3, 32, 32)

    velocity = sampling.guided_velocity(policy, noise, 1.0, condition, 1.5).detach()
    elsewhere = rollout.latents[1].clone()
    elsewhere[:, :, :2] += 1
    span = {"num_references": 2, "t": TIMES[0], "t_next": TIMES[1], "rule": RULE}
    moved = sampling.video_step(velocity, noise, elsewhere, **span).log_prob
    assert torch.equal(moved, rollout.log_probs[0])
    elsewhere[:, :, 2:] += 1
    assert not torch.equal(sampling.video_step(velocity, noise, elsewhere, **span).log_prob, moved)


def test_a_replayed_roll_out_has_ratio_1_until_the_weights_move(tmp_path: Path) -> None:
    policy = tiny.build(0)
    condition = condition_of(policy, picture(1))
    rollout = rolled_out(policy, condition, noise_of(policy, condition, 3))
    weights = policy.add_lora(rank=2, alpha=2, seed=0)

    def ratio(index: int) -> Tensor:
        latent, next_latent = rollout.latents[index : index + 2]
        velocity = sampling.guided_velocity(policy, latent, TIMES[index], condition, 1.5)
        span = {"num_references": 1, "t": TIMES[index], "t_next": TIMES[index + 1], "rule": RULE}
        return torch.exp(sampling.video_step(velocity, latent, next_latent, **span).log_prob - rollout.log_probs[index])

    assert len(rollout.log_probs) == len(TIMES) - 2
    for index in range(len(rollout.log_probs)):
        torch.testing.assert_close(ratio(index), torch.ones(3), atol=1e-5, rtol=0)
    with torch.no_grad():
        for weight in weights.values():
            weight.add_(0.3)
    assert not torch.allclose(ratio(0), torch.ones(3), atol=1e-5, rtol=0)
    with policy.without_lora():
        torch.testing.assert_close(ratio(0), torch.ones(3), atol=1e-5, rtol=0)


def test_only_the_adapter_learns() -> None:
    policy = tiny.build(0)
    weights = policy.add_lora(rank=2, alpha=2, seed=0)
    condition = condition_of(policy, picture(1))
    sampling.guided_velocity(policy, noise_of(policy, condition, 2), 0.5, condition, 1.5).square().sum().backward()
    learning = [name for name, weight in policy.transformer.named_parameters() if weight.requires_grad]
    assert len(learning) == len(weights)
    assert all("lora" in name for name in weights)
    assert any(weight.grad is not None and weight.grad.any() for weight in weights.values())


def test_the_two_branches_of_guidance_run_as_one_batch_and_are_blended(policy: WanVACE) -> None:
    condition = condition_of(policy, picture(1))
    latent = noise_of(policy, condition, 2)
    t_B = torch.full((2,), 0.5)
    control = condition.control_CNHW.expand(2, *condition.control_CNHW.shape)
    prompt, empty = (
        policy.predict(latent, t_B, text.expand(2, *text.shape), control)
        for text in (condition.prompt_LD, condition.empty_LD)
    )
    guided = sampling.guided_velocity(policy, latent, 0.5, condition, 3.0)
    torch.testing.assert_close(guided, empty + 3 * (prompt - empty), atol=1e-4, rtol=1e-4)


def test_a_group_starts_from_one_noise_or_from_its_own(policy: WanVACE) -> None:
    condition = condition_of(policy, picture(1))
    draws = torch.Generator().manual_seed(0)
    shared = sampling.initial_noise(policy, condition, 3, draws, is_shared=True)
    own = sampling.initial_noise(policy, condition, 3, draws, is_shared=False)
    assert torch.equal(shared[0], shared[2])
    assert not torch.equal(own[0], own[2])


def test_the_schedule_runs_from_1_to_0_and_is_shifted_to_the_noisy_end() -> None:
    assert sampling.schedule(4, 1.0) == pytest.approx((1, 0.75, 0.5, 0.25, 0))
    assert sampling.schedule(2, 3.0) == pytest.approx((1, 0.75, 0))


def test_a_reference_stands_whole_in_the_middle_of_a_white_canvas() -> None:
    canvas = on_canvas(torch.zeros(3, 20, 10), (32, 32))
    assert canvas.shape == (3, 32, 32)
    assert canvas[:, :, 8:24].eq(0).all()
    assert canvas[:, :, :8].eq(1).all()
    assert canvas[:, :, 24:].eq(1).all()
