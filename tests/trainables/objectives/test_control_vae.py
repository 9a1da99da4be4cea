"""The controlled ELBO: traces by hand, both ends of the range, and what the integral remembers."""

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from tests.oracles.linear_gaussian import LinearGaussian
from trainables.objectives import create
from trainables.objectives.control_vae import ControlVae, PiController
from trainables.trial import TrialConfig

KINDS = ["conditional", "clamp", "freeze", "none"]


def config(**knobs: Any) -> ControlVae:
    given = {"name": "control_vae", "kl_target": 2.0, **knobs}
    return ControlVae.model_validate(given)


def trace(kls: list[float], set_point: float = 2.0, **knobs: Any) -> list[tuple[float, float]]:
    """Give the weight and the integral after each of some mean KLs."""
    controller = PiController(config(**knobs))
    steps = []
    for kl in kls:
        weight = controller.advance(torch.tensor(kl, dtype=torch.float64), set_point)
        assert weight.item() == controller.weight.item()
        steps.append((weight.item(), controller.integral.item()))
    return steps


def weights(kls: list[float], **knobs: Any) -> list[float]:
    return [weight for weight, _ in trace(kls, **knobs)]


# The controller -------------------------------------------------------------------------------


@pytest.mark.parametrize("anti_windup", KINDS)
def test_a_trace_within_the_range_is_as_computed_by_hand(anti_windup: str) -> None:
    """Errors 0, ln 3, -ln 3, -1: P is half, a quarter and three quarters of kp, then more.

    I is -ki times their sum 0, ln 3, 0, -1; beta_min = 0.2 is added.
    """
    kls = [2.0, 2.0 - math.log(3), 2.0 + math.log(3), 3.0]
    got = trace(kls, kp=0.4, ki=0.05, beta_min=0.2, beta_max=1.0, anti_windup=anti_windup)

    by_hand = [0.2, 0.1 - 0.05 * math.log(3), 0.3, 0.4 / (1 + math.exp(-1)) + 0.05]
    if anti_windup == "clamp":  # the integral alone may not be negative
        by_hand = [0.2, 0.1, 0.3 + 0.05 * math.log(3), 0.4 / (1 + math.exp(-1))]
        by_hand[3] += 0.05 * math.log(3) + 0.05
    assert [weight - 0.2 for weight, _ in got] == pytest.approx(by_hand, abs=1e-15)


def test_the_integral_is_the_negative_sum_of_errors_times_its_gain() -> None:
    kls = [2.5, 4.0, 3.0, 1.0, 2.25]

    got = [integral for _, integral in trace(kls, kp=0.0, ki=0.125)]

    assert got == [0.0625, 0.3125, 0.4375, 0.3125, 0.34375]


@pytest.mark.parametrize("anti_windup", KINDS)
def test_the_weight_saturates_at_both_ends(anti_windup: str) -> None:
    """An error of 100 either way takes the integral far beyond the range at once."""
    knobs = {"ki": 0.1, "beta_min": 0.25, "beta_max": 0.75, "anti_windup": anti_windup}

    assert weights([102.0] * 3, **knobs) == [0.75] * 3
    assert weights([-98.0] * 3, **knobs) == [0.25] * 3


@pytest.mark.parametrize(
    ("anti_windup", "takes"), [("conditional", 1), ("clamp", 1), ("none", 13)]
)
def test_a_weight_leaves_its_end_at_once_unless_the_integral_has_wound_up(
    anti_windup: str, takes: int
) -> None:
    """Ten errors of -1, each worth 0.25, go 1.5 beyond the end; those of 0.5 take 0.125 back."""
    kls = [3.0] * 10 + [1.5] * 20

    got = weights(kls, kp=0.0, ki=0.25, anti_windup=anti_windup)

    assert got[3:10] == [1.0] * 7
    assert next(i for i, weight in enumerate(got[10:], start=1) if weight < 1.0) == takes
    assert got[9 + takes] == 0.875


def test_conditional_integration_leaves_the_lower_end_at_once_too() -> None:
    """P is kp / (1 + e) at an error of 1; the integral goes down to cancel it, no further."""
    down, (up_weight, up_integral) = [1.0] * 50, trace([1.0] * 50 + [3.0], kp=0.1, ki=0.01)[-1]
    low = 0.1 / (1 + math.e)

    assert trace(down, kp=0.1, ki=0.01)[-1] == pytest.approx((0.0, -low), abs=1e-16)
    assert up_integral == pytest.approx(0.01 - low, abs=1e-16)
    assert up_weight == pytest.approx(0.1 / (1 + 1 / math.e) + 0.01 - low, abs=1e-16)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_integral_outside_the_range_comes_back_but_goes_no_further(sign: int) -> None:
    """P falls from kp to 0 as the error turns, and may leave I beyond what the range holds."""
    controller = PiController(config(kp=0.0, ki=0.5))
    middle = 0.5
    controller.integral.fill_(middle + sign * 3.0)

    for error, beyond in ((-2.0, 3.0), (1.0, 2.5), (-2.0, 2.5), (2.0, 1.5), (2.0, 0.5)):
        controller.advance(torch.tensor(2.0 - sign * error), 2.0)
        assert controller.integral.item() == middle + sign * beyond


