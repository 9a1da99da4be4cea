"""What a sweep would do, said before it does anything (`sweeper run --dry-run`)."""

import shlex

import optuna

from sweeper.errors import SweeperError
from sweeper.experiment import Arm, Experiment, difference, load
from sweeper.halving import rungs
from sweeper.results import ResultStore
from sweeper.roots import Storage, runs_root
from sweeper.runs import RunDirectory
from sweeper.samplers import resolve_sampler
from sweeper.source import flow
from trainables.data.corpus import DataConfig
from trainables.data.files import DataError, data_root, require


def describe(experiment: Experiment, storage: Storage) -> str:
    """Tell an experiment's arms, space, a sampled example, trial count, data and directory."""
    search = experiment.search
    total = len(experiment.arms) * search.trials * search.seeds
    directory = runs_root(storage).run(experiment.name)
    samplers = {
        resolve_sampler(search, conditional=arm.space.is_conditional)
        for arm in experiment.arms.values()
    }
    lines = [
        f"experiment  {experiment.name}: {experiment.description or 'no description'}",
        f"scale       {experiment.scale or 'as written'}",
        f"trials      {total}: {len(experiment.arms)} arms x {search.trials} configurations"
        f" x {search.seeds} seeds",
        f"sampler     {', '.join(sorted(samplers))}"
        f" (seed {search.sampler.seed}), one study per arm",
        *_scheduler(experiment),
        f"resources   {experiment.resources} a trial",
        f"directory   {directory.location} ({_state(experiment, directory)})",
    ]
    trials = experiment.example_trials()
    for data in dict.fromkeys(trial.data for trial in trials.values()):
        lines.append(f"data        {_presence(data)}")
    for name, arm in experiment.arms.items():
        lines += ["", f"arm {name}", *_arm(arm)]
    return "\n".join(lines)


def _scheduler(experiment: Experiment) -> list[str]:
    """Tell where trials may end early, if they may."""
    scheduler = experiment.search.scheduler
    if scheduler is None:
        return []
    lengths = {trial.training.total_steps for trial in experiment.example_trials().values()}
    places = []
    for n_steps in sorted(lengths, key=lambda steps: steps or 0):
        steps = [scheduler.first] if n_steps is None else rungs(scheduler, n_steps)
        more = ", and so on" if n_steps is None else f" of {n_steps}"
        places.append(f"step {', '.join(map(str, steps))}{more}")
    return [
        f"scheduler   {scheduler.name}: about 1 in {scheduler.reduction} trials with MI within "
        f"{scheduler.mi_window:g} nats goes on at {'; '.join(places)}"
    ]


def refuse_another(experiment: Experiment, directory: RunDirectory) -> None:
    """Raise `SweeperError` where a run's directory belongs to another experiment, saying how."""
    try:
        stored = load(directory.experiment_file)
    except SweeperError as error:
        raise SweeperError(
            f"{directory.location} holds a run that this version cannot read; choose another "
            f"--name\n{error}"
        ) from None
    if changes := difference(stored, experiment):
        raise SweeperError(
            f"{directory.location} belongs to another experiment; choose another --name, or "
            "undo:\n"
            + "\n".join(f"  {change}" for change in changes)
            + _about_more_trials(stored, experiment, changes, directory)
        )


def _about_more_trials(
    stored: Experiment, given: Experiment, changes: list[str], directory: RunDirectory
) -> str:
    """Say how to go on where only the number of trials differs."""
    has, wants = stored.search.trials, given.search.trials
    if has == wants or len(changes) > 1:
        return ""
    run, lacks = shlex.quote(directory.location), wants - has
    command = f"resume {run}" if has > wants else f"extend {run} --trials {lacks}"
    return f"\nthe run itself has {has} trials an arm; go on with: sweeper {command}"


def _arm(arm: Arm) -> list[str]:
    lines = [f"  {section:12}{flow(value)}" for section, value in arm.trial.items()]
    lines += [f"  sweeps      {path}: {parameter}" for path, parameter in arm.space.items()]
    values = arm.space.suggest(_random_trial())
    example = ", ".join(f"{path}={_short(value)}" for path, value in values.items())
    return [*lines, f"  for example {example or 'nothing to sample'}"]


def _random_trial() -> optuna.Trial:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()


def _presence(data: DataConfig) -> str:
    if not data.needed:
        return f"{data.name}: made on the fly"
    try:
        require(data, data_root())
    except DataError as error:
        return f"{data.name}: {error}"
    return f"{data.name}: in {data_root()}"


def _state(experiment: Experiment, directory: RunDirectory) -> str:
    if not directory.exists:
        return "new"
    try:
        refuse_another(experiment, directory)
    except SweeperError:
        return "belongs to another experiment; choose another --name"
    n_stored = len(ResultStore(directory.results).finished())
    return f"exists, with {n_stored} finished trials"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
