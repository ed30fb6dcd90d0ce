"""One stochastic step: for Gaussian data the exact velocity is known, so the marginals at every t are known too."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from trainers.flow_sde import Cps, Dance, FlowGrpo, IdentityGrpo, Rule, step

MEAN, STD = 1.5, 0.6
"""Of the data, one Gaussian number."""
KEEP_MARGINALS = {
    "flow_grpo": FlowGrpo(0.7, 0.98),
    "id_crafter": FlowGrpo(1.0, 0.98),
    "identity_grpo": IdentityGrpo(1.0),
    "identity_grpo_released": IdentityGrpo(0.98),
    "dance": Dance(0.3),
}
ALL = KEEP_MARGINALS | {"cps": Cps(0.8)}


def marginal(t: float) -> tuple[float, float]:
    """Mean and standard deviation of z_t = (1 - t) x0 + t eps."""
    return (1 - t) * MEAN, math.sqrt(((1 - t) * STD) ** 2 + t**2)


def exact_velocity(z: Tensor, t: float) -> Tensor:
    """E[eps - x0 | z_t = z] for Gaussian data."""
    mean, std = marginal(t)
    z_whitened = (z - mean) / std**2
    return t * z_whitened - (MEAN + (1 - t) * STD**2 * z_whitened)


def simulated(rule: Rule, *, num_steps: int, num_samples: int) -> list[tuple[float, float, float]]:
    """t, mean and standard deviation of many samples after each step.

    Flow-GRPO starts at t = 0.95, from the marginal there: its s^2 grows like 1 / (1 - t), so that the first step from
    t = 1 makes the variance a^4 / 4 too large however small it is.
    """
    generator = torch.Generator().manual_seed(0)
    start = 0.95 if isinstance(rule, FlowGrpo) else 1.0
    mean, std = marginal(start)
    latent = mean + std * torch.randn(num_samples, 1, generator=generator)
    times = [start * (1 - k / num_steps) for k in range(num_steps + 1)]
    seen = []
    for t, t_next in pairwise(times):
        latent = step(exact_velocity(latent, t), latent, t=t, t_next=t_next, rule=rule, generator=generator).latent
        seen.append((t_next, latent.mean().item(), latent.std().item()))
    return seen


@pytest.mark.parametrize("rule", KEEP_MARGINALS.values(), ids=KEEP_MARGINALS.keys())
def test_a_rule_keeps_mean_and_std_of_the_ode_at_every_t(rule: Rule) -> None:
    for t, mean, std in simulated(rule, num_steps=400, num_samples=20_000):
        right_mean, right_std = marginal(t)
        assert mean == pytest.approx(right_mean, abs=0.03), t
        assert std == pytest.approx(right_std, abs=0.03), t


def test_the_first_step_of_flow_grpo_from_pure_noise_adds_a_quarter_of_a_to_the_fourth() -> None:
    latent = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
    for t_second in (0.98, 0.998):
        velocity = exact_velocity(latent, 1.0)
        taken = step(
            velocity,
            latent,
            t=1.0,
            t_next=t_second,
            rule=FlowGrpo(1.0, t_second),
            generator=torch.Generator().manual_seed(1),
        )
        assert taken.latent.var().item() == pytest.approx(1.25, abs=0.05)


def test_cps_keeps_the_mean_at_every_t() -> None:
    for t, mean, _ in simulated(Cps(0.8), num_steps=100, num_samples=20_000):
        assert mean == pytest.approx(marginal(t)[0], abs=0.03), t


def test_cps_with_the_true_data_and_noise_is_at_the_marginal_of_the_next_t() -> None:
    generator = torch.Generator().manual_seed(0)
    data = MEAN + STD * torch.randn(50_000, 1, generator=generator)
    noise = torch.randn(50_000, 1, generator=generator)
    t, t_next = 0.7, 0.4
    taken = step(noise - data, (1 - t) * data + t * noise, t=t, t_next=t_next, rule=Cps(0.8), generator=generator)
    assert taken.latent.mean().item() == pytest.approx(marginal(t_next)[0], abs=0.01)
    assert taken.latent.std().item() == pytest.approx(marginal(t_next)[1], abs=0.01)


def test_without_noise_every_rule_of_the_sde_is_the_ode() -> None:
    latent, velocity = torch.tensor([[0.3, -1.2]]), torch.tensor([[1.0, 0.5]])
    for rule in (FlowGrpo(0.0, 0.9), IdentityGrpo(0.0), Dance(0.0)):
        taken = step(velocity, latent, t=0.6, t_next=0.5, rule=rule)
        torch.testing.assert_close(taken.latent, latent - 0.1 * velocity)
        assert taken.std == 0
        assert taken.log_prob.tolist() == [0]


def test_one_step_of_identity_grpo_has_its_worked_value() -> None:
    # s = 0.5; mean = 1 + [2 + 0.25 / (2 * 0.5) * (1 + 0.5 * 2)] * (-0.1) = 0.75; std = 0.5 sqrt(0.1)
    taken = step(torch.tensor([[2.0]]), torch.tensor([[1.0]]), t=0.5, t_next=0.4, rule=IdentityGrpo(1.0))
    assert taken.mean.item() == pytest.approx(0.75)
    assert taken.std.item() == pytest.approx(0.5 * math.sqrt(0.1))


def test_one_step_of_cps_has_its_worked_value() -> None:
    # x0 = 1 - 0.5 * 2 = 0, eps = 1 + 0.5 * 2 = 2; std = 0.4 sin(pi / 4); mean = 2 sqrt(0.16 - std^2)
    rule = Cps(0.5)
    taken = step(
        torch.tensor([[2.0]]),
        torch.tensor([[1.0]]),
        t=0.5,
        t_next=0.4,
        rule=rule,
        next_latent=torch.tensor([[1.0]]),
    )
    mean = 2 * math.sqrt(0.16 - 0.08)
    assert taken.std.item() == pytest.approx(math.sqrt(0.08))
    assert taken.mean.item() == pytest.approx(mean)
    assert taken.log_prob.item() == pytest.approx(-((1.0 - mean) ** 2))


@pytest.mark.parametrize(
    ("rule", "t", "s"),
    [
        (FlowGrpo(0.7, 0.9), 0.5, 0.7),
        (FlowGrpo(0.7, 0.9), 1.0, 0.7 * math.sqrt(10)),
        (FlowGrpo(1.0, 0.9), 1.0, math.sqrt(10)),
        (IdentityGrpo(1.0), 1.0, 1.0),
        (IdentityGrpo(0.9), 0.5, 0.45),
        (Dance(0.3), 1.0, 0.3),
    ],
)
def test_s_is_what_the_table_of_variants_says(rule: FlowGrpo | IdentityGrpo | Dance, t: float, s: float) -> None:
    assert rule.s(t) == pytest.approx(s)
    taken = step(torch.zeros(1, 2), torch.zeros(1, 2), t=t, t_next=t - 0.25, rule=rule)
    assert taken.std.item() == pytest.approx(s * 0.5)


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
def test_the_noise_is_one_randn_of_the_latent_s_shape(rule: Rule) -> None:
    latent, velocity = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    taken = step(velocity, latent, t=0.6, t_next=0.5, rule=rule, generator=torch.Generator().manual_seed(7))
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(taken.latent, taken.mean + taken.std * noise)


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
def test_a_replayed_step_has_the_very_log_probability_that_it_had(rule: Rule) -> None:
    latent, velocity = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    taken = step(velocity, latent, t=1.0, t_next=0.9, rule=rule)
    replayed = step(velocity, latent, t=1.0, t_next=0.9, rule=rule, next_latent=taken.latent)
    assert torch.equal(replayed.log_prob, taken.log_prob)
    assert torch.equal(torch.exp(replayed.log_prob - taken.log_prob), torch.ones(3))
    assert torch.equal(replayed.latent, taken.latent)


@pytest.mark.parametrize("rule", KEEP_MARGINALS.values(), ids=KEEP_MARGINALS.keys())
def test_the_log_probability_is_the_mean_gaussian_log_density(rule: Rule) -> None:
    latent, velocity = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    taken = step(velocity, latent, t=0.6, t_next=0.5, rule=rule)
    density = torch.distributions.Normal(taken.mean, taken.std).log_prob(taken.latent)
    torch.testing.assert_close(taken.log_prob, density.flatten(1).mean(1))


def test_the_last_step_of_cps_is_certain_and_reaches_the_predicted_data() -> None:
    latent, velocity = torch.randn(2, 3), torch.randn(2, 3)
    taken = step(velocity, latent, t=0.3, t_next=0.0, rule=Cps(0.8))
    torch.testing.assert_close(taken.latent, latent - 0.3 * velocity)
    assert taken.std == 0
    assert taken.log_prob.tolist() == [0, 0]


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
@pytest.mark.parametrize(("t", "t_next"), [(1.0, 0.96), (0.04, 0.0)])
def test_both_ends_of_the_schedule_are_finite(rule: Rule, t: float, t_next: float) -> None:
    taken = step(torch.randn(2, 5), torch.randn(2, 5), t=t, t_next=t_next, rule=rule)
    assert taken.latent.isfinite().all()
    assert taken.log_prob.isfinite().all()


def test_half_precision_is_computed_in_single() -> None:
    taken = step(torch.randn(2, 5).bfloat16(), torch.randn(2, 5).bfloat16(), t=0.5, t_next=0.4, rule=Dance(0.3))
    assert taken.log_prob.dtype == taken.latent.dtype == torch.float32


@pytest.mark.parametrize(("t", "t_next"), [(0.5, 0.5), (0.4, 0.5), (1.1, 0.5), (0.5, -0.1), (math.nan, 0.1)])
def test_time_that_does_not_run_down_is_refused(t: float, t_next: float) -> None:
    with pytest.raises(ValueError, match="runs down"):
        step(torch.zeros(1, 1), torch.zeros(1, 1), t=t, t_next=t_next, rule=Dance(0.3))
