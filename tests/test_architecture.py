"""The rooms and what they may import, checked from outside."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("analysis", "search_spaces", "sweeper", "trainables")
HEAVY = ("torch", "ray", "optuna", "pandas", "matplotlib", "pyarrow", "pydantic")

WITHOUT_TRAINING = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "ray", "optuna"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from sweeper.cli import main
sys.argv = ["sweeper", *sys.argv[1:]]
main()
"""


def imported(file: Path) -> set[str]:
    """Give the top-level packages that a file imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )


@pytest.mark.parametrize("room", ["analysis", "search_spaces", "trainables"])
def test_the_ground_floor_does_not_know_the_other_rooms(room: str) -> None:
    others = set(ROOMS) - {room}
    for file in (ROOT / room).rglob("*.py"):
        assert not imported(file) & others, file


def test_ray_is_imported_in_two_places_alone() -> None:
    files = {f for room in ROOMS for f in (ROOT / room).rglob("*.py") if "ray" in imported(f)}
    assert {f.relative_to(ROOT).as_posix() for f in files} == {
        "sweeper/driver.py",
        "trainables/trainable.py",
    }


def test_files_stay_small() -> None:
    for room in (*ROOMS, "benchmarks"):
        for file in (ROOT / room).rglob("*.py"):
            assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, file


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom sweeper.cli import app\n"
        "app(['--help'], standalone_mode=False)\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert python("-c", code).stdout.rstrip().endswith("HEAVY []")


@pytest.mark.parametrize("command", [("list", "runs"), ("status", "nothing"), ("frontier", "no")])
def test_stored_results_are_read_without_torch_or_ray(command: tuple[str, ...]) -> None:
    done = python("-c", WITHOUT_TRAINING, *command)
    assert "not installed" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sweep_without_torch_says_what_to_install() -> None:
    done = python("-c", WITHOUT_TRAINING, "run", "quickstart")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: this command needs ")
    assert done.stderr.endswith("pip install 'sweeper[train]'\n")
