"""What may be swept: distributions, named spaces, and the shipped experiments."""

from pathlib import Path

EXPERIMENTS = Path(__file__).parent / "experiments"
"""Where the shipped experiment files lie. Those whose name starts with `_` are only bases."""
