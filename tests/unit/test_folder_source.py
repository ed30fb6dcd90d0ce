"""Every file and every caption row of a folder is accounted for, and nothing outside it is touched."""

import csv
import json
import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.sources import entries, folder, video_files
from flows.sources.entries import Entry
from warehouse.errors import BadCaptions, BadInput

CLIP = "0fa30d72" * 4


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    made.mkdir()
    return made


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"video")


def table(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def list_folder(root, captions) -> list[Entry]:
    """Sorted by name; rows of one name as they stand in the table."""
    return sorted(folder.list_folder(root, captions), key=lambda entry: (entry.relative, entry.path is None))


def told(listing):
    """Relative name, caption and problem of each entry."""
    return [(entry.relative, entry.caption, entry.problem) for entry in listing]


def test_videos_are_found_by_suffix_at_any_depth_and_listed_in_order(root):
    put(root, "b.MP4", "deep/er/a.webm", "a.gif", "notes.txt", "picture.jpg", ".hidden.mp4", ".git/x.mp4", "bare")
    listing = list_folder(root, None)
    assert told(listing) == [("a.gif", None, None), ("b.MP4", None, None), ("deep/er/a.webm", None, None)]
    assert all(entry.path == root.resolve() / entry.relative for entry in listing)


def test_a_folder_that_is_not_there_is_bad_input(root):
    with pytest.raises(BadInput, match="no such folder"):
        list_folder(root / "nowhere", None)


@pytest.mark.parametrize("captions", ["", "path,caption\nlost.mp4,A man.\n"])
def test_a_folder_without_videos_is_bad_input(root, captions):
    put(root, "readme.txt")
    if captions:
        table(root / "captions.csv", captions)
    with pytest.raises(BadInput, match="no videos in it"):
        list_folder(root, None)


@pytest.mark.parametrize("prefix", ["", "clips/"])
@pytest.mark.parametrize("suffix", ["", ".mp4"])
@pytest.mark.parametrize("on_disk", ["{}", "{}.mp4", "clips/{}", "clips/{}.mp4"])
def test_openhumanvid_s_paths_are_repaired(root, prefix, suffix, on_disk):
    name = f"part_001/f6/05/{CLIP}"
    put(root, on_disk.format(name))
    header = "clip_id,path,caption,luminance_min,aesthetic,,\n"
    table(root / "OpenHumanVid_part_001.csv", f"{header}{CLIP},{prefix}{name}{suffix},A man walks.,,5.1,,\n")
    listing = list_folder(root, None)
    assert told(listing) == [(on_disk.format(name), "A man walks.", None)]
    assert json.loads(listing[0].extra) == {"clip_id": CLIP, "aesthetic": "5.1"}


def test_rows_are_matched_from_the_caption_file_s_folder_and_pictures_are_no_entries(root):
    put(root, "chaplin.mp4", "cat.mp4")
    rows = "file,caption\nroot/chaplin.mp4,A man gestures.\nimages/cat.jpg,A cat.\nimages/cat.png,A cat.\n"
    listing = list_folder(root, table(root.parent / "manifest.csv", rows))
    assert told(listing) == [("cat.mp4", None, folder.FILE_ALONE), ("chaplin.mp4", "A man gestures.", None)]


def test_a_bare_name_is_enough_where_only_one_file_has_it(root):
    put(root, "one/a.mp4", "one/b.mp4", "two/b.mp4")
    rows = "path,caption\nelsewhere/a.mp4,Of a.\nb.mp4,Of which b?\n"
    assert told(list_folder(root, table(root / "captions.csv", rows))) == [
        ("b.mp4", "Of which b?", folder.CAPTION_ALONE),
        ("one/a.mp4", "Of a.", None),
        ("one/b.mp4", None, folder.FILE_ALONE),
        ("two/b.mp4", None, folder.FILE_ALONE),
    ]


def test_the_first_of_two_rows_for_one_file_wins_and_the_second_is_reported(root):
    put(root, "a.mp4")
    rows = "path,caption\na.mp4,First.\nclips/a,Second.\ngone.mp4,Lost.\ngone.mp4,Lost again.\n"
    assert told(list_folder(root, table(root / "captions.csv", rows))) == [
        ("a.mp4", "First.", None),
        ("a.mp4", "Second.", folder.DUPLICATE_ROW),
        ("gone.mp4", "Lost.", folder.CAPTION_ALONE),
        ("gone.mp4", "Lost again.", folder.DUPLICATE_ROW),
    ]


@pytest.mark.parametrize("name", ["../secret.mp4", "a/../../secret.mp4", "{outside}/secret.mp4", "..\\secret.mp4"])
def test_a_row_that_leads_out_of_the_root_is_refused(root, name):
    put(root.parent, "secret.mp4")
    put(root, "a.mp4", "inner/secret.mp4")
    spelled = name.format(outside=root.parent)
    rows = table(root / "captions.csv", f"path,caption\n{spelled},A secret.\na.mp4,A man.\n")
    listed = {entry.relative: entry for entry in list_folder(root, rows)}
    assert (listed[spelled].path, listed[spelled].problem) == (None, entries.OUTSIDE)
    assert listed["inner/secret.mp4"].caption is None


def test_an_absolute_path_below_the_root_is_taken_also_through_a_link_to_the_root(root):
    put(root, "a.mp4", "b.mp4")
    link = root.parent / "link"
    link.symlink_to(root)
    rows = table(root / "captions.csv", f"path,caption\n{root}/a.mp4,Of a.\n{link}/b.mp4,Of b.\n")
    assert told(list_folder(link, rows)) == [("a.mp4", "Of a.", None), ("b.mp4", "Of b.", None)]


def test_links_that_lead_out_are_refused_and_links_within_are_taken(root):
    put(root.parent, "outside/secret.mp4", "outside/file.txt")
    put(root, "a.mp4")
    (root / "inside.mp4").symlink_to(root / "a.mp4")
    (root / "out.mp4").symlink_to(root.parent / "outside" / "secret.mp4")
    (root / "folder").symlink_to(root.parent / "outside")
    (root / "loop").symlink_to(root)
    (root / "text.txt").symlink_to(root.parent / "outside" / "file.txt")
    (root / "dangling.mp4").symlink_to(root / "gone.mp4")
    listing = list_folder(root, None)
    assert told(listing) == [
        ("a.mp4", None, None),
        ("dangling.mp4", None, entries.BROKEN_LINK),
        ("folder", None, entries.OUTSIDE),
        ("inside.mp4", None, None),
        ("out.mp4", None, entries.OUTSIDE),
    ]
    assert [entry.relative for entry in listing if entry.path] == ["a.mp4", "inside.mp4"]


def test_a_name_that_is_no_text_costs_itself_only(root):
    put(root, "a.mp4")
    with open(os.fsencode(root) + b"/\xff.mp4", "wb") as file:  # noqa: PTH123  a Path cannot spell it
        file.write(b"video")
    listing = list_folder(root, None)
    assert sorted(told(listing)) == [("\\udcff.mp4", None, entries.UNREADABLE_NAME), ("a.mp4", None, None)]


def test_a_folder_that_cannot_be_opened_is_reported(root, monkeypatch):
    put(root, "a.mp4", "closed/b.mp4")
    scan = os.scandir

    def guarded(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(video_files.os, "scandir", guarded)
    assert told(list_folder(root, None)) == [("a.mp4", None, None), ("closed", None, entries.CLOSED_FOLDER)]


def test_quotes_newlines_a_bom_and_ragged_rows_are_taken(root):
    put(root, "a.mp4", "b.mp4")
    text = '\ufeffPath,Caption,,\n"a.mp4","A ""man"",\nwho walks.",,left over,more\n\nb.mp4\n'
    listing = list_folder(root, table(root / "captions.csv", text))
    assert told(listing) == [("a.mp4", 'A "man",\nwho walks.', None), ("b.mp4", None, folder.FILE_ALONE)]
    assert json.loads(listing[0].extra) == {"column_4": "left over", "column_5": "more"}


def test_jsonl_keeps_what_else_it_says(root):
    put(root, "a.mp4", "b.mp4")
    rows = [
        {"file": "a.mp4", "caption": "Of a.", "blur": 0.5, "tags": ["x"], "none": None},
        {"file": "b", "caption": None},
    ]
    listing = list_folder(root, table(root / "captions.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n"))
    assert told(listing) == [("a.mp4", "Of a.", None), ("b.mp4", None, folder.FILE_ALONE)]
    assert json.loads(listing[0].extra) == {"blur": 0.5, "tags": ["x"]}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("c.csv", "file,text\na.mp4,hello\n", r"no column `caption`; found file, text"),
        ("c.csv", "clip_id,caption\nx,hello\n", r"no column `path` or `file`; found clip_id, caption"),
        ("c.csv", "", r"found no columns"),
        ("c.csv", 'path,caption\na.mp4,fine\nb.mp4,"never closed\n', r"line 3: .*quotes"),
        ("c.jsonl", '{"path": "a.mp4", "caption": "x"}\n{"path": \n', r"line 2: .*JSON"),
        ("c.jsonl", '["a.mp4"]\n', r"line 1: found list"),
        ("c.jsonl", '{"path": "a.mp4", "caption": 3}\n', r"line 1: .*must be text, found int"),
        ("c.jsonl", '{"name": "a.mp4"}\n', r"no column `caption` and no `path` or `file`; found name"),
    ],
)
def test_a_caption_file_that_cannot_be_used_says_where_and_why(root, name, text, says):
    put(root, "a.mp4")
    with pytest.raises(BadCaptions, match=says):
        list_folder(root, table(root / name, text))


