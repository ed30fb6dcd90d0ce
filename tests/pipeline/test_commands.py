"""The command as a person meets it: what it prints, its exit code, and one clear line where something is wrong."""

import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from flows.cli import likeness
from flows.settings import Settings
from flows.stages.encode import encode
from tests.fake_stages import MEASURED, write_profile
from tests.storage.test_database import HOLD
from tests.storage.test_snapshot import frozen
from warehouse.database import Warehouse
from warehouse.media import MediaStore

REAL = """
[[stage]]
use = "flows.stages.shots:Shots"
flow = "curate"
detector = { use = "flows.engines.embedded.content_shots:ContentShots" }

[[stage]]
use = "flows.stages.quality:Quality"
flow = "curate"
[[stage.gate]]
measure = "luminance_mean"
op = ">="
threshold = 40
name = "luminance"

[identities]
same_person_similarity = 0.9
"""


def ask(*arguments: str | Path) -> Result:
    return CliRunner().invoke(likeness, [str(argument) for argument in arguments])


def answered(*arguments: str | Path) -> str:
    result = ask(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def refused(*arguments: str | Path, code: int) -> str:
    """The one line that it prints."""
    result = ask(*arguments)
    assert result.exit_code == code, (result.output, result.exception)
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("likeness: ")]
    assert result.stderr.splitlines()[-1:] == lines, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]


