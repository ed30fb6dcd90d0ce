import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flows.ingest import DUPLICATE, ingest
from flows.progress import Progress
from flows.settings import Settings
from flows.sources.entries import EMPTY, UNREADABLE
from flows.sources.folder import CAPTION_ALONE, FILE_ALONE
from flows.stages.footage import Footage
from tests.tars import packed, write_splits
from warehouse import ids, migrate
from warehouse.errors import BadCaptions, WarehouseLocked
from warehouse.staging import only_committer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "videos"
    found.mkdir()
    return found


def fill(folder: Path, videos: dict[str, bytes], captions: dict[str, str] | None = None) -> None:
    for name, content in videos.items():
        (folder / name).write_bytes(content)
    if captions is not None:
        rows = [json.dumps({"path": name, "caption": text, "fps": 24}) for name, text in captions.items()]
        (folder / "captions.jsonl").write_text("\n".join(rows))


def arrive(folder: Path, progress: Progress | None = None) -> Counter[str]:
    return ingest(Settings.read(), folder, None, progress=progress or Progress("ingest"))


def rows(question: str) -> list[Any]:
    with Settings.read().warehouse.session() as session:
        return session.execute(question).fetchall()


def test_files_become_sources_named_by_their_bytes_and_their_caption(folder: Path) -> None:
    fill(folder, {"a.mp4": b"aa", "b.mp4": b"b"}, {"a.mp4": "A man.", "b.mp4": "A woman."})
    assert arrive(folder) == {"source": 2}
    sha256 = ids.file_digest(folder / "a.mp4")
    (found,) = rows(f"SELECT source_id, dataset, path, num_bytes, caption, extra FROM source WHERE sha256 = '{sha256}'")
    expected = (str(folder), str(folder / "a.mp4"), 2, "A man.", '{"fps": 24}')
    assert found == (ids.make("source", sha256, "A man."), *expected)


