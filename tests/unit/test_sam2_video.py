"""Both SAM 2 engines, on one tiny network with drawn weights in the two formats that its makers publish."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from flows.engines import box_tracks, sam2_video, sam2_video_hf
from flows.engines.ports import Mask, Picture
from flows.engines.sam2_video import Sam2Video
from flows.engines.sam2_video_hf import Sam2VideoHf
from tests import tiny_grounding, tiny_sam2
from warehouse.errors import EngineUnavailable

BOXES = [(20.0, 30.0, 60.0, 90.0), (70.0, 30.0, 120.0, 110.0)]
KEY = 2


def clip(num: int, width_px: int = 128, height_px: int = 128) -> list[Picture]:
    """A drawn scene that moves to the right. At 128 x 128 px no network resizes it."""
    scene = tiny_grounding.picture(width_px, height_px)
    return [np.roll(scene, 5 * at, axis=1) for at in range(num)]


def tiles(wider: int, higher: int) -> Picture:
    """Four by four tiles of 32 px, so many times wider and higher."""
    colours = np.random.default_rng(6).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.repeat(np.repeat(colours, 32 * higher, axis=0), 32 * wider, axis=1)


class Weights:
    """Where they lie, and an engine of each kind that reads them."""

    def __init__(self, folder: Path, *, is_seen: bool = True) -> None:
        tensors = tiny_sam2.drawn(is_seen=is_seen)
        self.file = tiny_sam2.write_authors(folder / "authors", tensors)
        self.folder = tiny_sam2.write_transformers(folder / "hub", tensors)

    def authors(self, **override: Any) -> Sam2Video:
        values = {
            "model": str(self.file),
            "config": tiny_sam2.CONFIG,
            "overrides": tiny_sam2.OVERRIDES,
            "device": "cpu",
        }
        return Sam2Video(**(values | override))

    def hub(self, **override: Any) -> Sam2VideoHf:
        return Sam2VideoHf(**({"model": str(self.folder), "device": "cpu"} | override))


@pytest.fixture(scope="module", autouse=True)
def cache_of_digests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Digests of large files are remembered; not in the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, cache_of_digests: None) -> Iterator[Weights]:
    yield Weights(tmp_path_factory.mktemp("weights"))
    for module in (sam2_video, sam2_video_hf):
        module._loaded.cache_clear()


@pytest.fixture(params=["authors", "hub"])
def make(request: pytest.FixtureRequest, weights: Weights) -> Callable[..., Any]:
    """The engine of each kind in turn, its arguments to be overridden."""
    return getattr(weights, request.param)  # type: ignore[no-any-return]


def differing(ours: Sequence[Sequence[Mask | None]], theirs: Sequence[Sequence[Mask | None]]) -> float:
    """The largest share of a frame's pixels in which two sets of tracks differ."""
    pairs = [pair for track, other in zip(ours, theirs, strict=True) for pair in zip(track, other, strict=True)]
    assert pairs and all((mask is None) == (other is None) for mask, other in pairs)
    return max(float((mask != other).mean()) for mask, other in pairs if mask is not None and other is not None)


# Against the libraries' own ways and against each other


def test_both_engines_draw_the_same_masks_with_the_same_weights(weights: Weights) -> None:
    ours, theirs = (engine.track(clip(6), KEY, BOXES) for engine in (weights.authors(), weights.hub()))
    assert differing(ours, theirs) < 0.001
    one, other = ours
    assert differing([one], [other]) > 0.01, "masks that do not hang on the box would prove nothing"


def test_frames_from_memory_give_what_the_authors_give_for_a_folder(weights: Weights, tmp_path: Path) -> None:
    frames = clip(40, 150, 100)
    for at, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{at}.jpg", format="PNG")
    predictor = sam2_video._loaded(*weights.authors()._source)._predictor
    with torch.inference_mode():
        state = predictor.init_state(str(tmp_path))
        predictor.add_new_points_or_box(state, KEY, 0, box=np.array(BOXES[0], dtype=np.float32))
        theirs: list[Any] = [None] * len(frames)
        for is_backwards in (False, True):
            for at, _, scores in predictor.propagate_in_video(state, KEY, reverse=is_backwards):
                theirs[at] = (scores[0, 0] > 0).numpy()
    ours = weights.authors().track(frames, KEY, BOXES[:1])
    assert differing(ours, [theirs]) < 0.001  # forgetting what is out of reach changes nothing either


