"""How each generator shows the references to its transformer: beside diffusers' own pipelines on the same weights."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline, WanVACEPipeline
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessor

from flows.engines import wan, wan_magref, wan_networks, wan_phantom, wan_sampling, wan_vace
from flows.engines.ports import Request
from flows.engines.wan import Canvas, Sampling, Weights
from flows.engines.wan_networks import Networks
from flows.engines.wan_sampling import Condition
from tests import tiny_wan
from tests.tiny_wan import picture, request
from trainers.policies import sampling as policy_sampling
from trainers.policies.wan_vace import WanVACE as Policy

NEGATIVE = "a blue dress"
SAMPLING = Sampling(steps=4, shift=3.0, solver="unipc", negative_prompt=NEGATIVE, num_videos=1, most_pixels=9999)
SIZE_PX = (32, 48)
GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three checkpoints."""
    folder = tmp_path_factory.mktemp("released")
    tiny_wan.vace(folder / "vace")
    tiny_wan.base(folder / "base")
    tiny_wan.phantom(folder / "phantom.pth")
    tiny_wan.magref(folder / "magref")
    return folder


@pytest.fixture(scope="module")
def vace(folder: Path) -> Networks:
    return wan_networks.load(
        Weights(model=str(folder / "vace"), device="cpu"), architecture="WanVACETransformer3DModel"
    )


@pytest.fixture(scope="module")
def phantom(folder: Path) -> Networks:
    weights = Weights(model=str(folder / "phantom.pth"), base=str(folder / "base"), device="cpu")
    return wan_networks.load(weights, architecture="WanTransformer3DModel")


@pytest.fixture(scope="module")
def magref(folder: Path) -> Networks:
    weights = Weights(model=str(folder / "magref"), base=str(folder / "base"), device="cpu")
    return wan_networks.load(weights, architecture="WanTransformer3DModel", has_image_encoder=True)


def canvas(networks: Networks) -> Canvas:
    """32 x 48 px, 5 frames."""
    return wan.canvas_of(request(), networks, most_pixels=9999)


def vace_condition(networks: Networks, asked: Request, guidance: float = 5.0) -> Condition:
    return wan_vace.condition_of(networks, asked, canvas(networks), NEGATIVE, guidance)


def phantom_condition(networks: Networks, asked: Request, image: float = 5.0, text: float = 7.5) -> Condition:
    return wan_phantom.condition_of(
        networks, asked, canvas(networks), NEGATIVE, image_guidance=image, text_guidance=text
    )


def magref_condition(networks: Networks, asked: Request) -> Condition:
    return wan_magref.condition_of(networks, asked, canvas(networks), NEGATIVE, 5.0)


def scheduler() -> UniPCMultistepScheduler:
    """As the hub's Wan folders configure it, at our shift."""
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SAMPLING.shift)


def parts(networks: Networks) -> dict[str, Any]:
    """What any pipeline is made of."""
    return {
        "tokenizer": networks.tokenizer,
        "text_encoder": networks.text_encoder,
        "vae": networks.vae,
        "transformer": networks.transformer,
        "scheduler": scheduler(),
    }


@pytest.mark.parametrize("num_references", [1, 2])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_vace_draws_what_the_pipeline_draws_with_its_references_turned_round(
    vace: Networks, num_references: int, guidance: float
) -> None:
    references = (picture(1), picture(2, 20, 32))[:num_references]
    condition = vace_condition(vace, request(references=references), guidance)
    noise = wan_sampling.noise_of(condition, [7])
    pipeline = WanVACEPipeline(**parts(vace))
    pipeline.set_progress_bar_config(disable=True)

    def theirs(output: str) -> Any:
        return pipeline(
            prompt=tiny_wan.PROMPT,
            negative_prompt=NEGATIVE,
            reference_images=[Image.fromarray(each) for each in reversed(references)],
            height=SIZE_PX[0],
            width=SIZE_PX[1],
            num_frames=5,
            num_inference_steps=SAMPLING.steps,
            guidance_scale=guidance,
            latents=noise,
            max_sequence_length=48,
            output_type=output,
        ).frames

    with torch.no_grad():
        latents = wan_sampling.integrate(vace, condition, noise, SAMPLING)
    torch.testing.assert_close(latents, theirs("latent"), atol=2e-4, rtol=1e-4)
    (video,) = wan_sampling.videos(vace, condition, [7], SAMPLING)
    assert np.abs(video - np.round(theirs("np")[0] * 255)).max() <= 1


