"""`sweeper paper NAME --figure N`: an experiment run as far as need be, drawn and judged."""

import shlex
from collections.abc import Collection

from sweeper import sweeping
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from sweeper.results import ResultStore
from sweeper.roots import Storage, runs_root
from sweeper.runs import RunDirectory
from sweeper.stored import papers, reading
from sweeper.stored.protocols import Recognised, Shipped, recognise_all


def figure(
    paper: str, number: int, *, scale: str | None, storage: Storage, workers: int | None
) -> int:
    """Train what is missing of a figure of a paper, draw it, and print whether its claims hold.

    A stored run of its experiment that is as shipped at that `scale` is reused, and continued
    where it is not complete. Returns the exit code of `sweeper run`. Raises `SweeperError` for a
    paper, a figure or a scale that does not exist, before anything starts.
    """
    experiment = papers.experiment_of(paper, number)
    stored = _stored(experiment, scale, storage)
    if stored is not None and len(stored.rows) >= stored.n_trials:
        print(f"{stored.run.location} is complete: {len(stored.rows)} trials")
        print(reading.frontier([stored.run]))
        return _judge(paper, experiment, stored.run, storage)
    resolved = (
        load(experiment, scale=scale, name=stored.run.path.name)
        if stored
        else _free(experiment, scale, storage)
    )
    if scale is None:
        print(_announcement(resolved, Shipped(experiment).document.get("scales", ())), flush=True)
    code = sweeping.run(resolved, storage=storage, workers=workers)
    if code not in (sweeping.DONE, sweeping.TRIALS_FAILED):
        return code
    print()
    _judge(paper, experiment, runs_root(storage).run(resolved.name), storage)
    return code


def _announcement(experiment: Experiment, scales: Collection[str]) -> str:
    """Say how much is trained at published size, and which scale is for a laptop if one is."""
    search = experiment.search
    trainings = [trial.training for trial in experiment.example_trials().values()]
    unit = "epochs" if any(training.epochs for training in trainings) else "steps"
    lengths = {n for training in trainings if (n := getattr(training, unit))}
    length = " to ".join(f"{n:,}" for n in sorted({min(lengths), max(lengths)}))
    seeds = f" × {search.seeds} seeds" if search.seeds > 1 else ""
    size = f"{len(trainings)} arms × {search.trials} trials{seeds} of {length} {unit}"
    laptop = "; --scale small is what a laptop finishes" if "small" in scales else ""
    return f"{experiment.name} trains {size}, the published size{laptop}"


def _judge(paper: str, experiment: str, run: RunDirectory, storage: Storage) -> int:
    """Print what the run says of the figure, and with others at its scale of several figures."""
    scale = run.document().get("scale")
    others = papers.compared_with(paper, experiment)
    found = {other: _stored(other, scale, storage) for other in others}
    runs = [run, *(other.run for other in found.values() if other is not None)]
    print(papers.describe(paper, runs, storage=storage, only=experiment))
    numbers = [others[other] for other, stored in found.items() if stored is None]
    if missing := [str(number) for number in numbers if number is not None]:
        options = [] if scale is None else ["--scale", scale]
        options += [] if storage is None else ["--storage", str(storage)]
        print("\nclaims that compare it with another figure need")
        for number in missing:
            print(f"  {shlex.join(['sweeper', 'paper', paper, '--figure', number, *options])}")
    return sweeping.DONE


def _stored(experiment: str, scale: str | None, storage: Storage) -> Recognised | None:
    """Find the most complete run of a shipped experiment as it is at a scale."""
    found, _ = recognise_all([experiment], storage)
    alike = [r for r in found if r.protocol.scale == scale and not r.protocol.changes]
    split = Shipped(experiment).split
    return max(
        (r for r in alike if r.protocol.split == split),
        key=lambda r: len(r.rows),
        default=None,
    )


def _free(experiment: str, scale: str | None, storage: Storage) -> Experiment:
    """Resolve an experiment under a name that is free, one for each scale.

    So is that of a run of the same experiment that was interrupted before any trial had ended.
    """
    root = runs_root(storage)
    title = Shipped(experiment).title
    wanted = title if scale is None else f"{title}_{scale}"
    taken = set(root.names())
    for name in (wanted, *(f"{wanted}-{n}" for n in range(2, len(taken) + 3))):
        resolved = load(experiment, scale=scale, name=name)
        if name not in taken or _is_begun(root.run(name), resolved):
            break
    return resolved


def _is_begun(run: RunDirectory, experiment: Experiment) -> bool:
    try:
        rows = ResultStore(run.results).read(["trial_id"])
        return rows.empty and run.document() == experiment.document
    except SweeperError:  # it is damaged
        return False
