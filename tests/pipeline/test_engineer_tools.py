"""What a data engineer asks for: another attempt, a canary, an alarm, an examination of the machine."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from flows.canary import canary, canary_text
from flows.cli import likeness
from flows.doctor import examine
from flows.drift import LEAST_SHARDS, drift_of, spread
from flows.progress import Progress
from flows.retry import reopen
from tests.fake_road import Road
from tests.fake_stages import MEASURED, write_profile
from warehouse.errors import BadInput, NothingToDo
from warehouse.sql import Row


@pytest.fixture
def road(home: Path, tmp_path: Path) -> Road:
    folder = tmp_path / "footage"
    folder.mkdir()
    found = Road(home, folder)
    found.ingest()
    MEASURED.clear()
    return found


def ledger(road: Road, stage: str) -> list[tuple[str, str, int]]:
    with road.settings.warehouse.session() as session:
        return session.execute(
            "SELECT caption, outcome, attempt FROM ledger JOIN source ON source_id = item_id WHERE stage = ?"
            " AND caption IN ('raises', 'fails') ORDER BY ALL",
            [stage],
        ).fetchall()


def test_a_failed_item_that_is_reopened_is_tried_again_and_both_attempts_stay_on_record(road: Road) -> None:
    road.run()
    before = road.stages(road.recipe())["cut"]
    assert reopen(road.settings, road.recipe(), stage="cut", reason="truncated", dataset=None) == 1
    assert road.stages(road.recipe())["cut"]["pending"] == 1
    MEASURED.clear()
    assert road.run("curate") == 1
    assert [stage for stage, _ in MEASURED] == ["cut"]
    assert ledger(road, "cut") == [
        ("fails", "failed", 1),
        ("fails", "failed", 3),
        ("fails", "reopened", 2),
        ("raises", "failed", 1),
    ]
    assert road.stages(road.recipe())["cut"] == before


def test_an_item_that_succeeds_at_the_second_attempt_goes_on_as_if_it_had_never_failed(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.run()
    assert reopen(road.settings, road.recipe(), stage="cut", reason="RuntimeError", dataset=None) == 1
    monkeypatch.setattr("tests.fake_stages.TROUBLE", "none today")
    road.run()
    row = road.stages(road.recipe())["cut"]
    assert (row["failed"], row["pending"]) == (1, 0)
    assert row["in"] == row["passed"] + 1
    assert ledger(road, "cut")[-3:] == [("raises", "done", 3), ("raises", "failed", 1), ("raises", "reopened", 2)]


def test_reopening_twice_is_reopening_once(road: Road) -> None:
    road.run()
    assert reopen(road.settings, road.recipe(), stage="cut", reason=None, dataset=None) == 2
    assert reopen(road.settings, road.recipe(), stage="cut", reason=None, dataset=None) == 0


@pytest.mark.parametrize(
    ("stage", "reason", "told"), [("cat", None, "it has cut, size"), ("cut", "ghosts", "truncated")]
)
def test_a_stage_or_a_reason_that_there_is_not_is_told_with_those_there_are(
    road: Road, stage: str, reason: str | None, told: str
) -> None:
    road.run()
    with pytest.raises(BadInput, match=told):
        reopen(road.settings, road.recipe(), stage=stage, reason=reason, dataset=None)


def test_a_canary_measures_as_many_sources_as_asked_and_projects_the_rest(road: Road) -> None:
    found = canary(
        road.settings, road.recipe(), "curate", num=3, dataset=None, price_an_hour=2.0, progress=Progress("test")
    )
    assert (found.num_sources, found.num_left) == (3, 4)
    cut = next(each for each in found.stages if each.stage == "cut")
    assert cut.num_in == 3
    assert cut.full_num_in == 4
    assert len({item for stage, item in MEASURED if stage == "cut"}) <= 3
    assert "3 sources took" in canary_text(found)
    assert "in money" in canary_text(found)
    assert road.run("curate") > 0
    with pytest.raises(NothingToDo, match="nothing is pending in curate"):
        canary(road.settings, road.recipe(), "curate", num=3, dataset=None, price_an_hour=None, progress=Progress("x"))


@pytest.mark.parametrize(("answer", "num_pending"), [("n\n", 4), ("y\n", 0)])
def test_a_canary_waits_for_yes(road: Road, tmp_path: Path, answer: str, num_pending: int) -> None:
    profile = write_profile(tmp_path / "fake.toml")
    result = CliRunner().invoke(likeness, ["canary", "3", "--profile", profile], input=answer)
    assert result.exit_code == 0, result.output
    assert road.stages(road.recipe())["cut"]["pending"] == num_pending


def shard(num_in: int, num_passed: int, *, is_new: bool = False) -> Row:
    return {"is_new": is_new, "num_in": num_in, "num_passed": num_passed}


def test_a_yield_that_leaves_its_band_is_an_alarm_with_the_band() -> None:
    usual = [shard(100, 80 + place % 3) for place in range(10)]
    drift = drift_of("faces", [*usual, shard(100, 40, is_new=True)])
    assert drift is not None
    assert drift.new_share == 0.4
    assert 0.6 < drift.low < 0.8 < drift.high < 1
    assert "drift at stage faces: 40.0% of 100 new items pass" in str(drift)
    assert drift_of("faces", [*usual, shard(100, 78, is_new=True)]) is None


def test_shards_that_always_differ_make_the_band_wider() -> None:
    usual = [shard(100, 95 if place % 2 else 55) for place in range(10)]
    assert drift_of("faces", [*usual, shard(100, 55, is_new=True)]) is None


@pytest.mark.parametrize("usual", [[shard(1000, 800)] * (LEAST_SHARDS - 1), [shard(1, 1)] * LEAST_SHARDS, []])
def test_too_little_history_raises_no_alarm(usual: list[Row]) -> None:
    assert drift_of("faces", [*usual, shard(1000, 0, is_new=True)]) is None


@given(st.lists(st.integers(0, 50), min_size=LEAST_SHARDS, max_size=20), st.integers(0, 1))
def test_the_usual_share_itself_is_never_an_alarm(passed: list[int], whole: int) -> None:
    old = [shard(50, num) for num in passed]
    num_old, num_passed = 50 * len(passed), sum(passed)
    assert drift_of("faces", [*old, shard(num_old, num_passed, is_new=True)]) is None
    assert spread([(50, num) for num in passed], (num_passed + 1) / (num_old + 2)) >= 1


def test_a_run_tells_of_a_stage_that_drifted(road: Road, capsys: pytest.CaptureFixture[str]) -> None:
    road.shard_size = 8
    road.ingest(["good"] * 80)
    road.run()
    assert "drift" not in capsys.readouterr().err
    road.ingest(["good"] * 80 + ["fails"] * 40)
    road.run()
    assert "drift at stage cut: 0.0% of 40 new items pass" in capsys.readouterr().err


def test_the_doctor_finds_every_engine_of_the_embedded_profile_well() -> None:
    findings = {finding.name: finding for finding in examine("embedded", load=True)}
    assert all(finding.is_well for finding in findings.values() if finding.kind in ("room", "engine"))
    assert findings["reader: DlibFaces"].says.endswith("loaded")
    assert findings["torch"].says


def test_the_doctor_says_what_an_engine_lacks_and_exits_with_10(tmp_path: Path) -> None:
    profile = tmp_path / "lame.toml"
    profile.write_text('extends = "embedded"\n[[judge]]\nuse = "nowhere:Judge"\n')
    result = CliRunner().invoke(likeness, ["doctor", "--profile", str(profile)])
    assert result.exit_code == 10
    assert "judge: Judge" in result.output
    assert "No module named 'nowhere'" in result.output
