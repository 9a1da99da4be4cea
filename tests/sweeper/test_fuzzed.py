"""Experiment files that went wrong in any way: told by file and line, never by a traceback."""

import re
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from search_spaces import EXPERIMENTS
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load

SHIPPED = ["quickstart", "_ptb", "menon/_images", "menon/_text"]
# A line of the error names the file it is about and, where there is one, the line.
LOCATED = re.compile(r"  \S*(fuzzed|quickstart|_\w+|\w+)\.yaml(:\d+)?: .+|  [\w./-]+:\d+: .+")

# What people and programs write by mistake, or with intent.
SNIPPETS = st.sampled_from(
    [
        *("\t", ":", "- ", "? ", "|\n", ">-\n", "{", "}", "[", "]", '"', "'", "#", "%", "@", "`"),
        *("&a ", "*a", "<<: *a", "!!python/object/apply:os.system [ls]", "!!binary aGk=", "---\n"),
        *("null", "~", "yes", "1e-4", ".nan", "-.inf", "0x1F", "9" * 400, "1_000", "2026-01-01"),
        *("\x00", "\x07", "\u2028", "\ufeff", "\ud7ff", "é", "🙂", "../../etc/passwd", "${HOME}"),
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | SNIPPETS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node)
    below = [(*path, key) for key, _ in children]
    for key in list(below):
        child = node[key[-1]]
        if isinstance(child, dict | list):
            below += paths(child, key)
    return below


@st.composite
def mutated_trees(draw: st.DrawFn) -> str:
    document = yaml.safe_load((EXPERIMENTS / f"{draw(st.sampled_from(SHIPPED))}.yaml").read_text())
    for _ in range(draw(st.integers(1, 3))):
        known = paths(document)
        if not known:
            break
        *above, key = draw(st.sampled_from(known))
        section = document
        for step in above:
            section = section[step]
        match draw(st.sampled_from(["replace", "remove", "rename", "add"])):
            case "replace":
                section[key] = draw(VALUES)
            case "remove":
                del section[key]
            case "rename" if isinstance(section, dict):
                section[draw(st.text(max_size=8))] = section.pop(key)
            case "add" if isinstance(section, dict):
                section[draw(st.text(max_size=8))] = draw(VALUES)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


@st.composite
def mutated_texts(draw: st.DrawFn) -> bytes:
    text = (EXPERIMENTS / f"{draw(st.sampled_from(SHIPPED))}.yaml").read_text()
    for _ in range(draw(st.integers(1, 4))):
        at, until = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        inserted = draw(SNIPPETS | st.text(max_size=4))
        text = (
            text[:at] + inserted + text[draw(st.sampled_from([at, min(until, at + 20), until])) :]
        )
    content = text.encode("utf-8", errors="surrogatepass")
    return content + draw(st.sampled_from([b"", b"", b"\xff", b"\x00", b"\xed\xa0\x80"]))


def check(path: Path) -> None:
    """Load a file: it is either an experiment, or refused in lines that say where."""
    try:
        loaded = load(path)
    except SweeperError as error:
        first, *lines = str(error).splitlines()
        assert first.endswith(" is not a valid experiment:"), first
        assert lines
        assert all(LOCATED.fullmatch(line) for line in lines), lines
    else:
        assert isinstance(loaded, Experiment)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed") / "fuzzed.yaml"


FUZZING = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@FUZZING
@given(mutated_trees())
def test_a_file_whose_values_went_wrong_is_refused_by_place(file: Path, text: str) -> None:
    file.write_text(text, "utf-8", errors="surrogatepass")
    check(file)


@FUZZING
@given(mutated_texts())
def test_a_file_whose_text_went_wrong_is_refused_by_place(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    check(file)


def test_most_of_them_are_refused(file: Path) -> None:
    """Else the two tests above would show nothing."""
    refused = 0

    @settings(FUZZING, database=None)
    @given(mutated_trees())
    def count(text: str) -> None:
        nonlocal refused
        file.write_text(text, "utf-8", errors="surrogatepass")
        try:
            load(file)
        except SweeperError:
            refused += 1

    count()
    assert refused >= 30
