"""`likeness export triplets`, and what others find in the folder."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from flows import recipe as recipes
from flows.cli import likeness
from flows.curate import curate
from flows.export import SCHEMA
from flows.export_folder import Altered, ExportFolder
from flows.generate import generate
from flows.ingest import ingest
from flows.progress import Progress
from flows.settings import Settings
from flows.stages.footage import Footage
from tests.pair_stages import NUM_FRAMES, png, video, write_profile

CAPTIONS = {"one.mp4": "one", "two.mp4": 'two, "quoted"\nand over a line', "three": "three"}


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    for name, caption in CAPTIONS.items():
        (folder / name).write_bytes(caption.encode())
    rows = [{"path": name, "caption": caption} for name, caption in CAPTIONS.items()]
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_profile(tmp_path_factory.mktemp("profile") / "pairs.toml")


def settings_at(home: Path) -> Settings:
    return Settings.read({"LIKENESS_HOME": str(home), "LIKENESS_WORKERS": "0", "LIKENESS_ORCHESTRATOR": "none"})


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, footage: Path, profile: str) -> Path:
    """A home with three curated clips, of which nothing is generated."""
    home = tmp_path_factory.mktemp("curated") / "home"
    ingest(settings_at(home), footage, None, progress=Progress("test"))
    curate(settings_at(home), recipes.load(profile), dataset=None, progress=Progress("test"))
    return home


@pytest.fixture(scope="module")
def finished(curated: Path, profile: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with candidates."""
    home = tmp_path_factory.mktemp("finished") / "home"
    shutil.copytree(curated, home)
    generate(settings_at(home), recipes.load(profile), dataset=None, progress=Progress("test"))
    return home


@pytest.fixture
def generated(finished: Path, home: Path) -> Path:
    """The test's own home, with candidates."""
    shutil.copytree(finished, home)
    return home


def export(folder: Path, profile: str, *, code: int = 0) -> str:
    result = CliRunner().invoke(likeness, ["export", "triplets", "--out", str(folder), "--profile", profile])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "triplets.parquet").to_pylist()
    return rows


