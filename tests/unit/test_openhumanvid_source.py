"""OpenHumanVid's parts: rows are matched by path or clip id, repairs are told, and every column is kept."""

import json
from pathlib import Path

import pytest

from flows.sources import entries, formats
from flows.sources.entries import Entry
from flows.stages.annotated import OPENHUMANVID
from warehouse.errors import BadCaptions, BadInput

HEADER = (
    "clip_id,path,caption,luminance_min,luminance_max,blur_min,blur_max,aesthetic,technical_score,global_motion,,\n"
)
CLIP = "f605" + "0fa30d72" * 3 + "abcd"
OTHER = "f605" + "11111111" * 3 + "abcd"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"video")


def part(root: Path, *rows: str, number: int = 1, header: str = HEADER) -> None:
    (root / f"OpenHumanVid_part_{number:03}.csv").write_text(header + "".join(f"{row}\n" for row in rows))


def listed(root: Path) -> list[Entry]:
    assert formats.recognised(root, None) == formats.OPENHUMANVID
    return list(formats.list_entries(root, None))


def told(root: Path) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(entry.relative, entry.caption, entry.problem, entry.repaired_from) for entry in listed(root)]


@pytest.mark.parametrize("prefix", ["", "clips/"])
@pytest.mark.parametrize("suffix", ["", ".mp4"])
@pytest.mark.parametrize("on_disk", ["{}", "{}.mp4", "clips/{}", "clips/{}.mp4", "moved/away/{}.mp4"])
def test_paths_are_repaired_and_the_row_s_spelling_is_kept(root: Path, prefix: str, suffix: str, on_disk: str) -> None:
    name = f"part_001/f6/05/{CLIP}"
    spelled, there = f"{prefix}{name}{suffix}", on_disk.format(name)
    put(root, there)
    part(root, f"{CLIP},{spelled},A man walks.,,,,,5.1,,,,")
    assert told(root) == [(there, "A man walks.", None, None if spelled == there else spelled)]


def test_a_row_whose_path_leads_nowhere_is_found_by_its_clip_id(root: Path) -> None:
    put(root, f"{CLIP}.mp4")
    part(root, f"{CLIP},clips/part_009/zz/wrong,A man walks.,,,,,,,,,")
    assert told(root) == [(f"{CLIP}.mp4", "A man walks.", None, "clips/part_009/zz/wrong")]


def test_rows_without_files_files_without_rows_and_second_rows_are_told(root: Path) -> None:
    put(root, "a.mp4", "b.mp4")
    rows = ["1,a,Of a.", "2,gone,Gone.", "3,gone,Gone too.", "4,a.mp4,Again.", "5,../x.mp4,Out.", "6,,Nowhere."]
    part(root, *(row + ",,,,,,,,," for row in rows))
    assert told(root) == [
        ("a.mp4", "Of a.", None, "a"),
        ("gone", "Gone.", entries.ROW_ALONE, None),
        ("gone", "Gone too.", entries.ROW_ALONE, None),
        ("a.mp4", "Again.", entries.DUPLICATE_ROW, None),
        ("../x.mp4", "Out.", entries.OUTSIDE, None),
        ("6", "Nowhere.", entries.ROW_ALONE, None),
        ("b.mp4", None, entries.FILE_ALONE, None),
    ]


def test_scores_become_an_annotation_and_every_column_is_kept(root: Path) -> None:
    put(root, "a.mp4")
    header = HEADER.replace(",,\n", ",Mood,,\n")
    part(root, f"{CLIP},a.mp4,A man.,1.5,250,0.25,9,5.1,0.9,12,cheerful,left over,", header=header)
    (entry,) = listed(root)
    given = entry.annotation
    assert given is not None
    assert (given.origin, given.key, given.path, given.captions) == (
        OPENHUMANVID,
        CLIP,
        "a.mp4",
        (("caption", "A man."),),
    )
    assert (given.luminance_min, given.luminance_max, given.blur_min, given.blur_max) == (1.5, 250, 0.25, 9)
    assert (given.aesthetic, given.technical, given.motion) == (5.1, 0.9, 12)
    assert json.loads(given.rest or "") == {"Mood": "cheerful", "column_12": "left over"}
    assert json.loads(entry.extra or "")["clip_id"] == CLIP
    assert json.loads(entry.extra or "")["Mood"] == "cheerful"


def test_what_a_row_says_besides_names_makes_another_source_and_what_it_does_not_say_makes_none(root: Path) -> None:
    put(root, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    part(root, "1,a.mp4,A.,,,,,5,,,,", "2,b.mp4,A.,,,,,5,,,,", "3,c.mp4,A.,,,,,6,,,,", "4,d.mp4,A.,,,,,,,,,")
    a, b, c, d = listed(root)
    assert a.says == b.says != c.says
    assert (d.says, d.annotation) == (None, None)


def test_a_score_that_is_no_number_is_kept_and_not_invented(root: Path) -> None:
    put(root, "a.mp4")
    part(root, "1,a.mp4,A.,nan,dark,,,5,,,,")
    (entry,) = listed(root)
    assert entry.annotation is not None
    assert (entry.annotation.luminance_min, entry.annotation.luminance_max, entry.annotation.aesthetic) == (
        None,
        None,
        5,
    )
    assert json.loads(entry.annotation.rest or "") == {"luminance_min": "nan", "luminance_max": "dark"}


def test_several_parts_are_one_data_set_and_their_rows_stream_in_order(root: Path) -> None:
    put(root, "a.mp4", "b.mp4")
    part(root, "1,a.mp4,Of a.,,,,,,,,,", number=2)
    part(root, "2,b.mp4,Of b.,,,,,,,,,", number=1)
    assert [(entry.relative, entry.part) for entry in listed(root)] == [
        ("b.mp4", "OpenHumanVid_part_001"),
        ("a.mp4", "OpenHumanVid_part_002"),
    ]


@pytest.mark.parametrize("missing", ["clip_id", "path", "caption"])
def test_a_part_without_a_needed_column_is_refused_and_an_optional_one_may_be_missing(root: Path, missing: str) -> None:
    put(root, "a.mp4")
    columns = {"clip_id": "1", "path": "a.mp4", "caption": "A."}
    part(root, ",".join(columns.values()), header=",".join(columns) + "\n")
    assert len(listed(root)) == 1
    columns.pop(missing)
    part(root, ",".join(columns.values()), header=",".join(columns) + "\n")
    with pytest.raises(BadCaptions, match=f"part_001.csv: no column .*{missing}"):
        listed(root)


def test_a_folder_without_videos_is_refused(root: Path) -> None:
    part(root, "1,a.mp4,A.,,,,,,,,,")
    with pytest.raises(BadInput, match="no videos in it"):
        listed(root)
    put(root, "unnamed")
    with pytest.raises(BadInput, match="no videos in it"):
        listed(root)
