"""What Melis, György and Blunsom (2022) say of their plots, as statements about their curves.

The figures say it in pictures: margins such as "almost flat" are put into numbers here, and each
text says so where it has one. NLLs are compared where the pictures show them, up to 0.24 nats
above the lowest possible one for symbols, and up to 1 nat a token for sentences. The axes are
those in the first author's thesis (https://github.com/melisgl/phd-thesis), where the points are,
too. Each claim is about the figure that makes it, and about other experiments that have the same
curves.
"""

from collections.abc import Iterable, Iterator

from analysis.claims import ALL, Range, Statement
from analysis.orders import (
    FitsBetter,
    Level,
    MoreInformation,
    Parallel,
    SomewhereAbove,
)
from analysis.papers.melis_plots import (
    BATCHES,
    FIGURE,
    FITTED,
    FORMS,
    LENGTHS,
    ONE,
    PTB,
    QUICKSTART,
    SYNTHETIC,
    SYNTHETIC_DREG,
    SYNTHETIC_VIMCO,
    Plot,
    forms,
    together,
)
from analysis.papers.paper import Claim
from analysis.shapes import BreaksDown, Collapses, Flat, Rises

Pairs = Iterable[tuple[str, str]]

_HARDLY_ANY, _EARLY, _LATE = Range(0.0, 0.1), Range(0.0, 0.5), Range(0.5, 1.0)
_BEFORE_FULL, _NEAR_FULL = Range(0.0, 0.75), Range(0.75, 1.0)
_WITHOUT = (-0.05, 0.05)  # values of lambda with hardly any MI term
_FAR = 0.02  # nats: less than what published points of VIMCO-16/1 keep from VIMCO-16, 0.026
_SEEN = 0.01  # nats, of sentences per token: what a picture shows
_AS_STEEP = 1.25  # times

_LATENTS = {"dreg": "continuous", "vimco": "discrete"}
_NAMES = {"dreg": "DReG", "vimco": "VIMCO"}
# On Penn Treebank DReG with the KL objective gains from several samples only early (Fig. 8).
_GAINING = {"dreg": ("renyi",), "vimco": FORMS}

_POWER = {26: "dreg", 27: "vimco", 28: "dreg", 29: "vimco"}
_SPLIT = {22: "dreg", 23: "vimco"}
_LONGER = {13: "vimco", 24: "dreg"}
_LONGER_VALIDATION = {14: "vimco", 25: "dreg"}
_VARIED = {16: "dreg", 17: "dreg", 19: "vimco", 20: "vimco", 21: "vimco"}


def _each(a: str, b: str) -> list[tuple[str, str]]:
    """Pair two estimators with both objectives."""
    return [(f"{a}-{form}", f"{b}-{form}") for form in FORMS]


def _with_each(a: str, b: str) -> list[tuple[str, str]]:
    """Pair an estimator with both objectives with one that has a single curve."""
    return [(f"{a}-{form}", b) for form in FORMS]


def _claim(number: str, text: str, plot: Plot, *statements: Statement) -> Claim:
    return Claim(number, text, plot.setting, statements, split=plot.split)


def _order(
    number: str,
    text: str,
    plots: Iterable[Plot],
    pairs: Pairs,
    *,
    between: Range = ALL,
    by: float = 0.0,
) -> Iterator[Claim]:
    """Claim of each plot that the first of each pair that it has lies below the second."""
    for plot in plots:
        if statements := plot.below(*pairs, between=between, by=by):
            yield _claim(number, text, plot, *statements)


def _of_every_curve() -> Iterator[Claim]:
    for plot in FITTED:
        swept = tuple(
            arm
            for name, arm in plot.curves.items()
            if name != "vq-vae" and not name.endswith("-power")  # which have no lambda
        )
        yield _claim(
            "1",
            f"Every curve rises with latent use (here: by more than {_SEEN:g} nats{plot.per})",
            plot,
            *(Rises(arm, _SEEN, within=plot.view) for arm in plot.curves.values()),
        )
        yield _claim(
            "1",
            "Without the MI term the model collapses (here: most trials with lambda within "
            f"±{_WITHOUT[1]:g})",
            plot,
            Collapses(swept, "objective.lambda", *_WITHOUT, _FAR),
        )


