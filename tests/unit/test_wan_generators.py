"""The three generators on Wan 2.1 transformers: what is true of each, on tiny checkpoints in the released formats."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import huggingface_hub.constants
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from flows import recipe
from flows.engines import wan_networks
from flows.engines.ports import Generated, Generator, Request
from flows.engines.wan_magref import WanMAGREF
from flows.engines.wan_phantom import WanPhantom
from flows.engines.wan_vace import WanVACE
from flows.stages import tracks
from flows.stages.candidates import Candidates, CandidatesFact
from flows.stages.encode import encode
from flows.stages.frames import Video
from flows.stages.stage import ClipItem, Done
from tests import factories, tiny_wan
from tests.conftest import ROOT
from tests.tiny_wan import picture, request
from warehouse.errors import BadRecipe, EngineUnavailable
from warehouse.media import MediaStore
from warehouse.records import Candidate

ENGINES = {"wan_vace": WanVACE, "wan_phantom": WanPhantom, "wan_magref": WanMAGREF}
SIZES = {"wan_vace": "wan-vace-64x3", "wan_phantom": "wan-phantom-128x2", "wan_magref": "wan-magref-128x2"}


@dataclass(frozen=True)
class Released:
    """One folder with all that would be downloaded."""

    folder: Path

    def arguments(self, name: str, **override: Any) -> dict[str, Any]:
        """Of an engine's constructor."""
        places = {
            "wan_vace": {"model": self.folder / "vace"},
            "wan_phantom": {"model": self.folder / "Phantom-Wan-1.3B.pth", "base": self.folder / "base"},
            "wan_magref": {"model": self.folder / "magref", "base": self.folder / "base"},
        }
        return {key: str(path) for key, path in places[name].items()} | {"steps": 3, "device": "cpu"} | override

    def engine(self, name: str, **override: Any) -> Generator:
        engine: Generator = ENGINES[name](**self.arguments(name, **override))
        return engine


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    folder = tmp_path_factory.mktemp("released")
    tiny_wan.vace(folder / "vace")
    tiny_wan.base(folder / "base")
    tiny_wan.phantom(folder / "Phantom-Wan-1.3B.pth")
    tiny_wan.magref(folder / "magref")
    return Released(folder)


