"""A run's stored trials as Optuna studies, for whoever has tools for those. Needs Optuna."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pyarrow as pa
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from pydantic import TypeAdapter, ValidationError

from analysis.frontier import frontier_points
from search_spaces.distributions import Parameter
from search_spaces.spaces import Space
from sweeper.errors import SweeperError
from sweeper.journal import distribution, stored_params
from sweeper.runs import RunDirectory
from sweeper.stored.choices import placed
from sweeper.swept import swept

_FAILED = TrialState.FAIL
_STATES = {"pruned": TrialState.PRUNED}  # of trials without values, by status

optuna.logging.set_verbosity(optuna.logging.WARNING)


def write(run: RunDirectory, table: pa.Table, path: Path) -> dict[str, int]:
    """Write a journal with a study for each arm of a run; give their numbers of trials.

    `table` holds final rows. A trial has their figures as attributes. Its values, (NLL, MI) in
    nats per observation, are those of the run's frontier: exact where they are known. What was
    pruned has none, and what else did not end with such values has failed.

    Raises `SweeperError` where the run's experiment has no search space.
    """
    storage = JournalStorage(JournalFileBackend(str(path)))
    n_trials = {}
    for arm, trials in _trials(run, table).items():
        study = optuna.create_study(
            study_name=arm, storage=storage, directions=["minimize", "maximize"]
        )
        study.set_user_attr("run", str(run.path.resolve()))
        study.add_trials(trials)
        n_trials[arm] = len(trials)
    return n_trials


def _trials(run: RunDirectory, table: pa.Table) -> dict[str, list[FrozenTrial]]:
    """Give the trials of every arm, oldest first."""
    rows = table.sort_by([("created_at", "ascending"), ("trial_id", "ascending")]).to_pylist()
    points = frontier_points(placed(table.to_pandas(), [run], None)).points
    figures = points[["nll_value", "mi_value"]].to_numpy().tolist()
    values = dict(zip(points["trial_id"], figures, strict=True))
    trials: dict[str, list[FrozenTrial]] = {arm: [] for arm in run.document()["arms"]}
    spaces = _spaces(run, {*trials, *(row["arm"] for row in rows)})
    for row in rows:
        frozen = _frozen(row, values.get(row["trial_id"]), spaces[row["arm"]])
        trials.setdefault(row["arm"], []).append(frozen)
    return trials


def _spaces(run: RunDirectory, arms: Iterable[str]) -> dict[str, Space]:
    adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Parameter])
    document = run.document()
    try:
        return {
            arm: Space(adapter.validate_python(swept(document["search"], arm))) for arm in arms
        }
    except (KeyError, TypeError, ValidationError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SweeperError(f"{run.experiment_file} has no search space: {reason}") from None


def _frozen(row: Mapping[str, Any], values: Sequence[float] | None, space: Space) -> FrozenTrial:
    params = stored_params(row, space)
    left_out = {*params, "trial", "final", "created_at", "schema_version"}
    seconds = (row["train_seconds"] or 0.0) + (row["eval_seconds"] or 0.0)
    return FrozenTrial(
        number=-1,  # the storage gives the numbers
        trial_id=-1,
        state=TrialState.COMPLETE if values is not None else _STATES.get(row["status"], _FAILED),
        value=None,
        values=values,
        datetime_start=row["created_at"] - pd.Timedelta(seconds=seconds).to_pytimedelta(),
        datetime_complete=row["created_at"],
        params=params,
        distributions={path: distribution(space[path]) for path in params},
        user_attrs={k: v for k, v in row.items() if v is not None and k not in left_out},
        system_attrs={},
        intermediate_values={},
    )