def _of_continuous() -> Iterator[Claim]:
    iwae, dreg, split = ((FIGURE[n], *SYNTHETIC_DREG) for n in (2, 3, 4))
    text = f"IWAE-1 is much worse than the ELBO (here: by more than {_FAR:g} nats)"
    yield from _order("2", text, iwae, [("elbo", "iwae-1")], by=_FAR)
    pairs = _with_each("iwae-16", "elbo")
    yield from _order("2", "With more samples IWAE overtakes the ELBO", iwae, pairs)
    pairs = _each("iwae-16", "iwae-64")
    yield from _order("2", "IWAE is worse with 64 samples", iwae, pairs)
    yield from _order("3", "DReG-1 beats the ELBO", dreg, [("dreg-1", "elbo")])
    pairs = [*_with_each("dreg-16", "dreg-1"), *_with_each("dreg-64", "dreg-1")]
    yield from _order("3", "DReG with several samples beats DReG-1", dreg, pairs)
    yield from _order(
        "3",
        "Rényi is better than KL before all break down (here: the first three quarters)",
        (FIGURE[3], SYNTHETIC),
        [("dreg-16-renyi", "dreg-16-kl"), ("dreg-64-renyi", "dreg-64-kl")],
        between=_BEFORE_FULL,
    )
    for plot in dreg:
        yield _claim(
            "3",
            "All break down near the largest rate (here: they rise more over the last quarter "
            "of the MI than before)",
            plot,
            *(BreaksDown(arm) for name, arm in plot.curves.items() if "iwae" not in name),
        )
    yield from _order(
        "4",
        "Samples split: DReG-16 before DReG-1/16 before DReG-16/1",
        split,
        [*_each("dreg-16", "dreg-1-16"), *_each("dreg-1-16", "dreg-16-1")],
    )
    for plot in split:
        [one] = plot.having("dreg-1")
        yield _claim(
            "4",
            "The split ones are at times worse than DReG-1 (here: in a quarter of the MI)",
            plot,
            *(
                SomewhereAbove(a, one, plot.view)
                for a in plot.having(*forms("dreg-16-1"), *forms("dreg-1-16"))
            ),
        )


def _of_discrete() -> Iterator[Claim]:
    reinforce, vimco, split, vq_vae = (FIGURE[n] for n in (5, 6, 7, 15))
    splits = (split, *SYNTHETIC_VIMCO)
    pairs = _with_each("reinforce-16", "reinforce-1")
    yield from _order("5", "REINFORCE gains from 1 to 16 samples", [reinforce], pairs)
    pairs = _each("reinforce-16", "reinforce-64")
    yield from _order("5", "REINFORCE loses it again at 64", [reinforce], pairs)
    pairs = _each("vimco-16", "vimco-64")
    text = f"VIMCO-64 is much worse than VIMCO-16 (here: by more than {_FAR:g} nats)"
    yield from _order("5", text, [vimco], pairs, by=_FAR)
    for plot in (vimco, *SYNTHETIC_VIMCO, QUICKSTART):
        yield _claim(
            "5",
            f"VIMCO-16 is almost flat at the optimum (here: within {_FAR:g} nats up to 75%)",
            plot,
            *(Flat(arm, within=_FAR, to=0.75) for arm in plot.having(*forms("vimco-16"))),
        )
    yield from _order(
        "5",
        "VIMCO-16 is better than continuous latents near full use (here: the last quarter)",
        (together("Figs 3 and 6", FIGURE[3], vimco), SYNTHETIC),
        [("vimco-16-renyi", "dreg-16-renyi")],
        between=_NEAR_FULL,
    )
    pairs = [("vimco-16-1-renyi", "reinforce-1"), ("vimco-1-16-renyi", "reinforce-1")]
    yield from _order("6", "VIMCO-16/1 and VIMCO-1/16 help with Rényi", splits, pairs)
    for plot in splits:
        if statements := plot.no_better(
            ("vimco-16-1-kl", "reinforce-1"), ("vimco-1-16-kl", "reinforce-1"), by=_SEEN
        ):
            yield _claim(
                "6",
                f"VIMCO-16/1 and VIMCO-1/16 do not help with KL (here: by {_SEEN:g} nats)",
                plot,
                *statements,
            )
    yield from _order(
        "6",
        f"VIMCO-16/1 and VIMCO-1/16 remain far from VIMCO-16 (here: by more than {_FAR:g} nats)",
        splits,
        [*_each("vimco-16", "vimco-16-1"), *_each("vimco-16", "vimco-1-16")],
        by=_FAR,
    )
    yield from _order(
        "7",
        "VIMCO-16 is better than REINFORCE-1",
        (vimco, *SYNTHETIC_VIMCO, QUICKSTART),
        _with_each("vimco-16", "reinforce-1"),
    )
    pairs = [("vq-vae", "reinforce-1")]
    yield from _order("7", "VQ-VAE is better than REINFORCE-1", [vq_vae], pairs)
    yield from _order(
        "7",
        f"VQ-VAE is far worse than VIMCO-16 (here: by more than {_FAR:g} nats)",
        [vq_vae],
        _with_each("vimco-16", "vq-vae"),
        by=_FAR,
    )


