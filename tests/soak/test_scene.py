"""The table of faults: what is written of one that is survived, is not, or cannot happen."""

import pytest

from soak.scene import HEAD, Fault, Scene, UnavailableError, play


def survived(stage: Scene) -> str:
    (stage.directory / "left").write_text("behind")
    return f"{stage.times(20, 2)} times\nall went | well"


def failed(stage: Scene) -> str:
    raise AssertionError("39 final rows of 40")


def broken(stage: Scene) -> str:
    raise TimeoutError


def elsewhere(stage: Scene) -> str:
    raise UnavailableError("needs root")


@pytest.mark.parametrize(
    ("inject", "outcome", "observed"),
    [
        (survived, "ok", "2 times all went / well"),
        (failed, "FAILED", "FAILED: 39 final rows of 40"),
        (broken, "FAILED", "FAILED: TimeoutError"),
        (elsewhere, "not run", "not run: needs root"),
    ],
)
def test_what_came_of_a_fault_is_a_row_of_the_table(
    inject: object, outcome: str, observed: str
) -> None:
    row = play(Fault("a-fault", "something breaks", "no harm", inject), quick=True)  # type: ignore[arg-type]

    assert row.outcome == outcome
    cells = str(row).split(" | ")
    assert cells == [
        "| something breaks",
        "no harm",
        observed,
        "0",
        "`python -m soak a-fault` |",
    ]
    assert all(line.count("|") == len(cells) + 1 for line in [*HEAD.splitlines(), str(row)])