def test_a_caption_file_that_is_no_utf8_says_in_which_line(root):
    put(root, "a.mp4")
    (root / "c.csv").write_bytes(b"path,caption\na.mp4,caf\xe9\n")
    with pytest.raises(BadCaptions, match="line 2: not UTF-8"):
        list_folder(root, root / "c.csv")
    with pytest.raises(BadCaptions, match="no such caption file"):
        list_folder(root, root / "gone.csv")


@pytest.mark.parametrize("name", ["captions.csv", "OpenHumanVid_part_007.csv"])
def test_a_single_caption_file_in_the_folder_is_found_by_itself(root, name):
    put(root, "a.mp4")
    table(root / name, "path,caption\na.mp4,A man.\n")
    assert told(list_folder(root, None)) == [("a.mp4", "A man.", None)]


def test_of_several_caption_files_one_must_be_named(root):
    put(root, "a.mp4")
    for name in ("OpenHumanVid_part_000.csv", "OpenHumanVid_part_001.csv"):
        table(root / name, "path,caption\na.mp4,A man.\n")
    with pytest.raises(BadCaptions, match="several caption files"):
        list_folder(root, None)
    assert told(list_folder(root, root / "OpenHumanVid_part_001.csv")) == [("a.mp4", "A man.", None)]


def test_a_row_that_names_no_file_is_reported_by_its_line(root):
    put(root, "a.mp4")
    rows = table(root / "captions.csv", "path,caption\na.mp4,A man.\n,Of nothing.\n")
    assert ("row at line 3", "Of nothing.", folder.CAPTION_ALONE) in told(list_folder(root, rows))


NAMES = st.sampled_from(["a.mp4", "a", "clips/a", "b.webm", "sub/c.mkv", "c", "gone.mp4", "../x.mp4", "", "bare"])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(NAMES, TEXT), max_size=12))
def test_every_row_and_every_file_is_accounted_for_once(root, rows):
    put(root, "a.mp4", "b.webm", "sub/c.mkv", "bare")
    with (root / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "caption"), *rows])
    listed = list_folder(root, root / "captions.csv")
    files = Counter(entry.relative for entry in listed if entry.path)
    assert files.keys() - {"bare"} == {"a.mp4", "b.webm", "sub/c.mkv"}
    assert set(files.values()) == {1}
    spoken = [text.strip() for name, text in rows if text.strip()]
    assert Counter(entry.caption for entry in listed if entry.caption) == Counter(spoken)
    assert listed == list(list_folder(root, root / "captions.csv"))
