"""Automatic pairs (Identity-GRPO 2.1.2): from candidates to models' votes, over a real service."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flows import recipe as recipes
from flows.board import board_of
from flows.freeze import freeze
from flows.judge import Judged
from flows.publish import publish
from tests.bright_judges import num_asked
from tests.judge_bench import CAPTIONS, Bench
from tests.pair_stages import BRIGHTNESS, PAIRS, write_profile
from warehouse import tables
from warehouse.errors import BadRecipe, EngineUnavailable
from warehouse.records import Outcome

# Pairs.


def test_all_pairs_of_a_clip_are_drawn_where_no_gap_is_named(bench: Bench) -> None:
    assert len(bench.records("pair")) == len(PAIRS) * len(CAPTIONS)


def test_pairs_far_apart_in_text_and_video_are_discarded_and_counted(bench: Bench) -> None:
    with bench.settings.warehouse.transaction() as session:
        session.execute("DELETE FROM pair")
    drawn = bench.generate(bench.recipe(gap="text_video_gap_max = 0.2")).drawn
    generators = {one.candidate_id: one.generator for one in bench.records("candidate")}
    clips = Counter(pair.clip_id for pair in drawn.pairs)
    # `bad` is 90 levels darker than the others; the clip without scores keeps all its pairs.
    assert sorted(clips.values()) == [3, 3, 3, 6]
    assert (drawn.num_far_apart, drawn.num_gap_unknown) == (9, 6)
    kept = [pair for pair in drawn.pairs if clips[pair.clip_id] == 3]
    assert not any("bad" in (generators[pair.candidate_a], generators[pair.candidate_b]) for pair in kept)


def test_a_gap_that_is_named_later_takes_pairs_out_of_play_and_deletes_none(bench: Bench) -> None:
    recipe = bench.recipe("bright", gap="text_video_gap_max = 0.2")
    assert bench.generate(recipe).num_pairs == 0
    assert bench.judge(recipe).num_votes == 3 * 15
    assert publish(bench.settings, recipe, board_of(bench.settings, recipe)).num_pairs == 15
    bench.collect(recipe)
    frozen = freeze(bench.settings, recipe)
    assert sum(frozen.pairs(split).num_rows for split in ("train", "test")) == 15
    assert len(bench.records("pair")) == 24


def test_a_gap_that_no_stage_measures_is_refused(bench: Bench, tmp_path: Path) -> None:
    text = Path(write_profile(tmp_path / "one.toml", gap="text_video_gap_max = 0.2")).read_text()
    stage = text.index('[[stage]]\nuse = "flows.stages.text_video')
    (tmp_path / "two.toml").write_text(text[:stage] + text[text.index("[identities]") :])
    with pytest.raises(BadRecipe, match="needs a stage that measures text_video_score"):
        bench.generate(recipes.load(str(tmp_path / "two.toml")))


def test_without_a_scorer_the_fact_is_null_and_no_pair_is_discarded(bench: Bench) -> None:
    recipe = bench.recipe(scorer="", gap="text_video_gap_max = 0.2")
    drawn = bench.generate(recipe).drawn
    assert (len(drawn.pairs), drawn.num_far_apart, drawn.num_gap_unknown) == (24, 0, 24)
    with bench.settings.warehouse.session() as session:
        rows = session.execute(
            "SELECT DISTINCT text_video_score, num_frames_seen, scorer FROM fact_text_video WHERE scorer IS NULL"
        ).fetchall()
    assert rows == [(None, 0, None)]


# Votes.


def test_every_inference_of_a_judge_votes_once_and_names_the_better_video_whichever_side_it_saw(bench: Bench) -> None:
    judged = bench.judge(bench.recipe("bright"))
    assert (judged.num_votes, judged.num_abstentions, judged.failed) == (72, 0, {})
    votes, told = bench.votes(), bench.better()
    pairs = {pair.pair_id: pair for pair in bench.records("pair")}
    generators = {one.candidate_id: one.generator for one in bench.records("candidate")}
    assert Counter(vote.annotator for vote in votes) == {"bright#1": 24, "bright#2": 24, "bright#3": 24}
    for vote in votes:
        pair = pairs[vote.pair_id]
        first, second = sorted((generators[pair.candidate_a], generators[pair.candidate_b]), key=list(BRIGHTNESS).index)
        assert told(pair, vote.outcome) == PAIRS[first, second]
    turned = [json.loads(vote.raw)["is_turned"] for vote in votes]
    assert 20 < sum(turned) < 52
    assert {vote.origin.value for vote in votes} == {"vlm"}


def test_a_judge_that_always_says_left_favours_neither_side(bench: Bench) -> None:
    bench.judge(bench.recipe("left", num_inferences=5))
    counts = Counter(vote.outcome for vote in bench.votes())
    assert counts[Outcome.A] + counts[Outcome.B] == 120
    assert 38 < counts[Outcome.A] < 82  # four standard deviations of 120 coins


def test_an_abstention_is_a_vote_without_outcome_is_counted_and_is_not_asked_again(bench: Bench) -> None:
    recipe = bench.recipe("shy", "babbler", num_inferences=1)
    judged = bench.judge(recipe)
    assert (judged.num_votes, judged.num_abstentions) == (0, 48)
    assert num_asked(bench.server, "shy") == 24
    assert num_asked(bench.server, "babbler") == 48  # one repair each
    comments = {vote.annotator: vote.comment or "" for vote in bench.votes()}
    assert comments["shy#1"].startswith("abstains, cannot tell: 1 people seen")
    assert comments["babbler#1"].startswith("abstains, answer not usable after a repair: it is not JSON")
    assert {vote.outcome for vote in bench.votes()} == {None}
    bench.server.seen.clear()
    assert bench.judge(recipe) == Judged(num_votes=0, num_abstentions=0, failed={})
    assert bench.server.seen == []


def test_an_answer_that_is_repaired_counts(bench: Bench) -> None:
    assert bench.judge(bench.recipe("sloppy", num_inferences=1)).num_votes == 24
    assert num_asked(bench.server, "sloppy") == 48


def test_a_question_that_the_service_refuses_is_no_vote_and_is_asked_again(bench: Bench) -> None:
    recipe = bench.recipe("picky", num_inferences=1)
    judged = bench.judge(recipe)
    assert (judged.num_votes, judged.num_abstentions) == (12, 0)
    assert list(judged.failed.values()) == [12]
    bench.server.seen.clear()
    again = bench.judge(recipe)
    assert (again.num_votes, again.failed) == (0, judged.failed)
    assert num_asked(bench.server) == 12


def test_a_rerun_asks_only_the_inferences_that_are_new(bench: Bench) -> None:
    bench.judge(bench.recipe("bright", num_inferences=1))
    assert bench.judge(bench.recipe("bright", num_inferences=3)).num_votes == 48
    assert bench.judge(bench.recipe("bright", "shy", num_inferences=3)).num_abstentions == 72
    assert len(bench.votes()) == 144


def test_a_run_that_dies_loses_one_batch_at_most_and_the_next_asks_for_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.judge.PAIRS_AT_ONCE", 5)
    monkeypatch.setattr("flows.judge.COMMIT_EVERY_S", 0.0)
    recipe = bench.recipe("bright", num_inferences=2)
    real, calls = tables.merge, iter(range(100))

    def dying(*arguments: Any, **options: Any) -> int:
        if next(calls) >= 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    with monkeypatch.context() as context:
        context.setattr("flows.judge.tables.merge", dying)
        with pytest.raises(KeyboardInterrupt):
            bench.judge(recipe)
    assert len(bench.votes()) == 20
    assert bench.judge(recipe).num_votes == 28
    assert len({(vote.pair_id, vote.annotator) for vote in bench.votes()}) == len(bench.votes()) == 48


def test_answers_that_come_at_once_are_committed_together_also_when_the_run_is_broken_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.judge.PAIRS_AT_ONCE", 5)
    monkeypatch.setattr("flows.judge.COMMIT_EVERY_S", 1e9)
    real, sizes, turns = tables.merge, list[int](), iter(range(100))

    def counted(session: Any, table: str, rows: Any, **options: Any) -> int:
        sizes.append(rows.num_rows)
        return real(session, table, rows, **options)

    def broken_off(*_: Any) -> None:
        if next(turns) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("flows.judge.tables.merge", counted)
    with monkeypatch.context() as context:
        context.setattr("flows.progress.Progress.advance", broken_off)
        with pytest.raises(KeyboardInterrupt):
            bench.judge(bench.recipe("bright", num_inferences=1))
    assert bench.judge(bench.recipe("bright", num_inferences=1)).num_votes == 9
    assert sizes == [15, 9]


def test_a_service_that_is_not_there_stops_the_run_and_what_the_others_said_is_kept(bench: Bench) -> None:
    nowhere = bench.table("bright", name="away", base_url="http://127.0.0.1:9/v1")
    both = bench.recipe("bright", num_inferences=1, more=nowhere)
    with pytest.raises(EngineUnavailable, match=re.escape("http://127.0.0.1:9/v1")):
        bench.judge(both)
    assert Counter(vote.annotator for vote in bench.votes()) == {"bright#1": 16}


def test_a_video_that_is_gone_costs_its_own_pairs_and_no_others(bench: Bench) -> None:
    recipe = bench.recipe("bright", num_inferences=1)
    with bench.settings.warehouse.transaction() as session:
        found = session.execute("SELECT min(candidate_id) FROM candidate WHERE generator = 'good'").fetchall()
        session.execute("UPDATE candidate SET sha256 = ? WHERE candidate_id = ?", ["f" * 64, found[0][0]])
    judged = bench.judge(recipe)
    assert judged.num_votes == 24 - 3
    assert sum(judged.failed.values()) == 3


def test_measured_judges_vote_beside_models_and_abstain_where_nothing_was_measured(bench: Bench) -> None:
    measured = "".join(
        f'[[judge]]\nuse = "flows.engines.embedded.measured_judges:{name}_judge"\n'
        for name in ("identity", "sharpness")
    )
    judged = bench.judge(bench.recipe("bright", num_inferences=1, more=measured))
    assert (judged.num_votes, judged.num_abstentions) == (48, 24)
    told, pairs = bench.better(), {pair.pair_id: pair for pair in bench.records("pair")}
    said = {name: Counter[str]() for name in ("bright#1", "sharpness_judge#1", "identity_judge#1")}
    for vote in bench.votes():
        said[vote.annotator][told(pairs[vote.pair_id], vote.outcome)] += 1
    assert said["bright#1"] == {"original": 12, "tie": 4, "good": 4, "other_good": 4}
    assert said["sharpness_judge#1"] == {"original": 4, "tie": 12, "good": 4, "other_good": 4}  # a tenth is a tie
    assert said["identity_judge#1"] == {"nobody": 24}


def test_two_judges_of_one_name_are_refused(bench: Bench) -> None:
    with pytest.raises(BadRecipe, match="two judges are called bright"):
        bench.judge(bench.recipe("bright", "bright"))
