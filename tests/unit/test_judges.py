"""The measured judges."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engines.embedded.measured_judges import MeasuredJudge, flicker_judge, identity_judge, sharpness_judge
from flows.engines.ports import Judgement, Question, Side, Sight

values = st.none() | st.floats(0, 1)
sights = st.builds(Sight, identity_mean=values, identity_min=values, sharpness=values, flicker=values)
every_judge = pytest.mark.parametrize("make", [identity_judge, sharpness_judge, flicker_judge])
Make = Callable[..., MeasuredJudge]


def sight(**override: float | None) -> Sight:
    known: dict[str, float | None] = {"identity_mean": 0.95, "identity_min": 0.9, "sharpness": 100.0, "flicker": 0.2}
    return Sight(**(known | override))


@every_judge
@given(a=sights, b=sights)
def test_a_judge_says_the_same_when_the_sides_are_exchanged(make: Make, a: Sight, b: Sight) -> None:
    exchanged = {"A": "B", "B": "A", "tie": "tie", None: None}
    assert make().prefers(b, a) == exchanged[make().prefers(a, b)]


@every_judge
@given(a=sights)
def test_a_candidate_ties_with_itself_or_is_unknown(make: Make, a: Sight) -> None:
    assert make().prefers(a, a) in ("tie", None)


@pytest.mark.parametrize(
    ("judge", "worse"),
    [
        (identity_judge(), sight(identity_mean=0.9)),
        (identity_judge(), sight(identity_min=0.8)),
        (sharpness_judge(), sight(sharpness=80.0)),
        (flicker_judge(), sight(flicker=2.0)),
    ],
)
def test_the_better_value_wins(judge: MeasuredJudge, worse: Sight) -> None:
    assert judge.prefers(sight(), worse) == "A"


@pytest.mark.parametrize(
    ("judge", "close"),
    [
        (identity_judge(), sight(identity_mean=0.94)),
        (sharpness_judge(), sight(sharpness=90.0)),
        (flicker_judge(), sight(flicker=0.6)),
    ],
)
def test_a_difference_below_the_margin_is_a_tie(judge: MeasuredJudge, close: Sight) -> None:
    assert judge.prefers(sight(), close) == judge.prefers(close, sight()) == "tie"


@pytest.mark.parametrize(
    ("judge", "unknown"),
    [
        (identity_judge(), sight(identity_mean=None)),
        (identity_judge(), sight(identity_min=None)),
        (sharpness_judge(), sight(sharpness=None)),
        (flicker_judge(), sight(flicker=None)),
    ],
)
def test_a_judge_abstains_where_its_value_is_unknown(judge: MeasuredJudge, unknown: Sight) -> None:
    assert judge.prefers(sight(), unknown) is None
    assert judge.prefers(unknown, sight()) is None


def test_identity_weighs_the_worst_frame_as_much_as_the_mean() -> None:
    steady, broken = sight(identity_mean=0.93, identity_min=0.93), sight(identity_mean=0.95, identity_min=0.80)
    assert identity_judge().prefers(steady, broken) == "A"


@every_judge
def test_another_margin_is_another_revision(make: Make) -> None:
    assert make(tie_margin=0.3).revision != make().revision


def test_it_votes_on_a_batch_in_order_and_an_abstention_says_why() -> None:
    def question(a: Sight, b: Sight) -> Question:
        sides = [Side(video=Path("/not/looked/at"), sight=each) for each in (a, b)]
        return Question(prompt=None, references=(), a=sides[0], b=sides[1], seed=0)

    blurred, unknown = sight(sharpness=10.0), sight(sharpness=None)
    said = sharpness_judge().vote([question(blurred, sight()), question(sight(), unknown), question(sight(), sight())])
    assert [one.outcome for one in said] == ["B", None, "tie"]
    assert said[0] == Judgement(outcome="B")
    assert said[1].comment == "abstains: what it looks at was not measured on both sides"
