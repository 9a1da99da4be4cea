"""MICMCO objectives: exact expectations, the identities between them, and what they refuse."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from tests.oracles import formulas
from tests.oracles.exact_models import (
    MODELS,
    Enumerated,
    EnumeratedCategorical,
    EnumeratedGaussian,
)
from trainables import objectives
from trainables.estimators import ESTIMATORS
from trainables.objectives.micmco import AT_THE_LIMIT

FORMS: dict[str, dict[str, Any]] = {
    "bound": {"name": "bound"},
    "kl": {"name": "kl", "lambda": 0.7},
    "kl, all of it": {"name": "kl", "lambda": 1.0},
    "kl, negative": {"name": "kl", "lambda": -0.4},
    "renyi above one": {"name": "renyi", "lambda": 0.6, "alpha": 1.8},
    "renyi below one": {"name": "renyi", "lambda": 0.6, "alpha": 0.5},
    "power above one": {"name": "power", "alpha": 1.7},
    "power below one": {"name": "power", "alpha": 0.6},
}
SPLIT = [form for form, config in FORMS.items() if config["name"] in ("kl", "renyi")]

SCORES = [
    {"estimator": "reinforce"},
    {"estimator": "reinforce", "baseline": "none"},
    {"estimator": "vimco"},
]
PATHS = [{"estimator": "elbo"}, {"estimator": "iwae"}, {"estimator": "dreg"}]
# (estimator, latents)
ESTIMATED = [
    *itertools.product(SCORES, ["categorical"]),
    *itertools.product([*SCORES[1:], *PATHS], ["gaussian"]),
]
# Where the same objective has terms of its own in two forms, it has baselines of its own too.
WITHOUT_BASELINE = ESTIMATED[1:]
CLOSE = {"rtol": 1e-7, "atol": 1e-8}


def per_row_gradients(model: Enumerated, config: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Give the loss, and the gradients of O that every row's parameters get from it."""
    objective = objectives.create(config).double()
    # Some past, so that a moving average has something to subtract.
    objective.past_values += torch.tensor([-0.02, 0.03, -0.01])
    objective.past_weight += 0.01
    objective.train()
    loss, _ = objective(model, model.x)
    theta, phi = torch.autograd.grad(loss, (model.theta, model.phi))
    return loss.detach(), -len(theta) * theta, -len(phi) * phi


def largest(samples: int | dict[str, int]) -> int:
    if isinstance(samples, int):
        return samples
    return max(samples["log_evidence"], samples["kl"])


def check_expectation(latents: str, config: dict[str, Any]) -> None:
    model = MODELS[latents](largest(config["samples"]))

    loss, theta, phi = per_row_gradients(model, config)
    moments = formulas.moments_of(config["estimator"])
    value = formulas.objective(config, model.densities(), moments)
    exact_theta, exact_phi = model.gradients_of_expectation(value)

    assert exact_theta.abs().max() > 1e-3
    torch.testing.assert_close(model.expected(theta), exact_theta, **CLOSE)
    torch.testing.assert_close(model.expected(phi), exact_phi, **CLOSE)
    if config["estimator"] != "elbo":  # whose KL is in closed form
        torch.testing.assert_close(-loss, value.mean().detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("estimator", "latents"), ESTIMATED)
@pytest.mark.parametrize("K", [2, 3])
def test_the_expected_gradient_is_that_of_the_expected_objective(
    form: str, estimator: dict[str, str], latents: str, K: int
) -> None:
    check_expectation(latents, {**FORMS[form], **estimator, "samples": K})


