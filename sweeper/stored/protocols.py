"""Which shipped experiment a stored run is one of, and how it differs from it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from sweeper.errors import SweeperError
from sweeper.layers import compose, merge, prune, shipped
from sweeper.located import Node, Place, Problems
from sweeper.results import read_runs
from sweeper.roots import Storage, list_runs
from sweeper.runs import RunDirectory
from sweeper.swept import swept

_DOCUMENT = Place("document")
_SPLIT = "evaluation.split"  # a part of the protocol by itself


class Protocol(NamedTuple):
    """How trials were made, beyond which experiment they belong to; alike ones compare.

    `changes` are what was set otherwise than in the shipped experiment at that scale.
    """

    split: str
    scale: str | None
    changes: tuple[str, ...]

    @property
    def as_shipped(self) -> bool:
        """Say whether nothing but the split may differ from the shipped experiment."""
        return self.scale is None and not self.changes

    def __str__(self) -> str:
        """Say it in words, without the split."""
        scale = [f"scale {self.scale}"] if self.scale else []
        return "; ".join([*scale, *self.changes]) or "as shipped"


class Shipped(NamedTuple):
    """A shipped experiment, by the name of its file, which may lie in a directory."""

    name: str
    scale: str | None = None

    @property
    def document(self) -> Mapping[str, Any]:
        """Give what the file says at that scale, without defaults."""
        return _document(shipped()[self.name], self.scale)

    @property
    def title(self) -> str:
        """Give the name that the experiment has in its file, in its rows and as a run."""
        return str(self.document["name"])

    @property
    def split(self) -> str:
        """Give the split that it evaluates."""
        return _split(_arms(self.document, self.title))


class Recognised(NamedTuple):
    """A stored run of a shipped experiment, with its rows under the shipped arms' names.

    `experiment` is the name of the shipped file, and `n_trials` how many it has at that scale.
    `evaluations` are the rows of all evaluations of the trials that have ended.
    """

    run: RunDirectory
    experiment: str
    protocol: Protocol
    evaluations: pd.DataFrame
    n_trials: int

    @property
    def rows(self) -> pd.DataFrame:
        """Give the final rows, one a trial that has ended."""
        return self.evaluations[self.evaluations["final"]]


def recognise_all(
    experiments: Collection[str], storage: Storage, damaged: list[str] | None = None
) -> tuple[list[Recognised], list[str]]:
    """Find the stored runs of some shipped experiments, and say which runs cannot be read.

    `damaged` is as for `recognise`.
    """
    found, problems = [], []
    for run in list_runs(storage):
        try:
            if recognised := recognise(run, experiments, damaged):
                found.append(recognised)
        except SweeperError as error:
            problems.append(str(error))
    return found, problems


def recognise(
    run: RunDirectory, experiments: Collection[str], damaged: list[str] | None = None
) -> Recognised | None:
    """Say which of some shipped experiments a run is of, none if it is of no such.

    By the name in its rows or, as `--name` changes that, by its description. A run without an
    ended trial is none. Raises `SweeperError` where it is damaged; with a list `damaged`, parts
    that cannot be read are passed over and named there.
    """
    rows = read_runs([run.path], ["experiment"], final_only=True, damaged=damaged)
    names = set(rows["experiment"])
    candidates = [name for name in experiments if Shipped(name).title in names]
    if not candidates and len(rows):
        about = run.description
        candidates = [n for n in experiments if Shipped(n).document.get("description") == about]
    if len(candidates) != 1 or len(names) != 1:
        return None
    [experiment], [name] = candidates, names
    stored = stored_document(run)
    scale = stored.get("scale")
    title = Shipped(experiment).title
    complete, with_defaults = _complete(experiment, scale)
    rows = read_runs([run.path], damaged=damaged)
    arms = _arms(stored, name)
    if set(arms) == {name} != {title}:  # the single arm of an experiment is called like it
        arms = {title: arms[name]}
        rows = rows.assign(arm=title)
    as_shipped = _arms(complete, title)
    changes = _changes(as_shipped, arms, with_defaults=with_defaults)
    changes += _other_ranges(_spaces(stored, arms), _spaces(complete, as_shipped))
    search = Shipped(experiment, scale).document["search"]
    return Recognised(
        run,
        experiment,
        Protocol(_split(arms), scale, tuple(changes)),
        rows,
        len(as_shipped) * search["trials"] * search.get("seeds", 1),
    )


def stored_document(run: RunDirectory) -> Mapping[str, Any]:
    """Give a run's experiment file as plain values.

    Raises `SweeperError` where it is damaged.
    """
    problems = Problems(str(run.experiment_file))
    document = compose(run.experiment_file, None, (), problems)
    if problems:
        raise problems.error()
    return document.plain()


@cache
def _document(path: Path, scale: str | None) -> Mapping[str, Any]:
    return prune(compose(path, scale, (), Problems(str(path)))).plain()


def _complete(name: str, scale: str | None) -> tuple[Mapping[str, Any], bool]:
    """Give a shipped experiment with its defaults, and whether these can be known here."""
    try:
        from sweeper.experiment import load
    except ModuleNotFoundError:  # nothing here can train, so nothing knows the defaults
        return Shipped(name, scale).document, False
    return load(name, scale=scale).document, True


def _arms(document: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Give the values of each arm's trial by dotted path."""
    trial = Node.of(document.get("trial", {}), _DOCUMENT)
    arms = document.get("arms") or {name: {}}
    return {
        arm: {
            ".".join(path): node.plain()
            for path, node in prune(merge(trial, Node.of(change, _DOCUMENT))).leaves()
        }
        for arm, change in arms.items()
    }


