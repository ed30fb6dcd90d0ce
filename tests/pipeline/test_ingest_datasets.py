"""Data sets with rows: what arrives is listed once, however often and however rudely ingest is run."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flows import cli, ingest
from flows.progress import Progress
from flows.settings import Settings
from flows.sources import entries
from flows.stages import annotated
from flows.stages.footage import Footage
from tests.opens2v import row
from tests.tars import packed, write_splits
from warehouse import tables
from warehouse.database import Warehouse
from warehouse.errors import BadInput
from warehouse.media import MediaStore
from warehouse.records import Source

NUM_ROWS = 13


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two parts: one of videos in a folder, one of videos in a tar in two splits; and batches that are small."""
    monkeypatch.setattr(ingest, "BATCH_ENTRIES", 5)
    monkeypatch.setattr(ingest, "BUNDLE_ROWS", 2)
    monkeypatch.setattr(ingest, "COMMIT_S", 0.0)
    return build(tmp_path / "root")


def build(root: Path) -> Path:
    (root / "Videos/total_part1").mkdir(parents=True)
    for number in range(4):
        (root / f"Videos/total_part1/film{number}.mp4").write_bytes(b"film %d" % number)
    tar = packed({f"total_part2/film{number}.mp4": b"reel %d" % number * 99 for number in range(3)})
    write_splits(root / "Videos/total_part2/x.tar", tar, [1500])
    write_part(root, "total_part1", rows_of(NUM_ROWS, num_films=4))
    write_part(root, "total_part2", rows_of(7, num_films=3) | {"film9_step1-1": row(path="film9.mp4")})
    pairs = [{"cur_id": f"total_part1/{n}", "aft_id": "total_part2/0", "image_similarity": n / 7} for n in range(12)]
    (root / "Jsons/cross_video_pairs").mkdir()
    (root / "Jsons/cross_video_pairs/pairs.json").write_text(json.dumps(pairs))
    return root


def rows_of(num: int, *, num_films: int) -> dict[str, Any]:
    """Rows that cut a few films differently, one of them without faces and one for a file that is not there."""
    films = [number % num_films for number in range(num)]
    made: dict[str, Any] = {
        f"film{film}_step1-{number}-95": row(path=f"film{film}.mp4", cut=[number, 95], face_cut=[number, 95])
        for number, film in enumerate(films)
    }
    return made | {"film0_step1-200-205": "None"}


def write_part(root: Path, name: str, rows: Mapping[str, Any]) -> Path:
    folder = root / "Jsons/mask_and_bbox"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder / f"{name}.json"


def arrive(root: Path) -> dict[str, int]:
    return dict(ingest.ingest(Settings.read(), root, None, progress=Progress("ingest")))


def rows(question: str) -> list[Any]:
    with Settings.read().warehouse.session() as session:
        return session.execute(question).fetchall()


def contents(home: Path) -> dict[str, Any]:
    """Every row that ingest writes, and the media store's files."""
    with Warehouse.at(home / "warehouse.duckdb").session() as session:
        found: dict[str, Any] = {
            table: session.execute(f"FROM {table} ORDER BY ALL").fetchall()
            for table in ("source", "listing", "cross_video_pair")
        }
    return found | {"media": sorted(path.name for path in (home / "media").rglob("*") if path.is_file())}


def sources(home: Path) -> list[Source]:
    with Warehouse.at(home / "warehouse.duckdb").session() as session:
        return tables.from_arrow(Source, session.execute("FROM source ORDER BY 1").to_arrow_table())


def test_every_row_becomes_a_source_with_its_annotation_at_hand(root: Path, home: Path) -> None:
    assert arrive(root) == {"source": NUM_ROWS + 7, entries.ROW_SAYS_NONE: 2, entries.ROW_ALONE: 1}
    media = MediaStore(home / "media")
    for source in sources(home):
        given = annotated.of(source, media)
        assert given is not None
        ((entry,),) = rows(f"SELECT entry FROM listing WHERE source_id = '{source.source_id}'")
        assert entry.endswith("/" + given.key)
        with Footage.of(source).open() as file:
            assert len(file.read()) == source.num_bytes
        assert Footage.of(source).digest() == source.sha256
        assert (source.offset is not None) == entry.startswith("total_part2/")
    bundles = {source.annotation_sha256 for source in sources(home)}
    assert len(bundles) > 5, "bundles hold a few rows each"


