"""OpenS2V folders: every row is an entry, every file is accounted for, and nothing outside is read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.sources import entries, formats, opens2v
from flows.sources.entries import Entry
from flows.stages.annotated import OPENS2V
from tests.opens2v import row
from tests.tars import packed, write_splits
from warehouse.errors import BadInput


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two parts with a video each."""
    made = tmp_path / "root"
    for number in (1, 2):
        put(made, f"Videos/total_part{number}/film{number}.mp4")
        part(made, f"total_part{number}", {f"film{number}_step1-0-95": row(path=f"film{number}.mp4")})
    return made


def put(root: Path, name: str, content: bytes = b"video") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)


def part(root: Path, name: str, rows: Mapping[str, Any], folder: str = "Jsons/mask_and_bbox") -> Path:
    put(root, f"{folder}/{name}.json", json.dumps(rows).encode())
    return root / folder / f"{name}.json"


def listed(root: Path, captions: Path | None = None) -> list[Entry]:
    return list(formats.list_entries(root, captions))


def told(root: Path) -> dict[str, tuple[str | None, str | None]]:
    """By entry: the file below `Videos`, and the problem."""
    found = listed(root)
    assert len({entry.relative for entry in found}) == len(found)
    return {
        entry.relative: (entry.path.relative_to(root / "Videos").as_posix() if entry.path else None, entry.problem)
        for entry in found
    }


def test_every_row_is_an_entry_with_its_caption_and_its_annotation(root: Path) -> None:
    first, second = listed(root)
    assert (first.relative, first.part) == ("total_part1/film1_step1-0-95", "total_part1")
    assert first.path == root / "Videos/total_part1/film1.mp4"
    assert first.caption == "A woman talks with a man."
    assert first.annotation is not None
    assert (first.annotation.origin, first.annotation.key) == (OPENS2V, "film1_step1-0-95")
    assert (first.problem, first.repaired_from) == (None, None)
    assert second.relative == "total_part2/film2_step1-0-95"


def test_rows_of_one_file_are_entries_of_their_own_told_apart_by_what_they_say(root: Path) -> None:
    rows = {f"film1_step1-{start}-95": row(path="film1.mp4", cut=[start, 95]) for start in (0, 10, 20)}
    part(root, "total_part1", rows)
    found = [entry for entry in listed(root) if entry.part == "total_part1"]
    assert len({entry.says for entry in found}) == len({entry.relative for entry in found}) == 3
    assert {entry.path for entry in found} == {root / "Videos/total_part1/film1.mp4"}


def test_the_same_said_of_another_name_is_the_same_and_any_other_change_is_not(root: Path) -> None:
    same = row(path="film1.mp4")
    rows = {"a": same, "b": row(path="film2.mp4"), "c": {**same, "unknown": 1}, "d": dict(reversed(same.items()))}
    part(root, "total_part1", rows)
    says = {entry.relative: entry.says for entry in listed(root)}
    assert says["total_part1/a"] == says["total_part1/b"] == says["total_part1/d"]
    assert says["total_part1/a"] != says["total_part1/c"]


def test_a_score_that_python_wrote_as_no_number_is_unknown_and_costs_nothing(root: Path) -> None:
    part(root, "total_part1", {"film1_step1-0-95": row(path="film1.mp4", aesthetic=float("nan"))})
    first, _ = listed(root)
    assert first.annotation is not None
    assert first.annotation.aesthetic is None
    assert first.problem is None


