from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from tests.face_world import SCHEMAS, freeze_world
from trainers.snapshot_pairs import collate, read_evidence, read_pairs
from warehouse import snapshot
from warehouse.errors import SnapshotDamaged
from warehouse.media import MediaStore
from warehouse.snapshot import Snapshot


def face(frame: int, subject_index: int, *vector: float) -> dict[str, Any]:
    return {"frame": frame, "subject_index": subject_index, "vector": vector}


def candidate(name: str, *faces: dict[str, Any], **override: Any) -> dict[str, Any]:
    blank = dict.fromkeys(SCHEMAS["candidates"].names)
    values = {"candidate_id": name, "clip_id": "clip_1", "num_frames": 11, "looked_frames": [0, 4, 10], "faces": faces}
    return blank | values | override


def reference(name: str, subject_index: int, vector: tuple[float, ...] | None) -> dict[str, Any]:
    blank = dict.fromkeys(SCHEMAS["references"].names)
    return blank | {"reference_id": name, "clip_id": "clip_1", "subject_index": subject_index, "vector": vector}


def pair(name: str, candidate_a: str, candidate_b: str, outcome: int) -> dict[str, Any]:
    blank = dict.fromkeys(SCHEMAS["pairs"].names)
    sides = {"candidate_a": candidate_a, "candidate_b": candidate_b}
    return blank | sides | {"pair_id": name, "clip_id": "clip_1", "outcome": outcome, "split": "train"}


def frozen(folder: Path, **override: list[dict[str, Any]]) -> Snapshot:
    media = MediaStore(folder / "media")
    sha256 = media.put(b"a video")
    rows: dict[str, list[dict[str, Any]]] = {
        "clips": [{"clip_id": "clip_1", "source_id": "s", "prompt": None, "split": "train", "num_subjects": 2}],
        "candidates": [candidate("one", face(0, 0, 1, 2), face(10, 1, 3, 4), sharpness=2.5), candidate("two")],
        "references": [reference("r1", 0, (1, 0)), reference("r2", 0, (0, 1)), reference("r3", 1, None)],
        "pairs": [pair("p2", "two", "one", 2), pair("p1", "one", "two", 1)],
        "votes": [],
    }
    typed = {name: pa.Table.from_pylist(list_, schema=SCHEMAS[name]) for name, list_ in (rows | override).items()}
    for name in ("candidates", "references"):
        column = pa.array([sha256] * typed[name].num_rows, pa.string())
        typed[name] = typed[name].set_column(typed[name].column_names.index("sha256"), "sha256", column)
    return snapshot.freeze(typed, root=folder / "snapshots", media=media, facts={})


def test_pairs_are_read_in_the_order_of_their_ids(tmp_path: Path) -> None:
    pairs = read_pairs(frozen(tmp_path), "train")
    assert pairs.pair_ids == ("p1", "p2")
    assert pairs.outcome_P.tolist() == [1, 2]
    assert (pairs.side_a, pairs.side_b) == ((0, 1), (1, 0))
    assert len(pairs.evidence) == 2


def test_faces_stand_where_they_were_seen_and_nowhere_else(tmp_path: Path) -> None:
    one = read_evidence(frozen(tmp_path), ["one"])[0]
    assert one.is_seen_ST.tolist() == [[True, False, False], [False, False, True]]
    assert one.vector_STD[0, 0].tolist() == [1, 2]
    assert one.vector_STD[1, 2].tolist() == [3, 4]
    assert one.vector_STD[~one.is_seen_ST].eq(0).all()
    assert one.position_T.tolist() == pytest.approx([0, 0.4, 1])


def test_a_reference_without_a_face_is_none(tmp_path: Path) -> None:
    one = read_evidence(frozen(tmp_path), ["one"])[0]
    assert one.has_reference_SR.tolist() == [[True, True], [False, False]]
    assert one.reference_SRD[0].tolist() == [[1, 0], [0, 1]]


def test_a_quality_not_measured_is_nan(tmp_path: Path) -> None:
    one, two = read_evidence(frozen(tmp_path), ["one", "two"])
    assert one.quality_Q[0] == 2.5
    assert one.quality_Q[1:].isnan().all()
    assert two.quality_Q.isnan().all()


def test_a_snapshot_without_quality_columns_is_read(tmp_path: Path) -> None:
    whole = frozen(tmp_path)
    tables = {name: whole.table(name) for name in ("clips", "references", "votes")}
    tables["candidates"] = whole.table("candidates").drop_columns(["sharpness", "flicker", "motion"])
    split = pa.array(["train"] * 2)
    tables["pairs"] = whole.pairs("train").append_column("split", split)
    older = snapshot.freeze(tables, root=tmp_path / "older", media=whole.media, facts={})
    assert read_evidence(older, ["one"])[0].quality_Q.isnan().all()


def test_a_batch_pads_with_what_counts_as_absent(tmp_path: Path) -> None:
    few = candidate("few", face(0, 0, 5, 6), looked_frames=[0])
    world = frozen(tmp_path, candidates=[candidate("one", face(4, 1, 1, 2)), few], pairs=[pair("p1", "one", "few", 0)])
    batch = collate(read_evidence(world, ["one", "few"]))
    assert batch.vector_STD.shape == (2, 2, 3, 2)
    assert batch.has_frame_T.tolist() == [[True, True, True], [True, False, False]]
    assert batch.is_seen_ST[1].tolist() == [[True, False, False], [False, False, False]]


def test_a_candidate_in_which_nothing_was_looked_at_can_stand_in_a_batch(tmp_path: Path) -> None:
    world = frozen(tmp_path, candidates=[candidate("one", looked_frames=[]), candidate("two", looked_frames=[])])
    batch = collate(read_evidence(world, ["one", "two"]))
    assert batch.is_seen_ST.shape == (2, 2, 1)
    assert not batch.has_frame_T.any()


def test_a_split_without_pairs_is_empty(tmp_path: Path) -> None:
    pairs = read_pairs(frozen(tmp_path), "test")
    assert len(pairs) == 0
    assert pairs.evidence == ()


def test_a_pair_whose_candidate_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SnapshotDamaged, match="three"):
        read_pairs(frozen(tmp_path, pairs=[pair("p1", "one", "three", 0)]), "train")


def test_vectors_of_two_recognisers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotDamaged, match=r"\[2, 3\]"):
        read_pairs(frozen(tmp_path, references=[reference("r1", 0, (1, 0, 0))]), "train")


def test_the_drawn_world_keeps_its_test_people_out_of_training(tmp_path: Path) -> None:
    world = freeze_world(tmp_path, num_clips=6)
    train, test = read_pairs(world, "train"), read_pairs(world, "test")
    assert not set(train.clip_ids) & set(test.clip_ids)
    distances = [
        torch.dist(ours, theirs).item()
        for one in train.evidence
        for other in test.evidence
        for ours in one.reference_SRD[:, 0]
        for theirs in other.reference_SRD[:, 0]
    ]
    assert min(distances) > 0.45
