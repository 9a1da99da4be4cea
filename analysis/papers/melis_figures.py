"""What the figures of Melis, György and Blunsom (2022) say, over the experiments `melis/figNN`.

Beside the claims in `analysis.papers.melis`, which are about experiments with fewer arms. The
figures say it in pictures: where a text has a margin or a range, it says so.
"""

from collections.abc import Iterable

from analysis.claims import (
    Arm,
    Below,
    Flat,
    Level,
    MoreInformation,
    Range,
    Rises,
    Statement,
)
from analysis.papers.paper import Claim

FIGURES = {number: f"melis/fig{number:02d}" for number in range(2, 30)}
"""The experiment of each figure of the paper."""

_FORMS = ("kl", "renyi")
# On Penn Treebank DReG with the KL objective gains from several samples only early (Fig. 8).
_GAINING = {"dreg": ("renyi",), "vimco": _FORMS}
_HARDLY_ANY, _EARLY, _LATE = Range(0.0, 0.1), Range(0.0, 0.5), Range(0.5, 1.0)
_BEFORE_FULL, _NEAR_FULL = Range(0.0, 0.75), Range(0.75, 1.0)
_FAR = 0.1  # nats per observation
RISE = 0.01  # nats, of sentences per token: what a picture shows

_LATENTS = {"dreg": "continuous", "vimco": "discrete"}
_ONE = {"dreg": "dreg-1", "vimco": "reinforce-1"}
_NAMES = {"dreg": "DReG", "vimco": "VIMCO"}
_POWER = {26: "dreg", 27: "vimco", 28: "dreg", 29: "vimco"}
_SPLIT = {22: "dreg", 23: "vimco"}
_LONGER = {13: "vimco", 24: "dreg"}
_LONGER_VALIDATION = {14: "vimco", 25: "dreg"}
_BATCHES = {16: "dreg", 19: "vimco"}
_CURVES = {
    2: ("elbo", "iwae-1", "iwae-16", "iwae-64"),
    3: ("elbo", "dreg-1", "dreg-16", "dreg-64"),
    5: ("reinforce-1", "reinforce-16", "reinforce-64"),
    6: ("reinforce-1", "vimco-16", "vimco-64"),
    8: ("dreg-1", "dreg-16", "dreg-64"),
    9: ("reinforce-1", "vimco-16", "vimco-64"),
}
_LENGTHS = {17: "dreg", 20: "vimco", 21: "vimco"}  # not 18, whose estimators hardly differ


def _arm(figure: int, name: str) -> Arm:
    return Arm(FIGURES[figure], name)


def _setting(figure: int) -> str:
    if figure in (2, 3, 4, 5, 6, 7, 15, 26, 27):
        return f"Fig. {figure}: 10,000 symbols"
    held_out = figure in (10, 11, 12, *_LONGER_VALIDATION)
    return f"Fig. {figure}: Penn Treebank, {'validation' if held_out else 'training fit'}"


def _below(
    figure: int, pairs: Iterable[tuple[str, str]], **how: Range | float
) -> tuple[Below, ...]:
    return tuple(Below(_arm(figure, a), _arm(figure, b), **how) for a, b in pairs)  # type: ignore[arg-type]


def _claim(number: str, text: str, figure: int, statements: tuple[Statement, ...]) -> Claim:
    split = "validation" if "validation" in _setting(figure) else "train"
    return Claim(number, text, _setting(figure), statements, split=split)


def _each(a: str, b: str) -> list[tuple[str, str]]:
    """Pair two estimators with both objectives."""
    return [(f"{a}-{form}", f"{b}-{form}") for form in _FORMS]


def _with_forms(*arms: str) -> list[str]:
    """Name the arms; those with several samples have one for each objective."""
    forms = [f"-{form}" for form in _FORMS]
    several = ("-16", "-64")
    return [f"{arm}{form}" for arm in arms for form in (forms if arm.endswith(several) else [""])]


def _against_one(figure: int, estimator: str) -> tuple[Below, ...]:
    return _below(figure, [(f"{estimator}-16-{form}", _ONE[estimator]) for form in _FORMS])


def _of_every_curve() -> list[Claim]:
    return [
        _claim(
            "1",
            "Every curve rises with latent use (here: by more than "
            f"{RISE:g} nats{' a token' if 'Penn' in _setting(figure) else ''})",
            figure,
            tuple(Rises(_arm(figure, name), RISE) for name in _with_forms(*arms)),
        )
        for figure, arms in _CURVES.items()
    ]


