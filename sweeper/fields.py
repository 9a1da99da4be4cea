"""Looks into configuration classes: which fields they have, and what is wrong with a value.

Turns pydantic's errors into problems a person can read: paths as in the file, what was expected
and what was received, the nearest known name.
"""

import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from sweeper.located import Node, Problems, describe, unknown

Path = tuple[str | int, ...]

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "text",
    "tuple_type": "a list",
}


class Fault(NamedTuple):
    """What is wrong with one field of a value.

    `kind` is pydantic's name for it, or "type" where it is not the kind of value that is expected.
    """

    path: Path
    message: str
    kind: str


def models(annotation: Any) -> list[type[BaseModel]]:
    """Give the configuration classes that an annotation admits."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models(part)]


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Give the fields of a class under the names that a file uses."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def tags(model: type[BaseModel]) -> dict[str, str]:
    """Give the fields that can have only one value, such as `name`."""
    literals = {name: _literals(info) for name, info in fields(model).items()}
    return {name: values[0] for name, values in literals.items() if len(values) == 1}


def matching(annotation: Any, value: Mapping[str, Any]) -> list[type[BaseModel]]:
    """Give those classes of an annotation whose tags `value` does not contradict."""
    return [
        model
        for model in models(annotation)
        if all(value.get(name, tag) == tag for name, tag in tags(model).items())
    ]


def find_fields(annotation: Any, path: Sequence[str]) -> list[FieldInfo]:
    """Give what lies at a path, in every class that may stand on the way."""
    head, *rest = path
    found = [fields(model)[head] for model in models(annotation) if head in fields(model)]
    if not rest:
        return found
    return [info for field in found for info in find_fields(field.annotation, rest)]


def leaf_paths(annotation: Any) -> set[str]:
    """Give the dotted paths of all fields that can hold a single value, in every class."""
    paths: set[str] = set()
    for model in models(annotation):
        for name, info in fields(model).items():
            below = leaf_paths(info.annotation)
            paths |= {f"{name}.{rest}" for rest in below}
            if not all(
                models(part) for part in typing.get_args(info.annotation) or [info.annotation]
            ):
                paths.add(name)
    return paths


def value_at(annotation: Any, value: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Give what `value` has at a path, or its default there; none where it has nothing."""
    head, *rest = path
    chosen = matching(annotation, value)
    field = fields(chosen[0]).get(head) if len(chosen) == 1 else None
    if head in value:
        found = value[head]
    elif field is not None and not field.is_required():
        found = field.get_default(call_default_factory=True, validated_data={})
    else:
        return None
    if isinstance(found, BaseModel):
        found = found.model_dump(by_alias=True)
    if not rest:
        return found
    if field is None or not isinstance(found, Mapping):
        return None
    return value_at(field.annotation, found, rest)


def choices(infos: Iterable[FieldInfo]) -> list[str] | None:
    """Give all values that fields admit, if these can be counted."""
    literals = [_literals(info) for info in infos]
    return [v for values in literals for v in values] if literals and all(literals) else None


def faults(error: ValidationError, annotation: Any, value: object) -> list[Fault]:
    """Translate what pydantic says of `value`, a field of this annotation."""
    located = []
    for details in error.errors(include_url=False):
        path, owners = _locate(annotation, details["loc"], value)
        located.append((path, owners, details))
    return list(dict.fromkeys(_translate(located, annotation)))


def _translate(
    located: list[tuple[Path, list[type[BaseModel]], ErrorDetails]], annotation: Any
) -> Iterator[Fault]:
    for path, owners, details in located:
        kind, given = details["type"], details["input"]
        context = details.get("ctx", {})
        if kind in _EXPECTED:
            # Several kinds of value fit a field: pydantic says of each why it was not this one.
            here = [d["type"] for p, _, d in located if p == path]
            below = any(p[: len(path)] == path and p != path for p, _, _ in located)
            if below or not all(other in _EXPECTED for other in here):
                continue
            expected = " or ".join(dict.fromkeys(_EXPECTED[other] for other in here))
            kind, message = "type", f"{expected} was expected, got {describe(given)}"
        elif details["msg"] == "Field required":
            message = "is required"
        elif kind == "extra_forbidden":
            message = unknown("key", str(path[-1]), {n for m in owners for n in fields(m)})
        elif kind == "union_tag_invalid":
            path = (*path, context["discriminator"].strip("'"))
            message = unknown(str(path[-1]), context["tag"], _quoted(context["expected_tags"]))
        elif kind == "union_tag_not_found":
            path = (*path, context["discriminator"].strip("'"))
            message = f"is required; known: {', '.join(sorted(_tags_at(annotation, path[:-1])))}"
        elif kind == "literal_error":
            message = unknown("value", given, _quoted(context["expected"]))
        elif kind in ("too_long", "too_short"):
            bound = "at most" if kind == "too_long" else "at least"
            wanted = context.get("max_length", context.get("min_length"))
            message = f"{bound} {wanted} values were expected, got {context['actual_length']}"
        else:
            message = details["msg"].removeprefix("Value error, ")
            if message.startswith("Input should"):
                message = f"must{message.removeprefix('Input should')}, got {describe(given)}"
        yield Fault(path, message, kind)


def _locate(annotation: Any, location: Path, value: object) -> tuple[Path, list[type[BaseModel]]]:
    """Tell a path from pydantic's location, which also names the members of unions.

    Gives the classes that the last step of the path may be a field of, too.
    """
    owners, parents = models(annotation), models(annotation)
    path: list[str | int] = []
    for step in location:
        named = [m for m in owners if step == m.__name__ or step in tags(m).values()]
        known = [fields(m)[step] for m in owners if step in fields(m)]
        if named and (len(owners) > 1 or step == owners[0].__name__):
            owners = parents = named
        elif known or isinstance(step, int) or (isinstance(value, Mapping) and step in value):
            path.append(step)
            parents, owners = owners, [m for info in known for m in models(info.annotation)]
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
                value = value[step]
    return tuple(path), parents


def _tags_at(annotation: Any, path: Path) -> set[str]:
    names = [str(step) for step in path]
    at = [info.annotation for info in find_fields(annotation, names)] if names else [annotation]
    return {tag for part in at for model in models(part) for tag in tags(model).values()}


def _literals(info: FieldInfo) -> tuple[Any, ...]:
    if typing.get_origin(info.annotation) is Literal:
        return typing.get_args(info.annotation)
    return ()


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def note(node: Node, above: tuple[str, ...], fault: Fault, problems: Problems) -> None:
    """Note what is wrong below a node, at the nearest place that there is."""
    place = node.place
    for depth in range(len(fault.path) + 1):
        if below := node.at(*fault.path[:depth]):
            place = below.place
    problems.add(place, ".".join(map(str, (*above, *fault.path))), fault.message)
