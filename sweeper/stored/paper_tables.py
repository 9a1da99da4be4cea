"""A paper's tables as text and as rows: the figures of stored runs beside the published."""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.claims import Arm
from analysis.papers.tables import Figure, Found, Head, Method, Table
from analysis.tables import to_text
from sweeper.stored.answers import WIDTH, Group

NONE = "–"


class Ours(NamedTuple):
    """What runs that were made alike give for a table; `name` tells them apart in its text."""

    name: str
    group: Group
    found: Mapping[Arm, Found | str]
    comparable: bool

    def of(self, method: Method) -> Found | None:
        """Give the figures of a method, none where it has no run or no place in the table."""
        found = self.found.get(method.arm)
        return found if isinstance(found, Found) else None


def measure(table: Table, groups: Sequence[Group]) -> list[Ours]:
    """Measure a table by each group of runs that has an arm of it."""
    used = [group for group in groups if set(table.arms) & group.points.keys()]
    return [
        Ours(
            f"ours ({number})",
            group,
            table.found(group.points),
            group.protocol.split == table.split and group.protocol.as_shipped,
        )
        for number, group in enumerate(used, start=1)
    ]


def table_lines(table: Table, ours: Sequence[Ours]) -> list[str]:
    """Lay a table out as the paper does, ours beside the published, with what there is to note.

    Where nothing is published ours stand alone, without the figures that nobody measured.
    """
    if not table.is_published and not ours:
        return [f"{table.number}: {table.title}", *_notes(table, ours)]
    laid_out = _methods_down(table, ours) if table.methods_down else _methods_across(table, ours)
    notes = [*table.notes, *_notes(table, ours)]
    return [
        f"{table.number}: {table.title}",
        "",
        *to_text(laid_out).splitlines(),
        *(line for note in notes for line in textwrap.wrap(note, WIDTH, break_long_words=False)),
    ]


def table_rows(table: Table, ours: Sequence[Ours]) -> pd.DataFrame:
    """Give the table's figures, published and ours, a row for each.

    Columns: `source` ("published", or how the runs were made), `comparable`, the method as
    `method` or, where methods are columns, `column`; `figure`, `value`; for rows of methods
    `deviation` (standard deviation over seeds) and `seeds`, else `configurations`; and `runs`.
    """
    rows: list[dict[str, Any]] = []
    for method in table.methods:
        for name, figure in method.published.items():
            rows.append(_row("published", True, method, name, figure, None, ""))
    experiments = {arm.experiment for arm in table.arms}
    for own in ours:
        runs = ", ".join(r.run.location for r in own.group.runs if r.experiment in experiments)
        for method in table.methods:
            if found := own.of(method):
                for name, figure in found.figures.items():
                    how = (own.group.text, own.comparable)
                    rows.append(_row(*how, method, name, figure, found, runs))
    counts = ["deviation", "seeds"] if table.methods_down else ["configurations"]
    columns = ["source", "comparable", "method", "figure", "value", *counts, "runs"]
    frame = pd.DataFrame(rows, columns=columns).astype({counts[-1]: "Int64"})
    return frame if table.methods_down else frame.rename(columns={"method": "column"})


def _row(
    source: str,
    comparable: bool,
    method: Method,
    name: str,
    figure: Figure,
    found: Found | None,
    runs: str,
) -> dict[str, Any]:
    return {
        "source": source,
        "comparable": comparable,
        "method": method.name,
        "figure": name,
        "value": figure.value,
        "deviation": figure.deviation,
        "seeds": found.n_seeds if found else None,
        "configurations": found.n_configurations if found else None,
        "runs": runs,
    }


