"""Points of arms that tests make up."""

import numpy as np


def many(shift: float, seed: int, n: int = 40) -> list[tuple[float, float]]:
    """Pairs of NLL and MI near a curve that is `shift` higher than another."""
    generator = np.random.default_rng(seed)
    mi = generator.uniform(0, 5, n)
    nll = 5 + shift + 0.02 * mi**2 + 0.2 * generator.exponential(size=n)
    return list(zip(nll.tolist(), mi.tolist(), strict=True))