def _of_symbols() -> list[Claim]:
    return [
        _claim("2", "IWAE-1 is worse than the ELBO", 2, _below(2, [("elbo", "iwae-1")])),
        _claim(
            "2",
            "With more samples IWAE overtakes the ELBO",
            2,
            _below(2, [(f"iwae-16-{form}", "elbo") for form in _FORMS]),
        ),
        _claim("2", "IWAE is worse with 64 samples", 2, _below(2, _each("iwae-16", "iwae-64"))),
        _claim("3", "DReG-1 beats the ELBO", 3, _below(3, [("dreg-1", "elbo")])),
        _claim(
            "3",
            "DReG with several samples beats DReG-1",
            3,
            _below(3, [(f"dreg-{n}-{form}", "dreg-1") for n in (16, 64) for form in _FORMS]),
        ),
        _claim(
            "3",
            "Rényi is better than KL before all break down (here: the first three quarters)",
            3,
            _below(
                3,
                [(f"dreg-{n}-renyi", f"dreg-{n}-kl") for n in (16, 64)],
                between=_BEFORE_FULL,
            ),
        ),
        _claim(
            "4",
            "Samples split: DReG-16 before DReG-1/16 before DReG-16/1",
            4,
            _below(
                4,
                [
                    *_each("dreg-16", "dreg-1-16"),
                    *((f"dreg-1-16-{form}", "dreg-16-1") for form in _FORMS),
                ],
            ),
        ),
        _claim(
            "5",
            "REINFORCE gains from 1 to 16 samples",
            5,
            _below(5, [(f"reinforce-16-{form}", "reinforce-1") for form in _FORMS]),
        ),
        _claim(
            "5",
            "REINFORCE loses it again at 64",
            5,
            _below(5, _each("reinforce-16", "reinforce-64")),
        ),
        _claim(
            "5", "VIMCO-64 is worse than VIMCO-16", 6, _below(6, _each("vimco-16", "vimco-64"))
        ),
        _claim(
            "5",
            f"VIMCO-16 is almost flat at the optimum (here: within {_FAR:g} nats up to 75%)",
            6,
            tuple(Flat(_arm(6, f"vimco-16-{form}"), within=_FAR, to=0.75) for form in _FORMS),
        ),
        Claim(
            "5",
            "VIMCO-16 is better than continuous latents near full use (here: the last quarter)",
            "Figs 3 and 6: 10,000 symbols",
            (Below(_arm(6, "vimco-16-renyi"), _arm(3, "dreg-16-renyi"), _NEAR_FULL),),
        ),
        _claim(
            "6",
            "VIMCO-1/16 helps with Rényi",
            7,
            _below(7, [("vimco-1-16-renyi", "reinforce-1")]),
        ),
        _claim(
            "6",
            f"VIMCO-16/1 and VIMCO-1/16 remain far from VIMCO-16 (here: by more than {_FAR:g} "
            "nats)",
            7,
            _below(
                7,
                [
                    *_each("vimco-16", "vimco-1-16"),
                    *((f"vimco-16-{form}", "vimco-16-1") for form in _FORMS),
                ],
                by=_FAR,
            ),
        ),
        _claim(
            "7", "VQ-VAE is better than REINFORCE-1", 15, _below(15, [("vq-vae", "reinforce-1")])
        ),
        _claim(
            "7",
            f"VQ-VAE is far worse than VIMCO-16 (here: by more than {_FAR:g} nats)",
            15,
            _below(15, [(f"vimco-16-{form}", "vq-vae") for form in _FORMS], by=_FAR),
        ),
    ]


def _of_objectives() -> list[Claim]:
    claims = []
    for figure, estimator in _POWER.items():
        power, kl, renyi = (f"{estimator}-16-{form}" for form in ("power", "kl", "renyi"))
        claims += [
            _claim(
                "8",
                "The power objective is often better than KL (here: on average)",
                figure,
                _below(figure, [(power, kl)]),
            ),
            _claim(
                "8", "The power objective lags Rényi", figure, _below(figure, [(renyi, power)])
            ),
        ]
    return claims


