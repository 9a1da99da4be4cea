"""What a row says of training since the row before."""

import copy

import pytest
import torch

from sweeper.columns import SCHEMA
from trainables.means import FIGURES, TrainingMeans

CPU = torch.device("cpu")
NOTHING = dict.fromkeys(["train_loss", *FIGURES])


def metrics(c: float) -> dict[str, torch.Tensor]:
    given = {"critic": c, "information_bound": c + 1.5, "information_ceiling": 1.5, "kl": 7.0}
    return {name: torch.tensor(value) for name, value in given.items()}


def test_figures_are_means_over_steps_of_what_the_objective_gives() -> None:
    means = TrainingMeans(CPU)
    assert means.loss is None
    assert means.figures() == NOTHING

    for loss, c in ((4.0, -1.0), (3.0, -0.5), (5.0, 0.0)):
        means.add(torch.tensor(loss), metrics(c))

    assert means.loss == 4.0
    assert means.figures() == {
        "train_loss": 4.0,
        "kl_weight": None,
        "train_kl": 7.0,
        "kl_set_point": None,
        "kl_integral": None,
        "critic": -0.5,
        "critic_bound": 1.0,
        "critic_ceiling": 1.5,
        "critic_temperature": None,
        "commitment": None,
        "train_code_perplexity": None,
        "train_codes_used": None,
    }
    means.clear()
    assert means.figures() == NOTHING


def test_a_long_mean_of_a_metric_does_not_drift() -> None:
    means, weight = TrainingMeans(CPU), torch.tensor(0.1)
    for _ in range(3_000):
        means.add(torch.tensor(0.0), {"kl_weight": weight})

    assert means.figures()["kl_weight"] == pytest.approx(weight.item(), rel=1e-12)


def test_means_continue_from_their_state_and_leave_what_was_added_alone() -> None:
    whole, first, second = (TrainingMeans(CPU) for _ in range(3))
    steps = [(torch.tensor(0.1 * n), metrics(0.3 * n)) for n in range(5)]
    kept = copy.deepcopy(steps)
    for step in steps:
        whole.add(*step)
    for step in steps[:2]:
        first.add(*step)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for step in steps[2:]:
        second.add(*step)

    assert second.figures() == whole.figures()
    assert steps == kept


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_one_loss_that_is_no_number_is_noticed_until_all_are_forgotten(odd: float) -> None:
    means = TrainingMeans(CPU)
    means.add(torch.tensor(1.0), {})
    assert means.is_finite

    for loss in (odd, 1.0):
        means.add(torch.tensor(loss), {})
        assert not means.is_finite

    means.clear()
    assert means.is_finite


def test_every_figure_has_a_column_that_may_be_null() -> None:
    for name in NOTHING:
        assert SCHEMA.field(name).type == "double"
        assert SCHEMA.field(name).nullable
