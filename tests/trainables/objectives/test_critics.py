"""Critics: what is known of c exactly, the bound it gives, its gradient, and what is refused."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from tests.oracles.linear_gaussian import LinearGaussian
from trainables import objectives
from trainables.models import Model
from trainables.models.latents import GaussianLatents
from trainables.models.symbol import SymbolMlpConfig
from trainables.objectives.critics import CriticObjective, contrast

CRITICS = ("critic_self", "critic_neural", "critic_hybrid")
OVER = ("x", "z", "both")
SMALL = {"hidden_x": 3, "hidden_z": 4, "projection": 5}
B = 5
X = torch.arange(B)


def symbols() -> Model:
    """A small model of six symbols, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = SymbolMlpConfig(
            name="symbol_mlp",
            latents=GaussianLatents(kind="gaussian", dimensions=2),
            embedding=3,
            hidden=4,
        )
        return config.create(6).double()


def create(name: str, model: Model, **config: Any) -> CriticObjective:
    """Build a critic for a model, with small networks where it has any."""
    sizes = {} if name == "critic_self" else SMALL
    with torch.random.fork_rng():
        torch.manual_seed(1)
        objective = objectives.create({"name": name, **sizes, **config}, model)
    assert isinstance(objective, CriticObjective)
    return objective.double()


def evaluated(objective: nn.Module, model: Model, x: Tensor) -> Any:
    """Evaluate an objective, from the same samples every time."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return objective(model, x)


def contrasted(objective: CriticObjective, model: Model, *, detach: bool = False) -> Tensor:
    """Give c alone, which can be differentiated, from the same samples every time."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        encoding = model.encode(X)
        z = model.latents.posterior(encoding.parameters).rsample()
    z = z.detach() if detach else z
    return contrast(objective.critic(model, X, encoding, z), objective.config.over)


def collapse(model: Model) -> None:
    """Make q(z|x) the prior for every x."""
    assert isinstance(model.to_posterior, nn.Linear)
    nn.init.zeros_(model.to_posterior.weight)
    nn.init.zeros_(model.to_posterior.bias)


# The softmax ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CRITICS)
def test_objectives_contrast_over_what_their_field_says(name: str) -> None:
    model = symbols()
    reference = create(name, model)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        encoding = model.encode(X)
        z = model.latents.posterior(encoding.parameters).rsample((1,))[0]
    scores = reference.critic(model, X, encoding, z).detach()

    values = []
    for over in OVER:
        objective = create(name, model, over=over)
        values.append(evaluated(objective, model, X).metrics["critic"].item())
        assert values[-1] == pytest.approx(contrast(scores, over).item(), abs=1e-14)
    assert len({round(value, 6) for value in values}) == 3


# Collapse: a critic that tells nothing is at c = -ln B ----------------------------------------


@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_at_collapse_the_self_critic_tells_nothing(n: int, temperature: float) -> None:
    model = symbols()
    collapse(model)

    metrics = evaluated(
        create("critic_self", model, temperature=temperature), model, torch.arange(n)
    ).metrics

    assert metrics["critic"].item() == pytest.approx(-math.log(n), abs=1e-14)
    assert metrics["information_bound"].item() == pytest.approx(0, abs=1e-14)
    assert metrics["kl"].item() == 0


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("name", CRITICS[1:])
def test_a_critic_whose_last_layers_are_zero_tells_nothing(
    name: str, over: str, normalise: bool
) -> None:
    model = symbols()
    objective = create(name, model, over=over, normalise=normalise)
    for head in (objective.critic.of_x, objective.critic.of_z):
        nn.init.zeros_(head[-1].weight)
        nn.init.zeros_(head[-1].bias)

    assert contrasted(objective, model).item() == pytest.approx(-math.log(B), abs=1e-14)


