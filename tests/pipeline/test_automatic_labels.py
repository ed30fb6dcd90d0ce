"""Automatic labels (Identity-GRPO 2.1.2): from models' votes to frozen labels, and what a person reads of them."""

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows import recipe as recipes
from flows.board import board_of
from flows.cli import likeness
from flows.freeze import freeze
from flows.publish import publish
from flows.report.gather import gather
from flows.report.page import render
from flows.story import check
from tests.judge_bench import Bench
from warehouse.errors import BadRecipe, NothingToDo, Unbalanced

# Labels.


def test_the_majority_of_those_who_answered_settles_and_abstentions_do_not_count(bench: Bench) -> None:
    recipe = bench.recipe("bright", "shy", num_inferences=2)
    bench.judge(recipe)
    assert bench.collect(recipe) == 24
    told, pairs = bench.better(), {pair.pair_id: pair for pair in bench.records("pair")}
    labels = bench.labels("majority_of_judges_2")
    assert len(labels) == 24
    assert Counter(told(pairs[label.pair_id], label.outcome) for label in labels) == {
        "original": 12, "tie": 4, "good": 4, "other_good": 4,
    }  # fmt: skip
    assert {(label.num_votes, label.origin) for label in labels} == {(2, "vlm")}


def test_too_few_answers_settle_nothing(bench: Bench) -> None:
    recipe = bench.recipe("bright", "shy", num_inferences=1)
    bench.judge(recipe)
    assert bench.collect(recipe) == 0
    assert {label.reason for label in bench.labels("majority_of_judges_2")} == {"too few votes"}
    with pytest.raises(NothingToDo, match="no pair is settled by vlm votes under majority_of_judges_2"):
        freeze(bench.settings, recipe)


def test_originals_win_by_default_under_a_policy_of_their_own_and_judges_are_not_asked(bench: Bench) -> None:
    recipe = bench.recipe("bright", labels='[labels]\norigin = "vlm"\noriginal_by_default = true')
    assert bench.judge(recipe).num_votes == 3 * 12
    assert bench.collect(recipe) == 24
    told, pairs = bench.better(), {pair.pair_id: pair for pair in bench.records("pair")}
    by_default = bench.labels("original_by_default")
    assert {told(pairs[label.pair_id], label.outcome) for label in by_default} == {"original"}
    assert {(label.origin, label.num_votes, label.reason) for label in by_default} == {(None, 0, "original by default")}
    assert len(by_default) == len(bench.labels("majority_of_judges_2")) == 12
    assert check(bench.settings, recipe) == "all invariants hold"
    frozen = freeze(bench.settings, recipe)
    rows = [row for split in ("train", "test") for row in frozen.pairs(split).to_pylist()]
    assert Counter((row["kind"], row["policy"], row["origin"]) for row in rows) == {
        ("original_vs_generated", "original_by_default", None): 12,
        ("generated_vs_generated", "majority_of_judges_2", "vlm"): 12,
    }
    assert frozen.facts["label_policy"] == "original_by_default+majority_of_judges_2"
    assert freeze(bench.settings, recipe).id == frozen.id


def test_votes_of_models_and_of_simulated_people_settle_apart_and_freeze_takes_one_kind(bench: Bench) -> None:
    with bench.settings.warehouse.transaction() as session:  # simulated people judge known distortions only
        session.execute("UPDATE candidate SET generator = 'blur', severity = 0.5 WHERE generator = 'bad'")
        session.execute("UPDATE candidate SET generator = 'freeze', severity = 0.5 WHERE generator LIKE '%good'")
    models = bench.recipe("left", annotators="simulated")
    bench.judge(models)
    publish(bench.settings, models, board_of(bench.settings, models))
    bench.collect(models)
    labels = bench.records("label")
    assert Counter((label.origin, label.policy) for label in labels) == {
        ("vlm", "majority_of_judges_2"): 24,
        ("simulated", "majority_of_3"): 24,
    }
    assert {label.num_votes for label in labels} == {3}
    people = bench.recipe("left", annotators="simulated", labels="")
    taken = {}
    for recipe in (models, people):
        frozen = freeze(bench.settings, recipe)
        rows = [row for split in ("train", "test") for row in frozen.pairs(split).to_pylist()]
        (taken[frozen.facts["label_origin"]],) = {(row["origin"], row["policy"]) for row in rows}
        assert set(frozen.table("votes")["origin"].to_pylist()) == {rows[0]["origin"]}
    assert taken == {"vlm": ("vlm", "majority_of_judges_2"), "simulated": ("simulated", "majority_of_3")}
    assert check(bench.settings, models).startswith("all invariants hold")


def test_the_votes_of_a_judge_that_left_the_recipe_or_changed_no_longer_count(bench: Bench) -> None:
    both = bench.recipe("bright", "left", num_inferences=2)
    bench.judge(both)
    alone = bench.recipe("bright", num_inferences=2)
    bench.collect(alone)
    assert {label.num_votes for label in bench.labels("majority_of_judges_2")} == {2}
    frozen = freeze(bench.settings, alone)
    votes = frozen.table("votes").to_pylist()
    assert Counter((vote["annotator"][:-2], vote["is_counted"]) for vote in votes) == {
        ("bright", True): 48,
        ("left", False): 48,
    }
    text = Path(alone.profile).read_text()
    Path(alone.profile).write_text(text.replace('model = "bright"', 'model = "bright", model_revision = "2"'))
    changed = recipes.load(alone.profile)
    bench.collect(changed)
    assert {label.reason for label in bench.records("label")} == {"no votes"}
    assert bench.judge(changed).num_votes == 48
    assert bench.collect(changed) == 24


