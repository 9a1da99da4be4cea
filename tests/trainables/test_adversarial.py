"""Adversarial noise: how far it may go, closed forms of linear models, and what it leaves."""

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from tests.trainables.runs import GAUSSIAN, NOWHERE, finish
from trainables.adversarial import Adversarial, Attack, Ball, NoisyModel, Plan, ascend
from trainables.data.corpus import PAD
from trainables.models import MODELS, Model
from trainables.models.encoder import Encoder
from trainables.models.latents import GaussianLatents
from trainables.models.model import AmortisedModel
from trainables.objectives import create
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

PARSE: TypeAdapter[Any] = TypeAdapter(Adversarial)
NORMS = ["linf", "l2"]


def attack(**fields: Any) -> Attack:
    return Attack(PARSE.validate_python(fields))


def norms(noise: Tensor, norm: str) -> Tensor:
    rows = noise.flatten(1)
    return rows.abs().amax(dim=1) if norm == "linf" else rows.norm(dim=1)


class Identity(Encoder):
    """Features that are the observation itself."""

    early_layers = ()

    def __init__(self, width: int, input_range: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.width, self.input_range = width, input_range  # type: ignore[misc]

    def inputs(self, x: Tensor) -> Tensor:
        return x

    def late(self, early: Tensor, x: Tensor) -> Tensor:
        return early


class Linear(AmortisedModel):
    """q(z|x) with a mean linear in x and variance 1; p(x|z) = N(slope z, 1), z and x of 3."""

    def __init__(self, slope: float = 0.0, **encoder: Any) -> None:
        torch.manual_seed(3)
        latents = GaussianLatents(kind="gaussian", dimensions=3)
        super().__init__(latents, lambda: Identity(3, **encoder))
        self.double()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float64))
        with torch.no_grad():
            self.to_posterior.weight[3:] = 0.0
            self.to_posterior.bias[3:] = 0.0

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return Normal(self.slope * z, 1.0).log_prob(x).sum(dim=-1)

    def elbo(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """In closed form, of x, where the encoder reads noise beside it."""
        read = x if noise is None else x + noise
        mean = read @ self.to_posterior.weight[:3].T + self.to_posterior.bias[:3]
        error = (x - self.slope * mean) ** 2 + self.slope**2 + math.log(2 * math.pi)
        return -(error + mean**2).sum(dim=-1) / 2


def some_x(n: int = 5) -> Tensor:
    return torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def noise_of(model: Model) -> Tensor:
    assert isinstance(model, NoisyModel)
    return model.noise


# The ball -------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_ascent_of_a_line_ends_where_the_closed_form_says(norm: str) -> None:
    """Of w.delta the maximum on the ball is epsilon sign(w), or epsilon w / ||w||."""
    w, x = some_x(4), torch.zeros(4, 3, dtype=torch.float64)
    w[1, 2] = 0.0
    best = w.sign() if norm == "linf" else w / w.norm(dim=1, keepdim=True)

    def loss(noise: Tensor) -> Tensor:
        return (w * noise).sum(dim=1)

    one = ascend(loss, Ball(x, 0.3, norm), Plan(1, 0.3, random_start=False))  # type: ignore[arg-type]
    many = ascend(loss, Ball(x, 0.3, norm), Plan(400, 0.01, random_start=True))  # type: ignore[arg-type]

    torch.testing.assert_close(one, 0.3 * best, rtol=1e-14, atol=1e-15)
    moved = w != 0  # noise starts anywhere, and stays where the loss is flat
    reached = (many - 0.3 * best)[moved].abs().max()
    assert reached < (1e-14 if norm == "linf" else 1e-2)
    assert (norms(many, norm) <= 0.3 * (1 + 1e-14)).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_steps_far_beyond_the_ball_come_back_to_it_and_to_the_bounds(
    norm: str, bounds: tuple[float, float] | None
) -> None:
    x = torch.rand(6, 2, 4, generator=torch.Generator().manual_seed(0))
    seen = []

    def loss(noise: Tensor) -> Tensor:
        seen.append(noise.detach().clone())
        return ((noise - 0.1).sin() * 9).flatten(1).sum(dim=1)

    torch.manual_seed(0)
    end = ascend(loss, Ball(x, 0.25, norm, bounds), Plan(20, 0.9, random_start=True))  # type: ignore[arg-type]

    for noise in (*seen, end):
        assert (norms(noise, norm) <= 0.25 * (1 if norm == "linf" else 1 + 1e-6)).all()
        if bounds is not None:
            assert ((x + noise >= 0) & (x + noise <= 1)).all()
    assert len(seen) == 20
    assert not torch.equal(seen[0], seen[1])


def test_a_flat_loss_makes_no_noise_of_one_step() -> None:
    ball = Ball(torch.zeros(2, 3), 0.5, "l2")
    end = ascend(lambda noise: 0 * noise.sum(dim=1), ball, Plan(1, 0.5, random_start=False))

    assert torch.equal(end, torch.zeros(2, 3))


@pytest.mark.parametrize("norm", NORMS)
def test_random_starts_are_uniform_in_the_ball(norm: str) -> None:
    """A share 2^-d of a ball in d dimensions is nearer than half its radius."""
    torch.manual_seed(0)
    noise = Ball(torch.zeros(4000, 2), 0.5, norm).draw()  # type: ignore[arg-type]

    near = (norms(noise, norm) < 0.25).double().mean().item()
    assert near == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 4000))
    assert noise.mean(dim=0).abs().max() < 4 * 0.3 / math.sqrt(4000)


