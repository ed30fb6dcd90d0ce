"""DESIGN.md section 6: what others rely on stands under its name, with its parameters, and does what is promised."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flows.cli import likeness, train
from trainers import advantages, flow_sde, preference
from trainers.objectives import grpo
from warehouse import snapshot

KEYWORD = inspect.Parameter.KEYWORD_ONLY


def parameters(function: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """(positional names, keyword-only names)."""
    found = inspect.signature(function).parameters.values()
    return [each.name for each in found if each.kind != KEYWORD], [each.name for each in found if each.kind == KEYWORD]


@pytest.mark.parametrize(
    ("function", "positional", "keywords"),
    [
        (preference.outcome_log_probs, ["score_a_B", "score_b_B", "tie_logit"], []),
        (preference.loss, ["score_a_B", "score_b_B", "outcome_B", "tie_logit"], []),
        (flow_sde.step, ["velocity", "latent"], ["t", "t_next", "rule", "next_latent", "generator"]),
        (flow_sde.FlowGrpo, ["a", "t_second"], []),
        (flow_sde.IdentityGrpo, ["scale"], []),
        (flow_sde.Dance, ["eta"], []),
        (flow_sde.Cps, ["a"], []),
        (advantages.group_advantages, ["reward_B", "group_B"], ["epsilon", "ddof"]),
        (grpo.policy_loss, ["log_prob_B", "old_log_prob_B", "advantage_B"], ["clip", "advantage_clip"]),
        (snapshot.Snapshot.verify, ["self"], []),
        (snapshot.Snapshot.pairs, ["self", "split"], []),
    ],
)
def test_a_public_function_has_the_parameters_of_the_design(
    function: Callable[..., Any], positional: list[str], keywords: list[str]
) -> None:
    assert parameters(function) == (positional, keywords)


def test_a_snapshot_opens_by_its_path_alone(tmp_path: Path) -> None:
    positional, _ = parameters(snapshot.open)
    assert positional == ["path"]


def test_outcomes_are_in_the_order_a_tie_b_and_sum_to_one() -> None:
    log_probs = preference.outcome_log_probs(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 0.0]), math.log(5))
    assert log_probs.shape == (2, 3)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2))
    assert log_probs[0].argmax() == 0
    assert log_probs[1].argmax() == 1
    assert log_probs[1, 0] == log_probs[1, 2]


def test_the_loss_is_the_mean_over_valid_outcomes_only() -> None:
    scores, others = torch.tensor([1.0, 2.0, 7.0]), torch.tensor([0.0, 0.0, -7.0])
    with_invalid = preference.loss(scores, others, torch.tensor([0, 2, -1]), math.log(5))
    alone = preference.loss(scores[:2], others[:2], torch.tensor([0, 2]), math.log(5))
    torch.testing.assert_close(with_invalid, alone)


def test_a_step_draws_one_noise_of_the_latents_shape_and_gives_its_moments() -> None:
    velocity, latent = torch.ones(2, 3), torch.zeros(2, 3)
    generator = torch.Generator().manual_seed(0)
    step = flow_sde.step(velocity, latent, t=0.8, t_next=0.6, rule=flow_sde.Dance(0.3), generator=generator)
    noise = torch.randn((2, 3), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(step.latent, step.mean + step.std * noise)
    assert [field for field in ("latent", "mean", "std", "log_prob") if hasattr(step, field)] == list(step.__slots__)
    assert step.log_prob.shape == (2,)


def test_advantages_of_a_group_sum_to_nothing() -> None:
    found = advantages.group_advantages(torch.tensor([1.0, 3.0, 5.0]), torch.zeros(3), epsilon=0.0, ddof=0)
    torch.testing.assert_close(found, torch.tensor([-1.5, 0.0, 1.5]) * math.sqrt(2 / 3))


def test_an_untouched_policy_loses_minus_its_mean_advantage() -> None:
    log_prob, advantage = torch.tensor([-1.0, -2.0]), torch.tensor([0.5, 9.0])
    loss = grpo.policy_loss(log_prob, log_prob, advantage, clip=1e-3, advantage_clip=5.0)
    torch.testing.assert_close(loss, torch.tensor(-(0.5 + 5.0) / 2))


def test_the_command_has_a_verb_for_every_step_of_the_road() -> None:
    verbs = {"run", "ingest", "curate", "generate", "judge", "publish", "collect", "freeze", "train", "report"}
    assert verbs | {"why", "funnel", "status", "lineage"} <= set(likeness.commands)
    assert set(train.commands) == {"reward", "policy"}
