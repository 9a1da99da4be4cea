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

from sweeper import cli
from sweeper.experiment import Experiment, load
from sweeper.runs import RunDirectory
from sweeper.stored import watching

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
WriteExperiment = Callable[..., Path]


SweeperCommand = Callable[..., Any]


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
        *("frontier", "compare", "confirm", "knobs", "paper", "report", "meters"),
        *("rerun", "extend", "merge", "export", "submit", "job"),
    }

    assert {name for name, *below in COMMANDS if not below} == promised
    of_data, of_jobs = (
        {below[0] for name, *below in COMMANDS if below and name == group}
        for group in ("data", "job")
    )
    assert of_data == {"list", "fetch", "verify"}
    assert of_jobs == {"status", "logs", "stop", "list"}


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
        ("data fetch", "Missing argument 'NAME...'"),
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

    monkeypatch.setattr(watching, "show", interrupted)
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
