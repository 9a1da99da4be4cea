"""What comparisons at equal information say in words."""

from analysis.comparison import FEWEST, Comparison


def percent(level: float) -> str:
    """Give a probability as text, e.g. "90 %"."""
    return f"{level * 100:g} %"


def kind_of(compared: Comparison) -> str:
    """Say what curves are compared."""
    return (
        "lower convex hulls, which interpolate between trained models"
        if compared.hull
        else "staircases: the best model with at least so much MI"
    )


def verdict_lines(compared: Comparison, indent: str = "  ") -> list[str]:
    """Say for each range of MI which side fits better, by how much, or why that is not known."""
    a, b = compared.a, compared.b
    confidence = percent(compared.level)
    lines = []
    for verdict in compared.verdicts:
        low, high = verdict.mi
        where = f"{low:.3g}–{high:.3g} nats: " if low < high else f"at {low:.3g} nats: "
        least, most = verdict.difference
        if verdict.outcome in ("a", "b"):
            small, large = sorted((abs(least), abs(most)))
            lines.append(
                f"{indent}{where}{a if verdict.outcome == 'a' else b} fits better by {small:.3f} "
                f"to {large:.3f} nats (at least {verdict.at_least:.2g} at {confidence})"
            )
        else:
            why = (
                f"fewer than {FEWEST} configurations of a side have so much MI"
                if verdict.outcome == "too few"
                else f"not decided at {confidence}"
            )
            lines.append(f"{indent}{where}{why} (difference {least:+.3f} to {most:+.3f})")
    return lines
