"""Located YAML: what is read and from where, what is refused, and that writing is its inverse."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import SweeperError
from sweeper.located import Place, Problems
from sweeper.source import MAX_BYTES, MAX_DEPTH, dump, flow, parse, read


def value(text: str) -> Any:
    problems = Problems("it")
    node = parse(text, Place("--set"), problems)
    assert problems == []
    return node.plain()


def problems_of(text: str | bytes, path: Path) -> list[str]:
    """Everything that is noted about a file, read or not."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    problems = Problems("it")
    with suppress(SweeperError):
        read(path, problems)
    return [str(problem).removeprefix(str(path.parent) + "/") for problem in problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        ("1E5", 1e5),
        ("+.5", 0.5),
        ("3.", 3.0),
        ("-3", -3),
        ("012", 12),
        ("0o17", 15),
        ("0xff", 255),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("10_000", "10_000"),
        ("1:30", "1:30"),
        ("2022-01-01", "2022-01-01"),
        ("=", "="),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, expected: object) -> None:
    found = value(text)

    assert found == expected
    assert type(found) is type(expected)


def test_not_a_number_is_read_as_one() -> None:
    assert str(value(".nan")) == "nan"


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("# title\na: 1\nb:\n  c: [2,\n      3]\n  d: {e: 4}\n")

    node = read(path, Problems("x.yaml"))

    lines = {keys: node.at(*keys) for keys in [("a",), ("b",), ("b", "c", 1), ("b", "d", "e")]}
    assert {k: n.place for k, n in lines.items() if n} == {
        ("a",): Place(str(path), 2),
        ("b",): Place(str(path), 3),
        ("b", "c", 1): Place(str(path), 5),
        ("b", "d", "e"): Place(str(path), 6),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["x.yaml:1: the file is empty; see `sweeper list experiments`"]),
        ("# a\n---\n", ["x.yaml:1: the file is empty; see `sweeper list experiments`"]),
        ("\n- 1\n", ["x.yaml:2: keys and values were expected, got a list"]),
        ("text", ["x.yaml:1: keys and values were expected, got the text 'text'"]),
        ("a: 1\nb: 2\na: 3\n", ["x.yaml:3: a: duplicate key, first on line 1; keep one"]),
        (
            "a:\n  b: {c: 1, c: 2}\n",
            ["x.yaml:2: a.b.c: duplicate key, first on line 2; keep one"],
        ),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            [
                "x.yaml:1: a: the tag !!python/object/apply:os.system is not allowed; "
                "YAML is plain data here"
            ],
        ),
        (
            "a: !thing 1\nb: !!binary aGk=\nc: !!set {x}\n",
            [
                "x.yaml:1: a: the tag !thing is not allowed; YAML is plain data here",
                "x.yaml:2: b: the tag !!binary is not allowed; YAML is plain data here",
                "x.yaml:3: c: the tag !!set is not allowed; YAML is plain data here",
            ],
        ),
        (
            "a: !!int many\nb: !!bool 1\n",
            [
                "x.yaml:1: a: the text 'many' is no valid int",
                "x.yaml:2: b: the text '1' is no valid bool",
            ],
        ),
        ('a: "\\ud800"\n', ["x.yaml:1: a: the text '\\ud800' is no valid str"]),
        ("1: a\n", ['x.yaml:1: a key is text; quote it: "1"']),
        ("a:\n  true: b\n", ['x.yaml:2: a: a key is text; quote it: "true"']),
        ("? [a]\n: b\n", ["x.yaml:1: a key is text, but here it is a mapping or list"]),
        (
            "a:\n  <<: {b: 1}\n",
            ["x.yaml:2: a: merge keys (<<) are not supported; repeat the values"],
        ),
        (
            "a: &x [1]\nb: *x\n",
            [
                "x.yaml:2: not valid YAML: the alias *x is not supported; repeat the value, or "
                "put what is shared into a file and extend it"
            ],
        ),
        (
            "a: [1\nb: 2\n",
            [
                "x.yaml:2: not valid YAML: while parsing a flow sequence, expected ',' or ']', "
                "but got ':'"
            ],
        ),
        (
            "a: 1\n---\nb: 2\n",
            [
                "x.yaml:2: not valid YAML: expected a single document in the stream, "
                "but found another document"
            ],
        ),
        ("a: 1\nb: \x07\n", ["x.yaml:2: the character '\\x07' is not allowed in YAML"]),
        (b"a: 1\nb: \xff\n", ["x.yaml:2: is not UTF-8 text; save it in that encoding"]),
        (
            "a: " + "[" * 5000,
            [f"x.yaml:1: not valid YAML: nested deeper than {MAX_DEPTH} levels"],
        ),
        (
            "#" * (MAX_BYTES + 1),
            ["x.yaml: is larger than 256 KiB; is it an experiment?"],
        ),
    ],
)
def test_what_is_not_plain_data_is_refused_where_it_stands(
    text: str | bytes, expected: list[str], tmp_path: Path
) -> None:
    assert problems_of(text, tmp_path / "x.yaml") == expected


def test_a_tag_runs_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    problems_of(f"a: !!python/object/apply:pathlib.Path.touch [{trace}]\n", tmp_path / "x.yaml")

    assert not trace.exists()


def test_aliases_cannot_grow(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)
    )

    (problem,) = problems_of(bomb, tmp_path / "x.yaml")

    assert problem.startswith("x.yaml:2: not valid YAML: the alias *a0 is not supported")


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: x\r\n")

    assert read(path, Problems("x.yaml")).plain() == {"a": 1, "b": "x"}


@pytest.mark.parametrize("name", ["", "absent.yaml"])
def test_what_is_no_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match=r"is (a directory|no file); name a YAML file$"):
        read(tmp_path / name, Problems("it"))


def test_a_problem_stays_on_one_line(tmp_path: Path) -> None:
    (problem,) = problems_of('"a\\nb\\e[31m": 1\n"a\\nb\\e[31m": 2\n', tmp_path / "x.yaml")

    assert problem == "x.yaml:2: a\\nb\\x1b[31m: duplicate key, first on line 1; keep one"


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        ["yes", "1e-4", "1_000", "0o17", "2022-01-01", "null", "~", "<<", "=", "1:30"]
    ),
)
keys = st.text(max_size=10).filter(lambda key: key != "<<")
values = st.recursive(
    scalars,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(keys, below, max_size=4)),
    max_leaves=20,
)


@given(values)
def test_what_is_written_reads_back_in_yaml_1_1_and_1_2(plain: Any) -> None:
    assert value(dump(plain)) == plain
    assert yaml.safe_load(dump(plain)) == plain


@given(values)
def test_flow_is_one_line_that_reads_back(plain: Any) -> None:
    assert not re.search("[\n\r]", flow(plain))
    assert value(flow([plain])) == [plain]


def test_shared_values_are_written_in_full() -> None:
    shared = ["x"]

    assert "&" not in dump({"a": shared, "b": shared})
