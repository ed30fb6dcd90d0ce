import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.freeze import SCHEMAS
from warehouse import snapshot
from warehouse.errors import MediaMissing, SnapshotDamaged
from warehouse.media import MediaStore
from warehouse.snapshot import Snapshot

FACTS = {"profile": "fake", "label_policy": "majority-3"}
ROWS: dict[str, list[dict[str, Any]]] = {
    "pairs": [
        {"pair_id": f"pair_{n}", "clip_id": f"clip_{n % 2}", "outcome": n % 3, "split": "test" if n == 3 else "train"}
        for n in range(4)
    ],
    "clips": [{"clip_id": f"clip_{n}", "prompt": None, "num_subjects": 1} for n in range(2)],
    "candidates": [
        {
            "candidate_id": f"candidate_{n}",
            "looked_frames": [0, 5],
            "faces": [{"frame": 0, "subject_index": 0, "vector": [0.5]}],
        }
        for n in range(3)
    ],
    "references": [{"reference_id": "reference_1", "vector": [1.0, 0.0]}],
    "votes": [{"vote_id": f"vote_{n}", "pair_id": "pair_0", "is_counted": True} for n in range(3)],
}
EVERY_TABLE = ["data/test", "data/train", "candidates", "clips", "media", "references", "votes"]