def test_frames_from_memory_give_what_transformers_gives_for_a_whole_video(weights: Weights) -> None:
    frames = clip(40, 150, 100)
    tracker = sam2_video_hf._loaded(*weights.hub()._source)
    processor, model = tracker._processor, tracker._model
    with torch.inference_mode():
        session = processor.init_video_session(video=np.stack(frames))
        processor.add_inputs_to_inference_session(session, KEY, [0], input_boxes=[[list(BOXES[0])]])
        theirs: list[Any] = [None] * len(frames)
        for is_backwards in (False, True):
            for answer in model.propagate_in_video_iterator(session, KEY, reverse=is_backwards):
                masks = processor.post_process_masks([answer.pred_masks], [[100, 150]])[0]
                theirs[answer.frame_idx] = masks[0, 0].numpy()
    assert differing(weights.hub().track(frames, KEY, BOXES[:1]), [theirs]) < 0.001


def test_a_folder_saved_by_transformers_4_prompts_as_one_saved_by_5(weights: Weights, tmp_path: Path) -> None:
    for file in weights.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["prompt_encoder.shared_embedding.positional_embedding"]  # saved once, with its twin
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    old, new = (weights.hub(model=str(folder)).track(clip(2), 0, BOXES) for folder in (tmp_path, weights.folder))
    assert differing(old, new) < 0.001


# What the port asks of both


@pytest.mark.parametrize("key_index", [0, KEY, 4])
def test_each_box_has_a_mask_of_the_pictures_size_in_every_frame_wherever_the_key_frame_is(
    make: Callable[..., Any], key_index: int
) -> None:
    tracks = make().track(clip(5, 96, 64), key_index, [(8.0, 8.0, 40.0, 60.0), (50.0, 8.0, 90.0, 60.0)])
    assert [len(track) for track in tracks] == [5, 5]
    for mask in (mask for track in tracks for mask in track):
        assert mask is not None and mask.shape == (64, 96) and mask.dtype == np.bool_ and mask.any()


def test_the_same_clip_gives_the_same_masks_again_whatever_was_tracked_between(make: Callable[..., Any]) -> None:
    first = make().track(clip(4), KEY, BOXES)
    make().track(clip(3)[::-1], 0, BOXES[1:])
    assert differing(first, make().track(clip(4), KEY, BOXES)) == 0


def test_tracks_are_in_the_order_of_the_boxes_and_do_not_hang_on_each_other(make: Callable[..., Any]) -> None:
    both, turned = make().track(clip(4), KEY, BOXES), make().track(clip(4), KEY, BOXES[::-1])
    assert differing(both, turned[::-1]) < 0.001
    assert differing(both[1:], make().track(clip(4), KEY, BOXES[1:])) < 0.001


def test_a_clip_reversed_in_time_gives_the_masks_of_the_key_frame_alike(make: Callable[..., Any]) -> None:
    frames = clip(5)
    forwards, backwards = make().track(frames, 1, BOXES), make().track(frames[::-1], 3, BOXES)
    assert differing([[track[1]] for track in forwards], [[track[3]] for track in backwards]) == 0


def test_boxes_are_in_pixels_of_the_picture_given_whatever_size_the_network_sees(make: Callable[..., Any]) -> None:
    small, large = [tiles(1, 1)], [tiles(3, 2)]  # resizing large tiles back changes only their rims
    stretched = [(3 * x0, 2 * y0, 3 * x1, 2 * y1) for x0, y0, x1, y1 in BOXES]
    expected, right, wrong = (
        make().track(frames, 0, boxes) for frames, boxes in [(small, BOXES), (large, stretched), (large, BOXES)]
    )
    assert differing(expected, [[mask[::2, ::3] for mask in track] for track in right]) < 0.05
    assert differing(expected, [[mask[::2, ::3] for mask in track] for track in wrong]) > 0.3


