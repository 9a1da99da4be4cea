"""The command line as a person uses it; what it starts is tested in `test_end_to_end.py`."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from sweeper import cli, reading
from sweeper.experiment import Experiment, load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
WriteExperiment = Callable[..., Path]
FIGURES = {"tokens": 1.0, "nll_se": 0.01, "mi_se": 0.01, "ess": 50.0}


class Answer:
    """What a command line led to."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def is_one_error(self) -> str:
        """Check that it is a mistake told in one line, and give that."""
        assert (self.code, self.out) == (2, "")
        assert re.fullmatch(r"error: [^\n]+\n", self.err), self.err
        return self.err.removeprefix("error: ").rstrip("\n")


SweeperCommand = Callable[..., Answer]


@pytest.fixture
def sweeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> SweeperCommand:
    """Runs a command line in an empty directory, without any data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_DATA_DIR", str(tmp_path / "no-data"))

    def command(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["sweeper", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        code = end.value.code or 0
        assert isinstance(code, int)
        return Answer(code, *capsys.readouterr())

    return command


@pytest.fixture
def trained(
    experiment: MakeExperiment, ended: MakeRows, tmp_path: Path
) -> Callable[..., RunDirectory]:
    """Stores a run of three trials of which some have ended, by status."""

    def store(*statuses: str, name: str = "tiny") -> RunDirectory:
        tiny = experiment(name=name)
        run = RunDirectory(tmp_path / "runs" / name)
        run.create(tiny.to_yaml())
        store = ResultStore(run.results)
        sweep = Sweep(tiny, run.journal, store, {name: "5a"})
        for status in statuses:
            task = sweep.next()
            assert task is not None
            sweep.finish(task, ended(tiny, task, status, **FIGURES))
        return run

    return store


def commands(group: TyperGroup, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*above, name), command
        if isinstance(command, TyperGroup):
            yield from commands(command, *above, name)


ROOT = typer.main.get_command(cli.app)
assert isinstance(ROOT, TyperGroup)
COMMANDS = dict(commands(ROOT))


def test_the_commands_are_those_that_are_promised() -> None:
    promised = {
        *("run", "resume", "validate", "show", "list", "status", "data"),
        *("frontier", "compare", "confirm", "knobs", "paper", "report"),
        *("rerun", "extend", "merge", "export"),
    }

    assert {name for name, *below in COMMANDS if not below} == promised
    assert {below[0] for name, *below in COMMANDS if below} == {"list", "fetch", "verify"}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself_and_its_options(
    sweeper: SweeperCommand, path: tuple[str, ...], option: str
) -> None:
    answer = sweeper(*path, option)
    command = COMMANDS[path]

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: sweeper {' '.join(path)} [OPTIONS]")
    told = " ".join(answer.out.split())
    assert " ".join(command.help.split()) in told
    for parameter in command.params:
        assert parameter.help, f"{parameter.name} has no help"
        assert " ".join(parameter.help.split()) in told


def test_the_version_is_that_of_the_package(sweeper: SweeperCommand) -> None:
    answer = sweeper("--version")

    assert answer.code == 0
    assert re.fullmatch(r"sweeper \d+\.\d+\.\d+\S*\n", answer.out)


@pytest.mark.parametrize("arguments", [[], ["data"]], ids=str)
def test_without_a_command_the_help_is_shown(
    sweeper: SweeperCommand, arguments: list[str]
) -> None:
    answer = sweeper(*arguments)

    assert (answer.code, answer.err) == (2, "")
    assert answer.out.rstrip("\n") == sweeper(*arguments, "--help").out.rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("rnu", "No such command 'rnu'. Did you mean 'run'?; see `sweeper --help`"),
        ("--bogus", "No such option: --bogus; see `sweeper --help`"),
        ("run", "Missing argument 'EXPERIMENT'; see `sweeper run --help`"),
        ("run a b", "Got unexpected extra argument(s) (b); see `sweeper run --help`"),
        ("run quickstart --worker 2", "No such option: --worker .*--workers.*; see"),
        ("run quickstart --workers 0", "Invalid value for '--workers': .* 1; see"),
        ("run quickstart --trials many", "Invalid value for '--trials': .*; see"),
        ("run quickstart --set", "Option '--set' requires an argument; see"),
        ("data fech", "No such command 'fech'. Did you mean 'fetch'?; see `sweeper data --help`"),
        ("extend x", "Missing option '--trials'; see `sweeper extend --help`"),
        ("extend x --trials 0", "Invalid value for '--trials': .* 1; see"),
        ("merge x y", "Missing option '--output'; see `sweeper merge --help`"),
        ("export x", "Missing option '--to'; see `sweeper export --help`"),
        ("frontier", "Missing argument 'RUN...'; see `sweeper frontier --help`"),
    ],
)
def test_what_is_no_command_is_one_line_with_where_help_is(
    sweeper: SweeperCommand, arguments: str, message: str
) -> None:
    line = sweeper(*arguments.split()).is_one_error()

    pattern = re.escape(message).replace(r"\.\*", ".*")
    assert re.match(pattern, line), line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "run quikstart --dry-run",
            "no shipped experiment of that name; did you mean 'quickstart",
        ),
        ("run nothing.yaml", "there is no file 'nothing.yaml' and no shipped experiment"),
        ("show nothing.yaml", "there is no file 'nothing.yaml' and no shipped experiment"),
        ("list run", "there is nothing to list under 'run'; there are experiments, objectives"),
        ("status quickstart", "there is no run 'quickstart' in runs; see `sweeper list runs`"),
        ("status x --storage y", "there is no run 'x' in y; see `sweeper list runs`"),
        ("resume ../quickstart", "there is no run '../quickstart' in runs"),
        ("frontier quickstart", "there is no run 'quickstart' in runs"),
        ("extend quickstart --trials 1", "there is no run 'quickstart' in runs"),
        ("merge a b --output c", "there is no run 'a' in runs"),
        ("export quickstart --to csv", "there is no run 'quickstart' in runs"),
        ("rerun abcdef", "there is no trial 'abcdef' in the runs in runs"),
        ("rerun abcdef --run quickstart", "there is no run 'quickstart' in runs"),
        ("data fetch pbt", "there is no data set 'pbt'; there are symbols, ptb"),
        ("data verify pbt", "there is no data set 'pbt'; there are symbols, ptb"),
        ("run ptb_vimco_renyi", "run `sweeper data fetch ptb`, or set SWEEPER_DATA_DIR to where"),
    ],
)
def test_what_cannot_be_found_is_one_line_and_creates_nothing(
    sweeper: SweeperCommand, arguments: str, message: str, tmp_path: Path
) -> None:
    assert message in sweeper(*arguments.split()).is_one_error()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("--name ../x", "--name ../x: name: a name has 1 to 64 letters"),
        ("--name x/y", "--name x/y: name: a name has 1 to 64 letters"),
        ("--scale smol", "--scale smol: unknown scale 'smol'; did you mean 'smoke'?"),
        ("--set trial.steps", "--set trial.steps: write PATH=VALUE"),
        ("--set trial.training.step=3", "trial.training.step: unknown key 'step'; did you mean"),
        ("--set search.seeds=0", "--set search.seeds=0: search.seeds: "),
        ("--set name=!!python/name:os.system", "the tag !!python/name:os.system is not allowed"),
    ],
)
def test_an_option_that_makes_no_experiment_is_told_with_its_place(
    sweeper: SweeperCommand, arguments: str, problem: str, tmp_path: Path
) -> None:
    answer = sweeper("run", "quickstart.yaml", *arguments.split())

    assert (answer.code, answer.out) == (2, "")
    first, *problems = answer.err.splitlines()
    assert first == "error: quickstart.yaml is not a valid experiment:"
    assert any(problem in line for line in problems), problems
    assert list(tmp_path.iterdir()) == []


def test_validate_names_every_problem_of_several_files(
    sweeper: SweeperCommand, experiment_file: WriteExperiment
) -> None:
    good = experiment_file(name="good", arms={"a": {}, "b": {"training": {"batch_size": 2}}})
    bad = experiment_file(name="bad", search={"trials": 0, "seeds": 0})
    worse = experiment_file(name="worse", search={"sampler": {"name": "rando"}})
    answer = sweeper("validate", bad.name, good.name, worse.name, "quickstart")

    assert answer.code == 2
    assert answer.out.splitlines() == ["good.yaml: valid; 2 arms", "quickstart: valid; 2 arms"]
    first, *lines = answer.err.splitlines()
    assert first == "error: bad.yaml is not a valid experiment:"
    assert len([line for line in lines if line.startswith("  bad.yaml:")]) == 2
    assert "worse.yaml is not a valid experiment:" in lines
    assert any("did you mean 'random'" in line for line in lines)
    assert sweeper("validate", good.name, "quickstart", "--scale", "smoke").code == 2
    assert sweeper("validate", "quickstart", "--scale", "smoke").code == 0


def test_show_prints_an_experiment_that_is_the_same_again(
    sweeper: SweeperCommand, tmp_path: Path
) -> None:
    answer = sweeper("show", "quickstart", "--scale", "smoke", "--set", "search.trials=5")
    shown = tmp_path / "shown.yaml"
    shown.write_text(answer.out)

    assert answer.code == 0
    assert "trials: 5  # --set search.trials=5" in answer.out
    assert re.search(r"steps: 30  # .*quickstart\.yaml:\d+\n", answer.out)
    again = load(shown)
    assert again == load("quickstart", scale="smoke", overrides=["search.trials=5"])


def test_a_dry_run_prints_the_plan_and_creates_nothing(
    sweeper: SweeperCommand, tmp_path: Path
) -> None:
    answer = sweeper("run", "ptb_vimco_renyi", "--trials", "4", "--name", "mine", "--dry-run")

    assert (answer.code, answer.err) == (0, "")
    assert "trials      4: 1 arms x 4 configurations x 1 seeds" in answer.out
    assert "directory   runs/mine (new)" in answer.out
    assert f"data        ptb: data set ptb is not complete, {tmp_path}/no-data lacks" in answer.out
    assert "arm mine" in answer.out
    assert "  sweeps      objective.alpha: float from " in answer.out
    assert "  for example training.learning_rate=" in answer.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["experiments", "objectives", "estimators", "models", "data", "spaces", "runs"]
)
def test_every_kind_of_name_can_be_listed(sweeper: SweeperCommand, kind: str) -> None:
    answer = sweeper("list", kind)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"{kind}:\n  ")
    assert answer.out in sweeper("list").out + "\n"


def test_runs_are_listed_from_where_they_are_stored(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    trained("done")

    assert "1 of 3 trials have ended; A small one" in sweeper("list", "runs").out
    assert sweeper("list", "runs", "--storage", "elsewhere").out == "runs:\n  none\n"


def test_status_is_for_a_name_or_a_directory(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    run = trained("done", "failed")
    answer = sweeper("status", "tiny")

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("runs/tiny: stopped; 2 of 3 trials have ended, ")
    assert "failed: as the test wants it" in answer.out
    assert sweeper("status", str(run.path)).out.startswith(f"{run.path}: stopped; 2 of 3")
    assert sweeper("status", "tiny", "--storage", str(run.path.parent)).code == 0
    assert "did you mean 'tiny'?" in sweeper("status", "tony").is_one_error()


def test_a_frontier_is_written_where_it_is_asked_for(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    trained("done", "done", "done")
    trained("done", name="other")

    answer = sweeper("frontier", "tiny")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == "runs/tiny/frontier/frontier.svg"
    assert "name it by --output" in sweeper("frontier", "tiny", "other").is_one_error()
    both = ("frontier", "tiny", "other", "--output", "both")
    assert "2 experiments (tiny, other)" in sweeper(*both).is_one_error()
    assert sweeper(*both, "--force").code == 0
    assert (tmp_path / "both/frontier.png").stat().st_size > 0
    assert "nats per token" in sweeper("frontier", "tiny", "--per", "token").out
    assert "got 'word'" in sweeper("frontier", "tiny", "--per", "word").is_one_error()
    assert (
        "cannot write tiny.yaml"
        in sweeper("frontier", "tiny", "--output", "tiny.yaml").is_one_error()
    )


def test_a_frontier_has_views_styles_and_bands(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    trained("done", "done", "done")
    here = ("frontier", "tiny", "--output", "here")

    for options, picture in (
        (["--view", "rate-distortion"], "rate_distortion.svg"),
        (["--style", "paper"], "frontier_paper.svg"),
    ):
        answer = sweeper(*here, *options)
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.splitlines()[-1] == f"here/{picture}"
    assert "evaluation.every" in sweeper(*here, "--view", "training").is_one_error()
    assert "no arm has two" in sweeper(*here, "--band", "seeds").is_one_error()
    assert "did you mean seeds?" in sweeper(*here, "--band", "seed").is_one_error()


def test_a_report_is_written_where_it_is_asked_for(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    trained("done", "failed")
    trained("done", name="other")

    answer = sweeper("report", "tiny")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("runs/tiny/frontier/report.html: ")
    assert "name it by --output" in sweeper("report", "tiny", "other").is_one_error()
    assert sweeper("report", "tiny", "other", "--output", "x.html", "--force").code == 0
    assert (tmp_path / "x.html").stat().st_size > 0
    assert "with --force" in sweeper("report", "tiny", "other", "--output", "y").is_one_error()
    assert "got 'word'" in sweeper("report", "tiny", "--per", "word").is_one_error()


def test_a_run_without_rows_has_no_frontier(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    trained()

    assert "no trial has ended yet" in sweeper("frontier", "tiny").is_one_error()


def test_a_run_of_another_experiment_is_refused_with_the_difference(
    sweeper: SweeperCommand, experiment_file: WriteExperiment
) -> None:
    path = experiment_file()
    RunDirectory(Path("runs/tiny")).create(load(path).to_yaml())
    answer = sweeper("run", str(path), "--trials", "4", "--set", "trial.training.steps=5")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines() == [
        "error: runs/tiny belongs to another experiment; choose another --name, or undo:",
        "  search.trials: 3 -> 4",
        "  trial.training.steps: 4 -> 5",
    ]


@pytest.mark.parametrize(
    ("occupied", "message"),
    [
        ("runs", "cannot write the run directory runs/tiny: Not a directory"),
        ("runs/tiny", "runs/tiny exists and is not a run; choose another --name"),
        ("runs/tiny/thesis.tex", "runs/tiny exists and is not a run; choose another --name"),
    ],
)
def test_what_is_in_the_way_is_one_line_and_stays(
    sweeper: SweeperCommand, experiment_file: WriteExperiment, occupied: str, message: str
) -> None:
    path = experiment_file()
    Path(occupied).parent.mkdir(parents=True, exist_ok=True)
    Path(occupied).write_text("mine")

    assert sweeper("run", str(path)).is_one_error().startswith(message)
    assert Path(occupied).read_text() == "mine"


def test_a_damaged_run_is_one_line(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    run = trained("done")
    run.experiment_file.write_text("name: [")

    assert "experiment.yaml is damaged" in sweeper("status", "tiny").is_one_error()
    assert sweeper("resume", "tiny").code == 2


READERS = [
    *("status tiny", "frontier tiny", "report tiny"),
    *("export tiny --to csv", "export tiny --to optuna"),
]


@pytest.mark.parametrize("line", READERS)
def test_damaged_parts_are_named_and_the_rest_is_read(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], line: str
) -> None:
    first, second, _ = sorted(trained("done", "done", "done").results.iterdir())
    whole = sweeper(*line.split())
    assert (whole.code, whole.err) == (0, "")
    first.write_bytes(b"PAR1")
    second.write_bytes(b"")

    strict = sweeper(*line.split())
    assert strict.code == 1
    assert strict.out
    errors = strict.err.splitlines()
    assert [error.split(" cannot be read")[0] for error in errors] == [
        f"error: runs/tiny/results/{first.name}",
        f"error: runs/tiny/results/{second.name}",
    ]
    lenient = sweeper(*line.split(), "--allow-partial")
    assert (lenient.code, lenient.out) == (0, strict.out)
    assert lenient.err == strict.err.replace("error: ", "warning: ")


@pytest.mark.parametrize("line", ["compare tiny other --output both", "knobs tiny", "paper melis"])
def test_figures_of_damaged_runs_name_what_they_lack(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], line: str
) -> None:
    part = min(trained("done", "done", "done").results.iterdir())
    trained("done", "done", "done", name="other")
    part.write_bytes(b"")

    strict = sweeper(*line.split())
    assert strict.code == 1
    assert strict.out
    assert strict.err.startswith(f"error: runs/tiny/results/{part.name} cannot be read")
    assert sweeper(*line.split(), "--allow-partial").code == 0


def test_damaged_parts_are_named_where_nothing_else_is_there(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    [part] = trained("done").results.iterdir()
    part.write_bytes(b"")
    answer = sweeper("frontier", "tiny", "--allow-partial")

    assert answer.code == 2
    warning, error = answer.err.splitlines()
    assert warning.startswith(f"warning: runs/tiny/results/{part.name} cannot be read")
    assert error.startswith("error: ")
    assert "no trial has ended yet" in error


def test_a_damaged_part_keeps_a_sweep_from_going_on(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    run = trained("done", "done", "done")
    min(run.results.iterdir()).write_bytes(b"")
    before = run.experiment_file.read_text()

    for line in ("resume tiny", "run tiny.yaml", "extend tiny --trials 1"):
        assert "cannot be read" in sweeper(*line.split()).is_one_error()
    assert run.experiment_file.read_text() == before


def test_a_union_of_damaged_runs_is_only_made_where_that_is_allowed(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    part = min(trained("done", "done").results.iterdir())
    trained("done", "done", "done", name="other")
    part.write_bytes(b"")
    line = ["merge", "tiny", "other", "--output", "both"]

    assert f"{part.name} cannot be read" in sweeper(*line).is_one_error()
    assert not Path("runs/both").exists()
    answer = sweeper(*line, "--allow-partial")
    assert (answer.code, answer.err.count("warning: ")) == (0, 1)
    assert Path("runs/both").is_dir()


def test_the_verbs_for_points_and_runs_work_from_the_command_line(
    sweeper: SweeperCommand, train_run: Callable[..., RunDirectory], experiment: MakeExperiment
) -> None:
    run = train_run(experiment())
    train_run(experiment(name="other", search={"sampler": {"seed": 1}}))
    trial = min(ResultStore(run.results).finished())

    answer = sweeper("rerun", trial[:8], "--run", "tiny")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("it agrees to the bit\n")
    assert sweeper("merge", "tiny", "other", "--output", "both").code == 0
    assert "both   6 trials, merged from tiny, other; A small one" in sweeper("list", "runs").out
    assert sweeper("merge", "tiny", "other", "--output", "elsewhere/both").code == 0
    assert sweeper("status", "elsewhere/both").out.startswith("elsewhere/both: merged; 6 of 6")
    assert "cannot be trained further" in sweeper("resume", "both").is_one_error()
    assert (
        "runs/both exists" in sweeper("merge", "tiny", "other", "--output", "both").is_one_error()
    )
    answer = sweeper(
        "export", "both", "--to", "parquet", "--final-only", "--output", "all.parquet"
    )
    assert answer.out.startswith("all.parquet: 6 rows, ")
    assert "did you mean 'csv'?" in sweeper("export", "both", "--to", "cvs").is_one_error()


def test_data_commands_tell_where_data_is_and_what_lacks(
    sweeper: SweeperCommand, tmp_path: Path
) -> None:
    assert f"data directory: {tmp_path}/no-data" in sweeper("data", "list").out
    assert sweeper("data", "verify", "symbols").code == 0
    assert (
        sweeper("data", "fetch", "symbols").out == "symbols: made on the fly, nothing to fetch\n"
    )
    answer = sweeper("data", "verify")
    assert answer.code == 2
    assert "ptb: ptb/ptb.test.txt: missing" in answer.out
    assert re.fullmatch(r"error: not all files are as published; [^\n]+\n", answer.err)


def test_an_interrupted_command_exits_with_130(
    sweeper: SweeperCommand,
    trained: Callable[..., RunDirectory],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained("done")

    def interrupted(run: RunDirectory, **options: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(reading, "status", interrupted)
    answer = sweeper("status", "tiny")
    assert (answer.code, answer.out, answer.err) == (130, "", "")


def python_m_sweeper(
    *arguments: str, env: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "sweeper", *arguments],
        env={**os.environ, **(env or {})},
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        **options,
    )


def test_an_output_that_knows_only_ascii_is_enough() -> None:
    env = {"PYTHONIOENCODING": "ascii"}
    done = python_m_sweeper("list", "experiments", env=env, stdout=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"VIMCO-16 with the R?nyi objective" in done.stdout


def test_a_reader_that_has_enough_causes_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = python_m_sweeper("list", "experiments", stdout=writer)
    finally:
        os.close(writer)

    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_learn_the_commands(shell: str) -> None:
    env = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = python_m_sweeper("--show-completion", shell, env=env, stdout=subprocess.PIPE)

    assert script.returncode == 0
    assert b"_SWEEPER_COMPLETE=complete_" + shell.encode() in script.stdout


def test_a_shell_that_has_learnt_them_completes_commands() -> None:
    env = {"_SWEEPER_COMPLETE": "complete_bash", "COMP_WORDS": "sweeper st", "COMP_CWORD": "1"}

    assert python_m_sweeper(env=env, stdout=subprocess.PIPE).stdout.split() == [b"status"]