def _methods_down(table: Table, ours: Sequence[Ours]) -> pd.DataFrame:
    """A row for each method, and below it one for each of ours."""
    heads = [head.name for head in table.heads if table.is_published or _is_known(head, ours)]
    alone = not table.is_published and len(ours) == 1
    lines: list[dict[str, str]] = []
    for method in table.methods:
        if not alone:
            of_paper = {
                head.name: _published(method, head) if table.is_published else ""
                for head in table.heads
            }
            lines.append({"": method.name, **of_paper, "seeds": ""})
        for own in ours:
            name = method.name if alone else f"  {own.name}"
            if found := own.of(method):
                cells = {head.name: _cell(found.figures, head) for head in table.heads}
                lines.append({"": name, **cells, "seeds": str(found.n_seeds)})
            elif alone:
                lines.append({"": name, **dict.fromkeys(heads, NONE), "seeds": ""})
    return pd.DataFrame(lines, columns=["", *heads, "seeds"])


def _is_known(head: Head, ours: Sequence[Ours]) -> bool:
    every = [found for own in ours for found in own.found.values() if isinstance(found, Found)]
    return any(_cell(found.figures, head) != NONE for found in every)


def _methods_across(table: Table, ours: Sequence[Ours]) -> pd.DataFrame:
    """A block of rows, one for each figure, for the paper and for each of ours."""
    names = [method.name for method in table.methods]
    lines: list[dict[str, str]] = []
    if table.is_published:
        lines.append({"": "published", **dict.fromkeys(names, "")})
        for head in table.heads:
            cells = {method.name: _published(method, head) for method in table.methods}
            lines.append({"": f"  {head.name}", **cells})
    for own in ours:
        of_methods = {method.name: own.of(method) for method in table.methods}
        lines.append({"": own.name, **dict.fromkeys(names, "")})
        for head in table.heads:
            cells = {
                name: _cell(found.figures, head) if found else NONE
                for name, found in of_methods.items()
            }
            lines.append({"": f"  {head.name}", **cells})
        counts = {
            name: str(found.n_configurations) if found else NONE
            for name, found in of_methods.items()
        }
        lines.append({"": "  configurations", **counts})
    return pd.DataFrame(lines, columns=["", *names])


def _published(method: Method, head: Head) -> str:
    """Write a published figure with all the decimals it was published with."""
    if (figure := method.published.get(head.name)) is None:
        return NONE
    least = head.decimals if head.published is None else head.published
    return _written(*(_exactly(number, least) for number in figure))


def _cell(figures: Mapping[str, Figure], head: Head) -> str:
    figure = figures.get(head.name)
    if figure is None or math.isnan(figure.value):
        return NONE
    return _written(*(f"{number:.{head.decimals}f}" for number in figure))


def _written(value: str, deviation: str) -> str:
    return value if deviation == "nan" else f"{value} ({deviation})"


def _exactly(number: float, least: int) -> str:
    text = f"{number:.{least}f}"
    return text if math.isnan(number) or float(text) == number else repr(number)


def _notes(table: Table, ours: Sequence[Ours]) -> Iterator[str]:
    if not ours:
        yield f"ours: no run with the {table.split} split"
    for own in ours:
        split, causes = own.group.protocol.split, []
        if split != table.split:
            causes.append("training fit" if split == "train" else f"not the {table.split} split")
        causes += ["another protocol"] * (not own.group.protocol.as_shipped)
        is_told = table.is_published and not own.comparable
        caution = f" ({', '.join(causes)}: not comparable)" if is_told else ""
        yield f"{own.name}: {own.group.text}{caution}"
        measured = [found for method in table.methods if (found := own.of(method))]
        ceilings = {name: most for found in measured for name, most in found.ceilings.items()}
        known = {name: most for name, most in ceilings.items() if not math.isnan(most)}
        if known:
            most = "; ".join(f"{name}: {value:.2f}" for name, value in known.items())
            yield f"{own.name}: at most, in nats: {most}"
        for caution in sorted({found.caution for found in measured if found.caution}):
            yield f"{own.name}: beware: {caution}"
        for method in table.methods:
            if isinstance(why := own.found.get(method.arm), str):
                yield f"{own.name}: no figures of {method.name}: {why}"