def _changes(
    shipped: Mapping[str, Mapping[str, Any]],
    stored: Mapping[str, Mapping[str, Any]],
    *,
    with_defaults: bool,
) -> list[str]:
    """List what stored arms have otherwise; once where all have it.

    What only the shipped one has are defaults, which older runs did not store. What only the
    stored one has are defaults too, unless the shipped one comes `with_defaults`.
    """
    of_arm = {
        arm: [
            f"{path} {value} (shipped: {shipped[arm].get(path, 'unset')})"
            for path, value in sorted(values.items())
            if path != _SPLIT
            and (path in shipped[arm] or with_defaults)
            and value != shipped[arm].get(path)
        ]
        for arm, values in stored.items()
        if arm in shipped
    }
    every = list(of_arm.values())
    shared = [change for change in every[0] if all(change in c for c in every)] if every else []
    own = [f"{arm}: {c}" for arm, changes in of_arm.items() for c in changes if c not in shared]
    return [*shared, *own]


def _spaces(document: Mapping[str, Any], arms: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Give the ranges of each arm by path, with the conditions as lists."""
    return {
        arm: {path: _listed(range_) for path, range_ in swept(document["search"], arm).items()}
        for arm in arms
    }


def _other_ranges(
    stored: Mapping[str, Mapping[str, Any]], shipped: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    others = [arm for arm in stored if arm in shipped and stored[arm] != shipped[arm]]
    if not others:
        return []
    whose = (
        "" if others == [arm for arm in stored if arm in shipped] else f" for {', '.join(others)}"
    )
    return [f"search.space has other ranges{whose}"]


def _listed(parameter: Mapping[str, Any]) -> dict[str, Any]:
    when = parameter.get("when", {})
    lists = {
        path: list(v) if isinstance(v, Sequence) and not isinstance(v, str) else [v]
        for path, v in when.items()
    }
    return {**parameter, **({"when": lists} if lists else {})}


def _split(arms: Mapping[str, Mapping[str, Any]]) -> str:
    return str(next(iter(arms.values())).get(_SPLIT, "train"))