def test_a_snapshot_tells_who_was_left_out_and_whose_votes_it_holds(bench: Bench) -> None:
    limits = "[labels.limits]\nmin_votes = 10\nagreement_min = 0.6\n"
    labels = f'[labels]\norigin = "vlm"\nwithout_flagged = true\n{limits}'
    recipe = bench.recipe("bright", "left", num_inferences=2, labels=labels)
    bench.judge(recipe)
    bench.collect(recipe)
    frozen = freeze(bench.settings, recipe)
    policy = frozen.facts["label_policy"]
    assert policy.startswith("majority_of_judges_2_without_flagged_")
    assert frozen.facts["limits"]["agreement_min"] == 0.6
    assert frozen.facts["left_out"].keys() == {"left#1", "left#2"}
    assert all("favours side A: 100%" in flags[-1] for flags in frozen.facts["left_out"].values())
    assert frozen.facts["votes"] == {
        "human": {"num": 0, "num_counted": 0},
        "vlm": {"num": 96, "num_counted": 48},
        "simulated": {"num": 0, "num_counted": 0},
    }
    votes = frozen.table("votes").to_pylist()
    assert {(vote["annotator"], vote["is_counted"]) for vote in votes} == {
        ("bright#1", True), ("bright#2", True), ("left#1", False), ("left#2", False),
    }  # fmt: skip
    assert {(vote["purpose"], vote["seconds"]) for vote in votes} == {("vote", None)}
    assert {label.num_votes for label in bench.labels(policy)} == {2}
    assert freeze(bench.settings, recipe).id == frozen.id
    assert check(bench.settings, recipe).startswith("all invariants hold")


def test_labels_that_are_older_than_their_votes_are_not_frozen(bench: Bench) -> None:
    recipe = bench.recipe("bright", "shy", num_inferences=2)
    bench.judge(recipe)
    bench.collect(recipe)
    more = bench.recipe("bright", "left", num_inferences=2)
    bench.judge(more)
    with pytest.raises(Unbalanced, match=r"24 labels are older than their votes, .* settle anew by `likeness collect`"):
        freeze(bench.settings, more)
    num_labels = bench.collect(more)
    assert freeze(bench.settings, more).facts["votes"]["vlm"]["num_counted"] == 4 * num_labels > 0


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ('[labels]\norigin = "models"', "'models' is not a valid Origin"),
        ("", "nobody votes"),
        ('[labels]\norigin = "human"\noriginal_by_default = true', "goes with models' labels"),
        ('[labels]\norigin = "vlm"\nmin_answers = 0', "at least one answer"),
        ('[labels]\norigin = "vlm"\nleast = 1', "no key 'least'"),
    ],
)
def test_a_choice_of_labels_that_does_not_fit_together_is_refused(bench: Bench, labels: str, complaint: str) -> None:
    with pytest.raises(BadRecipe, match=complaint):
        bench.collect(bench.recipe(labels=labels))


# What a person reads.


def test_the_report_tells_the_labels_that_training_takes_and_who_abstained(bench: Bench) -> None:
    labels = '[labels]\norigin = "vlm"\noriginal_by_default = true\nmin_answers = 1'
    recipe = bench.recipe("bright", "shy", num_inferences=1, labels=labels)
    bench.judge(recipe)
    bench.collect(recipe)
    data = gather(bench.settings, recipe, dataset=None)
    assert data.labels is not None
    assert (data.labels.origin, data.labels.policy) == ("vlm", "original_by_default+majority_of_judges_1")
    assert sum(row.num_a + row.num_tie + row.num_b for row in data.labels.rows) == 24
    assert sum(row.num_tie for row in data.labels.rows) == 4
    assert {(row.name, row.num_votes, row.num_broken) for row in data.labels.annotators} == {
        ("bright#1", 12, 0),
        ("shy#1", 12, 12),
    }
    votes = {vote.outcome for pair in data.pairs for vote in pair.votes}
    assert "abstained" in votes and "video broken" not in votes
    assert "abstained" in render(data)


def test_the_commands_tell_what_was_discarded_what_abstained_and_what_was_not_asked(bench: Bench) -> None:
    recipe = bench.recipe("picky", "shy", num_inferences=1, gap="text_video_gap_max = 0.9")

    def told(*arguments: str) -> str:
        result = CliRunner().invoke(likeness, [*arguments, "--profile", recipe.profile])
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    assert (
        told("generate")
        .splitlines()[-1]
        .endswith("0 pairs discarded for their gap in text-video scores, 6 drawn although a score is unknown")
    )
    lines = told("judge").splitlines()
    assert "12 not asked, the service refused (HTTP 400); the next run asks again" in lines
    assert lines[-1] == "12 new votes, 24 abstentions"
    clip_id = bench.records("clip")[0].clip_id
    assert "shy#1 abstained" in told("why", clip_id)
