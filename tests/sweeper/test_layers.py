"""Layers: merge patches, bases, scales and settings."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import SweeperError
from sweeper.layers import MAX_FILES, compose, find, merge, prune, settings, shipped
from sweeper.located import Node, Place, Problems

FILE, PATCH = Place("file", 1), Place("patch", 2)


def apply(base: Any, patch: Any) -> Any:
    return prune(merge(Node.of(base, FILE), Node.of(patch, PATCH))).plain()


def rfc_7386(target: Any, patch: Any) -> Any:
    """The algorithm as the RFC's section 2 has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = rfc_7386(result.get(name), value)
    return result


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    # RFC 7386, appendix A; a whole document is never null there, nor here.
    [
        ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
        ('{"a":"b"}', '{"a":null}', "{}"),
        ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
        ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
        ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
        ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
        ('["a","b"]', '["c","d"]', '["c","d"]'),
        ('{"a":"b"}', '["c"]', '["c"]'),
        ('{"a":"foo"}', '"bar"', '"bar"'),
        ('{"e":null}', '{"a":1}', '{"a":1}'),
        ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
        ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
    ],
)
def test_the_examples_of_rfc_7386_hold(target: str, patch: str, result: str) -> None:
    assert apply(json.loads(target), json.loads(patch)) == json.loads(result)


trees = st.recursive(
    st.sampled_from([None, 0, 1, "x"]) | st.lists(st.integers(0, 2), max_size=2),
    lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)


@given(documents, documents)
def test_merging_is_a_merge_patch(base: Any, patch: Any) -> None:
    assert apply(base, patch) == rfc_7386(rfc_7386({}, base), patch)


@given(documents, documents, documents)
def test_keeping_nulls_until_the_last_layer_changes_nothing(a: Any, b: Any, c: Any) -> None:
    one, two, three = (Node.of(value, FILE) for value in (a, b, c))

    late = prune(merge(merge(one, two), three))
    soon = prune(merge(prune(merge(prune(one), two)), three))

    assert late.plain() == soon.plain() == rfc_7386(rfc_7386(rfc_7386({}, a), b), c)


@given(documents)
def test_merging_is_idempotent_and_has_a_neutral_patch(a: Any) -> None:
    node = Node.of(a, FILE)

    assert merge(node, node).plain() == a
    assert merge(node, Node({}, PATCH)).plain() == a


def test_each_value_keeps_the_place_it_was_written_at() -> None:
    base = Node.of({"a": {"x": 1, "y": 2}}, FILE)
    merged = merge(base, Node.of({"a": {"y": 3}}, PATCH))

    assert {path: node.place for path, node in merged.leaves()} == {
        ("a", "x"): FILE,
        ("a", "y"): PATCH,
    }