def _of_sentences() -> list[Claim]:
    claims = [
        _claim(
            "9",
            "Continuous latents: several samples are better early (here: the lower half)",
            8,
            _below(
                8,
                [(f"dreg-{n}-{form}", "dreg-1") for n in (16, 64) for form in _FORMS],
                between=_EARLY,
            ),
        ),
        _claim(
            "9",
            "Continuous latents: with Rényi they are at high use, too (here: the upper half)",
            8,
            _below(8, [(f"dreg-{n}-renyi", "dreg-1") for n in (16, 64)], between=_LATE),
        ),
        _claim(
            "9", "Discrete latents: 16 samples are better than one", 9, _against_one(9, "vimco")
        ),
        Claim(
            "9",
            "Discrete latents with 16 samples are better than continuous ones",
            "Figs 8 and 9: Penn Treebank, training fit",
            tuple(
                Below(_arm(9, f"vimco-16-{form}"), _arm(8, f"dreg-16-{form}")) for form in _FORMS
            ),
        ),
    ]
    claims += [
        _claim(
            "9",
            "Several samples have to be in both terms",
            figure,
            _below(
                figure,
                [
                    (f"{estimator}-16-{form}", f"{estimator}-{split}")
                    for form in _GAINING[estimator]
                    for split in (f"1-16-{form}", "16-1")
                ],
            ),
        )
        for figure, estimator in _SPLIT.items()
    ]
    batches = [f"batch-{size}" for size in (64, 256, 1024)]
    varied = [(figure, estimator, batches) for figure, estimator in _BATCHES.items()]
    varied += [(figure, estimator, ["40k", "80k"]) for figure, estimator in _LENGTHS.items()]
    for figure, estimator, values in varied:
        pairs = [
            (f"{estimator}-16-{form}-{value}", f"{_ONE[estimator]}-{value}")
            for form in _GAINING[estimator]
            for value in values
        ]
        what = "batch" if values == batches else "length"
        text = f"16 samples are better than one whatever the {what}"
        claims.append(_claim("9", text, figure, _below(figure, pairs)))
    return claims


def _of_validation() -> list[Claim]:
    claims = [
        _claim(
            "9",
            f"With {how} 16 samples are better than one, {_LATENTS[estimator]} latents",
            figure,
            _against_one(figure, estimator),
        )
        for figure, how in ((11, "L2"), (12, "shared dropout masks"))
        for estimator in _ONE
    ]
    claims += [
        _claim(
            "9",
            "Discrete and continuous latents are level up to about 0.5 nats a token "
            "(here: within 0.01 nats a token)",
            12,
            (
                Level(
                    _arm(12, "vimco-16-renyi"),
                    _arm(12, "dreg-16-renyi"),
                    0.01,
                    Range(0.0, 0.5, nats=True),
                ),
            ),
        ),
        _claim(
            "Table 1",
            "Where each validates best, Rényi carries more information than KL",
            12,
            tuple(
                MoreInformation(_arm(12, f"{estimator}-16-renyi"), _arm(12, f"{estimator}-16-kl"))
                for estimator in _ONE
            ),
        ),
    ]
    claims += [
        Claim(
            "9",
            f"Independent dropout masks hide the gain, {_LATENTS[estimator]} latents (here: 16 "
            "samples are better with shared ones)",
            "Figs 10 and 12: Penn Treebank, validation",
            tuple(
                Below(_arm(12, f"{estimator}-16-{form}"), _arm(10, f"{estimator}-16-{form}"))
                for form in _FORMS
            ),
            split="validation",
        )
        for estimator in _ONE
    ]
    return claims


def _of_budgets() -> list[Claim]:
    claims = []
    for figure, estimator in _LONGER.items():
        one = _ONE[estimator]
        more = [f"{one}-steps-x16", f"{one}-batch-x16"]
        claims += [
            _claim(
                "10",
                "16 times the steps or batch lower the NLL of one sample at hardly any rate "
                "(here: the first tenth)",
                figure,
                _below(figure, [(longer, one) for longer in more], between=_HARDLY_ANY),
            ),
            _claim(
                "10",
                f"{_NAMES[estimator]}-16 is better than either at high use (here: the upper half)",
                figure,
                _below(
                    figure,
                    [
                        (f"{estimator}-16-{form}", longer)
                        for form in _GAINING[estimator]
                        for longer in more
                    ],
                    between=_LATE,
                ),
            ),
        ]
    for figure, estimator in _LONGER_VALIDATION.items():
        one = _ONE[estimator]
        pairs = [
            (f"{estimator}-16-{form}", f"{one}-{what}-x16")
            for form in _FORMS
            for what in ("steps", "batch")
        ]
        text = f"{_NAMES[estimator]}-16 generalises better than one sample at the same cost"
        claims.append(_claim("10", text, figure, _below(figure, pairs)))
    return claims


CLAIMS = (
    *_of_every_curve(),
    *_of_symbols(),
    *_of_objectives(),
    *_of_sentences(),
    *_of_validation(),
    *_of_budgets(),
)
