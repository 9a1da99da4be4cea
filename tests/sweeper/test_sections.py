"""Sections: names that cannot leave their directory, and types."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.sections import Frontier, Name, Resources, Sampler, Search

NAME: TypeAdapter[str] = TypeAdapter(Name)


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "_x", "0", "vimco-16", "x" * 64, "a..b"])
def test_a_name_is_plain(name: str) -> None:
    assert NAME.validate_python(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", ".hidden", "../x", "a/b", "a\\b", "/a", "C:x", "-x", "x" * 65),
        *("a b", "a\n", "\na", "a\0", "é", "~", "$HOME", "a*"),
    ],
)
def test_a_name_cannot_lead_elsewhere(name: str) -> None:
    with pytest.raises(ValidationError, match="a name has 1 to 64 letters, digits"):
        NAME.validate_python(name)


@pytest.mark.parametrize(
    ("section", "fields"),
    [
        (Sampler, {"name": "gaussian"}),
        (Sampler, {"seed": -1}),
        (Sampler, {"seed": 2**32}),
        (Search, {}),
        (Search, {"trials": 0}),
        (Search, {"trials": 1.0}),
        (Search, {"trials": True}),
        (Search, {"trials": 1, "seeds": 0}),
        (Search, {"trials": 1, "allowed_failures": -1}),
        (Frontier, {"minimize": "mi"}),
        (Frontier, {"maximize": "nll"}),
        (Frontier, {"maximize": "mi_q_batch"}),
        (Resources, {"cpu": 0}),
        (Resources, {"cpu": "1"}),
        (Resources, {"gpu": -0.5}),
        (Resources, {"gpu": float("inf")}),
        (Resources, {"memory": 1.5}),
        (Resources, {"disk": 1}),
    ],
)
def test_sections_are_typed(section: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section(**fields)


def test_defaults_are_one_core_and_no_failures() -> None:
    assert Resources() == Resources(cpu=1.0, gpu=0.0)
    assert Frontier() == Frontier(minimize="nll", maximize="mi")
    assert Frontier(maximize="mi_q").maximize == "mi_q"
    assert Search(trials=3).model_dump() == {
        "sampler": {"name": "auto", "seed": 0},
        "trials": 3,
        "seeds": 1,
        "allowed_failures": 0,
        "scheduler": None,
    }


@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        ({"gpu": 1.5}, "resources.gpu: is a fraction of one, or a whole number; got 1.5"),
        ({"memory": "much"}, "resources.memory: an amount of memory is a number of bytes"),
        ({"memory": -1}, "resources.memory: must be greater than or equal to 0, got -1"),
        ({"custom": {"CPU": 1}}, "a custom resource has the name that nodes were started with"),
        ({"custom": {"tape": 0}}, "resources.custom.tape: must be greater than 0, got 0"),
    ],
)
def test_resources_that_no_node_can_have_are_told(
    experiment: Callable[..., Experiment], resources: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SweeperError) as error:
        experiment(resources=resources)
    assert problem in str(error.value)


def test_resources_are_told_in_words() -> None:
    resources = Resources.model_validate({"memory": "4GiB", "custom": {"tape": 1}})

    assert str(resources) == "1 CPU, 0 GPU, 4 GiB memory, 1 tape"
    assert resources.memory == 4 * 2**30
