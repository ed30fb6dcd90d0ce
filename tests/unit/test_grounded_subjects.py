"""The stage `subjects` with the networks of profile `paper`: one line of a recipe names each engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from flows import recipe
from flows.engines import grounding_dino, grounding_dino_hf, sam2_video, sam2_video_hf
from flows.engines.grounding_dino_network import Design
from flows.stages import tracks
from flows.stages.subjects import Subjects
from tests import tiny_grounding, tiny_grounding_hf, tiny_sam2
from tests.people import clip_item, said, side_by_side

Line = dict[str, Any]
"""`{ use = ..., model = ... }`, as a profile's TOML gives it."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Line, Line]]]:
    """Grounder and segmenter, through the authors' packages and through transformers: the same weights."""
    folder = tmp_path_factory.mktemp("weights")
    bert = str(tiny_grounding.write_text_encoder(folder / "bert"))
    shape = {"architecture": "GroundingDINO_SwinT_OGC", "overrides": tiny_grounding.OVERRIDES, "text_encoder": bert}
    network = Design(**shape, text_encoder_revision="main").build()
    tiny_grounding.draw_weights(network)
    detector, masks = network.state_dict(), tiny_sam2.drawn()
    torch.save({"model": detector}, folder / "groundingdino_swint_ogc.pth")
    found = {"side_px": 160, "box_threshold": 0.9, "device": "cpu"}
    sam2 = {"config": tiny_sam2.CONFIG, "overrides": list(tiny_sam2.OVERRIDES), "device": "cpu"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield {
            "authors": (
                _line("grounding_dino:GroundingDino", folder, **shape, **found),
                _line("sam2_video:Sam2Video", tiny_sam2.write_authors(folder, masks), **sam2),
            ),
            "transformers": (
                _line("grounding_dino_hf:GroundingDinoHf", tiny_grounding_hf.write(folder / "dino", detector), **found),
                _line("sam2_video_hf:Sam2VideoHf", tiny_sam2.write_transformers(folder / "sam2", masks), device="cpu"),
            ),
        }
    for module in (grounding_dino, grounding_dino_hf, sam2_video, sam2_video_hf):
        module._loaded.cache_clear()


def _line(engine: str, model: Path, **fields: Any) -> Line:
    return {"use": f"flows.engines.{engine}", "model": str(model), **fields}


def stage(grounder: Line, segmenter: Line) -> Subjects:
    reader = {"use": "flows.engines.embedded.dlib_faces:DlibFaces"}
    table = {"use": "flows.stages.subjects:Subjects", "reader": reader, "grounder": grounder, "segmenter": segmenter}
    made = recipe.build(table)
    assert isinstance(made, Subjects)
    return made


@pytest.mark.parametrize("library", ["authors", "transformers"])
def test_one_line_each_gives_the_stage_its_detector_and_its_tracker(
    lines: dict[str, tuple[Line, Line]], library: str, tmp_path: Path
) -> None:
    item = clip_item(tmp_path, [side_by_side(0, 3)] * 3, facts={"captions": said("a woman", "a man", num_people=2)})
    (outcome,) = stage(*lines[library])([item])
    subjects: list[Any] = list(outcome.made)
    assert outcome.fact.num_looked == 3 and outcome.fact.num_subjects == len(subjects)
    assert sum(subject.face_box_px is not None for subject in subjects) == 2  # dlib's; the drawn weights may see more
    rows = [row for subject in subjects for row in tracks.read(item.media.path_of(subject.track_sha256))]
    assert [row.frame for row in rows] == [0, 1, 2] * len(subjects)
    assert any(row.mask is not None for row in rows)
    for x0, y0, x1, y1 in (subject.box_px for subject in subjects):
        assert 0 <= x0 < x1 <= 320 and 0 <= y0 < y1 <= 160


def test_another_line_or_another_setting_in_it_is_another_key(lines: dict[str, tuple[Line, Line]]) -> None:
    grounder, segmenter = lines["transformers"]
    choices = [*lines.values(), (lines["authors"][0], segmenter), (grounder | {"box_threshold": 0.8}, segmenter)]
    keys = [recipe.stage_key(stage(*choice), ["captions", "faces"]) for choice in choices]
    assert len(set(keys)) == len(choices)