@pytest.fixture
def media(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media")


def tables(media: MediaStore, order: random.Random | None = None) -> dict[str, pa.Table]:
    videos = [media.put(f"video {n}".encode()) for n in range(3)]
    found = {}
    for name, rows in ROWS.items():
        rows = [dict(row) for row in rows]
        for place, row in enumerate(rows):
            if "sha256" in SCHEMAS[name].names:
                row["sha256"] = videos[place]
        if order:
            order.shuffle(rows)
        found[name] = pa.Table.from_pylist(rows, schema=SCHEMAS[name])
    return found


def frozen(tmp_path: Path, media: MediaStore, **override: pa.Table) -> Snapshot:
    return snapshot.freeze(tables(media) | override, root=tmp_path / "snapshots", media=media, facts=FACTS)


@pytest.fixture
def made(tmp_path: Path, media: MediaStore) -> Snapshot:
    return frozen(tmp_path, media)


def test_a_snapshot_gives_back_its_rows_sorted(made: Snapshot) -> None:
    assert made.pairs("train")["pair_id"].to_pylist() == ["pair_0", "pair_1", "pair_2"]
    assert made.pairs("test")["pair_id"].to_pylist() == ["pair_3"]
    assert "split" not in made.pairs("train").column_names
    assert made.table("candidates")["faces"].to_pylist()[0] == ROWS["candidates"][0]["faces"]
    assert made.media_path(made.table("media")["sha256"][0].as_py()).is_file()
    assert made.facts == FACTS


def test_every_table_is_listed_with_its_rows_and_the_id_is_the_folders_name(made: Snapshot) -> None:
    assert sorted(Path(entry["path"]).parent.as_posix() for entry in made.manifest["files"]) == sorted(EVERY_TABLE)
    assert {entry["path"]: entry["num_rows"] for entry in made.manifest["files"]}["votes/part-00000.parquet"] == 3
    assert made.path.name == made.id
    made.verify()


@settings(max_examples=10)
@given(order=st.randoms(use_true_random=False))
def test_the_same_content_has_the_same_id_in_any_order_of_its_rows(
    tmp_path_factory: pytest.TempPathFactory, order: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("any-order")
    media = MediaStore(folder / "media")
    one = snapshot.freeze(tables(media), root=folder / "one", media=media, facts=FACTS)
    two = snapshot.freeze(tables(media, order), root=folder / "two", media=media, facts=dict(reversed(FACTS.items())))
    assert one.id == two.id
    assert one.manifest == two.manifest


def test_rows_that_come_in_pieces_make_the_same_snapshot(tmp_path: Path, media: MediaStore, made: Snapshot) -> None:
    pieces = {name: pa.concat_tables([table.slice(0, 1), table.slice(1)]) for name, table in tables(media).items()}
    assert frozen(tmp_path, media, **pieces).id == made.id


def test_freezing_twice_finds_the_same_folder_and_writes_nothing(
    tmp_path: Path, media: MediaStore, made: Snapshot
) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.path.rglob("*")}
    again = frozen(tmp_path, media)
    assert (again.id, again.path) == (made.id, made.path)
    assert {path: path.stat().st_mtime_ns for path in made.path.rglob("*")} == before
    assert [path.name for path in made.path.parent.iterdir()] == [made.id]


def test_other_content_or_other_facts_make_another_snapshot(tmp_path: Path, media: MediaStore, made: Snapshot) -> None:
    fewer = frozen(tmp_path, media, votes=tables(media)["votes"].slice(1))
    told = snapshot.freeze(tables(media), root=tmp_path / "snapshots", media=media, facts=FACTS | {"profile": "other"})
    assert len({made.id, fewer.id, told.id}) == 3


def test_a_snapshot_without_any_row_in_a_split_opens_all_the_same(tmp_path: Path, media: MediaStore) -> None:
    pairs = tables(media)["pairs"]
    found = frozen(tmp_path, media, pairs=pairs.filter(pc.equal(pairs["split"], "train")))
    assert found.pairs("test").num_rows == 0
    assert found.pairs("test").schema == found.pairs("train").schema
    found.verify()


def test_a_medium_that_is_not_there_is_not_frozen_and_nothing_is_left_behind(tmp_path: Path, media: MediaStore) -> None:
    given = tables(media)
    media.path_of(given["candidates"]["sha256"][0].as_py()).unlink()
    with pytest.raises(MediaMissing):
        snapshot.freeze(given, root=tmp_path / "snapshots", media=media, facts=FACTS)
    assert list((tmp_path / "snapshots").iterdir()) == []


@pytest.mark.parametrize("table", EVERY_TABLE)
def test_a_flipped_byte_is_found_in_every_table(made: Snapshot, table: str) -> None:
    path = made.path / table / "part-00000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SnapshotDamaged, match=f"{table}/part-00000.parquet is missing or altered"):
        made.verify()


def test_a_missing_file_is_found(made: Snapshot) -> None:
    (made.path / "votes" / "part-00000.parquet").unlink()
    with pytest.raises(SnapshotDamaged, match=r"votes/part-00000\.parquet is missing or altered"):
        made.verify()


def test_a_file_put_beside_the_others_is_found(made: Snapshot) -> None:
    pq.write_table(made.pairs("train"), made.path / "data" / "train" / "part-00001.parquet")
    with pytest.raises(SnapshotDamaged, match=r"data/train/part-00001\.parquet does not belong to it"):
        made.verify()


def test_an_altered_manifest_is_found(made: Snapshot) -> None:
    manifest = json.loads((made.path / "manifest.json").read_text())
    manifest["facts"]["label_policy"] = "majority-1"
    (made.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SnapshotDamaged, match="its manifest is that of snapshot"):
        snapshot.open(made.path).verify()


def test_a_missing_medium_and_an_altered_one_are_found(made: Snapshot) -> None:
    path = made.media_path(made.table("media")["sha256"][0].as_py())
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    with pytest.raises(MediaMissing, match="holds other bytes"):
        made.verify()
    path.unlink()
    with pytest.raises(MediaMissing, match="not in the media store"):
        made.verify()


def test_a_snapshot_is_opened_by_its_folder_and_finds_the_media_beside_it(made: Snapshot) -> None:
    opened = snapshot.open(str(made.path))
    assert (opened.id, opened.media) == (made.id, made.media)


@pytest.mark.parametrize("text", [None, "{", "[]", "3", '{"format": 2}'])
def test_a_folder_that_is_no_snapshot_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(SnapshotDamaged, match=str(tmp_path)):
        snapshot.open(tmp_path)


def test_a_file_is_no_snapshot(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SnapshotDamaged, match="no snapshot"):
        snapshot.open(tmp_path / "file")


def test_a_snapshot_is_found_by_the_beginning_of_its_id(made: Snapshot) -> None:
    assert snapshot.find(made.path.parent, made.id[:8]).id == made.id
    assert snapshot.find(made.path.parent, "").id == made.id


@pytest.mark.parametrize("prefix", ["zzz", "*", "/", "../", "."])
def test_a_beginning_that_no_snapshot_has_names_none(made: Snapshot, prefix: str) -> None:
    with pytest.raises(SnapshotDamaged, match="names 0 snapshots"):
        snapshot.find(made.path.parent, prefix)


def test_a_beginning_that_two_snapshots_have_names_neither(tmp_path: Path, media: MediaStore, made: Snapshot) -> None:
    frozen(tmp_path, media, votes=tables(media)["votes"].slice(1))
    with pytest.raises(SnapshotDamaged, match="names 2 snapshots"):
        snapshot.find(made.path.parent, "")


def test_the_difference_of_two_snapshots_is_what_came_and_went(
    tmp_path: Path, media: MediaStore, made: Snapshot
) -> None:
    other = frozen(tmp_path, media, votes=tables(media)["votes"].slice(1))
    found = snapshot.diff(made, other)
    assert found["votes"] == {"added": [], "removed": ["vote_0"]}
    assert snapshot.diff(other, made)["votes"] == {"added": ["vote_0"], "removed": []}
    del found["votes"]
    assert set(found) == {"pairs/train", "pairs/test", "clips", "candidates", "references", "media"}
    assert all(change == {"added": [], "removed": []} for change in found.values())


@pytest.mark.parametrize("question", [lambda made: made.pairs("dev"), lambda made: made.table("pairs")])
def test_an_unknown_split_or_table_is_refused(made: Snapshot, question: Any) -> None:
    with pytest.raises(ValueError, match="take one of"):
        question(made)


def test_pyarrow_alone_reads_a_snapshot(made: Snapshot) -> None:
    table = ds.dataset(made.path / "data", partitioning=["split"]).to_table()
    assert sorted(zip(table["pair_id"].to_pylist(), table["split"].to_pylist(), strict=True)) == [
        (row["pair_id"], row["split"]) for row in ROWS["pairs"]
    ]


BY_DATASETS = """
import json, sys
import datasets
datasets.disable_progress_bars()
pairs = datasets.load_dataset(sys.argv[1])
candidates = datasets.load_dataset(sys.argv[1], "candidates")["train"]
rows = {split: rows["pair_id"] for split, rows in pairs.items()}
print(json.dumps({split: list(ids) for split, ids in rows.items()} | {"faces": candidates[0]["faces"]}))
assert not {"warehouse", "trainers"} & set(sys.modules)
"""


def test_datasets_reads_a_snapshot_offline_and_without_our_code(made: Snapshot, tmp_path: Path) -> None:
    environment = {
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-I", "-c", BY_DATASETS, str(made.path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "train": ["pair_0", "pair_1", "pair_2"],
        "test": ["pair_3"],
        "faces": ROWS["candidates"][0]["faces"],
    }
