"""Tune's scheduler: trials run in their order, and stop where the work says so."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from sweeper.driving.searcher import TaskSearcher


class Pruning(FIFOScheduler):
    """Stops the trials that the searcher's work does not want to go on.

    Tune asks it before the searcher hears of a result. As with the searcher, Tune pickles it for
    a restart that never happens here.
    """

    def __init__(self, searcher: TaskSearcher) -> None:
        super().__init__()
        self.searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        """Leave everything behind."""
        return {}

    def on_trial_result(
        self,
        tune_controller: Any,  # noqa: ARG002
        trial: Trial,
        result: dict[str, Any],
    ) -> str:
        """Stop a trial that is judged so, by its report."""
        return self.STOP if self.searcher.judge(trial.trial_id, result) else self.CONTINUE