def test_freezing_as_published_can_lock_the_weight_and_conditional_integration_does_not() -> None:
    """Set point 170, KL near 0: the first step has I = -0.017, and P never exceeds 0.01.

    From there on the frozen weight is 0 whatever the KL does.
    """
    knobs = {"kl_target": 170.0, "kp": 0.01, "ki": 1e-4}
    kls = [0.0] * 5 + [300.0] * 50

    locked = trace(kls, 170.0, anti_windup="freeze", **knobs)
    free = trace(kls, 170.0, anti_windup="conditional", **knobs)

    assert locked == [(0.0, pytest.approx(-0.017, abs=1e-15))] * 55
    assert [weight for weight, _ in free[:5]] == [0.0] * 5
    assert [weight for weight, _ in free[5:8]] == pytest.approx([0.023, 0.036, 0.049], abs=1e-12)
    assert free[-1][0] == pytest.approx(0.01 + 50 * 0.013, abs=1e-12)


def test_freezing_stands_still_only_after_a_weight_that_was_cut() -> None:
    got = trace([4.0, 4.0, 4.0, 2.5], kp=0.0, ki=0.375, anti_windup="freeze")

    assert got == [(0.75, 0.75), (1.0, 1.5), (1.0, 1.5), (1.0, 1.5)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kl", [1e4, -1e4, 3e38])
def test_huge_errors_do_not_overflow(kl: float, dtype: torch.dtype) -> None:
    """e = 1e4 would be exp(1e4) in the published formula."""
    for anti_windup in KINDS:
        controller = PiController(config(kp=0.5, anti_windup=anti_windup))
        weight = controller.advance(torch.tensor(kl, dtype=dtype), 0.0)

        assert weight.item() == (1.0 if kl > 0 else 0.0)
        assert controller.integral.isfinite()


@given(
    kls=st.lists(st.floats(-1e5, 1e5), max_size=20),
    kp=st.floats(0, 10),
    ki=st.floats(0, 10),
    low=st.floats(0, 3),
    span=st.none() | st.floats(0.01, 3),
    anti_windup=st.sampled_from(KINDS),
)
def test_the_weight_stays_in_its_range(
    kls: list[float], kp: float, ki: float, low: float, span: float | None, anti_windup: str
) -> None:
    high = None if span is None else low + span
    knobs = {"kp": kp, "ki": ki, "beta_min": low, "beta_max": high, "anti_windup": anti_windup}

    for weight in weights(kls, **knobs):
        assert low <= weight
        assert math.isfinite(weight)
        assert high is None or weight <= high + 1e-15


def test_without_an_upper_end_the_weight_rises_on() -> None:
    got = weights([12.0] * 4, kp=0.0, ki=0.5, beta_min=1.0, beta_max=None)

    assert got == [6.0, 11.0, 16.0, 21.0]


# The objective --------------------------------------------------------------------------------


def observations(model: LinearGaussian) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return model.sample(4)


def test_the_loss_has_the_weight_that_the_controller_says_for_its_batch() -> None:
    model = LinearGaussian()  # whose q is the exact posterior
    x = observations(model)
    knobs = {"name": "control_vae", "kl_target": 0.5, "kp": 0.3, "ki": 0.2}
    objective, controller = create(knobs), PiController(ControlVae.model_validate(knobs))

    for step in range(3):
        objective.begin_step(step, 1)
        loss, metrics = objective(model, x)
        weight = controller.advance(model.kl(x).mean(), 0.5)
        assert metrics["kl_weight"].item() == weight.item() > 0
        torch.testing.assert_close(
            loss.detach(), metrics["reconstruction"] + weight * metrics["kl"], rtol=1e-14, atol=0
        )
        assert metrics["kl_set_point"].item() == 0.5
        assert metrics["kl_integral"].item() == controller.integral.item()
        assert not any(value.requires_grad or value.dim() for value in metrics.values())
        assert metrics["objective"].item() == -loss.item()


def test_the_weight_is_a_constant_in_the_gradient() -> None:
    """The gradient is that of the beta-VAE with the weight of this batch."""
    model = LinearGaussian(shift=0.4)
    x = observations(model)
    controlled = create({"name": "control_vae", "kl_target": 0.5, "kp": 0.3, "ki": 0.2})

    gradients = []
    for beta in (None, controlled.controller.weight):
        objective = controlled if beta is None else create({"name": "vae", "beta": beta.item()})
        torch.manual_seed(1)
        loss = objective(model, x).loss
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))

    assert 0 < controlled.controller.weight < 1
    torch.testing.assert_close(*gradients)