@pytest.mark.parametrize("name", CRITICS[1:])
def test_a_critic_whose_features_do_not_depend_on_x_tells_nothing(
    name: str,
) -> None:
    model = symbols()
    objective = create(name, model)
    nn.init.zeros_(objective.critic.of_x[-1].weight)  # its bias stays

    assert contrasted(objective, model).item() == pytest.approx(-math.log(B), abs=1e-14)


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("name", CRITICS)
def test_at_collapse_no_critic_is_above_that_on_average(name: str, over: str) -> None:
    """Then every pairing of the z with the x is as likely, so E[c] is a mean over pairings."""
    model = symbols()
    collapse(model)
    objective = create(name, model, over=over)
    generator = torch.Generator().manual_seed(0)
    encoding, z = model.encode(X), torch.randn(B, 2, dtype=torch.float64, generator=generator)

    expected = torch.stack(
        [contrast(objective.critic(model, X, encoding, z.roll(by, 0)), over) for by in range(B)]
    ).mean()

    floor = -math.log(B)
    if (name, over) == ("critic_self", "x"):
        assert expected.item() == pytest.approx(floor, abs=1e-14)
    else:
        assert floor - 30 < expected.item() < floor - 1e-5


# The bound ------------------------------------------------------------------------------------


def test_the_self_critic_climbs_the_batch_estimate_of_mutual_information() -> None:
    """c + ln B = mean_i [ln q(z_i|x_i) - ln 1/B sum_j q(z_i|x_j)], pair by pair.

    The published estimate has the entropy of q(z|x_i) in place of its first term.
    """
    model = LinearGaussian(shift=0.3, stretch=0.8)
    torch.manual_seed(0)
    x = model.sample(B)
    bound = evaluated(create("critic_self", model), model, x).metrics["information_bound"].item()
    torch.manual_seed(2)
    q = model.posterior(x)
    z = q.rsample((1,))[0].detach()
    assert isinstance(q, Independent)
    means, scales = q.base_dist.mean.detach(), q.base_dist.stddev.detach()

    sampled = published = surprise = 0.0
    for i in range(B):
        density = [Normal(means[j], scales[j]).log_prob(z[i]).sum().item() for j in range(B)]
        mixture = math.log(sum(math.exp(value) for value in density) / B)
        entropy = Normal(means[i], scales[i]).entropy().sum().item()
        sampled += (density[i] - mixture) / B
        published += (-entropy - mixture) / B
        surprise += (density[i] + entropy) / B

    assert bound == pytest.approx(sampled, abs=1e-12)
    assert bound - surprise == pytest.approx(published, abs=1e-12)
    assert abs(surprise) > 0.01


def test_with_the_exact_posterior_the_bound_is_that_of_the_models_information() -> None:
    model = LinearGaussian()
    objective = create("critic_self", model)
    torch.manual_seed(0)
    values = []
    for _ in range(60):
        metrics = objective(model, model.sample(256)).metrics
        values.append(metrics["information_bound"].item())
        assert metrics["information_ceiling"].item() == math.log(256)
    found = torch.tensor(values, dtype=torch.float64)

    error = found.std().item() / math.sqrt(60)
    assert error < 0.01
    truth = model.mutual_information()
    assert truth - 0.02 - 4 * error < found.mean() < truth + 4 * error


# The objective --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CRITICS)
def test_the_loss_is_that_of_the_vae_less_lambda_c(name: str) -> None:
    model = symbols()
    annealed = {"beta": 0.5, "annealing": {"kind": "linear", "steps": 8}}
    vae = objectives.create({"name": "vae", **annealed})
    objective = create(name, model, **annealed, **{"lambda": 3.0})
    for each in (vae, objective):
        each.begin_step(4, 1)

    plain, (loss, metrics) = (evaluated(each, model, X) for each in (vae, objective))

    for metric in ("reconstruction", "kl", "kl_weight"):
        assert torch.equal(metrics[metric], plain.metrics[metric])
    assert metrics["kl_weight"].item() == pytest.approx(0.275)
    torch.testing.assert_close(loss, plain.loss - 3 * metrics["critic"], rtol=1e-14, atol=0)
    assert metrics["objective"].item() == -loss.item()
    assert metrics["critic"].item() == contrasted(objective, model).item()
    assert not any(value.requires_grad or value.dim() for value in metrics.values())
    assert set(metrics) - set(plain.metrics) == {
        "critic",
        "information_bound",
        "information_ceiling",
        "temperature",
    }


