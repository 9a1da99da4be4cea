"""Files that build on files: `extends`, `scales` and `--set`, all of them JSON merge patches.

A layer is merged over another as RFC 7386 says: mappings merge, null removes, any other value
replaces. Nulls stay until all layers are merged, so that they can also remove what a named space
or, in an arm, the trial holds.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from search_spaces import EXPERIMENTS
from search_spaces.spaces import SPACES
from sweeper.errors import SweeperError
from sweeper.located import Node, Place, Problems, nearest, unknown
from sweeper.source import MAX_DEPTH, parse, read

MAX_FILES = 16


def merge(base: Node, patch: Node) -> Node:
    """Lay one value over another, keeping nulls."""
    if patch.value is None:
        return replace(patch, removes=base.removes or base.value is not None)
    if not isinstance(patch.value, dict) or not isinstance(base.value, dict):
        return patch
    entries = dict(base.value)
    for key, node in patch.value.items():
        entries[key] = merge(entries[key], node) if key in entries else node
    # An option that sets one field has not written the sections around it.
    return Node(entries, patch.place if patch.place.line else base.place)


def prune(node: Node) -> Node:
    """Drop the entries that are null, at any depth."""
    if not isinstance(node.value, dict):
        return node
    kept = {key: prune(child) for key, child in node.value.items() if child.value is not None}
    return replace(node, value=kept)


def shipped() -> dict[str, Path]:
    """Give the shipped experiments by name, sorted."""
    return {n: p for n, p in _library().items() if not n.rpartition("/")[2].startswith("_")}


def find(source: str | Path) -> Path:
    """Find an experiment file by its path or, where there is no such file, among the shipped.

    Raises `SweeperError` where there is none.
    """
    path, known = Path(source), shipped()
    named = known.get(str(source).removesuffix(".yaml"))
    if named and (path.is_dir() or not _exists(path)):  # such as `quickstart` within `runs`
        return named
    if _exists(path):
        return path
    hint = nearest(str(source).removesuffix(".yaml"), known)
    raise SweeperError(
        f"there is no file {str(source)!r} and no shipped experiment of that name{hint}; "
        "see `sweeper list experiments`"
    )


class Setting(NamedTuple):
    """A field to set, and the option that says so."""

    place: Place
    path: str
    value: Node


def settings(
    overrides: Iterable[str], options: Mapping[str, tuple[str, object]], problems: Problems
) -> list[Setting]:
    """Read `PATH=VALUE` overrides, VALUE in YAML, and then `options`: path and value by name."""
    read_settings = []
    for override in overrides:
        place = Place(f"--set {override}")
        path, equals, text = override.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys) or len(keys) > MAX_DEPTH:
            problems.add(place, "", "write PATH=VALUE, for example --set trial.training.steps=50")
            raise problems.error()
        read_settings.append(Setting(place, path.strip(), parse(text, place, problems)))
    for option, (path, value) in options.items():
        place = Place(f"--{option} {value}")
        read_settings.append(Setting(place, path, Node.of(value, place)))
    return read_settings


def compose(path: Path, scale: str | None, changes: Iterable[Setting], problems: Problems) -> Node:
    """Merge all layers: the files that `path` extends, `path`, its scale, then `changes`.

    Raises `SweeperError` with all noted problems where a layer is missing.
    """
    document = _with_bases(path, (), problems)
    recorded = prune(document).children
    if "scale" in recorded and "scales" in recorded:
        why = "only a resolved file records its scale; choose one of the scales with --scale"
        problems.add(recorded["scale"].place, "scale", why)
    if scale is not None:
        document = _scaled(document, scale, problems)
    for setting in changes:
        document = _changed(document, setting, problems)
    return document


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # reading it will tell why not
        return True


def _library() -> dict[str, Path]:
    paths = sorted(EXPERIMENTS.rglob("*.yaml"))
    return {path.relative_to(EXPERIMENTS).with_suffix("").as_posix(): path for path in paths}


def _with_bases(path: Path, chain: tuple[Path, ...], problems: Problems) -> Node:
    node = read(path, problems)
    extends = node.children.get("extends")
    if extends is None or extends.value is None:
        return node
    chain = (*chain, path)
    base = _base(path, extends, problems)
    if base is None:
        raise problems.error()
    if base.resolve() in [known.resolve() for known in chain]:
        names = " → ".join(str(known) for known in [*chain, base])
        problems.add(extends.place, "extends", f"files extend each other in a circle: {names}")
        raise problems.error()
    if len(chain) == MAX_FILES:
        problems.add(extends.place, "extends", f"more than {MAX_FILES} files; join some of them")
        raise problems.error()
    return merge(_with_bases(base, chain, problems), node)


def _base(path: Path, extends: Node, problems: Problems) -> Path | None:
    """Find the file that `path` extends: relative to it, or shipped."""
    name = extends.value
    if not isinstance(name, str):
        problems.add(extends.place, "extends", "name one file, or one shipped experiment")
        return None
    beside = Path(os.path.normpath(path.parent / name))
    if _exists(beside):
        return beside
    known = _library()
    if (base := known.get(name.removesuffix(".yaml"))) is None:
        problems.add(
            extends.place,
            "extends",
            f"there is no file {str(beside)!r} and no shipped experiment {name!r}"
            f"{nearest(name.removesuffix('.yaml'), known)}",
        )
    return base


def _scaled(document: Node, scale: str, problems: Problems) -> Node:
    place = Place(f"--scale {scale}")
    scales = document.children.get("scales", Node({}, document.place)).children
    known = {name: patch for name, patch in scales.items() if patch.value is not None}
    recorded = document.children.get("scale", Node(None, place)).value
    if recorded is not None:
        why = f"the file is already resolved at scale {recorded!r}; leave --scale out"
        problems.add(place, "", why)
        return document
    if scale not in known:
        why = unknown("scale", scale, known) if known else "the file declares no scales"
        problems.add(place, "", why)
        return document
    patch = known[scale]
    for key in patch.children.keys() & {"extends", "scales", "scale"}:
        problems.add(patch.children[key].place, f"scales.{scale}.{key}", "a scale cannot set it")
    if isinstance(patch.value, dict):
        document = merge(document, patch)
    return merge(document, Node({"scale": Node(scale, place)}, place))


def _changed(document: Node, setting: Setting, problems: Problems) -> Node:
    keys = _keys(document, setting.path)
    arms = document.children.get("arms", Node({}, document.place)).children
    if keys[0] in ("extends", "scales", "scale"):
        why = f"{keys[0]} applies before --set; change it in a file, or use --scale"
        problems.add(setting.place, keys[0], why)
        return document
    if keys[0] == "arms" and len(keys) > 2 and keys[1] not in arms:
        why = unknown("arm", keys[1], arms) if arms else "there are no arms; set trial.… instead"
        problems.add(setting.place, setting.path, why)
        return document
    node = setting.value
    for key in reversed(keys):
        node = Node({key: node}, setting.place)
    return merge(document, node)


def _shared_paths(document: Node) -> set[str]:
    """Give the paths that all arms sweep, but for those that say otherwise."""
    space = document.at("search", "space")
    paths = set(space.children) if space else set()
    named = space.at("use") if space else None
    return paths | set(SPACES.get(str(named.value), ())) if named else paths


def _keys(document: Node, path: str) -> list[str]:
    """Split a path at its dots, but not within keys that hold dots themselves."""
    keys: list[str] = []
    node: Node | None = document
    while path:
        known = set(node.children) if node else set()
        in_space = keys == ["search", "space"] or (
            keys[:2] == ["search", "arms"] and len(keys) == 3
        )
        if in_space:
            known |= _shared_paths(document)
        fits = [key for key in known if f"{path}.".startswith(f"{key}.")]
        key = max(fits, key=len) if fits else path if in_space else path.partition(".")[0]
        keys.append(key)
        path = path[len(key) + 1 :]
        node = node.at(key) if node else None
    return keys
