from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from analysis.frontier import COLUMNS

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