def test_vace_and_the_policy_that_learns_from_it_see_the_same(vace: Networks, folder: Path) -> None:
    policy = Policy.load(folder / "vace")
    asked = request()
    pictures = [wan_networks.as_tensor(each) for each in asked.references]
    learned = policy.condition(tiny_wan.PROMPT, pictures, num_frames=5, size_px=SIZE_PX)
    ours = vace_condition(vace, asked)
    assert ours.control_CNHW is not None
    torch.testing.assert_close(ours.control_CNHW, learned.control_CNHW)
    torch.testing.assert_close(ours.branches[0].text_LD, learned.prompt_LD)
    assert ours.latent_shape == policy.latent_shape(learned)


def test_a_policy_draws_here_what_it_draws_in_training(vace: Networks, folder: Path) -> None:
    policy = Policy.load(folder / "vace")
    pictures = [wan_networks.as_tensor(each) for each in request().references]
    learned = policy.condition(tiny_wan.PROMPT, pictures, num_frames=5, size_px=SIZE_PX)
    ours = wan_vace.condition_of(vace, request(), canvas(vace), "", 1.5)
    noise = wan_sampling.noise_of(ours, [7, 8])
    theirs = policy_sampling.integrate(policy, learned, noise, policy_sampling.schedule(4, 3.0), guidance=1.5)
    with torch.no_grad():
        latents = wan_sampling.integrate(vace, ours, noise, replace(SAMPLING, solver="euler"))
    torch.testing.assert_close(latents, theirs, atol=2e-4, rtol=1e-4)


