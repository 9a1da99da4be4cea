"""What the meters of stored runs say: collapse by dimension, probes, and maps of the latents.

Needs neither torch nor Ray, so it works wherever results can be read.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from analysis.axes import axis_lines
from analysis.frontier import Frontier, frontier_points
from analysis.meters import activity_curves, collapse_curves, meters_table, shown_trials, trial_key
from analysis.plots.embeddings import embeddings_figure
from analysis.plots.files import write_all, writers
from analysis.plots.meters import ACCURACIES, ACTIVE, accuracy_figure, collapse_figure
from analysis.plots.provenance import names
from analysis.tables import to_text
from sweeper.artefacts import Artefacts
from sweeper.errors import SweeperError
from sweeper.results import read_runs
from sweeper.runs import RunDirectory
from sweeper.stored.choices import check_choice, placed, refuse_mixed, unit_of, writable

TRIALS = ("frontier", "all")

_METERS = (
    *("collapsed_share", "active_units", "probe_accuracy", "probe_accuracy_se"),
    *("knn_accuracy", "knn_accuracy_se", "knn_k", "probe_chance", "probe_train", "observations"),
)
_IDENTITY = ("run", "label", "trial_id", "seed", "nll_value", "mi_value", "on_frontier")

Writers = dict[str, Callable[[Path], object]]


def describe(
    runs: Sequence[RunDirectory],
    *,
    output: Path | None = None,
    of: str = "frontier",
    maps: Sequence[str] = (),
    mi: str | None = None,
    force: bool = False,
    damaged: list[str] | None = None,
) -> str:
    """Say what the meters of trials say, and write them as tables and pictures.

    Curves are medians over the trials of each arm that are on its frontier, or `of` all that are
    done. `maps` are trials whose embeddings are drawn, by id or how it begins; by default that of
    lowest NLL on each arm's frontier. They are written to `output`, by default where the run's
    frontier lies. `mi` and `damaged` are as for `sweeper.stored.reading.frontier`.

    Raises `SweeperError` where no trial has meters, or a trial no map, where runs are of several
    experiments and not `force`, where several runs have no `output`, and where that cannot be
    written.
    """
    check_choice("--of", of, TRIALS)
    if output is None and len(runs) > 1:
        raise SweeperError("several runs need a directory for their meters; name it by --output")
    paths = [run.path for run in runs]
    shown = ", ".join(map(str, paths))
    rows = placed(read_runs(paths, final_only=True, damaged=damaged), runs, mi)
    refuse_mixed(rows, runs, force)
    found = frontier_points(rows, unit_of(rows))
    points = found.points
    if points.empty:
        raise SweeperError(f"{shown}: no trial is done, so nothing was measured")
    curves, embeddings = (
        _tables(runs, points, kind, damaged) for kind in ("curves", "embeddings")
    )
    has_labels = bool(points[list(ACCURACIES)].notna().any(axis=None))
    if curves.empty and embeddings.empty and not has_labels:
        raise SweeperError(
            f"{shown}: no trial was measured with meters; name some in evaluation.meters, e.g. "
            "`collapse: {}`, and run the experiment under another name"
        )
    chosen = points if of == "all" else points[points["on_frontier"]]
    whose = "trials" if of == "all" else "trials on the frontier"
    lines = [f"meters of {len(points)} trials of {shown}"]
    lines += axis_lines(points)
    lines += ["", f"medians over {len(chosen)} {whose}", to_text(meters_table(chosen))]
    files: Writers = writers("meters", points[[n for n in (*_IDENTITY, *_METERS) if n in points]])
    curves = curves.merge(chosen[trial_key(chosen)])
    if not curves.empty:
        told, drawn = _collapse(curves, found, runs, whose)
        lines, files = [*lines, *told], {**files, **drawn}
    if has_labels:
        files |= _accuracy(found)
    if maps or not embeddings.empty:
        told, drawn = _maps(embeddings, found, maps)
        lines, files = [*lines, *told], {**files, **drawn}
    lines += [f"warning: {warning}" for warning in found.warnings]
    with writable(directory := output or runs[0].frontier):
        written = write_all(files, directory)
    return "\n".join([*lines, "", *map(str, written)])


def _tables(
    runs: Sequence[RunDirectory], points: pd.DataFrame, kind: str, damaged: list[str] | None
) -> pd.DataFrame:
    """Read one kind of table for the ends of all points; that of a trial is one in all runs."""
    tables: list[pd.DataFrame] = []
    missing = set(points["trial_id"])
    for run in runs:
        tables.append(Artefacts(run.path).read(kind, sorted(missing), damaged))
        missing -= set(tables[-1]["trial_id"])
    ends = points[["label", *trial_key(points), "step"]]
    return ends.merge(pd.concat(tables, ignore_index=True), on=["trial_id", "step"])


def _collapse(
    curves: pd.DataFrame, found: Frontier, runs: Sequence[RunDirectory], whose: str
) -> tuple[list[str], Writers]:
    deltas = sorted(curves["delta"].unique())
    epsilons = sorted(_epsilons(runs, set(curves["trial_id"])))
    told = [f"share collapsed: at ε = {_listed(epsilons)}, δ = {_listed(deltas)}"]
    if len(deltas) > 1:
        told.append(f"warning: curves of {len(deltas)} δ do not compare: {_listed(deltas)}")
    n_trials = curves.groupby("label")["trial_id"].nunique()
    counts = ", ".join(f"{label}: {n}" for label, n in n_trials.items())
    lines = [
        *_facts(found, curves["observations"]),
        f"collapsed: KL(q(z_i|x) ‖ p(z_i)) < ε for all but a share δ = {_listed(deltas)} of the "
        f"observations · dashed: the usual threshold of active units, {ACTIVE:g}",
        f"lines: medians over {whose}, bands: quartiles · {counts}",
    ]
    collapse, activity = collapse_curves(curves), activity_curves(curves)
    figure = collapse_figure(collapse, activity, found.points, lines)
    files: Writers = writers("collapse", collapse, figure, lines)
    return told, {**files, **writers("active_units", activity if len(activity) else None)}


def _accuracy(found: Frontier) -> Writers:
    points = found.points[found.points["probe_accuracy"].notna()]
    lines = [
        *_facts(found, points["observations"]),
        f"fitted on {names(points['probe_train'])} training observations, k = "
        f"{names(points['knn_k'])} · faint: dominated · bars: one binomial standard error · "
        "dashed: the commonest label",
    ]
    return writers("probes", None, accuracy_figure(points, found.unit, lines), lines)


def _maps(
    embeddings: pd.DataFrame, found: Frontier, maps: Sequence[str]
) -> tuple[list[str], Writers]:
    points = found.points.drop_duplicates("trial_id")
    available = list(dict.fromkeys(embeddings["trial_id"]))
    if maps:
        ids = [_one(start, available) for start in maps]
        trials = points.set_index("trial_id").loc[ids].reset_index()
    else:
        trials = shown_trials(points, available)
        if trials.empty:
            return ["no map: none on a frontier; choose a trial with --map"], {}
    titles = {
        str(trial["trial_id"]): (
            f"{trial['label']}\nNLL {trial['nll_value']:.4g}, MI {trial['mi_value']:.3g}"
        )
        for trial in trials.to_dict("records")
    }
    drawn = embeddings[embeddings["trial_id"].isin(titles)].drop_duplicates(
        ["trial_id", "observation"]
    )
    order = {trial: number for number, trial in enumerate(titles)}
    drawn = drawn.sort_values("trial_id", key=lambda ids: ids.map(order), kind="stable")
    told = [f"map: {trial} of {title.replace(chr(10), ', ')}" for trial, title in titles.items()]
    sizes = drawn.groupby("trial_id")["observation"].size()
    lines = [
        *_facts(found, sizes),
        f"t-SNE of posterior means, perplexity {_listed(sorted(drawn['perplexity'].unique()))} · "
        "neighbours mean much, distances and sizes of groups little, and a map has no scale: what "
        "is left of collapsed latents fills it as well",
        f"trials {', '.join(map(str, titles))}",
    ]
    figure = embeddings_figure(drawn.assign(name=drawn["trial_id"].map(titles)), trials, lines)
    return told, writers("embeddings", drawn, figure, lines)


def _one(start: str, available: Sequence[str]) -> str:
    fitting = [trial for trial in available if trial.startswith(start)]
    if len(fitting) != 1:
        how = (
            f"{len(fitting)} trials with a map begin" if fitting else "no trial with a map begins"
        )
        raise SweeperError(f"--map: {how} with {start!r}; the ids are in meters.csv")
    return fitting[0]


def _facts(found: Frontier, observations: pd.Series) -> list[str]:
    """Say where the figures come from, as under all pictures."""
    points = found.points
    facts = {
        "run": names(points["run"]) if "run" in points else "",
        "scale": names(points["scale"]),
        "split": names(points["split"]),
        "observations": names(observations),
        "code": names(points["code_version"]),
    }
    return [" · ".join(f"{name}: {fact}" for name, fact in facts.items() if fact)]


def _epsilons(runs: Sequence[RunDirectory], trials: set[str]) -> set[float]:
    """Give the epsilons of the column `collapsed_share` of some trials."""
    rows = read_runs(
        [run.path for run in runs], ["trial_id", "trial"], final_only=True, damaged=[]
    )
    stored = rows.loc[rows["trial_id"].isin(trials), "trial"]
    meters = (json.loads(trial)["evaluation"]["meters"] for trial in stored)
    return {float(asked["collapse"]["epsilon"]) for asked in meters if "collapse" in asked}


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
