"""What imports what, and what each command needs."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from sweeper.cli import TRAINING_PACKAGES

ROOT = Path(__file__).parents[1]
ROOMS = ("sweeper", "trainables", "search_spaces", "analysis")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
OTHERS = sorted(
    path for name in ("benchmarks", "soak", "tests") for path in (ROOT / name).rglob("*.py")
)
TRAINING = ("torch", "ray", "optuna")


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            yield node.module or ""


def names(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_rooms_are_there() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_only_the_top_floor_imports_other_rooms(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    others = {name.partition(".")[0] for name in imported(path)} & set(ROOMS) - {own}

    assert own == "sweeper" or not others


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_ray_is_known_to_the_driver_its_jobs_and_the_trainable_alone(path: Path) -> None:
    others = ("trainables/trainable.py", "sweeper/clusters/ray_job.py")
    if names(path) not in others and path.parent != ROOT / "sweeper" / "driving":
        assert not any(name.partition(".")[0] == "ray" for name in imported(path))


@pytest.mark.parametrize("path", [*MODULES, *OTHERS], ids=names)
def test_a_module_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


def test_the_figures_need_neither_torch_nor_ray() -> None:
    for path in MODULES:
        if path.is_relative_to(ROOT / "analysis"):
            assert not {name.partition(".")[0] for name in imported(path)} & set(TRAINING)


def python(
    code: str, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


LOADED = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
sys.argv[0] = "sweeper"
from sweeper.cli import main
main()
"""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]], ids=str)
def test_help_loads_nothing_that_is_slow(arguments: list[str]) -> None:
    done = python(LOADED, *arguments)

    assert done.returncode == 0
    loaded = set(json.loads(done.stderr))
    assert "sweeper.cli" in loaded
    assert loaded.isdisjoint({*TRAINING, "pandas", "matplotlib", "numpy", "pyarrow"})


WITHOUT_TRAINING = f"""
import sys

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {{*{TRAINING!r}, "jaxtyping", "filelock", "sklearn"}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing)
sys.argv[0] = "sweeper"
from sweeper.cli import main
main()
"""

PART = """
from datetime import UTC, datetime
from pathlib import Path
from sweeper.results import ResultStore
row = dict(
    experiment="e", arm="a", trial_id="t", config_hash="c", seed=0, step=1, final=True,
    status="done", created_at=datetime.now(UTC), nll=2.0, mi=1.0, tokens=1.0, trial="{}",
)
for run in "ef":
    ResultStore(Path(f"runs/{run}/results")).append([row])
    row |= {"trial_id": "another"}
    Path(f"runs/{run}/experiment.yaml").write_text(
        f"name: {run}\\narms: {{a: {{}}}}\\nsearch: {{trials: 1, seeds: 1}}\\n"
    )
"""


@pytest.fixture
def run_here(tmp_path: Path) -> Path:
    """A directory with two runs of one trial."""
    done = python(PART, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("status e", "runs/e: finished; 1 of 1 trials have ended, 1 done"),
        ("frontier e", "Pareto frontier, nats per observation: 1 of 1 trials"),
        ("export e --to csv", "runs/e/export/rows.csv: 1 rows"),
        ("export e --to parquet", "runs/e/export/rows.parquet: 1 rows"),
        ("merge e f --output g", "runs/g: 2 trials"),
        ("report e", "runs/e/frontier/report.html: "),
        ("list runs", "  e  1 of 1 trials have ended"),
        ("paper", "  melis  "),
        ("paper melis", "Table 1: best validation on Penn Treebank"),
        ("list experiments", "  quickstart "),
        ("list spaces", "  melis_table_2 "),
    ],
)
def test_stored_results_are_read_where_nothing_can_be_trained(
    run_here: Path, command: str, shown: str
) -> None:
    done = python(WITHOUT_TRAINING, *command.split(), cwd=run_here)

    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout


def test_runs_are_compared_where_nothing_can_be_trained(run_here: Path) -> None:
    shutil.rmtree(run_here / "runs/f")
    shutil.copytree(run_here / "runs/e", run_here / "runs/f")
    done = python(WITHOUT_TRAINING, *["compare", "e", "f", "--output", "both"], cwd=run_here)

    assert (done.returncode, done.stderr) == (0, "")
    assert "both sides are the same trials" in done.stdout


def test_knobs_are_drawn_where_nothing_can_be_trained(run_here: Path) -> None:
    for number in range(12):
        part = PART.replace('id="t", config_hash="c"', f'id="t{number}", config_hash="c{number}"')
        part = part.replace("nll=2.0", f"nll={2 + number}")
        knob = f'trial="{{}}", **{{"k.a": {number / 10}}}'
        assert python(part.replace('trial="{}"', knob), cwd=run_here).returncode == 0
    done = python(WITHOUT_TRAINING, "knobs", "e", cwd=run_here)

    assert (done.returncode, done.stderr) == (0, "")
    assert "importances need scikit-learn" in done.stdout
    assert "share of collapsed trials" in done.stdout
    assert (run_here / "runs/e/frontier/knobs.png").exists()


@pytest.mark.parametrize(
    "command",
    [
        *("run quickstart", "resume e", "validate quickstart", "show quickstart"),
        *("rerun e", "extend e --trials 1", "export e --to optuna"),
    ],
)
def test_a_command_that_needs_more_says_what_to_install(run_here: Path, command: str) -> None:
    done = python(WITHOUT_TRAINING, *command.split(), cwd=run_here)

    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"error: this command needs \w+, which is not installed; pip install 'sweeper\[train\]'\n",
        done.stderr,
    )


def test_the_extra_holds_all_that_training_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    base, extra = (
        {re.split(r"[\[>=<]", requirement)[0] for requirement in requirements}
        for requirements in (project["dependencies"], project["optional-dependencies"]["train"])
    )

    assert extra >= TRAINING_PACKAGES
    assert base.isdisjoint(TRAINING_PACKAGES)


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_every_module_is_in_what_is_installed(path: Path) -> None:
    """In a package by `__init__.py`, under a name that the build looks for."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    package = path.relative_to(ROOT).parent
    find = settings["packages"]["find"]

    assert not find["namespaces"]
    assert all((ROOT / part / "__init__.py").exists() for part in (package, *package.parents[:-1]))
    assert any(fnmatch(".".join(package.parts), pattern) for pattern in find["include"])
