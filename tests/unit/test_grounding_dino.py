"""Both GroundingDINOs, on one tiny network with drawn weights in the two formats that its makers publish."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flows.engines import grounding_dino, grounding_dino_hf, grounding_dino_network
from flows.engines.grounding_dino import GroundingDino
from flows.engines.grounding_dino_hf import GroundingDinoHf
from flows.engines.grounding_dino_network import Design
from flows.engines.ports import Grounded
from tests import tiny_grounding, tiny_grounding_hf
from warehouse.errors import EngineUnavailable

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "grounding_dino.json").read_text())
PHRASES = ["a woman in a red coat", "a man with a hat"]
"""Those of the golden's caption."""
PICTURE = tiny_grounding.picture()
TOLERANCE = 1e-4
"""Of logits (they lie between -3 and 1.2) and of boxes in shares of the picture. Measured: 5e-6 and 1e-6."""


class Weights:
    """Where they lie, and an engine of each kind that reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text_encoder = tiny_grounding.write_text_encoder(folder / "bert")
        self.design = Design(
            architecture="GroundingDINO_SwinT_OGC",
            overrides=tiny_grounding.OVERRIDES,
            text_encoder=str(text_encoder),
            text_encoder_revision="main",
        )
        network = self.design.build()
        tiny_grounding.draw_weights(network)
        self.tensors = network.state_dict()
        extra = {"label_enc.weight": torch.zeros(2), "bert.embeddings.position_ids": torch.zeros(2)}
        published = {f"module.{name}": tensor for name, tensor in (self.tensors | extra).items()}
        torch.save({"model": published}, folder / "groundingdino_swint_ogc.pth")
        tiny_grounding_hf.write(folder / "hub", self.tensors)

    def authors(self, **override: Any) -> GroundingDino:
        values = {
            "model": str(self.folder),
            "overrides": tiny_grounding.OVERRIDES,
            "text_encoder": self.design.text_encoder,
            "side_px": 128,
            "device": "cpu",
            "box_threshold": GOLDEN["box_threshold"],
            "text_threshold": GOLDEN["text_threshold"],
        }
        return GroundingDino(**(values | override))

    def hub(self, **override: Any) -> GroundingDinoHf:
        values = {
            "model": str(self.folder / "hub"),
            "side_px": 128,
            "device": "cpu",
            "box_threshold": GOLDEN["box_threshold"],
            "text_threshold": GOLDEN["text_threshold"],
        }
        return GroundingDinoHf(**(values | override))

    def raw(self) -> tuple[Any, Any]:
        """Logits and boxes of the authors' code for the golden's picture and caption."""
        return grounding_dino._loaded(*self.authors()._source).raw(PICTURE, GOLDEN["caption"], (128, 1333))


@pytest.fixture(scope="module", autouse=True)
def cache_of_digests(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Digests of large files are remembered; not in the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, cache_of_digests: None) -> Any:
    yield Weights(tmp_path_factory.mktemp("weights"))
    for module in (grounding_dino, grounding_dino_hf):
        module._loaded.cache_clear()


@pytest.fixture(params=["authors", "hub"])
def make(request: pytest.FixtureRequest, weights: Weights) -> Callable[..., Any]:
    """The engine of each kind in turn, its arguments to be overridden."""
    return getattr(weights, request.param)  # type: ignore[no-any-return]


# Against transformers 4.57 and against each other


def test_the_repaired_code_answers_as_the_unrepaired_code_did_under_transformers_4(weights: Weights) -> None:
    logits, boxes = weights.raw()
    expected = np.array(GOLDEN["pred_logits"])
    assert np.abs(logits[:, : expected.shape[1]].numpy() - expected).max() < TOLERANCE
    assert torch.isneginf(logits[:, expected.shape[1] :]).all()
    assert np.abs(boxes.numpy() - GOLDEN["pred_boxes"]).max() < TOLERANCE
    assert np.ptp(GOLDEN["pred_boxes"], axis=0).min() > 0.3, "a golden of boxes all alike would prove nothing"


def test_the_golden_would_tell_a_wrong_mask_of_sub_sentences(weights: Weights) -> None:
    bert = grounding_dino._loaded(*weights.authors()._source)._model.bert
    with pytest.MonkeyPatch.context() as patch:
        seen = bert.get_extended_attention_mask
        patch.setattr(bert, "get_extended_attention_mask", lambda mask, *rest: seen(torch.ones_like(mask), *rest))
        logits, _ = weights.raw()
    expected = np.array(GOLDEN["pred_logits"])
    assert np.abs(logits[:, : expected.shape[1]].numpy() - expected).max() > 100 * TOLERANCE


def test_the_engine_finds_the_goldens_boxes_scores_and_labels(weights: Weights) -> None:
    network = grounding_dino._loaded(*weights.authors()._source)
    found = weights.authors().ground(PICTURE, PHRASES, ())
    x, y, w, h = np.array(GOLDEN["boxes"]).T
    corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1).clip(0, 1) * [200, 128, 200, 128]
    expected = sorted(zip(corners.tolist(), GOLDEN["scores"], strict=True))
    assert np.allclose([each.box_px for each in found], [box for box, _ in expected], atol=0.02)
    assert np.allclose([each.score for each in found], [score for _, score in expected], atol=TOLERANCE)
    scores = weights.raw()[0].sigmoid()
    kept = scores[scores.max(1).values > GOLDEN["box_threshold"]]
    labels = [network.label(row > GOLDEN["text_threshold"], GOLDEN["caption"]) for row in kept]
    assert labels == GOLDEN["phrases"]


def test_both_engines_find_the_same_people_with_the_same_weights(weights: Weights) -> None:
    for picture in (PICTURE, tiny_grounding.picture(311, 173)):  # the second is resized, by each library's own way
        ours, theirs = (engine.ground(picture, PHRASES, ()) for engine in (weights.authors(), weights.hub()))
        assert len(ours) == len(theirs) > 5
        assert np.allclose([each.box_px for each in ours], [each.box_px for each in theirs], atol=0.1)
        assert np.allclose([each.score for each in ours], [each.score for each in theirs], atol=1e-3)


# What the port asks of both


def test_people_are_told_left_to_right_inside_the_picture_and_the_same_again(make: Callable[..., Any]) -> None:
    first, again = (make().ground(PICTURE, PHRASES, ()) for _ in range(2))
    assert first == again
    assert list(first) == sorted(first, key=lambda person: person.box_px) and len(set(first)) == len(first) > 5
    for person in first:
        x0, y0, x1, y1 = person.box_px
        assert 0 <= x0 < x1 <= 200 and 0 <= y0 < y1 <= 128
        assert type(person.score) is float and GOLDEN["box_threshold"] < person.score <= 1


def test_boxes_are_in_pixels_of_the_picture_given_whatever_size_the_network_sees(make: Callable[..., Any]) -> None:
    small = PICTURE
    large = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    boxes = [_boxes(make(side_px=128).ground(picture, PHRASES, ())) for picture in (small, large)]
    assert _nearest(boxes[0] * 2, boxes[1]) < 12  # of 400 px: resizing back is not exact, and weights are drawn


def test_a_mirrored_view_of_a_picture_is_a_picture(make: Callable[..., Any]) -> None:
    mirrored = PICTURE[:, ::-1]
    assert make().ground(mirrored, PHRASES, ()) == make().ground(mirrored.copy(), PHRASES, ())


def test_a_higher_threshold_keeps_the_best_of_the_same_boxes(make: Callable[..., Any]) -> None:
    few, many = (make(box_threshold=value).ground(PICTURE, PHRASES, ()) for value in (0.7, 0.55))
    assert 0 < len(few) < len(many) and set(few) < set(many)
    assert make(box_threshold=0.9999).ground(PICTURE, PHRASES, ()) == ()


def test_people_are_found_where_the_caption_names_nobody_and_have_no_phrase(make: Callable[..., Any]) -> None:
    found = make(box_threshold=0.5, text_threshold=0.3).ground(PICTURE, [], ())
    assert found and {person.phrase for person in found} == {None}


def test_a_person_is_told_with_the_captions_own_words(make: Callable[..., Any]) -> None:
    found = make(box_threshold=0.5).ground(PICTURE, ["Red"], ())
    assert "Red" in {person.phrase for person in found}


def test_a_caption_longer_than_the_networks_text_is_cut_between_phrases(make: Callable[..., Any]) -> None:
    crowd = [f"a woman in a red coat and a hat {number}" for number in range(40)]
    assert make(box_threshold=0.5).ground(PICTURE, crowd, ())


def test_bfloat16_is_another_revision_and_nearly_the_same_answer(make: Callable[..., Any]) -> None:
    exact, rough = make(box_threshold=0.5), make(box_threshold=0.5, dtype="bfloat16")
    assert exact.revision != rough.revision
    assert _nearest(_boxes(exact.ground(PICTURE, [], ())), _boxes(rough.ground(PICTURE, [], ()))) < 20


@pytest.mark.parametrize(
    "change", [{"box_threshold": 0.5}, {"text_threshold": 0.5}, {"side_px": 256}, {"max_side_px": 999}]
)
def test_the_revision_tells_settings_that_change_answers(make: Callable[..., Any], change: dict[str, Any]) -> None:
    assert make(**change).revision != make().revision == make().revision


def test_the_revision_tells_other_weights_and_another_text_encoder(weights: Weights, tmp_path: Path) -> None:
    (tmp_path / "other.pth").write_bytes(b"other")
    before = weights.authors().revision
    assert weights.authors(model=str(tmp_path), checkpoint="other.pth").revision != before
    assert weights.authors(text_encoder="bert-base-uncased").revision != before
    assert weights.authors(overrides=[*tiny_grounding.OVERRIDES, "num_queries=9"]).revision != before


# What is not there


def test_weights_that_are_not_there_stop_the_run_with_what_to_do(make: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no such folder of weights; check the path"):
        make(model=str(tmp_path / "nowhere"))


def test_a_checkpoint_of_another_name_is_told_with_what_the_folder_holds(weights: Weights) -> None:
    with pytest.raises(EngineUnavailable, match=r"holds bert, groundingdino_swint_ogc.pth, hub: name one of them"):
        weights.authors(checkpoint="groundingdino_swinb_cogcoor.pth")


def test_weights_of_another_architecture_are_refused_not_half_loaded(weights: Weights) -> None:
    engine = weights.authors(overrides=[*tiny_grounding.OVERRIDES, "dec_layers=1"])
    with pytest.raises(EngineUnavailable, match="does not fit GroundingDINO_SwinT_OGC"):
        engine.load()


def test_an_incomplete_folder_of_transformers_is_refused_where_it_would_draw_the_rest(
    weights: Weights, tmp_path: Path
) -> None:
    folder = tiny_grounding_hf.write(
        tmp_path, {name: tensor for name, tensor in weights.tensors.items() if "tgt_embed" not in name}
    )
    with pytest.raises(EngineUnavailable, match=r"1 tensors are missing, model.query_position_embeddings.weight"):
        weights.hub(model=str(folder)).load()


def test_settings_that_cannot_be_read_are_refused_at_once(weights: Weights) -> None:
    with pytest.raises(ValueError, match="write name=value"):
        weights.authors(overrides=["num_queries"])
    with pytest.raises(ValueError, match="device = 'gpu'"):
        weights.authors(device="gpu")
    with pytest.raises(EngineUnavailable, match="has no such setting"):
        weights.authors(overrides=["num_querys=9"]).load()


def test_the_lost_methods_are_given_to_one_bert_and_to_no_other(weights: Weights) -> None:
    from transformers import BertModel

    weights.authors().load()
    assert not hasattr(BertModel, "get_extended_attention_mask")
    _, bert = grounding_dino_network.text_parts(weights.design.text_encoder, "main")
    mask = bert.get_extended_attention_mask(torch.tensor([[[True, False], [False, True]]]), (1, 2), "cpu")
    lowest = torch.finfo(torch.float32).min
    assert torch.equal(mask, torch.tensor([[[[0.0, lowest], [lowest, 0.0]]]]))
    assert bert.get_head_mask(None, 2) == [None, None]


def _boxes(found: tuple[Grounded, ...]) -> Any:
    return np.array([each.box_px for each in found])


def _nearest(one: Any, other: Any) -> float:
    """The median, over the boxes of one, of the distance in pixels to the nearest of the other."""
    distances = np.abs(one[:, None] - other[None]).max(-1)
    return float(np.median(distances.min(1)))