def test_every_row_and_file_that_does_not_fit_is_told(root: Path) -> None:
    put(root.parent, "secret.mp4")
    put(root, "Videos/total_part1/alone.mp4")
    rows: dict[str, Any] = {
        "film1_step1-0-95": row(path="film1.mp4"),
        "lost_step1-0-95": row(path="lost.mp4"),
        "film1_step1-96-120": "None",
        "gone_step1-0-95": "None",
        "out": row(path="../../../secret.mp4"),
        "absolute": row(path=str(root.parent / "secret.mp4")),
        "up": row(path="../total_part2/film2.mp4"),
        "number": 3,
        "broken": row(path="film1.mp4", cut=[5, 2]),
    }
    part(root, "total_part1", rows)
    found = told(root)
    assert {name: found[f"total_part1/{name}"] for name in rows} == {
        "film1_step1-0-95": ("total_part1/film1.mp4", None),
        "lost_step1-0-95": (None, entries.ROW_ALONE),
        "film1_step1-96-120": ("total_part1/film1.mp4", entries.ROW_SAYS_NONE),
        "gone_step1-0-95": (None, entries.ROW_ALONE),
        "out": (None, entries.OUTSIDE),
        "absolute": (None, entries.OUTSIDE),
        "up": (None, entries.OUTSIDE),
        "number": (None, entries.BROKEN_ROW),
        "broken": (None, entries.BROKEN_ROW),
    }
    assert found["Videos/total_part1/alone.mp4"] == (None, entries.FILE_ALONE)
    (broken,) = [entry for entry in listed(root) if entry.relative == "total_part1/broken"]
    assert broken.extra == "broken: cut from 5 to 2; a span is half-open and not empty"


def test_a_file_of_another_part_or_suffix_is_a_repaired_path_and_one_deeper_in_its_part_is_not(root: Path) -> None:
    put(root, "Videos/total_part1/deep/er/below.mp4")
    put(root, "Videos/total_part1/other.mkv")
    rows = {"a": row(path="below.mp4"), "b": row(path="film2.mp4"), "c": row(path="other.mp4"), "d": row(path="film1")}
    part(root, "total_part1", rows)
    found = {entry.relative: (entry.problem, entry.repaired_from) for entry in listed(root) if entry.annotation}
    assert found == {
        "total_part1/a": (None, None),
        "total_part1/b": (None, "film2.mp4"),
        "total_part1/c": (None, "other.mp4"),
        "total_part1/d": (None, "film1"),
        "total_part2/film2_step1-0-95": (None, None),
    }


def test_videos_in_split_tars_are_found_like_those_in_folders(root: Path) -> None:
    (root / "Videos/total_part1/film1.mp4").unlink()
    content = packed({"total_part1/film1.mp4": b"film one", "../film9.mp4": b"out", "total_part1/readme.txt": b"text"})
    write_splits(root / "Videos/total_part1/a.tar", content, [515])
    first, *others = listed(root)
    assert first.problem == entries.OUTSIDE
    found = next(entry for entry in others if entry.part == "total_part1")
    assert found.footage is not None
    assert (found.footage.member, found.footage.num_bytes, found.repaired_from) == ("total_part1/film1.mp4", 8, None)
    assert found.path == root / "Videos/total_part1/a.tar.split.000"
    with found.footage.open() as file:
        assert file.read() == b"film one"


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_tar_that_lacks_a_split_is_told_and_what_is_whole_in_it_is_taken(root: Path, missing: int) -> None:
    (root / "Videos/total_part1/film1.mp4").unlink()
    content = packed({"film1.mp4": b"1" * 600, "film7.mp4": b"7" * 3000})
    splits = write_splits(root / "Videos/total_part1/a.tar", content, [2000, 4000])
    splits[missing].unlink()
    problems = {entry.relative: entry.problem for entry in listed(root) if entry.problem}
    assert problems["Videos/total_part1/a.tar"] == entries.BROKEN_TAR
    assert next(entry.extra for entry in listed(root) if entry.problem == entries.BROKEN_TAR)
    is_there = missing > 0
    assert (problems.get("total_part1/film1_step1-0-95") is None) == is_there


def test_a_part_that_is_cut_off_gives_what_comes_before_and_names_the_part_and_the_last_key(root: Path) -> None:
    rows = {f"film1_step1-{number}": row(path="film1.mp4") for number in range(5)}
    path = part(root, "total_part1", rows)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"film1_step1-3") + 200])
    found = []
    with pytest.raises(BadInput, match=r"total_part1\.json: cannot be read on after row 3, film1_step1-2 \(.*EOF"):
        for entry in formats.list_entries(root, None):
            found.append(entry.relative)
    assert found == [f"total_part1/film1_step1-{number}" for number in range(3)]


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", "no json"])
def test_a_part_that_is_none_is_refused(root: Path, text: str) -> None:
    (root / "Jsons/mask_and_bbox/total_part1.json").write_text(text)
    with pytest.raises(BadInput, match=r"total_part1\.json: "):
        listed(root)


