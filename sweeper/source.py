"""Experiment files as located YAML: every value knows the file and line it was read from.

YAML is data here: no tags, no aliases, no merge keys. Plain scalars are those of YAML 1.2's core
schema, unlike PyYAML's own: `1e-4` is a number; `yes`, `no`, `on`, `off` and dates are text.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sweeper.located import Node, Place, Problems, describe

MAX_BYTES = 2**18
MAX_DEPTH = 32

_PlaceOf = Callable[[int], Place]  # where a line is, counted from 0

_TAG = "tag:yaml.org,2002:"
_SCALARS = (  # in the order in which they are tried
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        [*"-+.0123456789"],
    ),
)


def read(path: Path, problems: Problems) -> Node:
    """Read a file whose content is a mapping.

    What can be read despite problems is returned, and the problems noted. Raises `SweeperError`
    with all that were noted where nothing can be read.
    """
    source = str(path)
    text = _text(path, problems)
    node = _parse(text, lambda line: Place(source, line + 1), problems)
    if node is None or node.value is None:
        problems.add(Place(source, 1), "", "the file is empty; see `sweeper list experiments`")
    elif not isinstance(node.value, dict):
        problems.add(
            node.place, "", f"keys and values were expected, got {describe(node.plain())}"
        )
    else:
        return node
    raise problems.error()


def parse(text: str, place: Place, problems: Problems) -> Node:
    """Read a value that was given on the command line.

    Raises `SweeperError` with all noted problems where it is not YAML.
    """
    return _parse(text, lambda _: place, problems) or Node(None, place)


def dump(value: Any) -> str:
    """Write plain values as YAML that YAML 1.1 and 1.2 read alike."""
    return yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=None,
        sort_keys=False,
        allow_unicode=True,
        width=99,
    )


def flow(value: Any) -> str:
    """Write plain values on one line, as `dump` does."""
    text = yaml.dump(
        [value], Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=float("inf")
    )
    return text.strip()[1:-1]


def _text(path: Path, problems: Problems) -> str:
    place = Place(str(path))
    try:
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "is no file"
            problems.add(place, "", f"{what}; name a YAML file")
            raise problems.error()
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        problems.add(place, "", f"cannot be read ({error.strerror}); make it readable")
        raise problems.error() from None
    if len(content) > MAX_BYTES:
        problems.add(place, "", f"is larger than {MAX_BYTES // 1024} KiB; is it an experiment?")
        raise problems.error()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problems.add(Place(str(path), line), "", "is not UTF-8 text; save it in that encoding")
        raise problems.error() from None


def _parse(text: str, place: _PlaceOf, problems: Problems) -> Node | None:
    """Read the one document of `text`, whose lines are counted from 0; none if it is empty."""
    try:
        root = _Loader(text).get_single_node()
    except yaml.reader.ReaderError as error:
        where = place(text.count("\n", 0, error.position))
        problems.add(where, "", f"the character {chr(error.character)!r} is not allowed in YAML")
        raise problems.error() from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = place(mark.line if mark else 0)
        why = ", ".join(part for part in (error.context, error.problem) if part)
        problems.add(where, "", f"not valid YAML: {why}")
        raise problems.error() from None
    return None if root is None else _Builder(place, problems).build(root)


class _Loader(yaml.SafeLoader):
    """Composes nodes; refuses aliases, which can grow without bound, and deep nesting."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem=f"the alias *{event.anchor} is not supported; repeat the value, or put "
                "what is shared into a file and extend it",
                problem_mark=event.start_mark,
            )
        if self.depth == MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {MAX_DEPTH} levels",
                problem_mark=self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes what either YAML would not read as text, and writes shared values in full."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Write text that is no single printable line with escapes."""
        style = None if data.isprintable() else '"'
        return self.represent_scalar(_TAG + "str", data, style)


_Dumper.add_representer(str, _Dumper.represent_str)

for _name, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), _first)


class _Builder:
    """Turns PyYAML's nodes into ours."""

    def __init__(self, place: _PlaceOf, problems: Problems) -> None:
        self.place, self.problems = place, problems

    def build(self, node: yaml.Node, path: str = "", line: int | None = None) -> Node:
        """Convert a node; `line` is that of its key."""
        place = self.place(node.start_mark.line if line is None else line)
        tag = node.tag.removeprefix(_TAG)
        match node:
            case yaml.MappingNode() if tag == "map":
                return Node(self._entries(node, path), place)
            case yaml.SequenceNode() if tag == "seq":
                items = [self.build(n, f"{path}.{i}") for i, n in enumerate(node.value)]
                return Node(items, place)
            case yaml.ScalarNode() if tag in _CONSTRUCT:
                try:
                    return Node(_CONSTRUCT[tag](node.value), place)
                except ValueError:
                    self.problems.add(place, path, f"{describe(node.value)} is no valid {tag}")
            case _:
                shown = "!!" + tag if node.tag.startswith(_TAG) else node.tag
                self.problems.add(
                    place, path, f"the tag {shown} is not allowed; YAML is plain data here"
                )
        return Node(None, place)

    def _entries(self, mapping: yaml.MappingNode, path: str) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in mapping.value:
            line = key_node.start_mark.line
            place = self.place(line)
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.add(place, path, "a key is text, but here it is a mapping or list")
            elif key_node.tag != _TAG + "str":
                self.problems.add(place, path, f'a key is text; quote it: "{key}"')
            elif key == "<<":
                self.problems.add(
                    place, path, "merge keys (<<) are not supported; repeat the values"
                )
            elif key in entries:
                first = entries[key].place
                also = f", first on line {first.line}" if first.line else ""
                self.problems.add(place, _join(path, key), f"duplicate key{also}; keep one")
            else:
                entries[key] = self.build(value_node, _join(path, key), line)
        return entries


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _int(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    return float(re.sub(r"\.(?=[a-zA-Z])", "", text))  # .inf and .nan


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


def _str(text: str) -> str:
    text.encode()  # an escape may name half a character, which no file can hold
    return text


_CONSTRUCT: dict[str, Callable[[str], bool | int | float | str | None]] = {
    "null": lambda _: None,
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": _str,
}
