"""What the README says is so."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from sweeper import cli
from sweeper.clusters import settings
from sweeper.clusters.submitting import ENGINES
from sweeper.experiment import load, shipped
from sweeper.sections import Resources
from trainables.data import DATA
from trainables.estimators import ESTIMATORS
from trainables.evaluation.config import EvaluationConfig, MetersConfig
from trainables.objectives import OBJECTIVES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE)
INLINE = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", PROSE)]
YAML = [text for kind, text in BLOCKS if kind == "yaml"]
SHELL = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]


def sweeper_lines() -> list[str]:
    """Every `sweeper …` that the README writes, in a block or within a sentence."""
    lines = [re.sub(r"^\S*/bin/", "", line) for line in SHELL]
    return sorted({line for line in [*lines, *INLINE] if line.startswith("sweeper ")})


def arguments(line: str) -> list[str]:
    words = shlex.split(line, comments=True)[1:]
    return ["run" if word == "COMMAND" else word for word in words]


def group() -> TyperGroup:
    command = typer.main.get_command(cli.app)
    assert isinstance(command, TyperGroup)
    return command


def disarm(command: TyperGroup) -> TyperGroup:
    """Make the commands do nothing when they are called."""
    for below in command.commands.values():
        below.callback = lambda **parsed: None
        if isinstance(below, TyperGroup):
            disarm(below)
    return command


@pytest.mark.parametrize("line", sweeper_lines())
def test_every_command_line_is_one(line: str) -> None:
    first, *rest = arguments(line)
    if first.startswith("--"):  # an option of the command line itself, which acts when parsed
        assert not rest
        assert first in {option for parameter in group().params for option in parameter.opts}
    else:
        assert not disarm(group())([first, *rest], prog_name="sweeper", standalone_mode=False)


def test_a_line_that_is_no_command_would_be_found() -> None:
    with pytest.raises(typer.TyperException, match="No such option"):
        disarm(group())(["run", "x", "--bogus"], prog_name="sweeper", standalone_mode=False)


def test_every_command_is_shown() -> None:
    shown = {arguments(line)[0] for line in sweeper_lines()}

    assert set(group().commands) <= shown


def test_the_experiments_that_are_named_are_shipped() -> None:
    named = {word for line in sweeper_lines() for word in arguments(line) if ".yaml" in word}

    assert named
    assert {name.removesuffix(".yaml") for name in named} <= set(shipped())


def test_every_relative_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    relative = [link for link in links if not re.match(r"\w+:|#", link)]

    assert relative
    assert [link for link in relative if not (ROOT / link).exists()] == []


def test_every_file_that_is_named_exists() -> None:
    named = [code for code in INLINE if re.match(r"(sweeper|trainables|tests|analysis)/", code)]

    assert named
    assert [path for path in named if "<" not in path and not (ROOT / path).exists()] == []


def test_every_make_target_exists() -> None:
    used = {line.split()[1] for line in [*SHELL, *INLINE] if line.startswith("make ")}
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)

    assert used
    assert used <= set(targets)


def test_the_example_is_an_experiment(tmp_path: Path) -> None:
    [text] = [text for text in YAML if text.startswith("name: ")]
    path = tmp_path / "example.yaml"
    path.write_text(text, encoding="utf-8")

    assert list(load(path).arms) == ["renyi-vimco-16", "reinforce-1"]
    [scale] = re.findall(r"^  (\w+): \{trial:", text, re.MULTILINE)
    assert load(path, scale=scale).search.trials < load(path).search.trials


def test_the_meters_are_those_there_are_with_their_defaults() -> None:
    [text] = [text for _, text in BLOCKS if "    meters:\n" in text]
    shown = EvaluationConfig.model_validate(yaml.safe_load(text)["trial"]["evaluation"]).meters
    asked = MetersConfig.model_validate({name: {} for name in table("meter")})

    assert shown == asked
    assert set(table("meter")) == set(MetersConfig.model_fields) - {"at"}


def test_the_resources_are_some() -> None:
    [text] = [text for text in YAML if text.startswith("resources: ")]
    resources = Resources.model_validate(yaml.safe_load(text)["resources"])

    assert str(resources) == "2 CPU, 0.25 GPU, 4 GiB memory, 1 fast_disk"


def test_the_contrast_of_views_is_one() -> None:
    [text] = [text for text in YAML if text.startswith("objective:")]
    objective = OBJECTIVES["cr_vae"].model_validate(yaml.safe_load(text)["objective"])

    defaults = OBJECTIVES["cr_vae"].model_validate({"name": "cr_vae"})
    differing = {"negatives": {"kind": "queue", "length": 4096}}
    assert objective.model_dump() == {**defaults.model_dump(), **differing}


def test_the_cluster_file_is_one(tmp_path: Path) -> None:
    [text] = [text for text in YAML if text.startswith("partition: ")]
    path = tmp_path / "cluster.yml"
    path.write_text(text, encoding="utf-8")

    assert settings.load(path, {}, "slurm", ENGINES["slurm"].takes).time == "12:00:00"


def test_the_folders_of_pictures_are_configurations() -> None:
    [text] = [text for text in YAML if "image_folder" in text]
    lines = re.findall(r"data: (\{.*\})  ", text)

    first, second = (DATA["image_folder"].model_validate(yaml.safe_load(line)) for line in lines)
    assert first == second.model_copy(update={"shares": None})


def test_every_data_set_is_described() -> None:
    text = README[README.index("| data | what |") :].partition("\n\n")[0]

    assert set(re.findall(r"`(\w+)`", text)) >= set(DATA)


def table(first: str) -> dict[str, list[str]]:
    """The rows of the table whose first column is headed so, by that column."""
    text = README[README.index(f"| {first} |") :].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_the_objectives_and_estimators_are_those_there_are() -> None:
    assert list(table("objective")) == list(OBJECTIVES)
    assert list(table("estimator")) == list(ESTIMATORS)
