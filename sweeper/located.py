"""Values that know where they were written, and the problems that are found there."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sweeper.errors import SweeperError


class Place(NamedTuple):
    """Where a value was written: a line of a file, or an option on the command line."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        """`FILE:LINE`, or the option."""
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Node:
    """A value and its place; that of an entry of a mapping is where its key stands.

    `removes` marks a null that stands over a value of a lower layer.
    """

    value: "bool | int | float | str | list[Node] | dict[str, Node] | None"
    place: Place
    removes: bool = False

    @classmethod
    def of(cls, value: Any, place: Place) -> "Node":
        """Give plain values one place."""
        match value:
            case dict():
                return cls({key: cls.of(below, place) for key, below in value.items()}, place)
            case list():
                return cls([cls.of(item, place) for item in value], place)
            case scalar:
                return cls(scalar, place)

    @property
    def children(self) -> "dict[str, Node]":
        """The entries of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """Give the value without places."""
        match self.value:
            case dict(entries):
                return {key: node.plain() for key, node in entries.items()}
            case list(items):
                return [node.plain() for node in items]
            case scalar:
                return scalar

    def at(self, *path: str | int) -> "Node | None":
        """Find the node at a path of keys and indices, none if there is none."""
        node = self
        for step in path:
            match node.value, step:
                case dict(entries), str() if step in entries:
                    node = entries[step]
                case list(items), int() if step < len(items):
                    node = items[step]
                case _:
                    return None
        return node

    def leaves(self, *above: str) -> "Iterator[tuple[tuple[str, ...], Node]]":
        """Give every value that is no mapping, and every empty mapping, with its path."""
        for key, node in self.children.items():
            if node.children:
                yield from node.leaves(*above, key)
            else:
                yield (*above, key), node


class Problem(NamedTuple):
    """What is wrong, where it was written and in which field."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        """`FILE:LINE: field.path: message`, one line whatever they hold."""
        text = ": ".join(filter(None, [str(self.place), self.path, self.message]))
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class Problems(list[Problem]):
    """All that is wrong with a file, by default an experiment, to be told at once."""

    def __init__(self, subject: str, kind: str = "experiment") -> None:
        super().__init__()
        self.subject, self.kind = subject, kind

    def add(self, place: Place, path: str, message: str) -> None:
        """Note a problem, once."""
        if (problem := Problem(place, path, message)) not in self:
            self.append(problem)

    def error(self) -> SweeperError:
        """Make them one error: a line each, by file and line, the command line's last."""
        ordered = sorted(self, key=lambda p: (p.place.line is None, *p.place, p.path))
        lines = [f"{self.subject} is not a valid {self.kind}:", *(f"  {p}" for p in ordered)]
        return SweeperError("\n".join(lines))


def describe(value: object) -> str:
    """Say what `value` is, as YAML has it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"the text {_cut(value)!r}"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def nearest(name: str, known: Iterable[str]) -> str:
    """Ask, where some known name is like `name`, whether that was meant."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown(what: str, given: object, known: Iterable[str]) -> str:
    """Say that a name or value is not known, and which is like it or which there are."""
    known = sorted(known)
    shown = repr(given) if isinstance(given, str) else describe(given)
    hint = nearest(str(given), known)
    return f"unknown {what} {shown}{hint or '; known: ' + ', '.join(known)}"
