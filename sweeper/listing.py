"""What can be named in an experiment file or on the command line (`sweeper list`)."""

from collections.abc import Callable, Mapping
from pathlib import Path

from search_spaces.spaces import SPACES
from sweeper.errors import SweeperError
from sweeper.layers import compose, shipped
from sweeper.located import Problems
from sweeper.results import ResultStore
from sweeper.roots import Storage, list_runs
from sweeper.runs import RunDirectory

Entries = Mapping[str, str]


def text(what: str | None, storage: Storage) -> str:
    """List one kind of names, or all kinds.

    Raises `SweeperError` for an unknown kind.
    """
    kinds: dict[str, Callable[[], Entries]] = {
        "experiments": _experiments,
        "objectives": _objectives,
        "estimators": _estimators,
        "models": _models,
        "data": _data,
        "spaces": _spaces,
        "runs": lambda: _runs(storage),
    }
    if what is not None and what not in kinds:
        raise SweeperError(
            f"there is nothing to list under {what!r}; there are {', '.join(kinds)}"
        )
    sections = []
    for kind in [what] if what else kinds:
        entries = kinds[kind]()
        width = max(map(len, entries), default=0)
        lines = [f"  {name:{width}}  {about}".rstrip() for name, about in entries.items()]
        sections.append("\n".join([f"{kind}:", *(lines or ["  none"])]))
    return "\n\n".join(sections)


def _experiments() -> Entries:
    described = {}
    for name, path in shipped().items():
        document = compose(path, None, (), Problems(name)).plain()
        scales = ", ".join(document.get("scales", {}))
        described[name] = document.get("description", "") + (f" [scales: {scales}]" * bool(scales))
    return described


def _objectives() -> Entries:
    from trainables.objectives import OBJECTIVES

    return {name: _first_line(objective) for name, objective in OBJECTIVES.items()}


def _estimators() -> Entries:
    from trainables.estimators import ESTIMATORS

    return {name: _first_line(estimator.log_evidence) for name, estimator in ESTIMATORS.items()}


def _models() -> Entries:
    from trainables.models import MODELS

    return {name: _first_line(model) for name, model in MODELS.items()}


def _data() -> Entries:
    from trainables.data import DATA

    return {name: _first_line(data) for name, data in DATA.items()}


def _spaces() -> Entries:
    return {name: ", ".join(space) for name, space in SPACES.items()}


def _runs(storage: Storage) -> Entries:
    return {run.path.name: _about(run) for run in list_runs(storage)}


def _about(run: RunDirectory) -> str:
    try:
        n_ended = len(ResultStore(run.results).finished())
        if runs := run.merged_from:
            names = ", ".join(Path(path).name for path in runs)
            return f"{n_ended} trials, merged from {names}; {run.description}"
        return f"{n_ended} of {run.n_trials} trials have ended; {run.description}"
    except SweeperError as error:
        return str(error)


def _first_line(documented: object) -> str:
    return (documented.__doc__ or "").partition("\n")[0]