def _of_objectives() -> Iterator[Claim]:
    for figure, estimator in _POWER.items():
        plots = [FIGURE[figure]]
        power, kl, renyi = (f"{estimator}-16-{form}" for form in ("power", *FORMS))
        text = "The power objective is often better than KL (here: on average)"
        yield from _order("8", text, plots, [(power, kl)])
        yield from _order("8", "The power objective lags Rényi", plots, [(renyi, power)])


def _of_sentences() -> Iterator[Claim]:
    continuous, discrete = (FIGURE[8], PTB), (FIGURE[9], PTB)
    pairs = [*_with_each("dreg-16", "dreg-1"), *_with_each("dreg-64", "dreg-1")]
    text = "Continuous latents: several samples are better early (here: the lower half)"
    yield from _order("9", text, continuous, pairs, between=_EARLY)
    pairs = [("dreg-16-renyi", "dreg-1"), ("dreg-64-renyi", "dreg-1")]
    text = "Continuous latents: with Rényi they are at high use, too (here: the upper half)"
    yield from _order("9", text, continuous, pairs, between=_LATE)
    for plot in continuous:
        yield _claim(
            "9",
            "Continuous latents: with KL they are not at high use (here: the upper half, by "
            f"{_SEEN:g} nats a token)",
            plot,
            *plot.no_better(
                ("dreg-16-kl", "dreg-1"), ("dreg-64-kl", "dreg-1"), by=_SEEN, between=_LATE
            ),
        )
    pairs = _with_each("vimco-16", "reinforce-1")
    yield from _order("9", "Discrete latents: 16 samples are better than one", discrete, pairs)
    pairs = _each("vimco-16", "vimco-64")
    text = "As on symbols, VIMCO-64 is worse than VIMCO-16"
    yield from _order("9", text, [FIGURE[9]], pairs)
    yield from _order(
        "9",
        "Discrete latents with 16 samples are better than continuous ones",
        (together("Figs 8 and 9", FIGURE[8], FIGURE[9]), PTB),
        _each("vimco-16", "dreg-16"),
    )
    for figure, estimator in _SPLIT.items():
        pairs = [
            (f"{estimator}-16-{form}", f"{estimator}-{split}")
            for form in _GAINING[estimator]
            for split in (f"16-1-{form}", f"1-16-{form}")
        ]
        text = "Several samples have to be in both terms"
        yield from _order("9", text, [FIGURE[figure]], pairs)
    for figure, estimator in _VARIED.items():
        pairs = [
            (f"{estimator}-16-{form}-{value}", f"{ONE[estimator]}-{value}")
            for form in _GAINING[estimator]
            for value in (*BATCHES, *LENGTHS)
        ]
        text = "16 samples are better than one whatever the batch or length"
        yield from _order("9", text, [FIGURE[figure]], pairs)
    wide = FIGURE[18]
    yield _claim(
        "9",
        "With 256 units the DReG estimators hardly differ (here: by less than "
        f"{_SEEN:g} nats a token)",
        wide,
        *(
            Level(
                wide.curves[f"dreg-16-{form}-{length}"],
                wide.curves[f"dreg-1-{length}"],
                _SEEN,
                Range(within=wide.view),
            )
            for form in FORMS
            for length in LENGTHS
        ),
    )


