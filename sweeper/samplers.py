"""The Optuna samplers that an experiment can name."""

import warnings

import optuna
from optuna.samplers import BaseSampler

from sweeper.sections import Search

GP_TRIALS = 100  # beyond, asking a Gaussian process costs seconds and TPE is as good

optuna.logging.set_verbosity(optuna.logging.WARNING)


def resolve_sampler(search: Search, *, conditional: bool = False) -> str:
    """Say what `auto` stands for: the Gaussian process up to 100 trials an arm, TPE beyond.

    The Gaussian process samples conditional parameters blindly, and knows nothing of pruned
    trials, near which it would go on to look; so there it is TPE at once.
    """
    if search.sampler.name != "auto":
        return search.sampler.name
    suited = not conditional and search.scheduler is None
    return "gp" if suited and search.trials <= GP_TRIALS else "tpe"


def create_sampler(name: str, seed: int, n_known: int) -> BaseSampler:
    """Build a sampler, for a study of which `n_known` trials exist."""
    # A sampler that starts again must not propose what it proposed the first time.
    fresh = (seed + 1_000_003 * n_known) % 2**32
    samplers = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match name:
            case "gp":
                return samplers.GPSampler(seed=fresh)
            case "tpe":
                return samplers.TPESampler(seed=fresh, multivariate=True, group=True)
            case "nsga2":
                return samplers.NSGAIISampler(seed=fresh)
            case "qmc":  # counts its points in the study, so it goes on by itself
                return samplers.QMCSampler(
                    seed=seed,
                    independent_sampler=samplers.RandomSampler(seed=fresh),
                    warn_independent_sampling=False,
                )
            case "random":
                return samplers.RandomSampler(seed=fresh)
            case _:
                raise ValueError(f"unknown sampler {name!r}")
