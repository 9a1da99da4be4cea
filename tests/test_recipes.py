"""What the README shows of other tools works on a stored run."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import matplotlib as mpl
import pytest
from matplotlib.text import Text

from sweeper.artefacts import Artefacts
from sweeper.corpora import data_checksums
from sweeper.experiment import load
from sweeper.results import ResultStore
from sweeper.rows import trial_rows
from sweeper.runs import RunDirectory
from sweeper.search import Sweep

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
RECIPES = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunDirectory]:
    """The quickstart of the README, with figures made from the numbers of its trials."""
    monkeypatch.chdir(tmp_path)
    experiment = load("quickstart", overrides=["search.trials=2"])
    run = RunDirectory(Path("runs/quickstart"))
    run.create(experiment.to_yaml())
    sweep = Sweep(experiment, run.journal, ResultStore(run.results), data_checksums(experiment))
    for task in iter(sweep.next, None):
        nll = 5.6 + task.number / 10 + (task.arm == "reinforce-1")
        figures = {"step": 1500, "nll": nll, "mi": 1.0 + task.number, "tokens": 1.0}
        report = {"status": "done", "evaluations": [figures]}
        sweep.finish(task, trial_rows(experiment, task, report))
    with mpl.rc_context({"backend": "agg"}):
        yield run


def result(library: str, about: str = "quickstart") -> dict[str, Any]:
    """Run the README's recipe that imports a library; give the names that it defines."""
    [recipe] = [
        text
        for text in RECIPES
        if re.search(rf"^import {library}\b", text, re.MULTILINE) and f"runs/{about}" in text
    ]
    names: dict[str, Any] = {}
    exec(recipe, names)
    return names


def test_every_recipe_is_tested() -> None:
    assert len(RECIPES) == 4


def test_duckdb_reads_the_rows(run: RunDirectory) -> None:
    pytest.importorskip("duckdb", reason="duckdb is not installed")
    best = result("duckdb")["best"].set_index("arm")

    assert best["nll"].to_dict() == {"renyi-vimco-16": 5.6, "reinforce-1": 6.6}
    assert best["trials"].tolist() == [2, 2]


def test_duckdb_reads_curves_beside_the_rows(run: RunDirectory) -> None:
    pytest.importorskip("duckdb", reason="duckdb is not installed")
    rows = ResultStore(run.results).read()
    for row in rows.itertuples():
        table = {"epsilon": [0.1, 0.2], "share": [0.5, 1.0], "delta": [0.01] * 2}
        table |= {"dimension": [1, 0], "kl": [row.nll, 0.0], "mean_variance": [None] * 2}
        evaluation = {"step": 1500, "tables": {"curves": {**table, "observations": [9] * 2}}}
        Artefacts(run.path).write(row.trial_id, [{**evaluation, "step": 500}, evaluation])
    run.path.rename("runs/NAME")
    kl = result("duckdb", "NAME")["kl"].set_index(["arm", "dimension"])["kl"]

    means = rows.groupby("arm")["nll"].mean()
    assert len(kl) == 4
    assert all(kl[arm, 1] == pytest.approx(mean) for arm, mean in means.items())
    assert all(kl[arm, 0] == 0.0 for arm in means.index)


def test_polars_reads_the_rows_of_all_arms(run: RunDirectory) -> None:
    pytest.importorskip("polars", reason="polars is not installed")
    names = result("polars")

    assert names["best"]["nll"].to_list() == pytest.approx([5.6, 5.7, 6.6, 6.7])
    rows = names["rows"]  # one arm sweeps alpha, the other does not
    assert sorted(rows["objective.alpha"].is_null().to_list()) == [False, False, True, True]


def test_a_notebook_draws_the_frontier(run: RunDirectory) -> None:
    import matplotlib.pyplot as plt

    axes = result(r"matplotlib\.pyplot")["axes"]

    axes.figure.canvas.draw()
    written = {text.get_text() for text in axes.findobj(Text)}
    assert {"reinforce-1", "renyi-vimco-16"} <= written
    plt.close("all")


def test_the_dashboard_reads_the_journal(run: RunDirectory) -> None:
    optuna_dashboard = pytest.importorskip("optuna_dashboard", reason="it is not installed")
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    app = optuna_dashboard.wsgi(JournalStorage(JournalFileBackend(str(run.journal))))
    environment: dict[str, Any] = {}
    setup_testing_defaults(environment)
    environment |= {"PATH_INFO": "/api/studies", "HTTP_ACCEPT": "application/json"}
    answered: list[str] = []
    body = b"".join(app(environment, lambda status, *rest: answered.append(status)))

    assert answered == ["200 OK"]
    studies = json.loads(body)["study_summaries"]
    assert {study["study_name"] for study in studies} == {"renyi-vimco-16", "reinforce-1"}