def test_a_null_remembers_whether_it_removes_something() -> None:
    merged = merge(Node.of({"a": 1}, FILE), Node.of({"a": None, "b": None}, PATCH))

    assert {key: node.removes for key, node in merged.children.items()} == {"a": True, "b": False}


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def composed(path: Path, scale: str | None = None, *overrides: str) -> Any:
    problems = Problems("it")
    changes = settings(overrides, {}, problems)
    document = prune(compose(path, scale, changes, problems)).plain()
    if problems:
        raise problems.error()
    return {key: v for key, v in document.items() if key not in ("extends", "scales")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path()


def problem_lines(error: pytest.ExceptionInfo[SweeperError]) -> list[str]:
    first, *lines = str(error.value).splitlines()
    assert first == "it is not a valid experiment:"
    return [line.removeprefix("  ") for line in lines]


def test_later_layers_win(folder: Path) -> None:
    write(
        folder,
        base="a: base\nb: base\nc: base\nd: base\nscales: {s: {c: base scale, d: base scale}}",
        file="extends: base.yaml\nb: file\nc: file\nd: file\nscales: {s: {d: file scale}}",
    )

    assert composed(folder / "file.yaml") == {"a": "base", "b": "file", "c": "file", "d": "file"}
    assert composed(folder / "file.yaml", "s", "d=set") == {
        "a": "base",
        "b": "file",
        "c": "base scale",
        "d": "set",
        "scale": "s",
    }


def test_a_base_is_found_beside_the_file_that_extends_it(folder: Path) -> None:
    (folder / "below").mkdir()
    write(folder, top="extends: below/middle.yaml\na: 1")
    write(folder / "below", middle="extends: ../bottom.yaml\nb: 2")
    write(folder, bottom="c: 3")

    assert composed(folder / "top.yaml") == {"a": 1, "b": 2, "c": 3}


def test_a_shipped_experiment_can_be_extended_by_name(folder: Path) -> None:
    write(folder, mine="extends: quickstart\nname: mine")

    document = composed(folder / "mine.yaml")

    assert document["name"] == "mine"
    assert set(document["arms"]) == {"renyi-vimco-16", "reinforce-1"}


def test_files_that_extend_each_other_are_refused_with_the_circle(folder: Path) -> None:
    write(folder, a="extends: b.yaml", b="x: 1\nextends: ./a.yaml")

    with pytest.raises(SweeperError) as error:
        composed(folder / "a.yaml")

    assert problem_lines(error) == [
        "b.yaml:2: extends: files extend each other in a circle: a.yaml → b.yaml → a.yaml"
    ]


def test_a_long_chain_is_refused(folder: Path) -> None:
    for i in range(MAX_FILES + 1):
        write(folder, **{f"f{i}": f"extends: f{i + 1}.yaml"})

    with pytest.raises(SweeperError) as error:
        composed(folder / "f0.yaml")

    last = MAX_FILES - 1
    assert problem_lines(error) == [
        f"f{last}.yaml:1: extends: more than {MAX_FILES} files; join some of them"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "extends: absent.yaml",
            "x.yaml:1: extends: there is no file 'absent.yaml' and no shipped experiment "
            "'absent.yaml'",
        ),
        (
            "a: 1\nextends: quikstart",
            "x.yaml:2: extends: there is no file 'quikstart' and no shipped experiment "
            "'quikstart'; did you mean 'quickstart'?",
        ),
        ("extends: [a, b]", "x.yaml:1: extends: name one file, or one shipped experiment"),
    ],
)
def test_a_missing_base_is_refused(text: str, expected: str, folder: Path) -> None:
    write(folder, x=text)

    with pytest.raises(SweeperError) as error:
        composed(folder / "x.yaml")

    assert problem_lines(error) == [expected]


def test_problems_of_a_base_name_the_base(folder: Path) -> None:
    write(folder, base="a: 1\na: 2", x="extends: base.yaml\nb: 1\nb: 2")

    with pytest.raises(SweeperError) as error:
        composed(folder / "x.yaml")

    assert problem_lines(error) == [
        "base.yaml:2: a: duplicate key, first on line 1; keep one",
        "x.yaml:3: b: duplicate key, first on line 2; keep one",
    ]


@pytest.mark.parametrize(
    ("text", "scale", "expected"),
    [
        ("scales: {small: {}}", "smal", "unknown scale 'smal'; did you mean 'small'?"),
        ("scales: {small: {}, tiny: {}}", "x", "unknown scale 'x'; known: small, tiny"),
        ("a: 1", "small", "the file declares no scales"),
        (
            "scale: tiny",
            "small",
            "the file is already resolved at scale 'tiny'; leave --scale out",
        ),
    ],
)
def test_an_unknown_scale_is_refused(text: str, scale: str, expected: str, folder: Path) -> None:
    write(folder, x=text)

    with pytest.raises(SweeperError) as error:
        composed(folder / "x.yaml", scale)

    assert problem_lines(error) == [f"--scale {scale}: {expected}"]


def test_a_scale_changes_neither_bases_nor_scales(folder: Path) -> None:
    write(folder, x="scales:\n  s:\n    extends: y.yaml\n    scales: {}\n    scale: t")

    with pytest.raises(SweeperError) as error:
        composed(folder / "x.yaml", "s")

    assert problem_lines(error) == [
        "x.yaml:3: scales.s.extends: a scale cannot set it",
        "x.yaml:4: scales.s.scales: a scale cannot set it",
        "x.yaml:5: scales.s.scale: a scale cannot set it",
    ]


def test_a_file_with_scales_does_not_record_one(folder: Path) -> None:
    write(folder, x="scale: s\nscales: {s: {}}")

    with pytest.raises(SweeperError) as error:
        composed(folder / "x.yaml")

    assert problem_lines(error) == [
        "x.yaml:1: scale: only a resolved file records its scale; choose one of the scales with "
        "--scale"
    ]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trial.training.steps=50", {"trial": {"training": {"steps": 50}}}),
        ("trial.training.rate=1e-3", {"trial": {"training": {"rate": 1e-3}}}),
        ("trial.training={a: [1, x]}", {"trial": {"training": {"a": [1, "x"]}}}),
        ("a=b=c", {"a": "b=c"}),
        ("search.space.training.l2={low: 0}", {"search": {"space": {"training.l2": {"low": 0}}}}),
        ("arms.v.1.x.samples=2", {"arms": {"v.1": {"x": {"samples": 2}}}}),
        ("arms.new={}", {"arms": {"new": {}}}),
        ("search.space.training.rate.low=0", {"search": {"space": {"training.rate": {"low": 0}}}}),
        ("search.space.a=null", {"search": {"space": {"a": None}}}),
        ("search.space.a=", {"search": {"space": {"a": None}}}),
    ],
)
def test_a_setting_is_a_path_and_yaml(
    override: str, expected: dict[str, Any], folder: Path
) -> None:
    text = "trial: {}\narms: {v.1: {x: {}}}\nsearch: {space: {training.rate: {}, a: {}}}"
    write(folder, x=text)

    base = composed(folder / "x.yaml")

    assert composed(folder / "x.yaml", None, override) == rfc_7386(base, expected)


