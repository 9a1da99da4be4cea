"""What is measured where q(z|x) is certain of one code: exact figures, or a bound that says so."""

import math
from typing import Any

import pytest
import torch

from tests.trainables.runs import VQ, finish, start
from trainables.data.corpus import Corpus
from trainables.evaluation.config import EvaluationConfig
from trainables.evaluation.enumeration import score_exactly
from trainables.evaluation.metrics import Metrics, evaluate
from trainables.models.latents import VqLatents
from trainables.models.symbol import SymbolMlpConfig
from trainables.models.vq import VqModel

N = 12
X = torch.arange(N)
CODES = math.log(3**2)


def model() -> VqModel:
    torch.manual_seed(0)
    config = SymbolMlpConfig(
        name="symbol_mlp", latents=VqLatents(**VQ), embedding=4, hidden=5, join="concatenate"
    )
    made = config.create(N).double()
    assert isinstance(made, VqModel)
    with torch.no_grad():
        for name, parameter in made.base.named_parameters():
            if name.startswith(("to_posterior.weight", "decoder", "softmax")):
                parameter.mul_(5)
        of_all = made.vectors(X).flatten(0, 1)
        made.codebook.codes.copy_(of_all[[0, 9, 17]])
    return made


def figures(**settings: Any) -> Metrics:
    corpus = Corpus({"validation": X}, N, "-", math.log(N))
    return evaluate(model(), corpus, EvaluationConfig(**settings), seed=0)


def test_what_can_be_enumerated_is_exact_wherever_it_stands() -> None:
    found = figures(samples=7)
    exact = score_exactly(model(), X)

    assert found["nll"] == found["nll_exact"] == -exact.log_p.mean().item()
    assert found["mi"] == found["mi_exact"] == exact.mi.mean().item()
    assert found["nll_se"] == found["mi_se"] == found["nll_mi_covariance"] == 0
    assert found["perplexity"] == pytest.approx(math.exp(found["nll"]))
    assert found["nll_is_bound"] is False
    assert found["mi_reason"] is None
    # Samples that are all alike would have said that every code is fully used.
    assert 0 < found["mi"] < 0.9 * CODES


def test_beyond_that_the_nll_is_the_bound_of_one_code_and_says_so() -> None:
    made = model()
    index = made.codebook.nearest(made.vectors(X))
    log_p = made.log_likelihood_of_codes(X, made.codebook.look_up(index)[None])
    bound = CODES - log_p.mean().item()

    found = figures(samples=7, enumerate_up_to=5)  # of six categories, nine states

    assert found["nll_is_bound"] is True
    assert found["nll"] == pytest.approx(bound, rel=1e-12)
    assert found["nll_per_token"] == found["nll"] == -found["elbo"]
    assert found["perplexity"] == pytest.approx(math.exp(bound))
    assert found["nll_se"] == pytest.approx(0, abs=1e-12)
    assert found["nll_exact"] is found["mi_exact"] is None
    assert found["nll"] > figures(samples=7)["nll"]


def test_beyond_that_there_is_no_information_of_the_model_and_a_reason() -> None:
    found = figures(samples=7, enumerate_up_to=5, limit=10)

    for name in ("mi", "mi_se", "mi_sampling_se", "mi_per_token", "mi_per_token_sampling_se"):
        assert found[name] is None
    assert found["nll_mi_covariance"] is None
    assert found["mi_reason"] == (
        "q(z|x) is certain of one z, so its samples say nothing of p(z|x), and another proposal "
        "asks for the categories of all variables, more than the 5 that are enumerated"
    )
    assert found["nll_sampling_se"] is not None


@pytest.mark.parametrize("enumerate_up_to", [0, 100])
def test_the_rate_has_all_its_names(enumerate_up_to: int) -> None:
    found = figures(samples=3, enumerate_up_to=enumerate_up_to)
    made = model()
    counts = made.codebook.nearest(made.vectors(X)).unique(dim=0, return_counts=True)[1]
    share = counts.double() / N

    entropy = -(share * share.log()).sum().item()
    assert len(counts) > 2
    assert found["code_entropy"] == pytest.approx(entropy)
    assert found["mi_q"] == pytest.approx(entropy)
    assert found["mi_q_se"] == 0
    assert found["kl"] == found["code_space"] == pytest.approx(CODES)
    assert found["code_entropy_ceiling"] == pytest.approx(min(math.log(N), CODES))
    assert found["ess"] is found["ess_min"] is None  # there are no weights


def test_between_the_two_nll_and_mi_are_estimates_by_another_proposal() -> None:
    exact, found = figures(samples=4_000), figures(samples=4_000, enumerate_up_to=8)

    for name in ("nll", "mi"):
        assert 0 < found[f"{name}_se"] < 0.01
        assert abs(found[name] - exact[name]) < 4 * found[f"{name}_se"]
    assert found["nll_is_bound"] is False
    assert found["mi_reason"] is found["nll_exact"] is found["mi_exact"] is None
    assert 1 < found["ess_min"] <= found["ess"] < 4_000
    for name in ("elbo", "kl", "reconstruction", "mi_q", "code_entropy"):  # these are q's own
        assert found[name] == exact[name]


def test_a_run_without_an_information_of_the_model_ends_like_any_other() -> None:
    symbols = {"name": "symbol_mlp", "embedding": 4, "hidden": 5, "latents": VQ}
    made = {"model": symbols, "objective": {"name": "vq_vae"}}

    run = finish(start(made, evaluation={"enumerate_up_to": 0, "split": "train"}))

    assert [evaluation["mi"] for evaluation in run.evaluations] == [None] * 3
    assert all(evaluation["nll_is_bound"] for evaluation in run.evaluations)
    last = run.evaluations[-1]
    assert 1 <= last["train_code_perplexity"] <= 3
    assert 1 / 3 <= last["train_codes_used"] <= 1
    assert last["commitment"] > 0


def test_collapse_of_what_is_certain_is_not_told() -> None:
    symbols = {"name": "symbol_mlp", "embedding": 4, "hidden": 5, "latents": VQ}
    made = {"model": symbols, "objective": {"name": "vq_vae"}}

    run = finish(start(made, evaluation={"split": "train", "meters": {"collapse": {}}}))

    assert "collapsed_share" not in run.evaluations[-1]
    assert "tables" not in run.evaluations[-1]