@pytest.fixture(params=sorted(ENGINES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def drawn(engine: Generator, asked: Request) -> NDArray[np.uint8]:
    """(T, H, W, 3): the first video."""
    return np.stack(next(iter(engine.generate(asked))).frames)


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean difference, in steps of 8 bits."""
    return float(np.abs(one.astype(int) - other).mean())


def test_a_video_has_the_original_s_size_length_and_rate_and_its_model_s_name(released: Released, name: str) -> None:
    (made,) = released.engine(name).generate(request(frame_rate=Fraction(30000, 1001)))
    assert isinstance(made, Generated)
    assert (made.generator, made.severity, made.frame_rate) == (SIZES[name], None, Fraction(30000, 1001))
    assert [frame.shape for frame in made.frames] == [(30, 46, 3)] * 5
    assert {frame.dtype for frame in made.frames} == {np.dtype(np.uint8)}


def test_the_same_request_gives_the_same_video_and_another_seed_another(released: Released, name: str) -> None:
    engine = released.engine(name)
    video = drawn(engine, request())
    assert np.array_equal(video, drawn(released.engine(name), request()))
    assert apart(video, drawn(engine, request(seed=8))) > 5


def test_what_is_asked_for_is_seen_in_the_video(released: Released, name: str) -> None:
    engine = released.engine(name)
    video = drawn(engine, request())
    first, second = request().references
    others = {
        "another second reference": request(references=(first, picture(3))),
        "references turned round": request(references=(second, first)),
        "the first alone": request(references=(first,)),
        "another prompt": request(prompt="two dogs"),
    }
    distances = {what: apart(video, drawn(engine, asked)) for what, asked in others.items()}
    assert min(distances.values()) > 1, distances


def test_guidance_and_the_negative_prompt_are_seen_in_the_video(released: Released, name: str) -> None:
    video = drawn(released.engine(name), request())
    scale = "text_guidance" if name == "wan_phantom" else "guidance"
    for override in ({"negative_prompt": "a red coat"}, {scale: 1.0}, {"shift": 1.0}, {"solver": "euler"}):
        assert apart(video, drawn(released.engine(name, **override), request())) > 1, override


def test_the_videos_of_a_request_are_those_of_its_seed_and_the_next_ones(released: Released, name: str) -> None:
    both = [np.stack(made.frames) for made in released.engine(name, num_videos=2).generate(request(seed=7))]
    alone = [drawn(released.engine(name), request(seed=seed)) for seed in (7, 8)]
    for video, single in zip(both, alone, strict=True):
        assert apart(video, single) < 0.01
    assert apart(*both) > 5


def test_text_and_references_are_encoded_once_and_all_branches_are_one_batch(
    released: Released, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = released.engine(name, num_videos=2)
    drawn(engine, request())
    networks = loaded(engine, name)
    seen: dict[str, list[int]] = {"text": [], "codec": [], "transformer": []}
    hooks = [
        networks.text_encoder.register_forward_pre_hook(lambda _, given: seen["text"].append(len(given[0]))),
        networks.transformer.register_forward_pre_hook(
            lambda _, given, named: seen["transformer"].append(len(named["hidden_states"])), with_kwargs=True
        ),
    ]
    encode_video = networks.vae.encode
    monkeypatch.setattr(networks.vae, "encode", lambda video: seen["codec"].append(len(video)) or encode_video(video))
    list(engine.generate(request()))
    for hook in hooks:
        hook.remove()
    assert seen["text"] == [2]
    assert len(seen["codec"]) == {"wan_vace": 3, "wan_phantom": 2, "wan_magref": 1}[name]
    assert seen["transformer"] == [6 if name == "wan_phantom" else 4] * 3


def test_a_batch_too_large_for_the_memory_is_halved_and_gives_the_same_videos(released: Released) -> None:
    engine = released.engine("wan_vace", num_videos=3)
    expected = [np.stack(made.frames) for made in engine.generate(request())]

    def refuse(_: Any, given: Any, named: Any) -> None:
        if len(named["hidden_states"]) > 4:
            raise torch.OutOfMemoryError("no memory for that")

    hook = loaded(engine, "wan_vace").transformer.register_forward_pre_hook(refuse, with_kwargs=True)
    videos = [np.stack(made.frames) for made in engine.generate(request())]
    hook.remove()
    assert len(videos) == 3
    assert max(apart(*pair) for pair in zip(videos, expected, strict=True)) < 0.01


def test_an_offloaded_network_is_on_the_device_only_while_it_runs(
    released: Released, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = released.engine(name, is_offloaded=True)
    video = drawn(engine, request())
    networks = loaded(engine, name)
    moves: list[tuple[str, str]] = []
    move = torch.nn.Module.to

    def noted(network: Any, device: torch.device) -> Any:
        moves.append((type(network).__name__, str(device)))
        return move(network, device)

    monkeypatch.setattr(torch.nn.Module, "to", noted)
    monkeypatch.setattr(wan_networks.devices, "pick", lambda _: torch.device("cpu:0"))  # told from plain "cpu"
    again = drawn(engine, request())
    large = [
        type(each).__name__ for each in (networks.text_encoder, networks.image_encoder, networks.transformer) if each
    ]
    assert [move for move in moves if move[0] in large] == [
        (kind, device) for kind in large for device in ("cpu:0", "cpu")
    ]
    assert np.array_equal(video, again)


def test_a_frame_above_the_limit_is_drawn_smaller_and_comes_back_at_its_size(released: Released) -> None:
    engine = released.engine("wan_vace", most_pixels=400)
    networks = loaded(engine, "wan_vace")
    sizes: list[Any] = []
    hook = networks.transformer.register_forward_pre_hook(
        lambda _, given, named: sizes.append(tuple(named["hidden_states"].shape[-2:])), with_kwargs=True
    )
    video = drawn(engine, request())
    hook.remove()
    assert video.shape == (5, 30, 46, 3)
    assert set(sizes) == {(6, 8)}  # 24 x 32 px: 30 x 46 times sqrt(400 / 1380), rounded up to the grid of 8


def test_a_length_that_is_not_4_k_plus_1_is_cut_from_the_next_that_is(released: Released, name: str) -> None:
    engine = released.engine(name)
    seven = request(original=request().original + request().original[:2], face_boxes=((),) * 7)
    nine = request(original=request().original + request().original[:4], face_boxes=((),) * 9)
    assert np.array_equal(drawn(engine, seven), drawn(engine, nine)[:7])


def test_a_gpu_s_half_precision_keeps_the_codec_whole(released: Released, name: str) -> None:
    engine = released.engine(name, dtype="bfloat16")
    video = drawn(engine, request())
    networks = loaded(engine, name)
    assert video.shape == (5, 30, 46, 3)
    assert networks.transformer.dtype == networks.text_encoder.dtype == torch.bfloat16
    assert networks.vae.dtype == torch.float32
    assert networks.transformer.scale_shift_table.dtype == torch.float32


def test_a_request_without_references_or_with_too_many_is_its_own_trouble(released: Released, name: str) -> None:
    with pytest.raises(ValueError, match="0 references; this generator takes 1 to"):
        drawn(released.engine(name), request(references=()))
    with pytest.raises(ValueError, match="9 references"):
        drawn(released.engine(name), request(references=(picture(1),) * 9))


def test_the_revision_tells_weights_and_every_argument_from_others(released: Released, name: str) -> None:
    same = {released.engine(name).revision for _ in range(2)}
    overrides: list[dict[str, Any]] = [
        {"steps": 4},
        {"shift": 2.0},
        {"solver": "euler"},
        {"negative_prompt": ""},
        {"num_videos": 2},
        {"most_pixels": 500},
        {"dtype": "float32"},
        {"image_guidance" if name == "wan_phantom" else "guidance": 2.0},
        {"model": "Wan-AI/Wan2.1-VACE-1.3B-diffusers"},
        {"model": "Wan-AI/Wan2.1-VACE-1.3B-diffusers", "revision": "another"},
    ]
    if name != "wan_vace":
        overrides.append({"base": str(released.folder / "vace")})
    others = {released.engine(name, **override).revision for override in overrides}
    assert len(same) == 1
    assert len(others | same) == len(overrides) + 1


def test_one_line_of_a_recipe_takes_another_generator(released: Released) -> None:
    stages = {}
    for name, kind in ENGINES.items():
        line = {"use": f"flows.engines.{name}:{kind.__name__}", **released.arguments(name)}
        stages[name] = recipe.build({"use": "flows.stages.candidates:Candidates", "generator": line, "max_frames": 5})
    assert {name: type(stage.generator) for name, stage in stages.items()} == ENGINES
    assert len({recipe.stage_key(stage, []) for stage in stages.values()}) == 3


def test_a_recipe_is_built_without_a_network_library(released: Released) -> None:
    lines = [
        f"from flows.engines.{name} import {kind.__name__}; {kind.__name__}(**{released.arguments(name)})"
        for name, kind in ENGINES.items()
    ]
    check = "import sys; assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", "\n".join([*lines, check])], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    "override", [{"dtype": "int8"}, {"solver": "heun"}, {"steps": 0}, {"num_videos": 0}, {"shift": 0}, {"size": 3}]
)
def test_an_argument_that_does_not_fit_is_a_bad_recipe(released: Released, override: dict[str, Any]) -> None:
    line = {"use": "flows.engines.wan_vace:WanVACE", **released.arguments("wan_vace", **override)}
    with pytest.raises(BadRecipe, match="wan_vace:WanVACE"):
        recipe.build(line)


def test_a_folder_that_is_not_there_stops_the_run(name: str, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no such folder"):
        ENGINES[name](model=str(tmp_path / "nowhere"))


def test_a_folder_that_lacks_a_network_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    with pytest.raises(EngineUnavailable, match="give a local folder or file that fits, or a name on the hub"):
        drawn(WanVACE(model=str(tmp_path)), request())


def test_a_name_on_the_hub_that_cannot_be_reached_stops_the_run(
    released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EngineUnavailable, match="give a local folder or file that fits, or a name on the hub"):
        drawn(WanVACE(model="likeness/not-there"), request())
    with pytest.raises(EngineUnavailable, match=r"not-there/Phantom\.pth: .* give a local folder"):
        drawn(released.engine("wan_phantom", model="likeness/not-there", file="Phantom.pth"), request())


def test_a_gpu_that_is_not_there_stops_the_run(released: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineUnavailable, match="sees no GPU"):
        drawn(released.engine("wan_vace", device="cuda"), request())


def test_weights_of_another_wan_model_stop_the_run(released: Released) -> None:
    with pytest.raises(EngineUnavailable, match="takes 12 channels, this engine shows 4"):
        drawn(released.engine("wan_phantom", model=str(released.folder / "magref")), request())
    with pytest.raises(EngineUnavailable, match="takes 4 channels, this engine shows 12"):
        drawn(released.engine("wan_magref", model=str(released.folder / "Phantom-Wan-1.3B.pth")), request())


def test_a_policy_s_videos_are_called_as_the_recipe_says(released: Released) -> None:
    engine = WanVACE(**released.arguments("wan_vace"), name="policy-7")
    assert next(iter(engine.generate(request()))).generator == "policy-7"
    assert engine.revision != released.engine("wan_vace").revision


def test_numbers_that_ran_out_of_range_fail_the_clip(released: Released) -> None:
    engine = released.engine("wan_vace")
    transformer = loaded(engine, "wan_vace").transformer
    hook = transformer.register_forward_hook(lambda _, given, answer: (answer[0] * float("nan"),))
    with pytest.raises(ValueError, match="out of range"):
        drawn(engine, request())
    hook.remove()


def test_the_stage_makes_candidates_of_every_generator(released: Released, name: str, item: ClipItem) -> None:
    stage = Candidates(generator=released.engine(name, steps=2), max_frames=9, longest_side_px=46)
    (outcome,) = stage([item])
    assert isinstance(outcome, Done)
    original, made = (each for each in outcome.made if isinstance(each, Candidate))
    assert outcome.fact == CandidatesFact(num_candidates=2, first_frame=0, num_frames=9, width_px=46, height_px=30)
    assert (original.generator, made.generator, made.severity) == ("original", SIZES[name], None)
    videos = [Video(item.media.path_of(each.sha256)) for each in (original, made)]
    assert {(video.width_px, video.height_px, len(video.times)) for video in videos} == {(46, 30, 9)}


@pytest.fixture
def item(tmp_path: Path) -> Iterator[ClipItem]:
    """A clip of 12 frames with two people."""
    media = MediaStore(tmp_path / "media")
    frames = [np.full((60, 92, 3), (20 * index, 90, 60), np.uint8) for index in range(12)]
    (tmp_path / "source.mp4").write_bytes(encode(frames, frame_rate=Fraction(24)))
    sighting = tracks.Sighting(
        frame=0, subject_index=0, box_px=None, face_box_px=(4.0, 3.0, 8.0, 7.0), mask=None, face_vector=None
    )
    track = media.put(tracks.write([sighting]))
    names = ("subject_1", "subject_2")
    pictures = [cv2.imencode(".png", picture(seed))[1].tobytes() for seed in (1, 2)]
    yield ClipItem(
        source=factories.source(),
        clip=factories.clip(end_frame=12, width_px=92, height_px=60),
        video=Video(tmp_path / "source.mp4"),
        media=media,
        facts={},
        fact_key="fact_candidates",
        subjects=[
            factories.subject(subject_id=name, subject_index=index, track_sha256=track)
            for index, name in enumerate(names)
        ],
        references=[
            factories.reference(reference_id=f"reference_{name}", subject_id=name, sha256=media.put(content))
            for name, content in zip(names, pictures, strict=True)
        ],
    )


def loaded(engine: Any, name: str) -> wan_networks.Networks:
    """The networks that an engine runs."""
    kind = "WanVACETransformer3DModel" if name == "wan_vace" else "WanTransformer3DModel"
    return wan_networks.load(engine._weights, architecture=kind, has_image_encoder=name == "wan_magref")
