"""The Optuna samplers that an experiment can name."""

import warnings

import optuna
from optuna.samplers import BaseSampler

GP_TRIALS = 100  # beyond, asking a Gaussian process costs seconds and TPE is as good


def resolve_sampler(name: str, n_trials: int, *, conditional: bool = False) -> str:
    """Say what `auto` stands for: the Gaussian process up to 100 trials an arm, TPE beyond.

    The Gaussian process samples conditional parameters blindly, so there it is TPE at once.
    """
    if name == "auto":
        return "gp" if n_trials <= GP_TRIALS and not conditional else "tpe"
    return name


def create_sampler(name: str, seed: int, n_trials: int, n_known: int) -> BaseSampler:
    """Build the sampler that an experiment names, for `n_trials` of which `n_known` exist."""
    # A sampler that starts again must not propose what it proposed the first time.
    fresh = (seed + 1_000_003 * n_known) % 2**32
    samplers = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match resolve_sampler(name, n_trials):
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
