"""The report of a real run, small as it is: everything on it is what the warehouse says."""

import base64
import io
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from flows import recipe as recipes
from flows import train
from flows.progress import Progress
from flows.recipe import Recipe
from flows.report.content import Picture, ReportData
from flows.report.gather import gather
from flows.report.page import render
from flows.settings import Settings
from flows.sources.drawn import FRAME_RATE, play
from flows.sources.scripts import SCRIPTS, Trouble
from flows.stages.encode import encode
from tests.pipeline.to_snapshot import SMALL, walk
from warehouse import gates, queries, snapshot
from warehouse.errors import SnapshotDamaged

EVIL = "<b>&.mp4"


def settings_at(home: Path) -> Settings:
    return Settings.read({"LIKENESS_HOME": str(home), "LIKENESS_WORKERS": "0", "LIKENESS_ORCHESTRATOR": "none"})


def quick(recipe: Recipe) -> Recipe:
    return replace(recipe, options={**recipe.options, "reward": {"num_steps": 20}})


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of a drawn actor each, one of them with a strange name; a dark one; a damaged one."""
    folder = tmp_path_factory.mktemp("footage")
    alone = [each for each in SCRIPTS if each.trouble is None and len(each.shots) == len(each.shots[0].cast) == 1]
    dark = next(each for each in SCRIPTS if each.trouble is Trouble.DARK)
    shown = {EVIL: alone[0], "one.mp4": alone[1], "two.mp4": alone[2], "dark.mp4": dark}
    for name, script in shown.items():
        (folder / name).write_bytes(encode(islice(play(script, seed=0), 14), frame_rate=FRAME_RATE))
    (folder / "broken.mp4").write_bytes((folder / "one.mp4").read_bytes()[:600])
    rows = [f'{name},"{script.caption} <i>"' for name, script in shown.items()]
    (folder / "captions.csv").write_text("\n".join(["path,caption", *rows, "broken.mp4,A man.", ""]))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> tuple[Settings, Recipe]:
    """The road up to a reward model."""
    settings, recipe = settings_at(tmp_path_factory.mktemp("home")), quick(recipes.load(SMALL))
    frozen = snapshot.open(settings.snapshots / walk(settings, recipe, footage))
    train.reward(settings, recipe, frozen, progress=Progress("test"))
    return settings, recipe


@pytest.fixture(scope="module")
def data(run: tuple[Settings, Recipe], footage: Path) -> ReportData:
    return gather(*run, dataset=str(footage))


def test_the_funnel_is_the_warehouse_s_and_balances(data: ReportData, run: tuple[Settings, Recipe]) -> None:
    settings, recipe = run
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        expected = queries.funnel(session, recipe.steps)
    assert [(row.name, row.num_in, row.passed) for row in data.stages] == [
        (row["stage"], row["num_in"], row["passed"]) for row in expected
    ]
    for row in data.stages:
        assert row.num_in == row.passed + row.dropped + row.failed
        for verdict, num in (("dropped", row.dropped), ("failed", row.failed)):
            assert sum(each.num for each in row.reasons if each.verdict == verdict) == num


def test_every_entry_is_accounted_for(data: ReportData) -> None:
    assert sum(arrival.num for arrival in data.arrivals) == 5


def test_what_failed_is_listed_with_its_file_and_what_was_met(data: ReportData) -> None:
    (group,) = data.failures
    assert (group.stage, group.num) == ("shots", 1)
    assert [(item.span.file, bool(item.exception)) for item in group.shown] == [("broken.mp4", True)]


def test_what_was_dropped_is_shown_with_its_value_and_the_gate_s_line(data: ReportData) -> None:
    sheet = next(sheet for sheet in data.sheets if sheet.stage == "quality")
    assert (sheet.reason.words, sheet.reason.gate) == ("too dark", "luminance_mean >= 40")
    (item,) = sheet.shown
    assert item.span.file == "dark.mp4"
    assert 0 < float(item.value) < 40
    assert picture_of(item.picture).mean() < 60


def test_people_are_shown_with_their_outlines_and_references(data: ReportData) -> None:
    assert data.num_scenes == len(data.scenes) > 0
    for scene in data.scenes:
        assert picture_of(scene.picture).shape[:2] == (scene.picture.height_px, scene.picture.width_px)
        for subject in scene.subjects:
            assert subject.outline is not None and subject.outline.mask
            assert all(-0.01 <= side <= 1.01 for side in subject.outline.box)
            assert subject.references[0].view == "crop"
            assert subject.identity is not None


def test_pairs_play_both_videos_and_tell_their_votes(data: ReportData) -> None:
    assert data.pairs
    for pair in data.pairs:
        for side in pair.sides:
            assert num_frames_of(side.video) > 1
        assert {vote.origin for vote in pair.votes} == {"simulated", "vlm"}


def test_labels_are_as_many_as_pairs_whatever_they_say(data: ReportData) -> None:
    assert data.labels is not None
    assert sum(row.num for row in data.labels.rows) == data.num_pairs > 0
    voters = [row for row in data.labels.annotators if row.origin == "simulated"]
    assert len(voters) == 3 and {row.num_votes for row in voters} == {data.num_pairs}


def test_the_reward_model_is_told_by_its_run_card(data: ReportData, run: tuple[Settings, Recipe]) -> None:
    settings, _ = run
    (folder,) = settings.checkpoints.iterdir()
    assert data.reward is not None and data.reward.checkpoint_id.startswith("reward_model_")
    assert data.reward.loss.points[-1][0] == 20
    assert data.policy is None
    assert (folder / "run_card.json").exists()


def test_the_lineage_leads_from_the_checkpoint_to_the_sources(data: ReportData, run: tuple[Settings, Recipe]) -> None:
    settings, _ = run
    (folder,) = settings.snapshots.iterdir()
    frozen = snapshot.open(folder)
    num_pairs = sum(frozen.pairs(split).num_rows for split in ("train", "test"))
    found = {each.noun: each.num for each in data.lineage}
    assert list(found) == ["reward model", "snapshot", "label", "vote", "pair", "candidate", "clip", "source"]
    assert found["label"] == found["pair"] == num_pairs
    assert found["vote"] == frozen.table("votes").num_rows
    assert found["clip"] == found["source"] == frozen.table("clips").num_rows
    assert not data.lineage_note


def test_a_lost_snapshot_is_said_and_stops_nothing(
    run: tuple[Settings, Recipe], footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise SnapshotDamaged("gone")

    monkeypatch.setattr(snapshot, "find", lost)
    data = gather(*run, dataset=str(footage))
    assert not data.lineage and "cannot be read: gone" in data.lineage_note


def test_gathered_again_it_is_the_same_but_for_the_time(
    data: ReportData, run: tuple[Settings, Recipe], footage: Path
) -> None:
    again = gather(*run, dataset=str(footage))
    assert replace(again, made_at=data.made_at) == data


def test_the_page_carries_file_names_and_captions_as_text(data: ReportData) -> None:
    html = render(data)
    assert "&lt;b&gt;&amp;.mp4" in html and EVIL not in html
    assert "<i>" not in html.replace('<i class="fill', "")


def test_a_report_can_be_made_before_anything_else(tmp_path: Path) -> None:
    data = gather(settings_at(tmp_path), recipes.load(SMALL), dataset=None)
    assert data.story == ("Nothing has been taken in yet.",)
    assert "No stage has run yet." in render(data)


def test_footage_that_has_gone_leaves_blanks(run: tuple[Settings, Recipe], footage: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    footage.rename(hidden)
    try:
        data = gather(*run, dataset=str(footage))
    finally:
        hidden.rename(footage)
    assert [item.picture for sheet in data.sheets for item in sheet.shown] == [None] * len(data.sheets)
    assert not data.scenes
    assert data.pairs[0].sides[0].video is not None
    assert "no picture" in render(data)


def picture_of(picture: Picture | None) -> Any:
    assert picture is not None
    return cv2.imdecode(np.frombuffer(content_of(picture), np.uint8), cv2.IMREAD_COLOR)


def num_frames_of(picture: Picture | None) -> int:
    assert picture is not None
    with av.open(io.BytesIO(content_of(picture))) as container:
        return sum(1 for _ in container.decode(video=0))


def content_of(picture: Picture) -> bytes:
    return base64.b64decode(picture.uri.partition("base64,")[2])
