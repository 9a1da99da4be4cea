"""Search spaces: parameters by dotted path, some of them conditional; and published ones."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

from search_spaces.distributions import Categorical, Float, Int, Trial, Value, same

MAX_CORNERS = 4096

V = TypeVar("V")


@dataclass(frozen=True)
class Space(Mapping[str, Float | Int | Categorical]):
    """Parameters by dotted path; each comes after those that its `when` names.

    `fixed` holds what a trial has at a path that is not sampled, as far as a `when` asks for it:
    a value that is never swept, or the default of a parameter while that is inactive.

    Raises `ValueError` where conditions go round in a circle.
    """

    parameters: Mapping[str, Float | Int | Categorical]
    fixed: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the parameters."""
        after = {path: self._parents(path) for path in self.parameters}
        try:
            order = list(TopologicalSorter(after).static_order())
        except CycleError as error:
            raise ValueError(
                f"conditions go round in a circle: {' → '.join(error.args[1])}"
            ) from None
        ordered = {path: self.parameters[path] for path in order}
        object.__setattr__(self, "parameters", ordered)

    def __getitem__(self, path: str) -> Float | Int | Categorical:
        """Give the parameter at a path."""
        return self.parameters[path]

    def __iter__(self) -> Iterator[str]:
        """Go through the paths."""
        return iter(self.parameters)

    def __len__(self) -> int:
        """Count the parameters."""
        return len(self.parameters)

    @property
    def is_conditional(self) -> bool:
        """Say whether a sampled value decides what else is sampled."""
        return any(self._parents(path) for path in self)

    def plain(self) -> dict[str, Any]:
        """Give the parameters as plain values, as an experiment file has them."""
        return {
            path: parameter.model_dump(mode="json", exclude_defaults=True)
            for path, parameter in self.items()
        }

    def suggest(self, trial: Trial) -> dict[str, Value]:
        """Sample a value for every active parameter from an `optuna.Trial`."""
        return self._assign(lambda path: self[path].suggest(trial, path))

    def active(self, values: Mapping[str, Value]) -> dict[str, Value | None]:
        """Pick what `values` holds for every parameter that it makes active; none if nothing."""
        return self._assign(values.get)

    def restrict(self, fixed: Mapping[str, Value]) -> "Space":
        """Keep the parameters that can be active in a trial that holds `fixed`."""
        kept: dict[str, Float | Int | Categorical] = {}

        def possible(path: str, value: Value) -> bool:
            if path in kept and kept[path].contains(value):
                return True
            always_swept = path in kept and not kept[path].when
            return not always_swept and same(fixed.get(path), value)

        for path, parameter in self.items():
            conditions = parameter.when.items()
            if all(any(possible(other, v) for v in values) for other, values in conditions):
                kept[path] = parameter
        return Space(kept, fixed)

    def corners(self) -> Iterator[dict[str, Value]]:
        """Give every combination of the ends of all parameters, and of values a `when` names.

        Of more than `MAX_CORNERS` combinations, give so many drawn at random, always the same.
        """
        ends = {path: self._ends(path) for path in self}
        combinations: Iterator[tuple[Value, ...]]
        if math.prod(map(len, ends.values())) <= MAX_CORNERS:
            combinations = itertools.product(*ends.values())
        else:
            draw = random.Random(0).choice
            combinations = (tuple(map(draw, ends.values())) for _ in range(MAX_CORNERS))
        for combination in combinations:
            yield self._assign(dict(zip(ends, combination, strict=True)).__getitem__)

    def _assign(self, choose: Callable[[str], V]) -> dict[str, V]:
        """Choose a value for one parameter after another, leaving out the inactive ones."""
        values: dict[str, V] = {}
        for path, parameter in self.items():
            known = {**self.fixed, **values}
            if all(
                any(same(known.get(other), value) for value in allowed)
                for other, allowed in parameter.when.items()
            ):
                values[path] = choose(path)
        return values

    def _parents(self, path: str) -> list[str]:
        return [other for other in self.parameters[path].when if other in self.parameters]

    def _ends(self, path: str) -> list[Value]:
        named = [value for p in self.values() for value in p.when.get(path, ())]
        inside = [value for value in named if self[path].contains(value)]
        return list(dict.fromkeys([*self[path].ends, *inside]))


_VALIDATION: dict[str, tuple[Value, ...]] = {"evaluation.split": ("validation",)}
_TEXT_VALIDATION: dict[str, tuple[Value, ...]] = {**_VALIDATION, "model.name": ("sentence_lstm",)}
_LEARNING_RATE = Float(kind="float", low=1e-4, high=1e-2, log=True)
_HELD_OUT: dict[str, Float | Int | Categorical] = {  # what is for validation runs
    "model.dropout.input": Float(kind="float", low=0.0, high=0.9, when=_TEXT_VALIDATION),
    "model.dropout.state": Float(kind="float", low=0.0, high=0.8, when=_TEXT_VALIDATION),
    "model.dropout.output": Float(kind="float", low=0.0, high=0.95, when=_TEXT_VALIDATION),
    "training.l2": Float(kind="float", low=5e-6, high=1e-3, log=True, when=_VALIDATION),
}

SPACES: dict[str, Space] = {
    # The tuning ranges of Melis, György and Blunsom (2022), "Mutual information constraints for
    # Monte-Carlo objectives to prevent posterior collapse", Table 2. The table tunes alpha for
    # the power objective alone, the text for Rényi too; Rényi is not defined without it, so here
    # it is swept for both, as in the trials that the first author's thesis lists
    # (https://github.com/melisgl/phd-thesis). The table's VQ-VAE rows are `melis_table_2_vq`.
    "melis_table_2": Space(
        {
            "training.learning_rate": _LEARNING_RATE,
            "objective.lambda": Float(
                kind="float", low=-0.05, high=0.9999, when={"objective.name": ("kl", "renyi")}
            ),
            "objective.alpha": Float(
                kind="float",
                low=0.86,
                high=16.0,
                log=True,
                when={"objective.name": ("power", "renyi")},
            ),
            **_HELD_OUT,
        }
    ),
    # The same for the VQ-VAE, which has no lambda: its rate is set by how many codes there are.
    # A decay of 0.9 to 0.99999 on a log scale could be meant to be one in 1 - decay, which no
    # range here is; it is swept as printed, which is nearly the linear scale.
    "melis_table_2_vq": Space(
        {
            "training.learning_rate": _LEARNING_RATE,
            "model.latents.variables": Int(kind="int", low=1, high=8),
            "model.latents.categories": Int(kind="int", low=2, high=20),
            "objective.beta": Float(kind="float", low=0.01, high=20.0, log=True),
            "objective.decay": Float(kind="float", low=0.9, high=0.99999, log=True),
            **_HELD_OUT,
        }
    ),
}
"""Published search spaces by name."""
