"""The table `[labels]` of a profile: what it chooses, and what it refuses."""

from typing import Any

import pytest

from annotate.limits import Limits
from flows.label_choice import LabelChoice, choice_of
from flows.recipe import Recipe
from warehouse.errors import BadRecipe
from warehouse.records import Origin


def choice(annotators: str = "people", **labels: Any) -> LabelChoice:
    votes = {"annotators": annotators, "num_a_pair": 3, "seed": 0}
    return choice_of(Recipe(profile="test", stages=(), options={"votes": votes, "labels": labels}))


def test_people_s_votes_settle_by_majority_unless_something_else_is_said() -> None:
    found = choice()
    assert (found.origin, found.name, found.looks_at_all_votes) == (Origin.HUMAN, "majority_of_3", False)
    assert choice("simulated").origin is Origin.SIMULATED


def test_the_name_of_a_policy_tells_method_and_limits() -> None:
    assert choice(method="dawid_skene").name == "dawid_skene_0.8"
    assert choice(method="dawid_skene", min_posterior=0.9).name == "dawid_skene_0.9"
    assert choice(without_flagged=True).name == f"majority_of_3_without_flagged_{Limits().digest}"
    strict = Limits(agreement_min=0.5, min_votes=50)
    found = choice(method="dawid_skene", without_flagged=True, limits={"agreement_min": 0.5, "min_votes": 50})
    assert found.name == f"dawid_skene_0.8_without_flagged_{strict.digest}"
    assert found.limits == strict
    judges = choice("nobody", origin="vlm", without_flagged=True)
    assert judges.name == f"majority_of_judges_2_without_flagged_{Limits().digest}"


def test_limits_alone_leave_nobody_out() -> None:
    found = choice(limits={"agreement_min": 0.9})
    assert (found.name, found.looks_at_all_votes) == ("majority_of_3", False)
    assert found.policy_of("human", left_out=["ann"]).left_out == ()


def test_those_left_out_and_the_posteriors_go_into_the_policy() -> None:
    found = choice(method="dawid_skene", without_flagged=True)
    policy = found.policy_of("human", posteriors={"pair_1": (1.0, 0.0, 0.0)}, left_out=["ann"])
    assert policy.left_out == {"ann"}
    assert found.looks_at_all_votes


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ({"methods": "majority"}, "no key 'methods'; it has limits, method, min_answers"),
        ({"method": "median"}, "method is 'median'; take majority or dawid_skene"),
        ({"method": "dawid_skene", "min_answers": 3}, "min_answers says nothing to method dawid_skene"),
        ({"min_posterior": 0.9}, "min_posterior says nothing to method majority"),
        ({"method": "dawid_skene", "min_posterior": 1.2}, "min_posterior is 1.2"),
        ({"without_flagged": "yes"}, "without_flagged is 'yes'; it must be true or false"),
        ({"limits": {"agreement": 0.5}}, "no key 'limits.agreement'; it has agreement_min"),
        ({"limits": {"agreement_min": 7}}, "agreement_min is 7; it must lie between 0 and 1"),
        ({"limits": 3}, "limits is 3; it must be a table"),
        ({"origin": "crowd"}, "'crowd' is not a valid Origin"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(labels: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadRecipe, match=rf"profile test: \[labels\]: {complaint}"):
        choice(**labels)
