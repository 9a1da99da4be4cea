"""What the README says can be typed, followed and copied."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.experiment import load
from trainables.estimators import ESTIMATORS
from trainables.objectives import OBJECTIVES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line.partition("#")[0].replace(".venv/bin/", "").strip()
    for language, block in FENCED
    if language == "sh"
    for line in block.splitlines()
]
VERBS = ["run", "resume", "validate", "show", "list", "status", "frontier", "data"]


def sweeper(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sweeper", *arguments], capture_output=True, text=True, check=False
    )


def options(verb: list[str]) -> str:
    done = sweeper(*verb, "--help")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("sweeper ")])
def test_commands_of_the_readme_exist_with_their_options(command: str) -> None:
    _, verb, *rest = shlex.split(command)
    path = [verb, rest[0]] if verb == "data" else [verb]
    known = options(path)
    assert all(word in known for word in rest if word.startswith("--"))


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_is_in_the_readme(verb: str) -> None:
    assert f"sweeper {verb}" in README
    assert options([verb])


def test_targets_of_make_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert {c.split()[1] for c in COMMANDS if c.startswith("make ")} <= set(targets)


def test_links_and_named_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
    for path in re.findall(r"`((?:trainables|tests)/[\w/]+(?:\.py)?)`", README):
        assert (ROOT / path).exists(), path


def test_the_example_is_a_valid_experiment(tmp_path: Path) -> None:
    [example] = [block for language, block in FENCED if language == "yaml"]
    file = tmp_path / "example.yaml"
    file.write_text(example, encoding="utf-8")
    assert list(load(file, scale="tiny").arms) == ["renyi-vimco-16", "reinforce-1"]


def test_the_tables_name_every_objective_and_estimator() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE)
    assert set(rows) == {*OBJECTIVES, *ESTIMATORS}


def test_the_version_is_that_of_the_changelog() -> None:
    version = sweeper("--version").stdout.split()[1]
    assert f"## {version}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
