"""An experiment: one YAML file as a typed value, checked as a whole before anything runs.

Every problem names its file, line and field, and all of them are told at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from analysis.axes import MODEL
from search_spaces.spaces import Space
from sweeper.arms import Arm, common, resolve_arms
from sweeper.errors import SweeperError
from sweeper.fields import faults, note
from sweeper.halving import obstacle
from sweeper.layers import compose, find, merge, prune, settings, shipped
from sweeper.located import Node, Place, Problems, describe, unknown
from sweeper.sections import Checkpoints, File, Frontier, Resources, Search
from sweeper.source import dump, flow
from sweeper.swept import read_sweeps
from trainables.evaluation.certain import has_information
from trainables.trial import TrialConfig

_DEFAULT = Place("default")

__all__ = ["Arm", "Experiment", "difference", "load", "shipped"]


@dataclass(frozen=True)
class Experiment:
    """A checked experiment; `load` makes one.

    `arms` are in the order of the file; `space` is what they sweep but for those that say
    otherwise. `scale` is the named scale it was resolved at, if any.
    `document` is the resolved file as plain values, and `provenance` tells where each of them was
    written, by dotted path; what is not there is a default. Two experiments are equal where they
    run alike.
    """

    name: str
    arms: Mapping[str, Arm]
    space: Space
    search: Search
    frontier: Frontier
    resources: Resources
    scale: str | None
    checkpoints: Checkpoints = field(compare=False)
    description: str = field(compare=False)
    document: Mapping[str, Any] = field(compare=False, repr=False)
    provenance: Mapping[str, Place] = field(compare=False, repr=False)

    def trial_config(self, arm: str, values: Mapping[str, Any]) -> TrialConfig:
        """Build one trial of an arm from the values of its active parameters, by dotted path.

        Raises `SweeperError` where the arm is unknown, a value is missing, inactive or out of
        its range, and where the trial is not valid.
        """
        if arm not in self.arms:
            raise SweeperError(unknown("arm", arm, self.arms))
        space = self.arms[arm].space
        active = space.active(values)
        wrong = [
            *(f"{path} is not swept here" for path in values.keys() - active.keys()),
            *(f"{path} has no value" for path in active.keys() - values.keys()),
            *(
                f"{path} is {describe(values[path])}, but is swept as {space[path]}"
                for path in active.keys() & values.keys()
                if not space[path].contains(values[path])
            ),
        ]
        if not wrong:
            try:
                return self.arms[arm].config(active)
            except ValidationError as error:
                found = faults(error, TrialConfig, self.arms[arm].filled(active))
                wrong = [f"{'.'.join(map(str, f.path))}: {f.message}" for f in found]
        raise SweeperError(f"arm {arm!r} has no such trial: {'; '.join(sorted(wrong))}")

    def example_trials(self) -> dict[str, TrialConfig]:
        """Build a trial of each arm, with swept values at the ends of their ranges."""
        return {name: arm.config(next(arm.space.corners())) for name, arm in self.arms.items()}

    def to_yaml(self) -> str:
        """Write the resolved experiment; `load` makes an equal one of it."""
        return dump(dict(self.document))

    def explained(self) -> str:
        """Write the resolved experiment with the place that each value comes from."""
        return "".join(f"{line}\n" for line in self._explain(self.document, ()))

    def _explain(self, section: Mapping[str, Any], above: tuple[str, ...]) -> list[str]:
        lines = []
        for key, value in section.items():
            path = (*above, key)
            start = f"{'  ' * len(above)}{flow(key)}:"
            if isinstance(value, dict) and value:
                lines += [start, *self._explain(value, path)]
            else:
                place = self.provenance.get(".".join(path), "default")
                lines.append(f"{start} {flow(value)}  # {place}")
        return lines


def load(
    source: str | Path,
    *,
    scale: str | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    trials: int | None = None,
) -> Experiment:
    """Read an experiment from a file, or a shipped one by its name.

    `scale` picks one of the file's `scales`; `overrides` are texts `path=value` with a dotted
    path and YAML; `name` and `trials` set those fields. They apply in this order.

    Raises `SweeperError` with everything that is wrong, each with its place and field.
    """
    problems = Problems(str(source))
    path = find(source)
    options: dict[str, tuple[str, object]] = {}
    if name is not None:
        options["name"] = ("name", name)
    if trials is not None:
        options["trials"] = ("search.trials", trials)
    document = compose(path, scale, settings(overrides, options, problems), problems)
    experiment = _resolve(document, problems)
    if problems or experiment is None:
        raise problems.error()
    return experiment


def difference(a: Experiment, b: Experiment) -> list[str]:
    """List what `b` runs otherwise than `a`, a line for each dotted path; empty where all alike.

    A change that all arms share is told once, under `trial`.
    """
    changes: dict[tuple[str, str], list[str]] = {}
    shared = [arm for arm in a.arms if arm in b.arms]
    for arm in shared:
        for change in _changes(a.arms[arm].trial, b.arms[arm].trial):
            changes.setdefault(change, []).append(arm)
    lines = _changes(_settings(a), _settings(b))
    for (path, what), arms in changes.items():
        prefixes = ["trial"] if len(arms) == len(shared) else [f"arms.{arm}" for arm in arms]
        lines += [(f"{prefix}.{path}", what) for prefix in prefixes]
    return [f"{path}: {change}" for path, change in lines]


def _settings(experiment: Experiment) -> dict[str, Any]:
    """Give all that decides how an experiment runs, but for its trials."""
    document = experiment.document
    settings = {key: document[key] for key in ("name", "search", "frontier", "resources")}
    return {
        **settings,
        "scale": experiment.scale,
        "arms": dict.fromkeys(experiment.arms, "an arm"),
    }


def _changes(a: object, b: object, path: str = "") -> list[tuple[str, str]]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return [
            change
            for key in dict.fromkeys([*a, *b])
            for change in _changes(a.get(key), b.get(key), f"{path}.{key}" if path else key)
        ]
    # Unlike 1 and 1.0, 1 and true are different.
    if a == b and isinstance(a, bool) == isinstance(b, bool):
        return []
    return [(path, f"{_shown(a)} -> {_shown(b)}")]


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a section"
    return "not set" if value is None else flow(value)


def _resolve(document: Node, problems: Problems) -> Experiment | None:
    """Check a whole document, note all problems, and give the experiment if it has none."""
    entries = dict(document.children)
    name = document.children["name"].plain() if "name" in document.children else None
    arms = _arms(entries, problems)
    if arms is None:
        arms = {name if isinstance(name, str) else "": Node({}, document.place)}
    search_node = entries.get("search", Node(None, document.place))
    section, sweeps = read_sweeps(search_node, arms, problems)
    if isinstance(section.value, dict):
        entries["search"] = section
    plain = {key: node.plain() for key, node in entries.items() if node.value is not None}
    file: File | None = None
    try:
        file = File.model_validate(plain)
    except ValidationError as error:
        for fault in faults(error, File, plain):
            note(Node(entries, document.place), (), fault, problems)
    trial = prune(entries.get("trial", Node(None, document.place)))
    resolved: dict[str, Arm] = {}
    if isinstance(trial.value, dict):
        resolved = resolve_arms(trial, arms, sweeps, problems)
    if problems or file is None:
        return None
    search = Search.model_validate(file.search.model_dump(exclude={"space", "arms"}))
    if idle := [name for name, arm in resolved.items() if not arm.space and search.trials > 1]:
        place = (Node(entries, document.place).at("search", "trials") or document).place
        message = f"{', '.join(idle)} would train one configuration that often; sweep something"
        problems.add(place, "search.trials", f"{message}, or set 1")
    _check_rungs(search, resolved, Node(entries, document.place), problems)
    _check_axis(file.frontier, resolved, Node(entries, document.place), problems)
    trial, arms = _with_defaults(trial, arms, resolved)
    content: dict[str, Any] = {
        "name": file.name,
        "description": file.description,
        "scale": file.scale,
        "trial": trial.plain(),
        "arms": {name: arm.plain() for name, arm in arms.items()},
        "search": {
            "space": sweeps.shared.space.plain(),
            **({"arms": sweeps.changes()} if sweeps.own else {}),
            **search.model_dump(mode="json", exclude_none=True),
        },
        "frontier": file.frontier.model_dump(mode="json"),
        "resources": file.resources.model_dump(mode="json"),
        "checkpoints": file.checkpoints.model_dump(mode="json"),
    }
    located = Node({**entries, "trial": trial, "arms": Node({**arms}, trial.place)}, trial.place)
    return Experiment(
        name=file.name,
        arms=resolved,
        space=sweeps.shared.space,
        search=search,
        frontier=file.frontier,
        resources=file.resources,
        scale=file.scale,
        checkpoints=file.checkpoints,
        description=file.description,
        document={key: value for key, value in content.items() if value not in (None, "")},
        provenance={".".join(path): node.place for path, node in located.leaves()},
    )


def _check_rungs(
    search: Search, arms: Mapping[str, Arm], document: Node, problems: Problems
) -> None:
    """Note where a scheduler would look for evaluations that trials do not have."""
    if search.scheduler is None:
        return
    path = ("search", "scheduler")
    for name, arm in arms.items():
        for values in arm.space.corners():
            if why := obstacle(search.scheduler, arm.config(values)):
                problems.add((document.at(*path) or document).place, ".".join(path), why)
                break
        if "evaluation.every" in arm.space:
            message = f"needs the same evaluation.every in all trials; arm {name!r} sweeps it"
            problems.add((document.at(*path) or document).place, ".".join(path), message)


def _check_axis(
    frontier: Frontier, arms: Mapping[str, Arm], document: Node, problems: Problems
) -> None:
    """Note where trials would not have the information that is maximised."""
    if frontier.maximize != MODEL:
        return
    for name, arm in arms.items():
        for values in arm.space.corners():
            config = arm.config(values)
            if not config.model.latents.deterministic:
                break  # nor are the others, of which there may be thousands
            if not has_information(config.model.latents, config.evaluation):
                message = (
                    f"arm {name!r} has trials without an MI of the model, for they enumerate "
                    f"{config.evaluation.enumerate_up_to:,} values and their latents have more "
                    "categories; raise evaluation.enumerate_up_to, or maximize mi_q"
                )
                place = (document.at("frontier", "maximize") or document).place
                problems.add(place, "frontier.maximize", message)
                break


def _with_defaults(
    trial: Node, arms: Mapping[str, Node], resolved: Mapping[str, Arm]
) -> tuple[Node, dict[str, Node]]:
    """Fill in the defaults, so that a stored experiment runs alike when they have changed."""
    lacking = {
        name: _beyond(resolved[name].trial, prune(merge(trial, change)).plain())
        for name, change in arms.items()
    }
    shared = reduce(common, lacking.values())
    filled = {
        name: merge(change, Node.of(_beyond(lacking[name], shared), _DEFAULT))
        for name, change in arms.items()
    }
    return merge(trial, Node.of(shared, _DEFAULT)), filled


def _beyond(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Give what `a` has and `b` lacks, at any depth."""
    beyond = {}
    for key, value in a.items():
        if key not in b:
            beyond[key] = value
        elif isinstance(value, Mapping) and (below := _beyond(value, b[key])):
            beyond[key] = below
    return beyond


def _arms(entries: dict[str, Node], problems: Problems) -> dict[str, Node] | None:
    """Give the arms and what they change, none where the experiment is its own only arm."""
    arms = entries.get("arms")
    if arms is None or not isinstance(arms.value, dict):
        return None
    for name, node in arms.value.items():
        if node.value is None and not node.removes:
            message = "there is no such arm to remove; an arm without changes is {}"
            problems.add(node.place, f"arms.{name}", message)
    kept = {name: node for name, node in arms.value.items() if node.value is not None}
    if not kept:
        message = "there are none; name some, or leave `arms` out for a single one"
        problems.add(arms.place, "arms", message)
    entries["arms"] = Node(kept, arms.place)
    return {name: node for name, node in kept.items() if isinstance(node.value, dict)}