@pytest.fixture
def fake(tmp_path: Path) -> str:
    MEASURED.clear()
    return write_profile(tmp_path / "fake.toml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files whose captions say how the fake stages take them; one caption has no file."""
    found = tmp_path / "videos"
    found.mkdir()
    captions = {"good.mp4": "good", "broken.mp4": "fails", "other.mp4": "other", "gone.mp4": "gone"}
    for name in captions:
        if name != "gone.mp4":
            (found / name).write_bytes(name.encode())
    lines = ["path,caption", *(f"{name},{text}" for name, text in captions.items())]
    (found / "captions.csv").write_text("\n".join(lines) + "\n")
    return found


@pytest.fixture
def curated(folder: Path, fake: str) -> Path:
    answered("ingest", "--source", folder, "--profile", fake)
    answered("curate", "--profile", fake)
    MEASURED.clear()
    return folder


def count(question: str) -> Any:
    with Settings.read().warehouse.session() as session:
        return session.execute(question).fetchone()


# Bad input: one line and an exit code.


@pytest.mark.parametrize("verb", ["ingest", "run"])
def test_a_folder_that_is_not_there(verb: str) -> None:
    assert refused(verb, "--source", "/no/where", code=2).startswith("likeness: /no/where: no such folder")


def test_a_folder_without_videos(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no video")
    assert "no videos in it" in refused("ingest", "--source", tmp_path / "empty", code=2)


def test_a_caption_file_without_the_needed_columns(folder: Path, tmp_path: Path) -> None:
    captions = tmp_path / "other.csv"
    captions.write_text("name,text\ngood.mp4,A man.\n")
    line = refused("ingest", "--source", folder, "--captions", captions, code=2)
    assert "no column `caption` and no `path` or `file`; found name, text" in line


def test_a_caption_file_that_is_not_there(folder: Path) -> None:
    assert "no such caption file" in refused("ingest", "--source", folder, "--captions", "/no/where.csv", code=2)


def test_an_unknown_gate() -> None:
    line = refused("funnel", "--set", "blurr=3", code=2)
    assert line.startswith("likeness: 'blurr' is no gate of profile embedded; it has blur, caption,")


@pytest.mark.parametrize("given", ["blur", "blur=", "blur=much", "=3", "blur=nan"])
def test_a_threshold_that_is_no_number(given: str) -> None:
    refused("funnel", "--set", given, code=2)


def test_an_unknown_profile() -> None:
    assert "'nowhere' is no profile; take drawn, embedded" in refused("status", "--profile", "nowhere", code=2)


@pytest.mark.parametrize("name", ["LIKENESS_WORKERS", "LIKENESS_SHARD_SIZE"])
def test_a_setting_that_is_no_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    assert refused("status", code=2) == f"likeness: {name}=x: a whole number is needed"


def test_a_warehouse_of_a_newer_schema(curated: Path, fake: str) -> None:
    with Settings.read().warehouse.session() as session:
        session.execute("INSERT INTO schema_version VALUES (999)")
    for verb in ("status", "funnel", "curate"):
        assert "this warehouse has schema 999" in refused(verb, "--profile", fake, code=4)


@pytest.fixture
def locked(curated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[str]"]:
    """Another process has the warehouse open, and ours has no patience."""
    session: Any = Warehouse.session
    monkeypatch.setitem(session.__wrapped__.__kwdefaults__, "patience_s", 0.1)
    command = [sys.executable, "-c", HOLD, str(Settings.read().warehouse.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.communicate()


def test_a_warehouse_that_another_process_holds(locked: "subprocess.Popen[str]", fake: str) -> None:
    for arguments in (["status"], ["funnel"], ["curate"], ["why", "good"]):
        line = refused(*arguments, "--profile", fake, code=3)
        assert f"process {locked.pid} ({sys.executable} -c import duckdb" in line
    locked.communicate()
    assert json.loads(answered("status", "--json", "--profile", fake))["nouns"]["sources"] == 3


@pytest.mark.parametrize(
    ("url", "complaint"),
    [("ducklake://lake", "ducklake:// is not supported"), ("{folder}", "cannot be opened as a warehouse")],
)
def test_a_warehouse_that_is_none(url: str, complaint: str, folder: Path) -> None:
    assert complaint in refused("status", "--warehouse", url.format(folder=folder), code=2)


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.ingest.list_entries", lambda *_: Path("/dev/full").write_bytes(b"x"))
    assert "no space left on its disk; free some" in refused("ingest", "--source", folder, code=5)


@pytest.mark.parametrize("verb", ["freeze", "train reward"])
def test_a_step_whose_input_is_not_there_yet(verb: str) -> None:
    refused(*verb.split(), code=8)


def test_a_name_that_nothing_has(curated: Path, fake: str) -> None:
    assert "nowhere.mp4: no clip or source" in refused("why", "nowhere.mp4", "--profile", fake, code=2)


def test_a_broken_warehouse(curated: Path, fake: str) -> None:
    with Settings.read().warehouse.session() as session:
        session.execute("INSERT INTO clip FROM clip LIMIT 1")
    assert "clip stands once: 1 offend" in refused("check", "--profile", fake, code=6)


def test_an_unforeseen_error_is_one_line_too_and_a_traceback_only_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment = {"LIKENESS_HOME": str(tmp_path / "file"), "PATH": "/usr/bin:/bin"}
    command = [str(Path(sys.executable).with_name("likeness"))]
    plain = subprocess.run([*command, "status"], env=environment, capture_output=True, text=True, check=False)
    assert plain.returncode == 1
    assert plain.stderr.startswith("likeness: ") and plain.stderr.count("\n") == 1
    assert "--debug" in plain.stderr
    asked = subprocess.run(
        [*command, "status", "--debug"], env=environment, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 1
    assert "Traceback" in asked.stderr


def test_what_was_measured_survives_every_refusal(curated: Path, fake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = count("SELECT count(*), sum(num_clips) FROM fact_cut")
    refused("ingest", "--source", "/no/where", code=2)
    refused("curate", "--profile", "nowhere", code=2)
    refused("funnel", "--set", "nothing=1", "--profile", fake, code=2)
    assert count("SELECT count(*), sum(num_clips) FROM fact_cut") == before == (2, 4)
    assert answered("check", "--profile", fake) == "all invariants hold\n"


def test_check_reads_the_snapshots_too(home: Path, fake: str) -> None:
    made = frozen(home, MediaStore(home / "media"))
    assert answered("check", "--profile", fake) == "all invariants hold; 1 snapshots are as recorded\n"
    (made.path / "votes" / "part-00000.parquet").write_bytes(b"altered")
    refused("check", "--profile", fake, code=7)


# What it answers.


def test_ingest_tells_what_it_found_and_twice_the_same(folder: Path) -> None:
    first = answered("ingest", "--source", folder)
    assert sorted(first.split("\n")) == ["", "       1  caption without a file", "       3  source"]
    assert answered("ingest", "--source", folder) == first
    assert count("SELECT count(*) FROM source") == (3,)


def test_curate_computes_once(curated: Path, fake: str) -> None:
    assert answered("curate", "--profile", fake) == "0 new facts\n"
    assert MEASURED == []


def test_one_data_set_is_named_by_its_folder_however_that_is_spelled(
    folder: Path, fake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered("ingest", "--source", folder, "--profile", fake)
    monkeypatch.chdir(folder.parent)
    assert answered("curate", "--dataset", "videos", "--profile", fake) == "7 new facts\n"
    assert json.loads(answered("funnel", "--json", "--dataset", "videos/", "--profile", fake))["stages"][0]["in"] == 3


def test_the_funnel_is_json_where_that_is_asked_for(curated: Path, fake: str) -> None:
    found = json.loads(answered("funnel", "--json", "--profile", fake))
    assert found["arrivals"] == {"source": 3, "caption without a file": 1}
    first = found["stages"][0]
    assert first["stage"] == "cut"
    assert (first["in"], first["passed"], first["failed_by"]) == (3, 2, {"truncated": 1})
    for row in found["stages"][:2]:
        assert row["in"] == row["passed"] + row["dropped"] + row["failed"]
        assert row["pending"] == 0


def test_the_funnel_as_text_has_a_line_a_stage_and_the_reasons_below(curated: Path, fake: str) -> None:
    lines = answered("funnel", "--profile", fake, "--set", "size=2").splitlines()
    assert [line.split() for line in lines if line.startswith("cut")] == [["cut", "3", "2", "0", "1", "0"]]
    assert [line.split() for line in lines if line.startswith("size")] == [["size", "4", "0", "4", "0", "0"]]
    assert "1 failed: truncated" in " ".join(lines)
    assert "4 dropped: size" in " ".join(lines)
    assert MEASURED == []


def test_status_is_json_where_that_is_asked_for(curated: Path, fake: str, home: Path) -> None:
    found = json.loads(answered("status", "--json", "--profile", fake))
    assert found["home"] == str(home)
    assert (found["nouns"]["sources"], found["nouns"]["clips"]) == (3, 4)
    assert set(found["pending"]) <= {"copy"}
    assert found["snapshots"] == found["checkpoints"] == []
    assert "3  sources" in answered("status", "--profile", fake)


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["funnel"], ["funnel", "--json"], ["check"]])
def test_an_empty_home_is_no_error(arguments: list[str]) -> None:
    assert answered(*arguments)


def test_why_tells_the_story_of_a_clip_with_every_value_and_gate(curated: Path, fake: str) -> None:
    clip_id, size = count("SELECT item_id, size FROM fact_size ORDER BY item_id LIMIT 1")
    story = answered("why", clip_id, "--profile", fake)
    (line,) = [line for line in story.splitlines() if line.strip().startswith("size:")]
    verdict = "passed" if size >= 0.25 else "dropped (size)"
    assert line.strip() == f"size: {verdict}  [size {size:.4g}]  gates: size >= 0.25"


# With real videos.


@pytest.fixture
def footage(tmp_path: Path) -> tuple[Path, str]:
    """A bright video, a dark one, a truncated one and one of no bytes; and a profile of real stages."""
    folder = tmp_path / "footage"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (8, 32, 48, 3), dtype=np.uint8)
    bright, dark = encode(noise, frame_rate=Fraction(8)), encode(noise // 32, frame_rate=Fraction(8))
    for name, content in {"bright": bright, "dark": dark, "cut_off": bright[:-900], "empty": b""}.items():
        (folder / f"{name}.mp4").write_bytes(content)
    (tmp_path / "real.toml").write_text(REAL)
    return folder, str(tmp_path / "real.toml")


def test_a_damaged_file_fails_with_its_reason_and_is_never_dropped(footage: tuple[Path, str]) -> None:
    folder, profile = footage
    answered("ingest", "--source", folder, "--profile", profile)
    answered("curate", "--profile", profile)
    shots, quality = json.loads(answered("funnel", "--json", "--profile", profile))["stages"]
    assert (shots["in"], shots["passed"], shots["dropped"], shots["failed"]) == (4, 2, 0, 2)
    assert sum(shots["failed_by"].values()) == 2
    assert (quality["in"], quality["passed"], quality["dropped_by"]) == (2, 1, {"luminance": 1})
    for name in ("cut_off", "empty"):
        (line,) = [line for line in answered("why", name, "--profile", profile).splitlines() if "shots:" in line]
        reason = line.split("(")[1].split(")")[0]
        assert line.startswith("  shots: failed (")
        assert reason in shots["failed_by"]
        assert f"{name}.mp4" in line
    assert "luminance_mean" in answered("why", "dark.mp4", "--profile", profile)
    assert answered("check", "--profile", profile) == "all invariants hold\n"