def test_vace_s_references_stand_first_to_last_before_the_video_and_are_cut_off(vace: Networks) -> None:
    asked = request()
    control = vace_condition(vace, asked).control_CNHW
    assert control is not None
    for slot, reference in enumerate(asked.references):
        alone = vace_condition(vace, request(references=(reference,))).control_CNHW
        assert alone is not None
        torch.testing.assert_close(control[:, slot], alone[:, 0])
    condition = vace_condition(vace, asked)
    assert (condition.latent_shape[1], condition.num_leading_slots) == (4, 2)
    (video,) = wan_sampling.videos(vace, condition, [7], SAMPLING)
    with torch.no_grad():
        latents = wan_sampling.integrate(vace, condition, wan_sampling.noise_of(condition, [7]), SAMPLING)
        whole = vace.decode(latents[:, :, 2:])[0]
    assert video.shape == (5, 32, 48, 3)
    assert np.array_equal(video, ((whole + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 3, 0).numpy())


@pytest.mark.parametrize("name", ["phantom", "magref"])
def test_a_video_is_the_one_that_the_released_sampling_code_draws(
    name: str, phantom: Networks, magref: Networks
) -> None:
    """Sixteen of the last slot's latents after 4 steps from seed 7.

    Made once with each release's own transformer, UniPC and loop, in float32 on a CPU, on the tiny checkpoints of
    tiny_wan. Around it stood what tells nothing of the sampling: our text encoder, codec and CLIP, our size in place of
    832 x 480, and for MAGREF the references left in their order. Whole latents differed by 7e-4 of 10 at most.
    """
    golden = json.loads((GOLDEN / "wan_released.json").read_text())[name]
    asked, sampling = request(), replace(SAMPLING, solver="wan-unipc", shift=5.0 if name == "phantom" else 3.0)
    if name == "phantom":
        networks, condition = phantom, phantom_condition(phantom, asked)
        # The release draws the noise of video and references together.
        noise = torch.randn(4, 2 + 2, 8, 12, generator=torch.Generator().manual_seed(7))[None, :, :2]
    else:
        networks, condition = magref, magref_condition(magref, asked)
        noise = wan_sampling.noise_of(condition, [7])
    with torch.no_grad():
        latents = wan_sampling.integrate(networks, condition, noise, sampling)[0]
    torch.testing.assert_close(latents[:, -1, ::4, ::6].flatten(), torch.tensor(golden), atol=5e-3, rtol=1e-3)


@torch.no_grad()
def test_phantom_adds_up_its_three_answers_by_both_scales(phantom: Networks) -> None:
    condition = phantom_condition(phantom, request())
    latent, t = wan_sampling.noise_of(condition, [7, 8]), torch.tensor(600.0)
    prompt, negative = phantom.embed([tiny_wan.PROMPT, NEGATIVE])
    slots = torch.cat([slot_of(phantom, each) for each in request().references], 1)

    def answer(text: Tensor, behind: Tensor) -> Tensor:
        shown = torch.cat([latent, behind.expand(2, *behind.shape)], 2)
        velocity: Tensor = phantom.transformer(shown, t.expand(2), text.expand(2, *text.shape)).sample
        return velocity[:, :, :-2]

    neither, pictures = answer(negative, torch.zeros_like(slots)), answer(negative, slots)
    expected = neither + 5 * (pictures - neither) + 7.5 * (answer(prompt, slots) - pictures)
    velocity = wan_sampling.velocity(phantom, condition, latent, t)
    assert velocity.shape == latent.shape == (2, 4, 2, 8, 12)
    torch.testing.assert_close(velocity, expected, atol=1e-3, rtol=1e-4)


def slot_of(networks: Networks, reference: Any) -> Tensor:
    """A reference's latents, encoded by itself."""
    canvas, _ = wan.letterboxed(reference, SIZE_PX)
    return networks.encode(wan_networks.as_tensor(canvas)[None, :, None])[0]


def test_phantom_leaves_out_answers_that_do_not_count(phantom: Networks) -> None:
    weights = [
        [branch.weight for branch in phantom_condition(phantom, request(), image, text).branches]
        for image, text in ((5.0, 7.5), (1.0, 1.0), (1.0, 4.0), (4.0, 4.0))
    ]
    assert weights == [[7.5, -2.5, -4.0], [1.0], [4.0, -3.0], [4.0, -3.0]]


def test_phantom_s_references_stand_first_to_last_behind_the_video(phantom: Networks) -> None:
    asked = request()
    behind = phantom_condition(phantom, asked).branches[0].slots_CNHW
    assert behind is not None
    for slot, reference in enumerate(asked.references):
        torch.testing.assert_close(behind[:, slot : slot + 1], slot_of(phantom, reference))


def test_magref_draws_what_image_to_video_draws_from_its_canvas(magref: Networks) -> None:
    whole = picture(5, 30, 45)  # as wide as high as the canvas: nothing of it is margin
    condition = magref_condition(magref, request(references=(whole,)))
    assert condition.picture_LD is not None
    filled, is_reference = wan_magref.compose([whole], SIZE_PX)
    assert is_reference.all()
    pipeline = WanImageToVideoPipeline(**parts(magref), image_encoder=None, image_processor=None)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.encode_image = lambda *_: condition.picture_LD[None]  # its own processor would cut out the middle
    noise = wan_sampling.noise_of(condition, [7])
    with torch.no_grad():
        prompt, negative = (each[None] for each in magref.embed([tiny_wan.PROMPT, NEGATIVE]))
        latents = wan_sampling.integrate(magref, condition, noise, SAMPLING)
    theirs = pipeline(
        image=Image.fromarray(filled),
        prompt_embeds=prompt,
        negative_prompt_embeds=negative,
        height=SIZE_PX[0],
        width=SIZE_PX[1],
        num_frames=9,
        num_inference_steps=SAMPLING.steps,
        guidance_scale=5.0,
        latents=noise,
        output_type="latent",
    ).frames
    torch.testing.assert_close(latents, theirs, atol=2e-4, rtol=1e-4)


def test_magref_draws_a_slot_more_and_cuts_off_the_canvas(magref: Networks) -> None:
    condition = magref_condition(magref, request())
    (video,) = wan_sampling.videos(magref, condition, [7], SAMPLING)
    (whole,) = wan_sampling.videos(magref, replace(condition, num_leading_frames=0), [7], SAMPLING)
    assert (condition.latent_shape, video.shape, whole.shape) == ((4, 3, 8, 12), (5, 32, 48, 3), (9, 32, 48, 3))
    assert np.array_equal(video, whole[4:])


def test_magref_s_mask_marks_the_references_in_the_first_slot_alone(magref: Networks) -> None:
    joined = magref_condition(magref, request(references=(picture(1, 40, 20), picture(2, 40, 20)))).channels_CNHW
    assert joined is not None
    mask = joined[:4]
    assert mask[:, 1:].eq(0).all()
    assert all(torch.equal(mask[0, 0], channel) for channel in mask[:, 0])
    # Blocks of 24 px, references of 16: 4 px of margin, one latent position, on either side.
    row = [0.0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0]
    assert mask[0, 0].tolist() == [row] * 8


def test_a_latent_position_is_marked_if_any_of_its_pixels_is_a_reference_s() -> None:
    is_reference = np.zeros((8, 8), np.bool_)
    is_reference[3, 4] = True
    assert wan_magref.marked(is_reference, 4).tolist() == [[0.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("count", "places"),
    [
        (1, [(16, 48)]),
        (2, [(16, 24), (16, 72)]),
        (3, [(16, 16), (16, 48), (16, 80)]),
        (5, [(8, 16), (8, 48), (8, 80), (24, 16), (24, 48)]),
    ],
)
def test_references_stand_on_the_canvas_in_reading_order(count: int, places: list[tuple[int, int]]) -> None:
    """As many shades of grey as references; in the middle of each block the shade of its own."""
    shades = [10 * (index + 1) for index in range(count)]
    canvas, is_reference = wan_magref.compose([np.full((10, 10, 3), shade, np.uint8) for shade in shades], (32, 96))
    assert [int(canvas[y, x, 0]) for y, x in places] == shades
    assert (canvas[~is_reference] == 255).all()
    assert set(np.unique(canvas[is_reference]).tolist()) == set(shades)


def test_clip_sees_the_whole_canvas_and_not_its_middle(magref: Networks) -> None:
    wide = picture(1, 30, 90)
    changed = wide.copy()
    changed[:, :8] = 255 - changed[:, :8]
    with torch.no_grad():
        one, other = (magref.embed_picture(wan_networks.as_tensor(each)) for each in (wide, changed))
    assert one.shape == (1, 5, tiny_wan.PICTURE_DIM)
    assert not torch.allclose(one, other, atol=1e-3)


def test_clip_reads_a_square_as_its_own_processor_prepares_it(magref: Networks) -> None:
    square = picture(1, 30, 30)[:28, :28].copy()
    processor = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    pixels = processor(Image.fromarray(square), return_tensors="pt").pixel_values
    assert magref.image_encoder is not None
    with torch.no_grad():
        theirs = magref.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]
        ours = magref.embed_picture(wan_networks.as_tensor(square))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_picture_stands_whole_in_the_middle_of_a_white_canvas() -> None:
    canvas, is_picture = wan.letterboxed(np.zeros((20, 10, 3), np.uint8), (32, 32))
    assert is_picture[:, 8:24].all()
    assert is_picture.sum() == 32 * 16
    assert (canvas[is_picture] == 0).all()
    assert (canvas[~is_picture] == 255).all()


def test_a_video_s_noise_depends_on_its_own_seed_alone(vace: Networks) -> None:
    condition = vace_condition(vace, request())
    together = wan_sampling.noise_of(condition, [3, 4])
    assert torch.equal(together[1:], wan_sampling.noise_of(condition, [4]))
    assert math.isclose(float(together.std()), 1, abs_tol=0.1)