def test_a_setting_knows_the_parameters_of_a_named_space(folder: Path) -> None:
    write(folder, x="search: {space: {use: melis_table_2}}")

    document = composed(folder / "x.yaml", None, "search.space.objective.alpha.low=1.05")

    assert document["search"]["space"]["objective.alpha"] == {"low": 1.05}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("steps", "write PATH=VALUE, for example --set trial.training.steps=50"),
        ("=1", "write PATH=VALUE, for example --set trial.training.steps=50"),
        ("a..b=1", "write PATH=VALUE, for example --set trial.training.steps=50"),
        (
            "a." * 40 + "a=1",
            "write PATH=VALUE, for example --set trial.training.steps=50",
        ),
        (
            "a=[1",
            "not valid YAML: while parsing a flow sequence, expected ',' or ']', but got "
            "'<stream end>'",
        ),
        ("a={b: 1, b: 2}", "b: duplicate key; keep one"),
        (
            "extends=y",
            "extends: extends applies before --set; change it in a file, or use --scale",
        ),
        ("scale=y", "scale: scale applies before --set; change it in a file, or use --scale"),
        ("arms.vimko.samples=1", "arms.vimko.samples: unknown arm 'vimko'; did you mean 'vimco'?"),
    ],
)
def test_a_wrong_setting_is_refused_and_named(override: str, expected: str, folder: Path) -> None:
    write(folder, x="arms: {vimco: {}}")

    with pytest.raises(SweeperError) as error:
        composed(folder / "x.yaml", None, override)

    assert problem_lines(error) == [f"--set {override}: {expected}"]


def test_an_experiment_without_arms_has_none_to_set(folder: Path) -> None:
    write(folder, x="trial: {}")

    with pytest.raises(SweeperError, match="there are no arms; set trial"):
        composed(folder / "x.yaml", None, "arms.a.objective.samples=1")


def test_an_existing_path_comes_before_a_shipped_experiment(folder: Path) -> None:
    assert find("quickstart.yaml") == find("quickstart") == shipped()["quickstart"]
    table = "menon/table2_omniglot"  # in a directory
    assert find(f"{table}.yaml") == find(table) == shipped()[table]

    write(folder, quickstart="a: 1")

    assert find("quickstart.yaml") == Path("quickstart.yaml")
    assert find("quickstart") == shipped()["quickstart"]
    Path("quickstart").mkdir()  # as in a directory of runs
    assert find("quickstart") == shipped()["quickstart"]


@pytest.mark.parametrize(
    ("source", "hint"),
    [("absent.yaml", ""), ("quikstart", "; did you mean 'quickstart'?"), ("../quickstart", "")],
)
def test_an_unknown_experiment_is_refused(source: str, hint: str, folder: Path) -> None:
    with pytest.raises(SweeperError) as error:
        find(source)

    assert str(error.value).startswith(
        f"there is no file {source!r} and no shipped experiment of that name"
    )
    assert hint in str(error.value)


def test_a_path_that_cannot_even_be_looked_up_is_refused_with_the_reason(folder: Path) -> None:
    write(folder, x=f"extends: {'y' * 300}.yaml")

    with pytest.raises(SweeperError) as error:
        composed(folder / "x.yaml")

    assert problem_lines(error)[0].endswith(
        "yyy.yaml: cannot be read (File name too long); make it readable"
    )


def test_bases_are_not_among_the_shipped_experiments() -> None:
    assert not [name for name in shipped() if "_" in (name[0], name.rpartition("/")[2][0])]
    assert all(path.is_file() for path in shipped().values())
    with pytest.raises(SweeperError):
        find("_ptb")


def test_listing_experiments_imports_nothing_that_trains() -> None:
    code = "import sweeper.layers, sys; print({'torch', 'ray', 'optuna'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