def test_a_second_run_adds_nothing_and_hashes_nothing(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = arrive(root)
    before = contents(home)

    def refuse(*_: Any) -> Any:
        raise AssertionError("what did not change is not worked on again")

    monkeypatch.setattr(Footage, "digest", refuse)
    monkeypatch.setattr(annotated, "write", refuse)
    assert arrive(root) == first
    assert contents(home) == before


def test_a_file_that_changed_is_hashed_again_and_gives_new_sources(root: Path) -> None:
    arrive(root)
    old = rows("SELECT count(*) FROM source")[0][0]
    film = root / "Videos/total_part1/film2.mp4"
    film.write_bytes(b"another")
    os.utime(film, ns=(1, 1))
    arrive(root)
    ((num,),) = rows("SELECT count(*) FROM listing WHERE path LIKE '%film2.mp4'")
    assert num >= 3
    assert rows("SELECT count(*) FROM source")[0][0] == old + num
    assert rows("SELECT count(*) FROM listing WHERE source_id NOT IN (SELECT source_id FROM source)") == [(0,)]


def test_a_row_that_changed_is_a_new_source_and_all_others_stay(root: Path, home: Path) -> None:
    arrive(root)
    before = {source.source_id for source in sources(home)}
    changed = rows_of(NUM_ROWS, num_films=4)
    changed["film1_step1-5-95"]["word_tags"]["subject"] = ["child"]
    write_part(root, "total_part1", changed)
    arrive(root)
    after = {source.source_id for source in sources(home)}
    assert before < after
    assert len(after - before) == 1
    ((entry, listed),) = rows("SELECT entry, count(*) FROM listing WHERE entry LIKE '%film1_step1-5-95' GROUP BY ALL")
    assert (entry, listed) == ("total_part1/film1_step1-5-95", 1)


def test_rows_that_are_gone_are_no_longer_listed_and_their_sources_are_kept(root: Path) -> None:
    arrive(root)
    num = rows("SELECT count(*) FROM source")[0][0]
    write_part(root, "total_part1", rows_of(3, num_films=4))
    (root / "Jsons/cross_video_pairs/pairs.json").write_text("[]")
    arrive(root)
    assert rows("SELECT count(*) FROM listing WHERE entry LIKE 'total_part1/%'") == [(4,)]
    assert rows("SELECT count(*) FROM source") == [(num,)]
    assert rows("SELECT count(*) FROM cross_video_pair") == [(0,)]


def test_what_is_said_twice_of_the_same_bytes_is_one_source_and_the_second_says_so(root: Path, home: Path) -> None:
    (root / "Videos/total_part1/film8.mp4").write_bytes(b"film 0")
    part = rows_of(NUM_ROWS, num_films=4)
    part["film8_step1-0-95"] = row(path="film8.mp4", cut=[0, 95], face_cut=[0, 95])
    write_part(root, "total_part1", part)
    arrived = arrive(root)
    assert arrived[ingest.DUPLICATE] == 1
    assert rows(f"SELECT entry FROM listing WHERE problem = '{ingest.DUPLICATE}'") == [
        ("total_part1/film8_step1-0-95",)
    ]
    assert rows("SELECT count(*) FROM source WHERE path LIKE '%film8.mp4'") == [(0,)], "it lies where the first lies"
    before = contents(home)
    assert arrive(root) == arrived
    assert contents(home) == before


def test_when_the_first_of_two_equal_files_goes_the_source_lies_where_the_second_is(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.mp4").write_bytes(b"same")
    assert arrive(folder) == {"source": 1, ingest.DUPLICATE: 1}
    (folder / "a.mp4").unlink()
    assert arrive(folder) == {"source": 1}
    assert rows("SELECT path FROM source") == [(str(folder / "b.mp4"),)]


def test_a_part_that_is_cut_off_keeps_what_came_before_and_what_was_listed(root: Path) -> None:
    path = write_part(root, "total_part1", rows_of(NUM_ROWS, num_films=4))
    whole = path.read_text()
    path.write_text(whole[: whole.index("film3_step1-7-95") + 300])
    with pytest.raises(BadInput, match=r"total_part1\.json: cannot be read on after row 7, film2_step1-6-95"):
        arrive(root)
    assert rows("SELECT count(*) FROM source") == [(7,)]
    path.write_text(whole)
    arrive(root)
    before = rows("FROM listing ORDER BY ALL")
    path.write_text(whole[: whole.index("film3_step1-7-95") + 300])
    with pytest.raises(BadInput):
        arrive(root)
    assert {row[:3] for row in rows("FROM listing")} == {row[:3] for row in before}
    path.write_text(whole)
    arrive(root)
    assert rows("FROM listing ORDER BY ALL") == before


def test_annotations_that_were_lost_with_the_media_store_are_made_again(root: Path, home: Path) -> None:
    arrive(root)
    before = contents(home)
    for path in list((home / "media").rglob("*")):
        if path.is_file():
            path.unlink()
    arrive(root)
    assert contents(home) == before


def test_a_data_set_that_two_folders_hold_lies_where_it_was_ingested_last(root: Path, tmp_path: Path) -> None:
    other = build(tmp_path / "copy")
    for folder in (root, other, root):
        arrive(folder)
        assert rows("SELECT DISTINCT dataset FROM source") == [(str(folder),)]
        assert rows("SELECT count(*) FROM source WHERE NOT starts_with(path, dataset)") == [(0,)]
    assert rows("SELECT count(DISTINCT source_id), count(*) FROM source") == [(NUM_ROWS + 9, NUM_ROWS + 9)]


def test_cross_pairs_name_entries_of_the_listing(root: Path) -> None:
    arrive(root)
    arrive(root)
    assert rows("SELECT count(*), sum(image_similarity) FROM cross_video_pair") == [(12, pytest.approx(66 / 7))]
    assert rows("SELECT DISTINCT aft_id, dataset FROM cross_video_pair") == [("total_part2/0", str(root))]


def test_the_command_prints_what_arrived_and_why_finds_entries_that_are_no_sources(root: Path) -> None:
    part = rows_of(3, num_films=4) | {"x": row(path="film1"), "y": row(path="../../secret.mp4")}
    write_part(root, "total_part1", part)
    (root / "Videos/total_part1/empty.mp4").write_bytes(b"")
    runner = CliRunner()
    printed = runner.invoke(cli.likeness, ["ingest", "--source", str(root), "--format", "opens2v"]).stdout
    told = {line.strip().partition("  ")[2]: int(line.split()[0]) for line in printed.splitlines()}
    assert told == {
        "source": 11,
        entries.FILE_ALONE: 2,
        entries.OUTSIDE: 1,
        entries.ROW_ALONE: 1,
        entries.ROW_SAYS_NONE: 2,
        "repaired path": 1,
    }
    funnel = json.loads(runner.invoke(cli.likeness, ["funnel", "--json"]).stdout)
    assert funnel["arrivals"] == told
    assert f"total_part1/y  in {root}: outside the root; no source" in runner.invoke(cli.likeness, ["why", "/y"]).stdout
    assert "source_" in runner.invoke(cli.likeness, ["why", "total_part1/x"]).stdout
    assert rows("SELECT entry, repaired_from FROM listing WHERE repaired_from IS NOT NULL") == [
        ("total_part1/x", "film1")
    ]


def test_openhumanvid_s_scores_lie_beside_its_sources_and_every_row_is_listed(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "openhumanvid"
    (folder / "part_001/f6").mkdir(parents=True)
    for name in ("a.mp4", "b"):
        (folder / "part_001/f6" / name).write_bytes(name.encode())
    lines = ["clip_id,path,caption,blur_min,aesthetic,,"]
    lines += ["a,clips/part_001/f6/a,A man.,0.5,5.25,,", "b,part_001/f6/b,A woman.,,,,"]
    lines += ["c,clips/part_001/f6/c,Nobody.,,,,"] * (3 * ingest.BATCH_ENTRIES)
    (folder / "OpenHumanVid_part_001.csv").write_text("\n".join(lines))
    expected = {"source": 2, entries.ROW_ALONE: 3 * ingest.BATCH_ENTRIES, "repaired path": 1}
    assert arrive(folder) == expected
    assert arrive(folder) == expected
    man, woman = sorted(sources(home), key=lambda source: source.caption or "")
    given = annotated.of(man, MediaStore(home / "media"))
    assert given is not None
    assert (given.origin, given.key, given.blur_min, given.aesthetic) == ("openhumanvid", "a", 0.5, 5.25)
    assert json.loads(man.extra or "") == {"clip_id": "a", "blur_min": "0.5", "aesthetic": "5.25"}
    assert (annotated.of(woman, MediaStore(home / "media")), woman.sha256) == (None, hashlib.sha256(b"b").hexdigest())


KILLED = """
import os, signal, sys
from pathlib import Path
from flows import ingest
from flows.progress import Progress
from flows.settings import Settings
from warehouse import tables
from warehouse.media import MediaStore

left = int(sys.argv[2])

def counted(function):
    def counting(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counting

tables.insert = counted(tables.insert)
MediaStore.put = counted(MediaStore.put)
ingest.BATCH_ENTRIES, ingest.BUNDLE_ROWS, ingest.COMMIT_S = 5, 2, 0.0
print(ingest.ingest(Settings.read(), Path(sys.argv[1]), None, progress=Progress("ingest")))
"""


def test_a_run_killed_again_and_again_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    root = build(tmp_path / "root")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def run(home: str, writes_until_kill: int) -> int:
        """The process dies with its so-many-th write, be it of media, of listing or of sources."""
        command = [sys.executable, "-c", KILLED, str(root), str(writes_until_kill)]
        done = subprocess.run(
            command, env={**environment, "LIKENESS_HOME": str(tmp_path / home)}, capture_output=True, check=False
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    assert run("undisturbed", -1) == 0
    progress = []
    for writes in (2, 6, 4, 11):
        assert run("killed", writes) == -signal.SIGKILL
        with Warehouse.at(tmp_path / "killed" / "warehouse.duckdb").session() as session:
            progress.append(session.execute("SELECT count(*) FROM listing").fetchall()[0][0])
    assert run("killed", -1) == 0
    assert progress == sorted(progress)
    assert 0 < progress[1] < progress[-1], "what was committed before a kill is there after it"
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
