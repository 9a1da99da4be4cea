"""What tells labels apart in pictures."""

from analysis.plots.style import COLOURS, DASHES, MARKERS, line_looks, looks


def test_more_labels_than_colours_are_told_apart_by_dashes() -> None:
    lines = line_looks(f"arm {number:02}" for number in range(20))

    assert len({(look["color"], look["linestyle"]) for look in lines.values()}) == 20
    assert {look["linestyle"] for look in list(lines.values())[:8]} == {"-"}


def test_points_are_told_apart_by_colour_and_marker_and_lines_by_dashes_beyond_the_palette() -> (
    None
):
    labels = [f"arm {number:02}" for number in range(24)]
    found = list(looks(labels).values())

    assert len({look[:2] for look in found}) == 24
    assert len({(look.colour, look.dashes) for look in found}) == 24
    few = found[: len(COLOURS)]
    assert [look.colour for look in few] == list(COLOURS)
    assert [look.marker for look in few] == [*MARKERS, MARKERS[0]]
    assert {look.dashes for look in few} == {DASHES[0]}


def test_looks_go_by_the_sorted_names_whatever_their_order() -> None:
    assert looks("bca") == looks("abc")
    assert looks("ab")["b"] == looks(["b", "a", "b"])["b"]
