"""How unsure a reward model is of pairs: against its own scores, one pair at a time."""

import math
from pathlib import Path

import pyarrow.compute as pc
import pytest
import torch

from flows.uncertainty import Measured, entropies
from tests import factories
from tests.face_world import freeze_world
from trainers import reward_models
from trainers.config import RewardConfig
from trainers.preference import outcome_log_probs
from trainers.snapshot_pairs import read_evidence
from trainers.train_reward import train_reward
from warehouse.records import Pair
from warehouse.snapshot import Snapshot

THETA = 5.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return freeze_world(tmp_path_factory.mktemp("world"), num_clips=6)


@pytest.fixture(scope="module")
def model(world: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> reward_models.ImageConsistency:
    folder: Path = tmp_path_factory.mktemp("reward")
    train_reward(world, RewardConfig(num_steps=12, batch_pairs=8), folder=folder, progress=lambda line: None)
    return reward_models.load(folder)[0]


def tables(world: Snapshot) -> Measured:
    return Measured(id="here", tables={name: world.table(name) for name in ("clips", "candidates", "references")})


def pairs(world: Snapshot) -> list[Pair]:
    names = ("pair_id", "clip_id", "candidate_a", "candidate_b")
    return [factories.pair(**{name: row[name] for name in names}) for row in world.pairs("train").to_pylist()]


def test_the_entropy_is_that_of_the_models_own_three_probabilities(
    world: Snapshot, model: reward_models.ImageConsistency
) -> None:
    found = entropies(model, math.log(THETA), tables(world), pairs(world))
    assert found.keys() == {pair.pair_id for pair in pairs(world)}
    for pair in pairs(world):
        with torch.no_grad():
            score_a, score_b = model.score(read_evidence(world, [pair.candidate_a, pair.candidate_b]))
        chances = outcome_log_probs(score_a[None], score_b[None], math.log(THETA))[0].exp().tolist()
        assert found[pair.pair_id] == pytest.approx(-sum(p * math.log(p) for p in chances), abs=1e-4)
        assert 0 < found[pair.pair_id] < math.log(3)


def test_equal_candidates_are_as_unsure_as_the_tie_parameter_says_and_never_a_nan(
    world: Snapshot, model: reward_models.ImageConsistency
) -> None:
    one = pairs(world)[0]
    alike = [factories.pair(clip_id=one.clip_id, candidate_a=one.candidate_a, candidate_b=one.candidate_a)]
    (found,) = entropies(model, math.log(THETA), tables(world), alike).values()
    assert found == pytest.approx(2 / 6 * math.log(6) + 4 / 6 * math.log(6 / 4))  # A 1/6, tie 4/6, B 1/6
    (without_ties,) = entropies(model, 0.0, tables(world), alike).values()  # a tie has probability 0
    assert without_ties == pytest.approx(math.log(2))


def test_a_pair_of_which_something_was_not_measured_is_left_out_and_costs_no_other(
    world: Snapshot, model: reward_models.ImageConsistency
) -> None:
    gone = pairs(world)[0].candidate_a
    known = tables(world)
    candidates = known.table("candidates")
    fewer = Measured(
        id="here",
        tables={**known.tables, "candidates": candidates.filter(pc.not_equal(candidates["candidate_id"], gone))},
    )
    found = entropies(model, math.log(THETA), fewer, pairs(world))
    assert found.keys() == {pair.pair_id for pair in pairs(world) if gone not in (pair.candidate_a, pair.candidate_b)}
    assert 0 < len(found) < len(pairs(world))


def test_nothing_asked_is_nothing_answered(world: Snapshot, model: reward_models.ImageConsistency) -> None:
    assert entropies(model, math.log(THETA), tables(world), []) == {}
