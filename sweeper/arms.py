"""The arms of an experiment: what each of them trains and sweeps, checked before anything runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from search_spaces.distributions import Value
from search_spaces.spaces import Space
from sweeper.fields import (
    Fault,
    choices,
    faults,
    find_fields,
    leaf_paths,
    models,
    tags,
    value_at,
)
from sweeper.layers import merge, prune
from sweeper.located import Node, Problem, Problems, nearest, unknown
from sweeper.swept import Sweep, Sweeps, Written
from trainables.trial import TrialConfig

_REQUIRED = ("missing", "union_tag_not_found")


@dataclass(frozen=True)
class Arm:
    """One curve of an experiment.

    `trial` is what all its trials have in common, with every default filled in; `space` what may
    be swept in them.
    """

    trial: Mapping[str, Any]
    space: Space

    def config(self, values: Mapping[str, Value | None]) -> TrialConfig:
        """Build the trial with `values` of swept parameters, which are not compared to `space`.

        Raises `pydantic.ValidationError`.
        """
        return TrialConfig.model_validate(self.filled(values))

    def filled(self, values: Mapping[str, Value | None]) -> dict[str, Any]:
        """Write `values` into the trial, by dotted path."""
        trial = dict(self.trial)
        for path, value in values.items():
            trial = _put(trial, path.split("."), value)
        return trial


def resolve_arms(
    trial: Node,
    changes: Mapping[str, Node],
    sweeps: Sweeps,
    problems: Problems,
) -> dict[str, Arm]:
    """Lay each arm's changes over the trial, and note what is wrong with the result.

    A swept parameter may take its ends in any combination.
    """
    arms: dict[str, Arm] = {}
    examples: dict[str, tuple[TrialConfig, Space]] = {}
    found: dict[Problem, list[str]] = {}
    for name, change in changes.items():
        located = prune(merge(trial, change))
        plain = located.plain()
        space, written = sweeps.of(name)
        asked = {other for parameter in space.values() for other in parameter.when}
        fixed = {path: value_at(TrialConfig, plain, path.split(".")) for path in sorted(asked)}
        arms[name] = Arm(plain, space.restrict(fixed))
        check = _Check(name, arms[name], located, trial, change, written)
        for problem in dict.fromkeys(check.problems()):
            found.setdefault(problem, []).append(name)
        if check.example is not None:
            examples[name] = check.example, arms[name].space
            arms[name] = replace(arms[name], trial=_without(check.common, arms[name].space))
    for (place, path, message), names in found.items():
        everywhere = len(names) == len(arms) or path.startswith(("arms.", "search.arms."))
        which = "" if everywhere else f" (arm{'s'[: len(names) > 1]} {', '.join(names)})"
        problems.add(place, path, message + which)
    for sweep in sweeps.all():
        for path in sweep.space:
            _check_names(path, sweep, arms, problems)
    for i, (name, example) in enumerate(examples.items()):
        if twins := [other for other in list(examples)[:i] if examples[other] == example]:
            message = f"resolves to the same trial as arm {twins[0]!r}; change or remove one"
            problems.add(changes[name].place, f"arms.{name}", message)
    return arms


class _Check:
    """What is wrong with one arm."""

    def __init__(
        self,
        name: str,
        arm: Arm,
        located: Node,
        trial: Node,
        change: Node,
        written: Written,
    ) -> None:
        self.name, self.arm, self.located = name, arm, located
        self.trial, self.change, self.written = trial, change, written
        self.example: TrialConfig | None = None
        self.common: dict[str, Any] = {}  # what the valid trials have in common

    def problems(self) -> Iterator[Problem]:
        """Find values that are both set and swept, and all that a trial configuration refuses."""
        both = {path: node for path in self.arm.space if (node := self._set_at(path))}
        for path, node in both.items():
            why = f"is swept, but also set ({node.place}); remove one of them"
            yield Problem(self.written.entries[path].place, self.written.field(path), why)
        failures: dict[Fault, list[dict[str, Value]]] = {}
        n_corners = 0
        for corner in self.arm.space.corners():
            n_corners += 1
            values = {path: value for path, value in corner.items() if path not in both}
            try:
                config = self.arm.config(values)
                plain = config.resolved()
                self.common = common(self.common, plain) if self.example else plain
                self.example = self.example or config
            except ValidationError as error:
                for fault in faults(error, TrialConfig, self.arm.filled(values)):
                    failures.setdefault(fault, []).append(values)
        for fault, corners in failures.items():
            # What a section lacks that is there only for a swept parameter is about that one.
            section = fault.path[:-1] if fault.kind in _REQUIRED else fault.path
            if (swept := self._swept_below(section)) is not None:
                yield self._of_swept(swept, fault, corners)
            elif len(corners) < n_corners:
                yield self._of_values(fault, corners)
            elif fault.kind not in _REQUIRED or not self.written.may_sweep(_dotted(fault.path)):
                yield self._of_trial(fault)

    def _set_at(self, path: str) -> Node | None:
        """Find what the file sets at a swept path, or in its way."""
        node = self.located
        for key in path.split("."):
            if not isinstance(node.value, dict):
                return node
            if key not in node.value:
                return None
            node = node.value[key]
        return node

    def _swept_below(self, path: Sequence[str | int]) -> str | None:
        """Find the swept parameter to which alone the trial owes what it has at `path`."""
        if self.located.at(*path) is not None:
            return None
        dotted = _dotted(path)
        return next((p for p in self.arm.space if f"{p}.".startswith(f"{dotted}.")), None)

    def _of_swept(self, path: str, fault: Fault, corners: list[dict[str, Value]]) -> Problem:
        node, field = self.written.entries[path], self.written.field(path)
        parameter, shared = self.arm.space[path], _shared(corners)
        for end in ("low", "high"):
            if path in shared and getattr(parameter, end, None) == shared[path] and node.at(end):
                node, field = node.children[end], f"{field}.{end}"
        message = fault.message
        if fault.kind in _REQUIRED:
            message = f"needs trial.{_dotted(fault.path)}, which {message}"
        elif len(shared) > 1:
            message = f"{message} (at {_values(shared)})"
        if fault.kind == "extra_forbidden":
            message = self._lacks(path, [str(step) for step in fault.path], corners[0])
        return Problem(node.place, field, message)

    def _lacks(self, path: str, missing: list[str], corner: Mapping[str, Value]) -> str:
        """Say that the trial has nothing at a swept path, and where there would be something."""
        *section, knob = missing
        sections = find_fields(TrialConfig, section) if section else []
        variants = [model for info in sections for model in models(info.annotation)]
        below = path.split(".")[len(section) :]  # some may have the knob, but not in sections
        having = [tags(model) for model in variants if find_fields(model, below) and tags(model)]
        if not having:
            return _no_such(path)
        tag = next(iter(having[0]))
        chosen = value_at(TrialConfig, self.arm.filled(corner), [*section, tag])
        names = ", ".join(tagged[tag] for tagged in having)
        return (
            f"{_dotted(section)} {chosen!r} has no {knob!r}; sweep it only where there is one, "
            f"with when: {{{_dotted(section)}.{tag}: [{names}]}}"
        )

    def _of_values(self, fault: Fault, corners: list[dict[str, Value]]) -> Problem:
        """Blame the swept values that all the failures share."""
        if not (shared := _shared(corners) or corners[0]):
            return self._of_trial(fault)
        path = next(iter(shared))
        why = (
            f"{_dotted(fault.path)} {fault.message}" if fault.kind in _REQUIRED else fault.message
        )
        return Problem(
            self.written.entries[path].place,
            self.written.field(path),
            f"{why} (at {_values(shared)})",
        )

    def _is_section(self, path: Sequence[str | int]) -> bool:
        infos = find_fields(TrialConfig, [str(step) for step in path])
        return any(models(info.annotation) for info in infos)

    def _of_trial(self, fault: Fault) -> Problem:
        path, message = fault.path, fault.message
        if fault.message == "is required" and not self._is_section(path):
            message = "is neither set nor swept; set it or sweep it"
        if fault.kind in _REQUIRED:
            owners = ((self.trial, "trial"), (self.change, f"arms.{self.name}"))
            path = path[:-1]
        else:
            owners = ((self.change, f"arms.{self.name}"), (self.trial, "trial"))
        for depth in range(len(path), 0, -1):  # the nearest place that is written anywhere
            for owner, prefix in owners:
                if node := owner.at(*path[:depth]):
                    return Problem(node.place, _dotted([prefix, *fault.path]), message)
        return Problem(self.trial.place, _dotted(["trial", *fault.path]), message)


def _values(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{knob}={value}" for knob, value in values.items())


def _check_names(path: str, sweep: Sweep, arms: Mapping[str, Arm], problems: Problems) -> None:
    """Note a path that no trial ever has, and conditions that can never hold."""
    node, field = sweep.written.entries[path], sweep.written.field(path)
    checked = any(path in arm.space for arm in arms.values())
    if not checked and not find_fields(TrialConfig, path.split(".")):
        problems.add(node.place, field, _no_such(path))
    for other, values in sweep.space[path].when.items():
        place = (node.at("when", other) or node).place
        infos = find_fields(TrialConfig, other.split("."))
        if not infos:
            problems.add(place, f"{field}.when", _no_such(other))
        elif known := choices(infos):
            for value in values:
                if value not in known:
                    message = unknown("value", value, known)
                    problems.add(place, f"{field}.when.{other}", message)


def _no_such(path: str) -> str:
    return f"a trial has no {path!r}{nearest(path, leaf_paths(TrialConfig))}"


def _shared(corners: list[dict[str, Value]]) -> dict[str, Value]:
    """Keep what is the same in all of them."""
    first, *others = corners
    return {k: v for k, v in first.items() if all(k in o and o[k] == v for o in others)}


def common(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the values that are in both, at any depth."""
    kept = {}
    for key in a.keys() & b.keys():
        if isinstance(a[key], Mapping) and isinstance(b[key], Mapping):
            kept[key] = common(a[key], b[key])
        elif a[key] == b[key] and type(a[key]) is type(b[key]):
            kept[key] = a[key]
    return {key: kept[key] for key in a if key in kept}


def _without(section: Mapping[str, Any], paths: Iterable[str], above: str = "") -> dict[str, Any]:
    """Drop what lies at dotted paths, and what is null."""
    return {
        key: _without(value, paths, f"{above}{key}.") if isinstance(value, Mapping) else value
        for key, value in section.items()
        if f"{above}{key}" not in paths and value is not None
    }


def _put(section: Mapping[str, Any], keys: list[str], value: object) -> dict[str, Any]:
    head, *rest = keys
    return {**section, head: _put(section.get(head, {}), rest, value) if rest else value}


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path))
