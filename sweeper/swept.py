"""What is swept: `search.space`, and what `search.arms` changes in it for single arms."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from search_spaces.distributions import Parameter
from search_spaces.spaces import SPACES, Space
from sweeper.fields import faults, note
from sweeper.layers import merge, prune
from sweeper.located import Node, Place, Problems, nearest, unknown

_SPACE = "search.space"
_NOWHERE = Place("stored")


class Written(NamedTuple):
    """A search space as a file has it, right or wrong.

    It is not `complete`, and empty, where it cannot be told what is swept. Paths that are not in
    the `search.space` of all arms have a section of their own.
    """

    entries: Mapping[str, Node]
    complete: bool = True
    sections: Mapping[str, str] = {}

    def may_sweep(self, path: str) -> bool:
        """Say whether a value that the trial lacks may come from here."""
        return path in self.entries or not self.complete

    def field(self, path: str) -> str:
        """Name the field of the file that says how a path is swept."""
        return f"{self.sections.get(path, _SPACE)}.{path}"


class Sweep(NamedTuple):
    """A search space, and how the file has it."""

    space: Space
    written: Written


class Sweeps(NamedTuple):
    """What all arms sweep, but for those with a sweep of their own."""

    shared: Sweep
    own: Mapping[str, Sweep]

    def of(self, arm: str) -> Sweep:
        """Give what an arm sweeps."""
        return self.own.get(arm, self.shared)

    def all(self) -> list[Sweep]:
        """Give every sweep there is."""
        return [self.shared, *self.own.values()]

    def changes(self) -> dict[str, dict[str, Any]]:
        """Write what `search.arms` changes, so that it makes the same sweeps again."""
        shared = self.shared.space.plain()
        return {arm: _patch(shared, sweep.space.plain()) for arm, sweep in self.own.items()}


def swept(search: Mapping[str, Any], arm: str) -> dict[str, Any]:
    """Give what an arm sweeps, by path, from the `search` section of a file as plain values.

    A named space is looked up; nothing is checked.
    """
    own = dict(search.get("space", {}))
    named = SPACES[use].plain() if (use := own.pop("use", None)) else {}
    space = Node.of(named, _NOWHERE)
    for layer in (own, (search.get("arms") or {}).get(arm) or {}):
        space = merge(space, Node.of(layer, _NOWHERE))
    plain: dict[str, Any] = prune(space).plain()
    return plain


def read_sweeps(search: Node, arms: Iterable[str], problems: Problems) -> tuple[Node, Sweeps]:
    """Read what a `search` section sweeps, and note what is wrong.

    Gives the section again, if it is one, with the named space written out and no nulls but those
    of `search.arms`.
    """
    if not isinstance(search.value, dict):
        nothing = Sweep(Space({}), Written({}, complete=False))
        return search, Sweeps(nothing, {})
    written = _written(search, problems)
    shared = Sweep(_parameters(written, search, problems), written)
    section = dict(prune(search).children)
    if written.complete and "space" in section:
        section["space"] = Node(dict(written.entries), section["space"].place)
    own: dict[str, Sweep] = {}
    layers = search.children.get("arms")
    if layers is not None and isinstance(layers.value, dict):
        kept = {arm: layer for arm, layer in layers.value.items() if layer.value is not None}
        section["arms"] = Node(kept, layers.place)
        for arm, layer in kept.items():
            if arm not in (known := list(arms)):
                problems.add(layer.place, f"search.arms.{arm}", unknown("arm", arm, known))
            elif isinstance(layer.value, dict):
                at = _of_arm(written, arm, layer, problems)
                own[arm] = Sweep(_parameters(at, layer, problems), at)
    return Node(section, search.place), Sweeps(shared, own)


def _written(search: Node, problems: Problems) -> Written:
    """Lay `search.space` over the named space that it uses."""
    space = search.children.get("space")
    if space is None or not isinstance(space.value, dict):
        return Written({}, complete=False)
    named, own = Node({}, space.place), dict(space.value)
    if (use := own.pop("use", None)) and use.value is not None:
        if isinstance(use.value, str) and use.value in SPACES:
            named = Node.of(SPACES[use.value].plain(), use.place)
        else:
            problems.add(use.place, f"{_SPACE}.use", unknown("space", use.plain(), SPACES))
            return Written({}, complete=False)
    return Written(_laid_over(named, Node(own, space.place), _SPACE, problems))


def _of_arm(shared: Written, arm: str, layer: Node, problems: Problems) -> Written:
    """Lay an arm's own changes over what all arms sweep."""
    section = f"search.arms.{arm}"
    if not shared.complete:  # what it changes is not known
        return Written({}, complete=False)
    entries = _laid_over(Node(dict(shared.entries), layer.place), layer, section, problems)
    return Written(entries, sections=dict.fromkeys(layer.children, section))


def _laid_over(base: Node, layer: Node, section: str, problems: Problems) -> dict[str, Node]:
    merged = merge(base, layer)
    for path, node in merged.children.items():
        if node.value is None and not node.removes:
            hint = nearest(path, base.children)
            problems.add(node.place, f"{section}.{path}", f"there is nothing to remove{hint}")
    return prune(merged).children


def _parameters(written: Written, section: Node, problems: Problems) -> Space:
    """Build a search space from those entries that are right."""
    adapter: TypeAdapter[Any] = TypeAdapter(Parameter)
    parameters = {}
    for path, node in written.entries.items():
        try:
            parameters[path] = adapter.validate_python(node.plain())
        except ValidationError as error:
            for fault in faults(error, Parameter, node.plain()):
                note(node, (written.field(path),), fault, problems)
    for above in [path for path in parameters if _below(path, parameters)]:
        message = f"is swept, but so is {_below(above, parameters)[0]!r}; keep one of them"
        problems.add(written.entries[above].place, written.field(above), message)
        del parameters[above]
    try:
        return Space(parameters)
    except ValueError as error:
        place = (section.at("space") or section).place
        own = next(iter(written.sections.values()), _SPACE)
        problems.add(place, own, str(error))
        return Space({})


def _below(section: str, paths: Iterable[str]) -> list[str]:
    return [path for path in paths if path.startswith(f"{section}.")]


def _patch(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Give the merge patch (RFC 7386) that makes one mapping of another."""
    patch: dict[str, Any] = dict.fromkeys(base.keys() - wanted.keys())
    for key, value in wanted.items():
        before = base.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            if below := _patch(before, value):
                patch[key] = below
        elif key not in base or before != value:
            patch[key] = value
    return patch
