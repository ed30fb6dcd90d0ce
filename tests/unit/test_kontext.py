import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flows.engines import kontext, perspectives
from flows.engines.kontext import Kontext, fitted, seed_of
from flows.engines.ports import View
from flows.sources.actors import portrait
from tests import tiny_kontext
from warehouse.errors import EngineUnavailable

PICTURE = portrait(0, size_px=96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_kontext.kontext(tmp_path_factory.mktemp("kontext") / "FLUX.1-Kontext-tiny")


def engine(folder: Path, **override: Any) -> Kontext:
    values: dict[str, Any] = {"model": str(folder), "device": "cpu", "steps": 2, "area_px": 64 * 64}
    return Kontext(**(values | override))


def difference(one: View, other: View) -> float:
    return float(np.abs(one.picture.astype(float) - other.picture).mean())


def test_there_is_a_view_a_prompt_and_each_says_who_made_it_from_which_words(folder: Path) -> None:
    views = engine(folder, prompts_at_once=3).views(PICTURE)
    assert {view.name: view.prompt for view in views} == dict(perspectives.PERSPECTIVES)
    assert {(view.is_resynthesised, view.synthesizer) for view in views} == {(True, "kontext FLUX.1-Kontext-tiny")}
    assert {(view.picture.shape, view.picture.dtype.name) for view in views} == {((64, 64, 3), "uint8")}


def test_a_view_is_the_same_alone_and_in_a_batch_with_others(folder: Path) -> None:
    together = engine(folder, prompts=["profile", "smiling", "from_above"], prompts_at_once=3).views(PICTURE)
    (alone,) = engine(folder, prompts=["smiling"]).views(PICTURE)
    assert difference(together[1], alone) < 0.1
    assert difference(together[0], together[1]) > 5, "or all views were the same, and the test could not fail"


def test_the_picture_the_prompt_and_the_seed_all_decide(folder: Path) -> None:
    (view,) = engine(folder, prompts=["a: A woman."]).views(PICTURE)
    (of_another,) = engine(folder, prompts=["a: A woman."]).views(portrait(3, size_px=96))
    (other_words,) = engine(folder, prompts=["a: A man."]).views(PICTURE)
    (other_seed,) = engine(folder, prompts=["a: A woman."], seed=1).views(PICTURE)
    assert min(difference(view, other) for other in (of_another, other_words, other_seed)) > 5


def test_the_network_sees_the_picture_and_reads_the_prompt(folder: Path) -> None:
    """With one seed for all, so that nothing but picture or prompt differs."""
    drawn = [
        kontext._loaded(str(folder), "main", "cpu", "auto", False).draw(
            fitted(picture, 64 * 64), [prompt], [7], steps=2, guidance=2.5
        )[0]
        for picture, prompt in ((PICTURE, "profile"), (255 - PICTURE, "profile"), (PICTURE, "smiling"))
    ]
    assert np.abs(drawn[0].astype(float) - drawn[1]).max() > 2
    assert np.abs(drawn[0].astype(float) - drawn[2]).max() > 2


def test_half_precision_draws_too(folder: Path) -> None:
    (view,) = engine(folder, prompts=["profile"], dtype="bfloat16").views(PICTURE)
    assert view.picture.std() > 5


def test_weights_gone_bad_fail_the_picture_and_give_no_view(folder: Path) -> None:
    bad = engine(folder, prompts=["profile"], guidance=1e38)
    with pytest.raises(ValueError, match="no number"):
        bad.views(PICTURE)


def test_the_revision_tells_weights_prompts_and_parameters(folder: Path, tmp_path: Path) -> None:
    plain = engine(folder).revision
    assert plain == engine(folder, prompts_at_once=4).revision
    others = [{"prompts": ["profile"]}, {"steps": 3}, {"guidance": 4.0}, {"seed": 1}, {"dtype": "bfloat16"}]
    revisions = [engine(folder, **other).revision for other in [*others, {"model": "someone/FLUX.1-Kontext-dev"}]]
    assert len({plain, *revisions}) == 1 + len(revisions)


def test_a_folder_that_is_no_pipeline_is_unavailable_when_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(EngineUnavailable, match=re.escape(str(tmp_path))):
        engine(tmp_path).load()


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"device": "tpu"}, {"prompts": ["nowhere"]}, {"area_px": 3}])
def test_what_cannot_be_meant_is_refused(folder: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        engine(folder, **wrong)


def test_a_gpu_that_is_not_there_is_unavailable(folder: Path) -> None:
    if torch.cuda.is_available():
        return
    with pytest.raises(EngineUnavailable, match="no GPU"):
        engine(folder, device="cuda").views(PICTURE)


@given(width=st.integers(40, 900), height=st.integers(40, 900))
def test_a_fitted_picture_keeps_its_shape_and_has_sides_of_sixteen(width: int, height: int) -> None:
    made = fitted(np.zeros((height, width, 3), dtype=np.uint8), 256 * 256)
    sides = made.shape[:2]
    assert all(side % 16 == 0 for side in sides)
    exact = [side * (256 * 256 / (height * width)) ** 0.5 for side in (height, width)]
    assert all(abs(side - wanted) <= 8 or side == 16 for side, wanted in zip(sides, exact, strict=True))


def test_at_a_million_pixels_the_sizes_are_those_the_model_was_trained_at() -> None:
    from diffusers.pipelines.flux.pipeline_flux_kontext import PREFERRED_KONTEXT_RESOLUTIONS

    for width, height in PREFERRED_KONTEXT_RESOLUTIONS:
        made = fitted(np.zeros((height // 4, width // 4, 3), dtype=np.uint8), 1 << 20)
        assert abs(made.shape[1] - width) <= 16 and abs(made.shape[0] - height) <= 16


def test_a_seed_is_of_the_pixels_and_the_words() -> None:
    other = PICTURE.copy()
    other[0, 0, 0] ^= 1
    seeds = {seed_of(PICTURE, "a", 0), seed_of(PICTURE, "b", 0), seed_of(PICTURE, "a", 1), seed_of(other, "a", 0)}
    assert len(seeds) == 4 and all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(PICTURE, "a", 0) == seed_of(PICTURE.copy(), "a", 0)


def test_every_prompt_fits_clips_77_tokens_and_says_who_must_stay() -> None:
    for text in perspectives.PERSPECTIVES.values():
        assert len(re.findall(r"[a-z]+|[0-9]|[^\sa-z0-9]", text.lower())) < 60
        assert text.endswith(perspectives.STAYS)


def test_prompts_are_chosen_by_name_or_given_as_name_and_text() -> None:
    assert perspectives.chosen(["smiling", "hat: Give them a hat: red."]) == {
        "smiling": perspectives.PERSPECTIVES["smiling"],
        "hat": "Give them a hat: red.",
    }
    with pytest.raises(ValueError, match="given twice"):
        perspectives.chosen(["smiling", "smiling: Smile."])
