"""Trials as YAML text, and many of them in little space."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

# The emitter in C is several times faster; libyaml is in every wheel, though not in every build.
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Template(NamedTuple):
    """Texts that have the same keys in the same order: `lines` from the first to the last.

    A line that all of them share is a string; any other is a list, of each text's line.
    """

    lines: list[str | list[str]]


class Packed(NamedTuple):
    """Texts as templates: text `i` is member `members[i]` of template `templates[which[i]]`.

    Where there was no text, `which` is -1.
    """

    templates: list[Template]
    which: list[int]
    members: list[int]


def yaml_text(trial: Mapping[str, Any]) -> str:
    """Write a trial as YAML, mappings as blocks and lists in brackets; it reads back as it was.

    >>> print(yaml_text({"steps": 50, "optimizer": {"eps": 1e-08, "betas": [0.0, 0.999]}}))
    steps: 50
    optimizer:
      eps: 1.0e-08
      betas: [0.0, 0.999]
    """
    return "\n".join(_lines(trial, "")) if trial else "{}"


def _lines(mapping: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for key, value in mapping.items():
        start = f"{indent}{_inline(key)}:"
        if isinstance(value, Mapping) and value:
            lines += [start, *_lines(value, indent + "  ")]
        else:
            lines.append(f"{start} {_inline(value)}")
    return lines


def _inline(value: Any) -> str:
    # Most values are numbers, which YAML's own writer takes far longer for.
    if isinstance(value, float) and math.isfinite(value):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")  # YAML 1.1 reads 1e-08 as text
    if isinstance(value, str) and not value.isprintable():
        return _dump(value, default_style='"')  # on one line, whatever is in it
    return _cached(json.dumps(value))


@lru_cache(maxsize=4096)
def _cached(value: str) -> str:
    return _dump(json.loads(value))


def _dump(value: Any, **style: Any) -> str:
    style = {"default_flow_style": True, "width": 2**30, "allow_unicode": True, **style}
    text: str = yaml.dump(value, Dumper=_Dumper, **style)
    return text.removesuffix("\n").removesuffix("\n...")


def pack(texts: Sequence[str | None], groups: Sequence[object]) -> Packed:
    """Store texts that differ in a few lines by those lines.

    `groups` says which texts are likely to be alike, such as those of one arm.
    """
    alike: dict[tuple[object, ...], list[list[str]]] = {}
    order: dict[tuple[object, ...], int] = {}
    which, members = [], []
    for text, group in zip(texts, groups, strict=True):
        if text is None:
            which.append(-1)
            members.append(0)
            continue
        lines = text.split("\n")
        key = (group, *(line.partition(":")[0] for line in lines))
        which.append(order.setdefault(key, len(order)))
        found = alike.setdefault(key, [])
        members.append(len(found))
        found.append(lines)
    templates = [
        Template([lines[0] if len(set(lines)) == 1 else list(lines) for lines in zip(*texts)])  # noqa: B905
        for texts in alike.values()
    ]
    return Packed(templates, which, members)


def unpack(packed: Packed, index: int) -> str | None:
    """Give text `index` back, as the page does."""
    if packed.which[index] < 0:
        return None
    member = packed.members[index]
    lines = packed.templates[packed.which[index]].lines
    return "\n".join(line if isinstance(line, str) else line[member] for line in lines)