def contents(folder: Path) -> Mapping[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def assert_sound(folder: Path) -> None:
    """Every file is as the manifest and the list of media say, and there is no other."""
    manifest = json.loads((folder / "manifest.json").read_text())
    media = pq.read_table(folder / "media.parquet").to_pylist()
    listed = {entry["path"]: entry["sha256"] for entry in manifest["files"] + media}
    found = {name: hashlib.sha256(content).hexdigest() for name, content in contents(folder).items()}
    assert found.pop("manifest.json")
    assert found == listed
    assert manifest["num_media"] == len(media)


def test_every_curated_clip_is_a_triplet_of_references_prompt_and_original(
    generated: Path, profile: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    assert export(folder, profile).splitlines()[-1] == f"3 triplets in {folder}"
    rows = rows_of(folder)
    assert sorted(row["prompt"] for row in rows) == sorted(CAPTIONS.values())
    assert sorted(row["source_file"] for row in rows) == sorted(CAPTIONS)
    for row in rows:
        (reference,) = row["references"]
        assert (reference["view"], reference["subject_index"], row["num_subjects"]) == ("again", 0, 1)
        assert reference["identity_id"] and reference["phrase"] == "a woman in a red coat"
        assert (folder / reference["path"]).read_bytes() == png(128)
        assert (folder / row["video_path"]).read_bytes() == video(200)
        assert (row["video_kind"], row["start_frame"], row["end_frame"]) == ("candidate", 0, NUM_FRAMES)
        assert row["split"] in ("train", "test")
    assert_sound(folder)


def test_before_anything_is_generated_the_source_s_span_stands_for_the_original(
    curated: Path, home: Path, profile: str, tmp_path: Path
) -> None:
    shutil.copytree(curated, home)
    export(tmp_path / "out", profile)
    by_file = {row["source_file"]: row for row in rows_of(tmp_path / "out")}
    for name, row in by_file.items():
        assert (row["video_kind"], row["start_frame"], row["end_frame"]) == ("source", 0, 1)
        assert (tmp_path / "out" / row["video_path"]).read_bytes() == CAPTIONS[name].encode()
    assert by_file["three"]["video_path"].endswith(".mp4")
    assert_sound(tmp_path / "out")


def test_the_same_state_gives_the_same_bytes_in_another_folder_and_in_the_same_one(
    generated: Path, profile: str, tmp_path: Path
) -> None:
    export(tmp_path / "one", profile)
    export(tmp_path / "two", profile)
    first = contents(tmp_path / "one")
    assert contents(tmp_path / "two") == first
    export(tmp_path / "one", profile)
    assert contents(tmp_path / "one") == first


def test_a_member_of_a_tar_is_copied_out_and_checked(tmp_path: Path) -> None:
    content = b"a video inside a tar"
    (tmp_path / "one.tar.split.000").write_bytes(b"before " + content[:5])
    (tmp_path / "one.tar.split.001").write_bytes(content[5:] + b" after")
    member = Footage(path=tmp_path / "one.tar.split.000", member="v.mp4", offset=7, num_bytes=len(content))
    folder = ExportFolder(tmp_path / "out", schema=SCHEMA)
    placed = folder.copy(hashlib.sha256(content).hexdigest(), member, suffix=".mp4")
    assert (tmp_path / "out" / placed).read_bytes() == content
    with pytest.raises(Altered):
        folder.copy("0" * 64, member, suffix=".mp4")
    (tmp_path / "one.tar.split.001").unlink()
    with pytest.raises(Altered):
        folder.copy("1" * 64, member, suffix=".mp4")
    assert list(contents(tmp_path / "out")) == [placed]


@pytest.mark.parametrize("target", ["os.link", "flows.export_folder._kept", "flows.export_folder.files.write"])
def test_an_export_that_was_killed_has_no_manifest_and_is_gone_on_with(
    generated: Path, profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    export(tmp_path / "whole", profile)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(target, dies)
        CliRunner().invoke(likeness, ["export", "triplets", "--out", str(tmp_path / "out"), "--profile", profile])
    assert not (tmp_path / "out" / "manifest.json").exists()
    export(tmp_path / "out", profile)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_where_the_disk_knows_no_links_files_are_copied(
    generated: Path, profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(tmp_path / "linked", profile)

    def refused(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refused)
    export(tmp_path / "copied", profile)
    assert contents(tmp_path / "copied") == contents(tmp_path / "linked")
    one = next((tmp_path / "copied" / "media").rglob("*.mp4"))
    assert one.stat().st_nlink == 1 and one.stat().st_mode & 0o777 == 0o644


def test_what_an_earlier_export_held_and_this_one_does_not_is_cleared_away(
    generated: Path, profile: str, tmp_path: Path
) -> None:
    export(tmp_path / "out", profile)
    with settings_at(generated).warehouse.transaction() as session:
        session.execute("UPDATE reference SET sha256 = ? WHERE is_chosen", [settings_at(generated).media.put(png(9))])
    export(tmp_path / "out", profile)
    assert {reference["path"] for row in rows_of(tmp_path / "out") for reference in row["references"]} == {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out" / "media").rglob("*.png")
    }
    assert_sound(tmp_path / "out")


def test_a_clip_whose_source_has_changed_is_left_out_and_counted(
    curated: Path, home: Path, profile: str, tmp_path: Path, footage: Path
) -> None:
    shutil.copytree(curated, home)
    kept = (footage / "one.mp4").read_bytes()
    (footage / "one.mp4").write_bytes(b"something else")
    hidden = (footage / "two.mp4").rename(footage / "hidden")
    try:
        told = export(tmp_path / "out", profile)
    finally:
        (footage / "one.mp4").write_bytes(kept)
        hidden.rename(footage / "two.mp4")
    assert "2 clips left out: file missing or changed" in told
    assert [row["source_file"] for row in rows_of(tmp_path / "out")] == ["three"]
    facts = json.loads((tmp_path / "out" / "manifest.json").read_text())["facts"]
    assert (facts["num_triplets"], facts["left_out"]) == (1, {"file missing or changed": 2})
    assert_sound(tmp_path / "out")


def test_what_was_placed_for_a_clip_that_is_left_out_does_not_stay(
    generated: Path, profile: str, tmp_path: Path
) -> None:
    with settings_at(generated).warehouse.transaction() as session:
        lost = "UPDATE candidate SET sha256 = ? WHERE candidate_id = (SELECT min(candidate_id) FROM candidate)"
        session.execute(lost.replace("FROM candidate)", "FROM candidate WHERE generator = 'original')"), ["e" * 64])
        own = settings_at(generated).media.put(png(33))
        session.execute(
            "UPDATE reference SET sha256 = ? WHERE clip_id IN (SELECT clip_id FROM candidate WHERE sha256 = ?)",
            [own, "e" * 64],
        )
    assert "1 clips left out: file missing or changed" in export(tmp_path / "out", profile)
    assert not [name for name in contents(tmp_path / "out") if own in name]
    assert_sound(tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE source SET caption = NULL", "no prompt"),
        ("UPDATE reference SET is_chosen = false", "subject without a reference"),
        ("DELETE FROM subject", "no subject"),
    ],
)
def test_a_clip_that_lacks_a_part_is_left_out_with_its_reason(
    generated: Path, profile: str, tmp_path: Path, change: str, reason: str
) -> None:
    with settings_at(generated).warehouse.transaction() as session:
        session.execute(change)
    assert f"3 clips left out: {reason}" in export(tmp_path / "out", profile)
    assert rows_of(tmp_path / "out") == []
    assert_sound(tmp_path / "out")


def test_at_most_three_subjects_are_shown_from_left_to_right(generated: Path, profile: str, tmp_path: Path) -> None:
    with settings_at(generated).warehouse.transaction() as session:
        for index in (4, 1, 3):
            for noun, name in (("subject", "subject_index"), ("reference", "is_chosen")):
                value = index if noun == "subject" else "is_chosen"
                session.execute(
                    f"INSERT INTO {noun} SELECT * REPLACE ({value} AS {name}, subject_id || '_{index}' AS subject_id)"
                    f" FROM {noun} WHERE subject_id NOT LIKE '%\\_%\\__' ESCAPE '\\'"
                )
    export(tmp_path / "out", profile)
    for row in rows_of(tmp_path / "out"):
        assert [reference["subject_index"] for reference in row["references"]] == [0, 1, 3]
        assert row["num_subjects"] == 4


def test_the_lines_say_what_the_table_says(generated: Path, profile: str, tmp_path: Path) -> None:
    export(tmp_path / "out", profile)
    lines = (tmp_path / "out" / "triplets.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows_of(tmp_path / "out")


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(
    generated: Path, profile: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    assert "thesis.txt is not of an export; give an empty folder" in export(folder, profile, code=2)
    assert contents(folder) == {"thesis.txt": b"years of work"}


def test_nothing_curated_is_nothing_to_do(home: Path, profile: str, tmp_path: Path) -> None:
    assert "no clip passed the curation" in export(tmp_path / "out", profile, code=8)
    assert contents(tmp_path / "out") == {}


LOAD = """
import sys
import datasets
datasets.disable_progress_bars()
rows = datasets.load_dataset(sys.argv[1])["train"]
assert rows.num_rows == 3, rows
assert rows[0]["references"][0]["path"].startswith("media/")
assert not [name for name in sys.modules if name.split(".")[0] in ("flows", "warehouse")]
"""


def test_datasets_reads_an_export_offline_and_without_our_code(generated: Path, profile: str, tmp_path: Path) -> None:
    export(tmp_path / "out", profile)
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", LOAD, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