# The attack -----------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_fast_gradient_noise_on_a_linear_model_is_its_closed_form(norm: str) -> None:
    """The decoder does not look at z, so -ELBO has ||W x + b||^2 / 2, and gradient W'(W x + b)."""
    model, x = Linear(slope=0.0), some_x()
    weight = model.to_posterior.weight[:3]
    gradient = (x @ weight.T + model.to_posterior.bias[:3]) @ weight

    noise = noise_of(attack(kind="fgsm", epsilon=0.2, norm=norm).perturb(model, x))

    best = gradient.sign() if norm == "linf" else gradient / gradient.norm(dim=1, keepdim=True)
    torch.testing.assert_close(noise, 0.2 * best.detach(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_the_elbo_falls_for_every_observation(norm: str) -> None:
    """It is concave in the noise, so a step along its gradient, of one sample of z, lowers it."""
    model, x = Linear(slope=0.7), some_x()

    def sampled(model: Model) -> Tensor:
        torch.manual_seed(0)
        q = model.posterior(x)
        return model.log_likelihood(x, q.rsample((1,)))[0] - kl_divergence(q, model.prior())

    torch.manual_seed(0)
    noisy = attack(kind="fgsm", epsilon=0.1, norm=norm).perturb(model, x)

    torch.testing.assert_close(norms(noise_of(noisy), norm), torch.full((5,), 0.1).double())
    assert (sampled(noisy) < sampled(model) - 1e-3).all()


@pytest.mark.parametrize("norm", NORMS)
def test_several_steps_lower_the_elbo_by_more_than_one_sample_tells(norm: str) -> None:
    model, x = Linear(slope=0.7), some_x()
    torch.manual_seed(0)

    noise = noise_of(attack(kind="pgd", epsilon=1.0, norm=norm, steps=50).perturb(model, x))

    assert (norms(noise, norm) <= 1 + 1e-14).all()
    assert (model.elbo(x, noise) < model.elbo(x) - 0.1).all()


def test_more_steps_find_worse_noise_where_the_gradient_turns() -> None:
    """Of a convex loss no noise is worse than a corner of the box; one step may pick another."""
    model, x = Linear(slope=0.0), some_x(40)
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3).double()
    worst = torch.stack([model.elbo(x, corner.expand(40, 3)) for corner in corners]).amin(dim=0)
    torch.manual_seed(0)
    runs = [{"kind": "fgsm"}, {"kind": "pgd", "steps": 40, "random_start": False}]

    once, often = (
        model.elbo(x, noise_of(attack(epsilon=1.0, **run).perturb(model, x))) for run in runs
    )

    assert (often >= worst - 1e-12).all()
    assert often.sum() < once.sum()


def test_pixels_stay_within_their_range() -> None:
    model, x = Linear(slope=0.7, input_range=(0.0, 1.0)), (some_x(50) > 0).double()

    noise = noise_of(attack(kind="fgsm", epsilon=0.3).perturb(model, x))

    assert set(((x + noise) * 10).round().unique().tolist()) == {0.0, 3.0, 7.0, 10.0}


def test_the_decoder_explains_x_without_the_noise() -> None:
    model, x = Linear(slope=0.7), some_x()
    noisy = attack(kind="fgsm", epsilon=0.2).perturb(model, x)
    z = torch.randn(2, 5, 3, dtype=torch.float64)

    assert torch.equal(noisy.log_likelihood(x, z), model.log_likelihood(x, z))
    mean = noisy.posterior(x).mean
    torch.testing.assert_close(mean, model.posterior(x + noise_of(noisy)).mean)
    gradients = torch.autograd.grad(mean.sum(), model.to_posterior.weight)
    torch.testing.assert_close(gradients[0][0], (x + noise_of(noisy)).sum(dim=0))


def test_without_room_there_is_no_noise_and_nothing_is_drawn() -> None:
    model, x = Linear(), some_x()
    before = torch.get_rng_state()

    assert attack(kind="pgd", epsilon=0).perturb(model, x) is model
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_attacked_and_is_left_as_it_was(name: str) -> None:
    sizes: dict[str, dict[str, Any]] = {
        "symbol_mlp": {"embedding": 3, "hidden": 4},
        "sentence_lstm": {"embedding": 3, "encoder_hidden": 4, "decoder_hidden": 4},
        "text_lstm": {"embedding": 3, "hidden": 4, "init": 0.5},
        "image_mlp": {"encoder": {"hidden": [4, 3]}},
    }
    images = {"encoder": {"channels": 2, "hidden": 3, "blocks": 2}, "channels": 2}
    torch.manual_seed(0)
    given = {"name": name, "latents": GAUSSIAN, **sizes.get(name, images)}
    config = MODELS[name].model_validate(given)
    reads = config.reads
    model = config.create(2 if reads == "images" else 6, (8, 8) if reads == "images" else ())
    x = {
        "symbols": torch.arange(4),
        "sentences": torch.tensor([[1, 2, 0, PAD], [2, 3, 1, 0]]),
        "images": torch.randint(2, (3, 8, 8)).to(torch.uint8),
    }[reads]
    before = {key: value.clone() for key, value in model.state_dict().items()}

    noisy = attack(kind="pgd", epsilon=0.5, steps=2).perturb(model, x)

    assert noise_of(noisy).abs().max() > 0.01
    for key, value in model.state_dict().items():  # counts of batches are not used
        assert torch.equal(value, before[key]) or key.endswith("num_batches_tracked")
    assert all(parameter.grad is None for parameter in model.parameters())
    model.eval()
    assert not torch.equal(noisy.encode(x).parameters, model.encode(x).parameters)


def test_objectives_are_differentiated_with_the_noise() -> None:
    model, x = Linear(slope=0.7), some_x()
    noisy = attack(kind="fgsm", epsilon=0.2).perturb(model, x)

    for objective in ({"name": "vae"}, {"name": "control_vae", "kl_target": 1.0}):
        metrics = create(objective)(noisy, x).metrics
        q = model.posterior(x + noise_of(noisy))
        torch.testing.assert_close(
            metrics["kl"], kl_divergence(q, model.prior()).mean().detach(), rtol=1e-13, atol=0
        )


# In a trial -----------------------------------------------------------------------------------

TRIAL: dict[str, Any] = {
    "data": {"name": "symbols", "vocabulary": 10},
    "model": {"name": "symbol_mlp", "embedding": 3, "hidden": 4, "latents": GAUSSIAN},
    "objective": {"name": "vae"},
    "training": {"steps": 3, "batch_size": 5, "learning_rate": 0.05},
    "evaluation": {"split": "train", "samples": 2},
}
FGSM = {"kind": "fgsm", "epsilon": 0.3}


def run(**training: Any) -> TrainingRun:
    made = {**TRIAL, "training": {**TRIAL["training"], **training}}
    return finish(TrainingRun(TrialConfig.model_validate(made), 0, data_root=NOWHERE))


def test_noise_changes_training_and_no_noise_does_not() -> None:
    plain, without, noisy = run(), run(adversarial={**FGSM, "epsilon": 0.0}), run(adversarial=FGSM)
    names = ("nll", "train_loss", "updates")

    assert [plain.evaluations[-1][n] for n in names] == [without.evaluations[-1][n] for n in names]
    assert noisy.evaluations[-1]["train_loss"] != plain.evaluations[-1]["train_loss"]
    assert noisy.evaluations[-1]["updates"] == 3  # passes that find noise update nothing


def test_it_is_part_of_a_trial_only_where_it_is_set() -> None:
    trial = TrialConfig.model_validate(TRIAL)
    attacked = TrialConfig.model_validate(
        {**TRIAL, "training": {**TRIAL["training"], "adversarial": FGSM}}
    )

    assert "adversarial" not in trial.resolved()["training"]
    resolved = attacked.resolved()
    assert resolved["training"]["adversarial"] == {"epsilon": 0.3, "norm": "linf", "kind": "fgsm"}
    assert TrialConfig.model_validate(resolved) == attacked


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {
                "model": {
                    "name": "symbol_mlp",
                    "latents": {"kind": "categorical", "variables": 2, "categories": 3},
                },
                "objective": {"name": "bound", "estimator": "reinforce"},
            },
            "through z, which categorical latents do not allow; remove it, or use gaussian",
        ),
        (
            {"model": {**TRIAL["model"], "inference": {"steps": 2}}},
            "model.inference goes on to refine q(z|x) on x without it; remove one of them",
        ),
    ],
)
def test_what_noise_cannot_be_found_for_is_refused(sections: dict[str, Any], message: str) -> None:
    training = {**TRIAL["training"], "adversarial": FGSM}
    with pytest.raises(ValidationError) as refusal:
        TrialConfig.model_validate({**TRIAL, **sections, "training": training})

    [error] = refusal.value.errors()
    assert error["loc"] == ("training", "adversarial")
    assert message in error["msg"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "fgsm"}, "Field required"),
        ({"kind": "fgsm", "epsilon": -0.1}, "greater than or equal to 0"),
        ({"kind": "fgsm", "epsilon": 0.1, "steps": 2}, "Extra inputs are not permitted"),
        ({"kind": "pgd", "epsilon": 0.1, "steps": 0}, "greater than 0"),
        ({"kind": "pgd", "epsilon": 0.1, "step_size": 0.0}, "greater than 0"),
        ({"kind": "pgd", "epsilon": 0.1, "norm": "l1"}, "'linf' or 'l2'"),
        ({"kind": "cw", "epsilon": 0.1}, "'fgsm', 'pgd'"),
    ],
)
def test_attacks_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PARSE.validate_python(fields)