def test_parts_of_one_name_in_two_folders_do_not_get_mixed_up(root: Path) -> None:
    part(root, "total_part1", {"film1_step1-0-95": row(path="film1.mp4")}, folder="Jsons/mask_and_bbox_nexus")
    assert sorted(told(root)) == [
        "mask_and_bbox/total_part1/film1_step1-0-95",
        "mask_and_bbox_nexus/total_part1/film1_step1-0-95",
        "total_part2/film2_step1-0-95",
    ]


def test_a_part_that_is_a_link_out_of_the_folder_is_not_read(root: Path) -> None:
    outside = part(root.parent, "elsewhere", {"film1_step1-1": row(path="film1.mp4")}, folder=".")
    (root / "Jsons/mask_and_bbox/total_part3.json").symlink_to(outside)
    assert [entry.problem for entry in listed(root) if "part3" in entry.relative] == [entries.OUTSIDE]


@pytest.mark.parametrize(
    ("files", "form"),
    [
        (("Videos/a.mp4", "Jsons/mask_and_bbox/p.json"), formats.OPENS2V),
        (("a.mp4", "p.json"), formats.OPENS2V),
        (("a.mp4", "OpenHumanVid_part_000.csv"), formats.OPENHUMANVID),
        (("a.mp4", "captions.csv"), formats.FOLDER),
        (("a.mp4",), formats.FOLDER),
    ],
)
def test_the_format_is_seen_from_how_the_folder_is_laid_out(tmp_path: Path, files: tuple[str, ...], form: str) -> None:
    for name in files:
        put(tmp_path, name, json.dumps({"x": "None", "a_step1": row()}).encode())
    (tmp_path / "other.json").write_text('{"settings": {"depth": 3}}')
    assert formats.recognised(tmp_path, None) == form


def test_part_files_beside_their_videos_are_a_data_set_too(tmp_path: Path) -> None:
    put(tmp_path, "film1.mp4")
    part(tmp_path, "p", {"film1_step1-0-95": row(path="film1.mp4")}, folder=".")
    (entry,) = listed(tmp_path)
    assert (entry.relative, entry.path, entry.repaired_from) == ("p/film1_step1-0-95", tmp_path / "film1.mp4", None)


def test_one_part_may_be_named(root: Path) -> None:
    found = listed(root, root / "Jsons/mask_and_bbox/total_part2.json")
    assert [entry.relative for entry in found] == ["total_part2/film2_step1-0-95", "Videos/total_part1/film1.mp4"]


def test_a_folder_without_videos_or_without_parts_is_refused(tmp_path: Path) -> None:
    part(tmp_path, "p", {"a": row()})
    (tmp_path / "Videos").mkdir()
    with pytest.raises(BadInput, match="no videos in it"):
        listed(tmp_path)
    put(tmp_path, "Videos/a.mp4")
    (tmp_path / "Jsons/mask_and_bbox/p.json").unlink()
    with pytest.raises(BadInput, match="no part files in it"):
        listed(tmp_path)


def test_cross_pairs_are_read_from_lists_and_from_objects_of_lists(root: Path) -> None:
    pair = {
        "cur_id": "total_part1/a",
        "aft_id": "total_part2/b",
        "text_similarity": 0.5,
        "cur_frame_idx": 0,
        "new": "x",
    }
    put(root, "Jsons/cross_video_pairs/a.json", json.dumps([pair, {"no": "pair"}]).encode())
    put(root, "Jsons/cross_video_pairs/deep/b.json", json.dumps({"video": [pair, pair]}).encode())
    found = list(opens2v.cross_pairs(root))
    assert [name for name, _ in found] == ["a.json", "deep/b.json", "deep/b.json"]
    read = opens2v.pair_of(found[0][1], dataset="d", place=4)
    assert (read.cur_id, read.aft_id, read.text_similarity, read.cur_frame_idx) == (
        "total_part1/a",
        "total_part2/b",
        0.5,
        0,
    )
    assert (read.image_similarity, read.aft_class_name, read.place) == (None, None, 4)
    assert json.loads(read.extra or "") == {"new": "x"}
    put(root, "Jsons/cross_video_pairs/c.json", b'[{"cur_id": "a", "aft')
    with pytest.raises(BadInput, match=r"c\.json: cannot be read on after item 0"):
        list(opens2v.cross_pairs(root))