def test_the_weight_for_the_next_batch_begins_at_the_least() -> None:
    model = LinearGaussian()
    x = observations(model)
    given = {"name": "control_vae", "kl_target": 0.5, "kp": 0.3, "beta_min": 0.1}
    same, following = create(given), create({**given, "weighs": "next_batch"})

    seen: dict[int, list[float]] = {0: [], 1: []}
    for step in range(4):
        for i, objective in enumerate((same, following)):
            objective.begin_step(step, 1)
            seen[i].append(objective(model, x).metrics["kl_weight"].item())

    assert seen[1] == [0.1, *seen[0][:3]]
    assert same.state_dict() == following.state_dict()


def test_all_passes_of_a_step_have_its_weight_and_are_one_step_of_control() -> None:
    model = LinearGaussian()
    x = observations(model)
    for weighs in ("same_batch", "next_batch"):
        objective = create({"name": "control_vae", "kl_target": 0.5, "ki": 0.2, "weighs": weighs})
        once = copy.deepcopy(objective)
        for step in range(2):
            for each, passes in ((objective, 3), (once, 1)):
                each.begin_step(step, 1)
                got = {each(model, x + i).metrics["kl_weight"].item() for i in range(passes)}
                assert len(got) == 1
        assert objective.state_dict() == once.state_dict()
        assert once.controller.integral != 0


def test_evaluation_has_weight_one_and_moves_nothing() -> None:
    model = LinearGaussian()
    x = observations(model)
    objective = create({"name": "control_vae", "kl_target": 0.5}).eval()

    loss, metrics = objective(model, x)

    assert metrics["kl_weight"].item() == 1.0
    torch.testing.assert_close(loss.detach(), metrics["reconstruction"] + metrics["kl"])
    assert objective.controller.integral == objective.controller.reach == 0


def test_a_ramp_rises_as_published() -> None:
    ramp = config(kl_target=18.0, ramp={})

    steps = (0, 4_999, 5_000, 9_999, 10_000, 116 * 5_000, 117 * 5_000, 10**7)
    assert [ramp.set_point(step) for step in steps] == pytest.approx(
        [0.5, 0.5, 0.65, 0.65, 0.8, 17.9, 18.0, 18.0]
    )
    assert config(kl_target=18.0).set_point(0) == 18.0


def test_the_set_point_follows_the_step() -> None:
    model = LinearGaussian()
    x = observations(model)
    ramp = {"start": 0.5, "rise": 1.0, "every": 2}
    objective = create({"name": "control_vae", "kl_target": 2.0, "ramp": ramp})

    seen = []
    for step in range(6):
        objective.begin_step(step, 1)
        seen.append(objective(model, x).metrics["kl_set_point"].item())

    assert seen == [0.5, 0.5, 1.5, 1.5, 2.0, 2.0]


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knobs", "field", "message"),
    [
        ({"annealing": {"kind": "linear"}}, "annealing", "sets the weight of the KL by itself"),
        ({"beta": 2.0}, "beta", "remove this, or use objective vae"),
        ({"kl_target": 0.0}, "kl_target", "greater than 0"),
        ({"ki": -1e-4}, "ki", "the published code has the other sign; use 0.0001"),
        ({"kp": -1.0}, "kp", "greater than or equal to 0"),
        ({"beta_min": 1.0}, "beta_max", "must be above beta_min, which is 1.0; got 1.0"),
        ({"anti_windup": "always"}, "anti_windup", "'conditional', 'clamp', 'freeze' or 'none'"),
        ({"ramp": {"start": 2.0}}, "ramp", "rises from start 2.0 to kl_target 2.0"),
        ({"ramp": {"every": 0}}, "every", "greater than 0"),
        ({"estimator": "elbo"}, "estimator", "Extra inputs are not permitted"),
    ],
)
def test_what_is_not_defined_is_refused_at_its_field(
    knobs: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        create({"name": "control_vae", "kl_target": 2.0, **knobs})

    [error] = refusal.value.errors()
    assert error["loc"][-1] == field
    assert message in error["msg"]


def test_a_set_point_has_to_be_given() -> None:
    with pytest.raises(ValidationError, match="kl_target"):
        create({"name": "control_vae"})


def test_a_trial_refuses_categories_and_takes_skips_and_aggressive_training() -> None:
    trial: dict[str, Any] = {
        "data": {"name": "ptb"},
        "model": {"name": "text_lstm", "skip": True, "latents": {"kind": "gaussian"}},
        "objective": {"name": "control_vae", "kl_target": 2.0},
        "training": {
            "steps": 1,
            "batch_size": 2,
            "learning_rate": 0.1,
            "procedure": {"name": "aggressive"},
        },
    }
    assert TrialConfig.model_validate(trial).objective.name == "control_vae"

    trial["model"] = {"name": "text_lstm", "latents": {"kind": "categorical"}}
    with pytest.raises(ValidationError, match="objective control_vae differentiates through z"):
        TrialConfig.model_validate(trial)