@pytest.mark.parametrize("name", CRITICS)
def test_without_a_weight_the_critic_is_the_vae_to_the_last_bit(name: str) -> None:
    model = symbols()
    parameters = list(model.parameters())

    vae = evaluated(objectives.create({"name": "vae"}), model, X).loss
    critic = evaluated(create(name, model, **{"lambda": 0}), model, X).loss

    assert vae.item() == critic.item()
    for one, other in zip(
        torch.autograd.grad(vae, parameters),
        torch.autograd.grad(critic, parameters),
        strict=True,
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", CRITICS)
def test_a_row_alone_has_nothing_to_be_told_from(name: str) -> None:
    model = symbols()
    vae = evaluated(objectives.create({"name": "vae"}), model, X[:1])

    loss, metrics = evaluated(create(name, model, **{"lambda": 9.0}), model, X[:1])

    assert loss.item() == vae.loss.item()
    for name in ("critic", "information_bound", "information_ceiling"):
        assert metrics[name].item() == 0


class Contrast(nn.Module):
    """c as a function of all its parameters, the model's and the critic's."""

    def __init__(self, objective: CriticObjective, model: Model) -> None:
        super().__init__()
        self.objective, self.model = objective, model

    def forward(self) -> Tensor:
        return contrasted(self.objective, self.model)


@pytest.mark.parametrize("name", CRITICS)
def test_the_gradient_of_c_is_that_of_finite_differences(name: str) -> None:
    model = symbols()
    module = Contrast(create(name, model, over="both", temperature=0.7), model)
    decoder = ("model.decoder", "model.softmax")  # of which c knows nothing
    trained = {n: p for n, p in module.named_parameters() if not n.startswith(decoder)}

    def c(*values: Tensor) -> Tensor:
        return torch.func.functional_call(module, dict(zip(trained, values, strict=True)), ())

    given = [value.detach().clone().requires_grad_() for value in trained.values()]
    torch.autograd.gradcheck(c, given)
    assert all(slope.abs().max() > 0 for slope in torch.autograd.grad(c(*given), given))
    everything = {*model.inference_parameters(), *module.objective.parameters()}
    assert set(trained.values()) == everything


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CRITICS)
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"temperature": 0.0}, "greater than 0"),
        ({"temperature": -0.07}, "greater than 0"),
        ({"lambda": -1.0}, "greater than or equal to 0"),
        ({"lambda_": 1.0}, "Extra inputs are not permitted"),
        ({"over": "rows"}, "'x', 'z' or 'both'"),
        ({"beta": -1.0}, "greater than or equal to 0"),
        ({"samples": 2}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_not_defined_is_refused(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        objectives.create({"name": name, **config})
    assert message in str(refusal.value)


@pytest.mark.parametrize("field", ["projection", "hidden_x", "hidden_z"])
def test_networks_have_sizes_where_there_are_networks(field: str) -> None:
    for name in CRITICS:
        with pytest.raises(ValidationError, match=r"Extra inputs|greater than 0"):
            objectives.create({"name": name, field: 0 if name != "critic_self" else 8})


@pytest.mark.parametrize("name", CRITICS[1:])
def test_a_critic_with_an_encoder_needs_a_model(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} has an encoder of its model's kind"):
        objectives.create({"name": name})


@pytest.mark.parametrize("name", CRITICS)
def test_categories_are_refused(name: str) -> None:
    config = create(name, symbols()).config

    assert config.refuses("gaussian") is None
    assert f"objective {name} differentiates through z" in str(config.refuses("categorical"))
    assert config.least_batch == 2


@pytest.mark.parametrize("name", CRITICS)
def test_the_alias_of_lambda_and_every_default_are_resolved(name: str) -> None:
    resolved = create(name, symbols()).config.model_dump(mode="json", by_alias=True)

    assert (resolved["lambda"], resolved["over"], resolved["beta"]) == (1.0, "x", 1.0)
    assert resolved["temperature"] == (1.0 if name == "critic_self" else 0.07)
    assert resolved["annealing"] is None
