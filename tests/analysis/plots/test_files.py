from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from analysis.plots.files import picture_writers, write_all


@pytest.fixture
def figure() -> Figure:
    drawn = Figure()
    drawn.add_subplot().set_xlabel("a label to search for")
    return drawn


def written(figure: Figure, directory: Path, lines: list[str]) -> dict[str, bytes]:
    writers = picture_writers(figure, lines)
    paths = write_all({f"x.{kind}": write for kind, write in writers.items()}, directory)
    return {path.suffix[1:]: path.read_bytes() for path in paths}


def test_text_stays_text_and_fonts_are_embedded(figure, tmp_path: Path) -> None:
    files = written(figure, tmp_path, [])
    svg = ElementTree.fromstring(files["svg"])
    assert "a label to search for" in "".join(svg.itertext())
    assert b"/FontFile2" in files["pdf"]  # TrueType, type 42
    assert b"/Type3" not in files["pdf"]


def test_every_file_tells_what_it_is(figure, tmp_path: Path) -> None:
    files = written(figure, tmp_path, ["run: a_run", "trials done: 3"])
    assert b"run: a_run" in files["svg"]
    assert b"run: a_run" in files["png"]
    assert b"run: a_run" in files["pdf"]


def test_the_same_figure_gives_the_same_bytes(figure, tmp_path: Path) -> None:
    assert written(figure, tmp_path / "a", []) == written(figure, tmp_path / "b", [])
