import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.frontier import COLUMNS, frontier_points

MEASURED = [name for name in COLUMNS if name.startswith(("nll", "mi"))]
Rows = Callable[..., pd.DataFrame]


@pytest.fixture
def rows() -> Rows:
    """Makes stored final rows from `(nll, mi)` pairs; keywords override columns."""

    def make(pairs: list[tuple[float, float]], **columns: Any) -> pd.DataFrame:
        nll, mi = zip(*pairs, strict=True) if pairs else ((), ())
        common = {
            "experiment": "an_experiment",
            "arm": "arm",
            "seed": 0,
            "step": 100,
            "final": True,
            "status": "done",
            "scale": None,
            "split": "train",
            "samples": 100,
            "code_version": "1.2.3",
            "data_sha256": "5a",
            "nll_se": 0.0,
            "mi_se": 0.0,
            "ess": 50.0,
            "ess_min": 10.0,
            "tokens": 1.0,
        }
        frame = pd.DataFrame(index=range(len(pairs)), columns=list(COLUMNS))
        frame = frame.assign(
            **common, nll=nll, mi=mi, trial_id=[f"t{i}" for i in range(len(pairs))]
        )
        frame = frame.assign(**columns)
        if "config_hash" not in frame:
            frame["config_hash"] = [f"c{i}" for i in range(len(frame))]
        return frame.astype(dict.fromkeys(MEASURED, "float64"))

    return make


@pytest.fixture
def arm(rows: Rows) -> Callable[..., pd.DataFrame]:
    """Makes an arm's points from NLLs at equidistant MIs from 0.1 to 5."""

    def make(nll: Any, mi: Any = None, **columns: Any) -> pd.DataFrame:
        mi = np.linspace(0.1, 5.0, 40) if mi is None else mi
        nll = np.broadcast_to(nll, np.shape(mi))
        common = {
            "config_hash": [f"c{i:03d}" for i in range(len(nll))],
            "nll_mi_covariance": math.nan,
            "train_seconds": 100.0,
            "device": "cpu",
            "host": "here",
            "nll_se": 0.0,
            "mi_se": 0.0,
            "mi_ceiling": 8.0,
            "nll_floor": 6.0,
        }
        stored = rows(list(zip(nll, mi, strict=True)), **{**common, **columns})
        return frontier_points(stored).points

    return make
