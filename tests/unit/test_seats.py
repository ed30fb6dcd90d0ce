"""Who votes among models, and what becomes of what they say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.pairing import KINDS, is_turned
from flows import recipe as recipes
from flows.engines.embedded.measured_judges import sharpness_judge
from flows.engines.ports import Judgement
from flows.label_choice import choice_of
from flows.recipe import Recipe
from flows.seats import Seat, roll_of, vote_of
from tests import factories
from warehouse.errors import BadRecipe
from warehouse.records import Origin, Outcome

SEAT = Seat(judge=sharpness_judge(), inference=2)
SHARPNESS = {"use": "flows.engines.embedded.measured_judges:sharpness_judge"}


def recipe_with(*judges: dict[str, object]) -> Recipe:
    loaded = recipes.load("embedded")
    return Recipe(profile="here", stages=loaded.stages, options={**loaded.options, "judge": list(judges)})


@given(st.sampled_from(Outcome), st.text(max_size=8), st.integers(0, 2**31))
def test_what_a_model_prefers_is_what_its_vote_says_however_the_coin_fell(truth: Outcome, name: str, seed: int) -> None:
    pair = factories.pair(pair_id=f"pair_{name}")
    turned = is_turned(pair.pair_id, SEAT.annotator, seed=seed)
    shown = truth.swapped() if turned else truth
    vote = vote_of(pair, SEAT, Judgement(outcome=shown.value), is_turned=turned, now="2026-01-01T00:00:00+00:00")
    assert vote.outcome is truth
    assert json.loads(vote.raw)["shown"] == shown
    assert (vote.origin, vote.annotator, vote.pair_id) == (Origin.VLM, "sharpness_judge#2", pair.pair_id)


@given(st.booleans())
def test_an_abstention_stays_one_on_either_side(turned: bool) -> None:
    abstention = Judgement(outcome=None, comment="abstains: too dark")
    vote = vote_of(factories.pair(), SEAT, abstention, is_turned=turned, now="2026-01-01T00:00:00+00:00")
    assert (vote.outcome, vote.comment) == (None, "abstains: too dark")


def test_the_same_seat_votes_once_about_a_pair_and_another_revision_votes_anew() -> None:
    other = Seat(judge=sharpness_judge(tie_margin=0.5), inference=2)
    said = Judgement(outcome="A")
    first, again, changed = (
        vote_of(factories.pair(), seat, said, is_turned=False, now=now)
        for seat, now in (
            (SEAT, "2026-01-01T00:00:00Z"),
            (SEAT, "2026-02-01T00:00:00Z"),
            (other, "2026-02-01T00:00:00Z"),
        )
    )
    assert first.vote_id == again.vote_id != changed.vote_id
    assert json.loads(first.raw)["judge_key"] == SEAT.key != json.loads(changed.raw)["judge_key"]


def test_every_judge_of_a_recipe_has_as_many_seats_as_inferences() -> None:
    roll = roll_of(recipes.load("embedded"))
    assert [seat.annotator for seat in roll] == ["identity_judge#1", "sharpness_judge#1", "flicker_judge#1"]
    assert len({seat.key for seat in roll}) == 3
    assert roll_of(recipe_with()) == ()


def test_two_judges_of_one_name_are_refused() -> None:
    with pytest.raises(BadRecipe, match="two judges are called sharpness_judge"):
        roll_of(recipe_with(SHARPNESS, SHARPNESS | {"tie_margin": 0.5}))


def test_the_paper_s_profile_asks_three_models_three_times_and_takes_their_labels() -> None:
    paper = Recipe(profile="paper", stages=(), options=recipes.tables_of("paper"))
    roll = roll_of(paper)
    assert [seat.annotator for seat in roll[::3]] == ["qwen2.5-vl#1", "internvl3.5#1", "nvila#1"]
    assert len(roll) == 9
    choice = choice_of(paper)
    assert choice.name == "original_by_default+majority_of_judges_5"
    assert choice.asked_kinds == ("generated_vs_generated",)


def test_the_embedded_profile_takes_simulated_people_s_labels_and_asks_judges_about_every_pair() -> None:
    choice = choice_of(recipes.load("embedded"))
    assert (choice.origin, choice.policies, choice.asked_kinds) == (Origin.SIMULATED, ("majority_of_3",), KINDS)
