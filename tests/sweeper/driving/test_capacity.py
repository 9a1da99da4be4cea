from collections.abc import Callable
from typing import Any

import pytest

from sweeper.driving import capacity
from sweeper.driving.capacity import bundle, fitting_trials, trials_that_fit
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.sections import Resources

NODE = {"CPU": 8.0, "GPU": 2.0, "memory": 16.0 * 2**30, "fast_disk": 1.0}
MakeExperiment = Callable[..., Experiment]


@pytest.mark.parametrize(
    ("asked", "fit"),
    [
        ({}, 8),
        ({"cpu": 3}, 2),
        ({"cpu": 0.5}, 16),
        ({"gpu": 1}, 2),
        ({"gpu": 0.25}, 8),
        ({"gpu": 1 / 3}, 6),
        ({"gpu": 0.4}, 4),  # and not 5: a trial never takes parts of two GPUs
        ({"gpu": 2}, 1),
        ({"memory": "5GiB"}, 3),
        ({"custom": {"fast_disk": 0.5}}, 2),
        ({"custom": {"tape": 1}}, 0),
    ],
)
def test_as_many_trials_fit_as_the_scarcest_resource_allows(
    asked: dict[str, Any], fit: int
) -> None:
    assert trials_that_fit(Resources.model_validate(asked), [NODE]) == fit


def test_a_trial_never_spans_two_nodes() -> None:
    assert trials_that_fit(Resources(cpu=6), [NODE, NODE]) == 2
    assert trials_that_fit(Resources(cpu=9), [NODE, NODE]) == 0


def test_what_a_trial_takes_goes_to_ray_under_its_names() -> None:
    resources = Resources.model_validate(
        {"cpu": 2, "gpu": 0.25, "memory": "1GiB", "custom": {"fast_disk": 1}}
    )
    wanted = {"CPU": 2.0, "GPU": 0.25, "memory": 2.0**30, "fast_disk": 1.0}

    assert bundle(resources) == wanted
    assert bundle(Resources()) == {"CPU": 1.0, "GPU": 0.0}


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (
            {"memory": "900TiB"},
            r"resources\.memory is 900 TiB but this machine has [\d.]+ [GM]iB;",
        ),
        ({"custom": {"tape": 1}}, r"resources\.custom names tape, .* --address"),
        ({"gpu": 64}, r"resources\.gpu is 64 but this machine has \d usable GPUs;"),
    ],
)
def test_what_this_machine_lacks_is_told(
    experiment: MakeExperiment, asked: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SweeperError, match=problem):
        fitting_trials(experiment(resources=asked))


def test_memory_bounds_the_trials_of_this_machine(
    experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        capacity, "this_machine", lambda cpu: {"CPU": 8.0, "GPU": 0.0, "memory": 2.0**30}
    )
    assert fitting_trials(experiment()) == 8
    assert fitting_trials(experiment(resources={"memory": "400MiB"})) == 2