def test_ingesting_twice_adds_nothing(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a", "b.mp4": b"b"}, {"a.mp4": "A man.", "c.mp4": "Nobody."})
    first = arrive(folder)
    before = (rows("FROM source ORDER BY ALL"), rows("FROM listing ORDER BY ALL"))
    assert arrive(folder) == first
    assert (rows("FROM source ORDER BY ALL"), rows("FROM listing ORDER BY ALL")) == before


def test_every_file_and_every_caption_row_is_accounted_for(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a", "b.mp4": b"b"}, {"a.mp4": "A man.", "c.mp4": "Nobody."})
    assert arrive(folder) == {"source": 1, FILE_ALONE: 1, CAPTION_ALONE: 1}
    assert rows("SELECT entry, source_id IS NULL, problem FROM listing ORDER BY entry") == [
        ("a.mp4", False, None),
        ("b.mp4", False, FILE_ALONE),
        ("c.mp4", True, CAPTION_ALONE),
    ]


def test_a_changed_caption_makes_a_new_source_and_the_old_one_is_kept_but_no_longer_listed(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a"}, {"a.mp4": "A man."})
    arrive(folder)
    fill(folder, {}, {"a.mp4": "A tall man."})
    assert arrive(folder) == {"source": 1}
    assert rows("SELECT caption FROM source ORDER BY caption") == [("A man.",), ("A tall man.",)]
    assert rows("SELECT caption FROM listing JOIN source USING (source_id)") == [("A tall man.",)]


def test_changed_bytes_make_a_new_source(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a"})
    arrive(folder)
    fill(folder, {"a.mp4": b"longer"})
    arrive(folder)
    assert rows("SELECT source.num_bytes FROM listing JOIN source USING (source_id)") == [(6,)]
    assert rows("SELECT count(*) FROM source") == [(2,)]


def test_files_of_the_same_bytes_and_caption_are_one_source_and_all_but_one_say_so(folder: Path) -> None:
    fill(folder, {"a.mp4": b"same", "b.mp4": b"same", "c.mp4": b"other"})
    assert arrive(folder) == {"source": 2, DUPLICATE: 1}
    assert rows("SELECT count(*) FROM source") == [(2,)]
    assert rows("SELECT entry, problem FROM listing WHERE problem IS NOT NULL") == [("b.mp4", DUPLICATE)]
    assert rows("SELECT count(DISTINCT source_id), count(source_id) FROM listing") == [(2, 3)]


def test_files_of_the_same_bytes_and_other_captions_are_two_sources(folder: Path) -> None:
    fill(folder, {"a.mp4": b"same", "b.mp4": b"same"}, {"a.mp4": "A man.", "b.mp4": "A woman."})
    assert arrive(folder) == {"source": 2}


def test_a_file_that_is_gone_is_no_longer_listed_and_its_source_is_kept(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a", "b.mp4": b"b"})
    arrive(folder)
    (folder / "b.mp4").unlink()
    assert arrive(folder) == {"source": 1}
    assert rows("SELECT entry FROM listing") == [("a.mp4",)]
    assert rows("SELECT count(*) FROM source") == [(2,)]


def test_a_folder_that_was_moved_is_found_again_where_it_is(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a"})
    arrive(folder)
    moved = folder.rename(folder.parent / "moved")
    arrive(moved)
    assert rows("SELECT path, dataset FROM source") == [(str(moved / "a.mp4"), str(moved))]


def test_a_file_that_vanishes_or_may_not_be_read_is_reported_and_costs_no_other(folder: Path) -> None:
    class Vanishing(Progress):
        def say(self, text: str) -> None:
            (folder / "b.mp4").unlink(missing_ok=True)

    fill(folder, {"a.mp4": b"a", "b.mp4": b"b", "c.mp4": b"c"})
    assert arrive(folder, Vanishing("ingest")) == {"source": 2, UNREADABLE: 1}
    assert rows("SELECT entry, source_id FROM listing WHERE problem IS NOT NULL") == [("b.mp4", None)]


def test_two_folders_are_two_data_sets(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "others"
    other.mkdir()
    fill(folder, {"a.mp4": b"a", "b.mp4": b"b"})
    fill(other, {"a.mp4": b"a"})
    arrive(folder)
    arrive(other)
    assert rows("SELECT dataset, count(*) FROM listing GROUP BY ALL ORDER BY ALL") == [
        (str(other), 1),
        (str(folder), 2),
    ]
    assert rows("SELECT count(*) FROM source") == [(2,)]


def test_a_caption_that_no_disk_can_hold_is_refused_by_its_line(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a"}, {"a.mp4": "A man \ud800."})
    with pytest.raises(BadCaptions, match=r"captions\.jsonl, line 1"):
        arrive(folder)


def test_captions_of_any_script_come_through_unchanged(folder: Path) -> None:
    captions = {"a.mp4": "一个男人。", "b.mp4": 'She said "no", and left.', "c.mp4": "naïve 👩‍👧"}
    fill(folder, {name: name.encode() for name in captions}, captions)
    arrive(folder)
    assert {caption for (caption,) in rows("SELECT caption FROM source")} == set(captions.values())


def test_a_listing_of_the_first_schema_is_carried_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, {"a.mp4": b"a"}, {"a.mp4": "A man."})
    sha256 = ids.file_digest(folder / "a.mp4")
    source_id = ids.make("source", sha256, "A man.")
    first = migrate.migrations()[:1]
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "migrations", lambda: first)
        with Settings.read().warehouse.session() as session:
            for entry, its_source in (("a.mp4", source_id), ("gone.mp4", None)):
                session.execute("INSERT INTO listing VALUES (?, ?, ?, NULL)", [str(folder), entry, its_source])
            old = [source_id, "elsewhere", "/elsewhere/a.mp4", sha256, 1, "A man.", None]
            session.execute("INSERT INTO source VALUES (?, ?, ?, ?, ?, ?, ?)", old)
    assert arrive(folder) == {"source": 1}
    assert rows("SELECT entry, source_id FROM listing") == [("a.mp4", source_id)]
    assert rows("SELECT path, member, annotation_sha256 FROM source") == [(str(folder / "a.mp4"), None, None)]


def test_a_file_that_could_not_be_read_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, {"a.mp4": b"a", "b.mp4": b"b"})
    digest = Footage.digest

    def closed(footage: Footage) -> str:
        if footage.name == "b.mp4":
            raise PermissionError(13, "Permission denied")
        return digest(footage)

    with monkeypatch.context() as patch:
        patch.setattr(Footage, "digest", closed)
        assert arrive(folder) == {"source": 1, UNREADABLE: 1}
    assert arrive(folder) == {"source": 2}


def test_an_empty_file_is_told_and_is_a_source_that_will_fail(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a", "b.mp4": b""})
    assert arrive(folder) == {"source": 1, EMPTY: 1}
    assert rows("SELECT count(*) FROM listing WHERE source_id IS NULL") == [(0,)]


def test_videos_in_a_tar_are_sources_of_a_plain_folder_too(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a"})
    write_splits(folder / "more.tar", packed({"deep/b.mp4": b"bb", "notes.txt": b"text"}), [700])
    (folder / "captions.jsonl").write_text(json.dumps({"path": "more.tar/deep/b.mp4", "caption": "A woman."}))
    assert arrive(folder) == {"source": 1, FILE_ALONE: 1}
    found = rows("SELECT path, member, num_bytes, sha256 FROM source WHERE caption = 'A woman.'")
    sha256 = hashlib.sha256(b"bb").hexdigest()
    assert found == [(str(folder / "more.tar.split.000"), "deep/b.mp4", 2, sha256)]


def test_a_second_ingest_at_the_same_time_is_told_to_wait(folder: Path) -> None:
    fill(folder, {"a.mp4": b"a"})
    with only_committer(Settings.read().home / "arrivals"), pytest.raises(WarehouseLocked, match="wait for it"):
        arrive(folder)