@pytest.mark.parametrize("form", SPLIT)
@pytest.mark.parametrize(("estimator", "latents"), ESTIMATED)
@pytest.mark.parametrize("split", [(3, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("evidence_in_kl", ["kl", "log_evidence"])
def test_so_it_is_with_different_samples_for_the_two_terms(
    form: str,
    estimator: dict[str, str],
    latents: str,
    split: tuple[int, int],
    evidence_in_kl: str,
) -> None:
    samples = {"log_evidence": split[0], "kl": split[1], "evidence_in_kl": evidence_in_kl}
    check_expectation(latents, {**FORMS[form], **estimator, "samples": samples})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("estimator", ["reinforce", "elbo", "iwae", "stl", "dreg"])
def test_the_expected_gradient_of_one_sample_is_that_of_the_expected_objective(
    form: str, estimator: str
) -> None:
    config = {**FORMS[form], "estimator": estimator, "samples": 1}
    check_expectation("categorical" if estimator == "reinforce" else "gaussian", config)


ONE_SAMPLE = [
    ("categorical", {"estimator": "reinforce", "baseline": "none"}),
    *[("gaussian", {"estimator": estimator}) for estimator in ("elbo", "iwae", "stl", "dreg")],
]


@pytest.mark.parametrize(("latents", "estimator"), ONE_SAMPLE)
@pytest.mark.parametrize("alpha", [0.6, 1.8])
def test_with_one_sample_all_forms_are_the_beta_vae(
    latents: str, estimator: dict[str, str], alpha: float
) -> None:
    """beta = 1 - lambda = 1 / alpha, sample by sample, in value and gradient."""
    beta = 1 / alpha
    same = [
        {"name": "kl", "lambda": 1 - beta},
        {"name": "renyi", "lambda": 1 - beta, "alpha": 3.0},
        {"name": "renyi", "lambda": 1 - beta, "alpha": 0.3},
        {"name": "power", "alpha": alpha},
    ]
    made = [
        per_row_gradients(MODELS[latents](1), {**form, **estimator, "samples": 1}) for form in same
    ]
    model = MODELS[latents](1)
    log_l, log_p, log_q = model.densities()
    beta_vae = (log_l + beta * (log_p - log_q))[0].detach()

    for other in made[1:]:
        torch.testing.assert_close(other, made[0])
    if estimator["estimator"] == "elbo":  # whose KL is in closed form
        closed = model.expected((log_q - log_p)[0].detach()).mean()
        beta_vae = log_l[0].detach() - beta * closed
    torch.testing.assert_close(-made[0][0], beta_vae.mean())


@pytest.mark.parametrize(("estimator", "latents"), WITHOUT_BASELINE)
@pytest.mark.parametrize("alpha", [0.6, 1.8])
def test_the_power_objective_is_renyi_at_its_lambda(
    estimator: dict[str, str], latents: str, alpha: float
) -> None:
    """lambda = (alpha - 1) / alpha, where the terms in S cancel."""
    power, renyi = (
        per_row_gradients(MODELS[latents](3), {**form, **estimator, "samples": 3})
        for form in (
            {"name": "power", "alpha": alpha},
            {"name": "renyi", "lambda": (alpha - 1) / alpha, "alpha": alpha},
        )
    )

    torch.testing.assert_close(power, renyi)


@pytest.mark.parametrize(("estimator", "latents"), WITHOUT_BASELINE)
def test_renyi_near_one_is_kl(estimator: dict[str, str], latents: str) -> None:
    """The difference is of first order in alpha - 1, so it leaves the mean of both sides."""
    form = {"lambda": 0.7, **estimator, "samples": 3}

    below, above = (
        per_row_gradients(MODELS[latents](3), {"name": "renyi", "alpha": 1 + step, **form})
        for step in (-1e-4, 1e-4)
    )
    kl = per_row_gradients(MODELS[latents](3), {"name": "kl", **form})

    for left, right, limit in zip(below, above, kl, strict=True):
        scale = limit.abs().max().item()
        torch.testing.assert_close(left, limit, rtol=0, atol=3e-3 * scale)
        torch.testing.assert_close(right, limit, rtol=0, atol=3e-3 * scale)
        torch.testing.assert_close((left + right) / 2, limit, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_limit_takes_over_where_rounding_would_begin_to_tell(sign: int) -> None:
    def terms(config: dict[str, Any]) -> dict[Any, float]:
        shared = {"lambda": 0.7, "estimator": "vimco", "samples": 3}
        return objectives.create({**shared, **config}).config.terms()

    def renyi(step: float) -> dict[Any, float]:
        return terms({"name": "renyi", "alpha": 1 + sign * step})

    assert renyi(0.9 * AT_THE_LIMIT) == terms({"name": "kl"})
    assert renyi(1.1 * AT_THE_LIMIT) != terms({"name": "kl"})


@pytest.mark.parametrize("step", [1.1 * AT_THE_LIMIT, 1e-6, 1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("sign", [-1, 1])
def test_single_precision_models_see_the_limit_as_well_as_double_ones(
    step: float, sign: int
) -> None:
    """Sentences have log-likelihoods near -100, of which float32 rounds 1e-5 away."""

    class Sentence(EnumeratedCategorical):
        def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
            return super().log_likelihood(x, z) - 100

    form = {"name": "renyi", "lambda": 0.7, "estimator": "vimco", "samples": 3}
    made = []
    for dtype in (torch.float64, torch.float32):
        model = Sentence(3).to(dtype)
        model.z, model.states = model.z.to(dtype), model.states.to(dtype)
        objective = objectives.create({**form, "alpha": 1 + sign * step})
        loss = objective(model, model.x.to(dtype)).loss
        made.append([loss.detach(), *torch.autograd.grad(loss, (model.theta, model.phi))])

    for exact, single in zip(*made, strict=True):
        scale = exact.abs().max().item()
        torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-4 * scale)


def test_the_loss_keeps_its_digits_beside_a_large_surrogate() -> None:
    """A surrogate of thousands of nats means nothing: it must not round the loss."""
    estimator = ESTIMATORS["reinforce"]
    config = {"name": "bound", "estimator": "reinforce", "baseline": "none", "samples": 16}

    class Unlikely(EnumeratedGaussian):
        def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
            return super().log_likelihood(x, z) - 300

    model = Unlikely(1, nodes=11).float()
    model.noise, model.observed = model.noise.float().expand(16, -1, -1), model.observed.float()
    exact = estimator.log_evidence(estimator.draw(model, model.x, 16).double(), 1.0)

    loss = objectives.create(config)(model, model.x).loss

    assert exact.surrogate.abs().mean() > 1_000
    assert loss.item() == -exact.bound.mean().item()


def test_the_metric_is_the_objective_and_carries_no_gradient() -> None:
    config = {"name": "kl", "lambda": 0.4, "estimator": "vimco", "samples": 2}
    model = EnumeratedCategorical(2)

    loss, metrics = objectives.create(config)(model, model.x)

    assert not metrics["objective"].requires_grad
    assert metrics["objective"].item() == -loss.item()


def test_split_samples_are_drawn_once_and_shared() -> None:
    drawn = []

    class Counting(EnumeratedGaussian):
        def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
            drawn.append(len(z))
            return super().log_likelihood(x, z)

    config = {**FORMS["kl"], "estimator": "dreg", "samples": {"log_evidence": 3, "kl": 5}}
    model = Counting(5, nodes=2)
    objectives.create(config)(model, model.x)

    assert drawn == [5]


def with_split(form: str, **samples: Any) -> dict[str, Any]:
    return {**FORMS[form], "estimator": "dreg", "samples": samples}


@pytest.mark.parametrize(
    ("form", "K_log_evidence", "K_kl"), [("kl", 16, 1), ("kl", 1, 16), ("renyi above one", 16, 1)]
)
def test_all_evidence_is_of_the_samples_that_are_asked_for(
    form: str, K_log_evidence: int, K_kl: int
) -> None:
    config = with_split(form, log_evidence=K_log_evidence, kl=K_kl, evidence_in_kl="log_evidence")
    terms = objectives.create(config).config.terms()

    evidence = {moment.K for moment in terms if moment.alpha == 1.0}
    assert evidence == {K_log_evidence}
    assert {moment.K for moment in terms if moment.alpha != 1.0} == {K_kl}
    assert len(terms) == 2


class _Blind:
    """A model whose decoder ignores its one latent, with q(z|x) = N(0, scale^2)."""

    def __init__(self, scale: float) -> None:
        self.scale = torch.tensor([[scale]], dtype=torch.float64, requires_grad=True)

    def prior(self) -> Distribution:
        return Independent(Normal(torch.zeros(1).double(), 1.0), 1)

    def posterior(self, x: Tensor) -> Distribution:
        return Independent(Normal(torch.zeros(len(x), 1).double(), self.scale), 1)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return torch.full(z.shape[:2], math.log(0.5)).double() + 0 * z.sum(-1)


ONE_OF_KL, ONE_OF_EVIDENCE = {"log_evidence": 16, "kl": 1}, {"log_evidence": 1, "kl": 16}


@pytest.mark.parametrize(
    ("samples", "evidence_in_kl", "form", "is_bounded"),
    [
        (ONE_OF_KL, "kl", {"name": "kl", "lambda": 0.1}, False),
        (ONE_OF_KL, "kl", {"name": "renyi", "lambda": 0.1, "alpha": 2.0}, False),
        (ONE_OF_KL, "kl", {"name": "kl", "lambda": 0.005}, True),
        (ONE_OF_KL, "log_evidence", {"name": "kl", "lambda": 0.1}, True),
        (ONE_OF_KL, "log_evidence", {"name": "renyi", "lambda": 0.9, "alpha": 2.0}, True),
        (ONE_OF_KL, "log_evidence", {"name": "renyi", "lambda": -0.1, "alpha": 2.0}, False),
        (ONE_OF_KL, "log_evidence", {"name": "renyi", "lambda": 0.1, "alpha": 0.5}, False),
        (ONE_OF_EVIDENCE, "log_evidence", {"name": "kl", "lambda": 0.9}, True),
        (ONE_OF_EVIDENCE, "log_evidence", {"name": "renyi", "lambda": 0.4, "alpha": 2.0}, True),
        (ONE_OF_EVIDENCE, "log_evidence", {"name": "renyi", "lambda": 0.9, "alpha": 2.0}, False),
    ],
)
def test_split_samples_leave_the_objective_bounded_or_not(
    samples: dict[str, int], evidence_in_kl: str, form: dict[str, Any], is_bounded: bool
) -> None:
    """0.01 is the mean of the least of 16 squared normal draws, as a share of that of one."""
    split = {"estimator": "dreg", "samples": {**samples, "evidence_in_kl": evidence_in_kl}}
    objective = objectives.create({**form, **split}).double()

    def value(scale: float) -> float:
        torch.manual_seed(0)
        loss, _ = objective(_Blind(scale), torch.zeros(1000, 1))  # type: ignore[arg-type]
        return -float(loss.detach())

    if is_bounded:
        assert value(100.0) < value(10.0) < value(1.0) == pytest.approx(math.log(0.5))
    else:  # it grows as the square
        assert value(100.0) > 50 * value(10.0) > value(1.0)


# REINFORCE's baseline -------------------------------------------------------------------------


def test_the_baseline_is_the_mean_of_each_term_over_earlier_batches() -> None:
    config = {"name": "kl", "lambda": 0.4, "estimator": "reinforce", "samples": 2}
    objective = objectives.create(config).double()
    batches = [EnumeratedCategorical(2, seed=seed) for seed in range(4)]
    moments = formulas.IMPORTANCE_WEIGHTED
    past: list[Tensor] = []

    for model in batches:
        weights = [0.99 ** (len(past) - 1 - age) for age in range(len(past))]
        baseline = (
            sum(w * value for w, value in zip(weights, past, strict=True)) / sum(weights)
            if past
            else torch.zeros(2)
        )
        log_l, log_p, log_q = model.densities()
        s = moments.log_evidence(log_l, log_p, log_q, 1.0)
        u = moments.reconstruction(log_l, log_p, log_q)
        score = torch.autograd.grad(log_q.sum(), model.phi, retain_graph=True)[0]
        signal = 0.6 * (s - baseline[0]) + 0.4 * (u - baseline[1])
        plain = torch.autograd.grad((0.6 * s + 0.4 * u).sum(), model.phi)[0]
        expected = plain + signal.detach()[:, None, None] * score

        (gradient,) = torch.autograd.grad(objective(model, model.x).loss, model.phi)

        torch.testing.assert_close(-len(gradient) * gradient, expected, rtol=1e-6, atol=1e-6)
        past.append(torch.stack([s.mean(), u.mean()]).detach())


def test_evaluating_the_objective_leaves_its_baseline_alone() -> None:
    config = {"name": "kl", "lambda": 0.4, "estimator": "reinforce", "samples": 2}
    objective = objectives.create(config).eval()
    model = EnumeratedCategorical(2)

    objective(model, model.x)

    assert objective.past_weight == 0
    objective.train()(model, model.x)
    assert objective.past_weight > 0


def test_the_baseline_is_part_of_a_checkpoint() -> None:
    config = {"name": "kl", "lambda": 0.4, "estimator": "reinforce", "samples": 2}
    objective = objectives.create(config).double()
    model = EnumeratedCategorical(2)
    objective(model, model.x)

    restored = objectives.create(config).double()
    restored.load_state_dict(objective.state_dict())

    gradients = [
        torch.autograd.grad(each(model, model.x).loss, model.phi)[0]
        for each in (objective, restored, objectives.create(config))
    ]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)
    assert (gradients[0] - gradients[2]).abs().max() > 1e-4
