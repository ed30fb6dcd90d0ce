"""Clips and references of a snapshot as tensors."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.clip_world import COLOURS, ClipWorld, draw_world
from trainers.video_data import ClipItem, read_clips, read_video
from warehouse.errors import NothingToDo, SnapshotDamaged


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ClipWorld:
    return draw_world(tmp_path_factory.mktemp("media"), num_clips=6)


def clips(world: ClipWorld, **options: Any) -> list[ClipItem]:
    return read_clips(world, **({"num_frames": 5, "size_px": (32, 32), "is_crop_preferred": True} | options))


def test_clips_come_with_originals_prompts_and_references_in_the_order_of_subjects(world: ClipWorld) -> None:
    items = clips(world)
    assert [item.clip_id for item in items] == [f"clip_{number:02d}" for number in range(6)]
    assert items[0].prompt == ""
    assert [len(item.references) for item in items] == [1, 2, 1, 2, 1, 2]
    for item in items[1:]:
        assert item.video_3THW.shape == (3, 5, 32, 32)
        named = [name for name in item.prompt.replace("person in ", "").split() if name in COLOURS]
        worn = [(reference[:, -4:].mean((1, 2)) + 1) * 127.5 for reference in item.references]
        for name, colour in zip(named, worn, strict=True):
            nearest = min(COLOURS, key=lambda other: (colour - torch.tensor(COLOURS[other])).abs().sum().item())
            assert nearest == name


def test_another_view_is_the_reference_where_the_crop_is_not_preferred(world: ClipWorld) -> None:
    crop, mirrored = (clips(world, is_crop_preferred=preferred)[0].references[0] for preferred in (True, False))
    assert torch.equal(mirrored, crop.flip(-1))
    assert crop.shape == (3, 32, 19)


def test_a_clip_without_its_original_or_a_reference_is_left_out(world: ClipWorld) -> None:
    tables = dict(world.tables)
    tables["candidates"] = [row for row in tables["candidates"] if row["candidate_id"] != "candidate_clip_01_original"]
    tables["references"] = [row for row in tables["references"] if row["clip_id"] != "clip_02"]
    assert [item.clip_id for item in clips(replace(world, tables=tables))] == [
        "clip_00",
        "clip_03",
        "clip_04",
        "clip_05",
    ]
    with pytest.raises(NothingToDo):
        clips(
            replace(
                world,
                tables=tables | {"references": [dict(tables["references"][0], clip_id="x")]},
            )
        )


def test_a_video_that_cannot_be_decoded_is_a_damaged_snapshot(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")

    with pytest.raises(SnapshotDamaged, match=r"broken\.mp4"):
        read_video(broken, 5, (32, 32))