def _of_validation() -> Iterator[Claim]:
    independent, l2, shared = (FIGURE[n] for n in (10, 11, 12))
    for plot, how in ((l2, "L2"), (shared, "shared dropout masks")):
        for estimator, one in ONE.items():
            text = f"With {how} 16 samples are better than one, {_LATENTS[estimator]} latents"
            yield from _order("9", text, [plot], _with_each(f"{estimator}-16", one))
    yield _claim(
        "9",
        "With independent dropout masks 16 samples are no better than one, continuous latents "
        f"(here: by {_SEEN:g} nats a token)",
        independent,
        *independent.no_better(*_with_each("dreg-16", "dreg-1"), by=_SEEN),
    )
    for estimator in ONE:
        of_both = together(
            "Figs 10 and 12",
            *(
                Plot("", plot.data, {f"{how} {name}": arm for name, arm in plot.curves.items()})
                for how, plot in (("independent", independent), ("shared", shared))
            ),
        )
        yield from _order(
            "9",
            "Independent dropout masks hide the gain: 16 samples are better with shared ones, "
            f"{_LATENTS[estimator]} latents",
            [of_both],
            _each(f"shared {estimator}-16", f"independent {estimator}-16"),
        )
    yield _claim(
        "9",
        "With shared dropout masks the best NLL is lower than with L2",
        together("Figs 11 and 12", l2, shared),
        *(FitsBetter(shared.curves[name], l2.curves[name]) for name in shared.curves),
    )
    yield _claim(
        "9",
        "Discrete and continuous latents are level up to about 0.5 nats a token (here: within "
        f"{_SEEN:g} nats a token)",
        shared,
        Level(
            shared.curves["vimco-16-renyi"],
            shared.curves["dreg-16-renyi"],
            _SEEN,
            Range(0.0, 0.5, nats=True, within=shared.view),
        ),
    )
    yield _claim(
        "Table 1",
        "Where each validates best, Rényi carries more information than KL",
        shared,
        *(
            MoreInformation(shared.curves[f"{name}-16-renyi"], shared.curves[f"{name}-16-kl"])
            for name in ONE
        ),
    )


def _of_budgets() -> Iterator[Claim]:
    for figure, estimator in _LONGER.items():
        plot, one = FIGURE[figure], ONE[estimator]
        more = [f"{one}-steps-x16", f"{one}-batch-x16"]
        yield from _order(
            "10",
            "16 times the steps or batch lower the NLL of one sample at hardly any rate (here: "
            "the first tenth)",
            [plot],
            [(longer, one) for longer in more],
            between=_HARDLY_ANY,
        )
        yield _claim(
            "10",
            f"They leave the slope as it is (here: within a factor of {_AS_STEEP:g})",
            plot,
            *(
                Parallel(plot.curves[longer], plot.curves[one], _AS_STEEP, plot.view)
                for longer in more
            ),
        )
        yield from _order(
            "10",
            f"{_NAMES[estimator]}-16 is better than either at high use (here: the upper half)",
            [plot],
            [(f"{estimator}-16-{form}", o) for form in _GAINING[estimator] for o in more],
            between=_LATE,
        )
    for figure, estimator in _LONGER_VALIDATION.items():
        pairs = [
            (f"{estimator}-16-{form}", f"{ONE[estimator]}-{what}-x16")
            for form in FORMS
            for what in ("steps", "batch")
        ]
        text = f"{_NAMES[estimator]}-16 generalises better than one sample at the same cost"
        yield from _order("10", text, [FIGURE[figure]], pairs)


CLAIMS = (
    *_of_every_curve(),
    *_of_continuous(),
    *_of_discrete(),
    *_of_objectives(),
    *_of_sentences(),
    *_of_validation(),
    *_of_budgets(),
)