def test_a_box_that_reaches_beyond_the_picture_is_the_part_inside(make: Callable[..., Any]) -> None:
    beyond, inside = ((-20.0, 30.0, 60.0, 190.0),), ((0.0, 30.0, 60.0, 128.0),)
    assert differing(make().track(clip(2), 0, beyond), make().track(clip(2), 0, inside)) == 0
    with pytest.raises(ValueError, match="lies outside its picture of 128 x 128 px"):
        make().track(clip(2), 0, [(200.0, 0.0, 220.0, 20.0)])


def test_a_mirrored_view_of_a_frame_is_a_frame(make: Callable[..., Any]) -> None:
    mirrored = [frame[:, ::-1] for frame in clip(2)]
    assert differing(make().track(mirrored, 0, BOXES), make().track([each.copy() for each in mirrored], 0, BOXES)) == 0


def test_a_clip_of_one_frame_and_a_clip_without_boxes_are_clips_too(make: Callable[..., Any]) -> None:
    assert [len(track) for track in make().track(clip(1), 0, BOXES)] == [1, 1]
    assert list(make().track(clip(2), 0, [])) == []


def test_an_object_that_the_network_does_not_see_has_no_mask(tmp_path: Path) -> None:
    blind = Weights(tmp_path, is_seen=False)
    for engine in (blind.authors(), blind.hub()):
        assert engine.track(clip(3), 1, BOXES) == [[None] * 3] * 2


def test_bfloat16_is_another_revision_and_nearly_the_same_masks(make: Callable[..., Any]) -> None:
    exact, rough = make(dtype="float32"), make(dtype="bfloat16")
    assert exact.revision != rough.revision
    assert differing(exact.track(clip(2), 0, BOXES), rough.track(clip(2), 0, BOXES)) < 0.1


# What is kept in memory


def test_a_frame_is_made_ready_when_it_is_asked_for_and_not_kept() -> None:
    asked: list[int] = []
    frames = box_tracks.PreparedFrames(clip(3), lambda frame: asked.append(int(frame.sum())) or len(asked))
    assert (len(frames), asked) == (3, [])
    assert [frames[2], frames[2]] == [1, 2]


def test_frames_out_of_reach_of_now_and_of_the_key_frame_are_forgotten() -> None:
    memory = {0: {"cond_frame_outputs": {50: "key"}, "non_cond_frame_outputs": dict.fromkeys(range(100), "other")}}
    box_tracks.forget(memory, now=90, key_index=50, reach=16)
    assert sorted(memory[0]["non_cond_frame_outputs"]) == [*range(34, 67), *range(74, 100)]
    assert memory[0]["cond_frame_outputs"] == {50: "key"}


# Settings and what is not there


def test_the_revision_tells_settings_that_change_answers(weights: Weights) -> None:
    before = weights.authors().revision
    assert weights.authors().revision == before
    assert weights.authors(overrides=[*tiny_sam2.OVERRIDES, "++model.num_maskmem=3"]).revision != before
    assert weights.authors(config="configs/sam2.1/sam2.1_hiera_s.yaml").revision != before
    assert weights.authors(model=str(weights.folder / "model.safetensors")).revision != before


def test_weights_that_are_not_there_stop_the_run_with_what_to_do(make: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no such folder of weights; check the path"):
        make(model=str(tmp_path / "nowhere"))


def test_a_config_that_is_not_the_checkpoints_is_refused(weights: Weights) -> None:
    with pytest.raises(EngineUnavailable, match=r"tiny.pt with configs/sam2.1/sam2.1_hiera_t.yaml"):
        weights.authors(overrides=tiny_sam2.OVERRIDES[:-1]).load()
    with pytest.raises(EngineUnavailable, match=r"tiny.pt with configs/sam2.1/no_such.yaml"):
        weights.authors(config="configs/sam2.1/no_such.yaml").load()


def test_a_pickle_that_would_run_code_is_refused(weights: Weights, tmp_path: Path) -> None:
    torch.save({"model": Path("/")}, tmp_path / "sam2.1_hiera_large.pt")
    with pytest.raises(EngineUnavailable, match="not a file of tensors alone"):
        weights.authors(model=str(tmp_path)).load()


def test_a_folder_that_is_no_network_of_transformers_is_refused(weights: Weights, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EngineUnavailable, match="give a local folder or file that fits"):
        weights.hub(model=str(tmp_path)).load()
