"""What the figures of Melis, György and Blunsom (2022) say, over the experiments `melis/figNN`.

Beside the claims in `analysis.papers.melis`, which are about experiments with fewer arms. The
figures say it in pictures: where a text has a margin or a range, it says so.
"""

from collections.abc import Iterable

from analysis.claims import Arm, Below, Range
from analysis.papers.paper import Claim

FIGURES = {number: f"melis/fig{number:02d}" for number in range(2, 30)}
"""The experiment of each figure of the paper."""

_FORMS = ("kl", "renyi")
# On Penn Treebank DReG with the KL objective gains from several samples only early (Fig. 8).
_GAINING = {"dreg": ("renyi",), "vimco": _FORMS}
_HARDLY_ANY, _LATE = Range(0.0, 0.1), Range(0.5, 1.0)
_FAR = 0.1  # nats per observation

_LATENTS = {"dreg": "continuous", "vimco": "discrete"}
_ONE = {"dreg": "dreg-1", "vimco": "reinforce-1"}
_NAMES = {"dreg": "DReG", "vimco": "VIMCO"}
_POWER = {26: "dreg", 27: "vimco", 28: "dreg", 29: "vimco"}
_SPLIT = {22: "dreg", 23: "vimco"}
_LONGER = {13: "vimco", 24: "dreg"}
_LONGER_VALIDATION = {14: "vimco", 25: "dreg"}
_BATCHES = {16: "dreg", 19: "vimco"}
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


def _claim(number: str, text: str, figure: int, statements: tuple[Below, ...]) -> Claim:
    split = "validation" if "validation" in _setting(figure) else "train"
    return Claim(number, text, _setting(figure), statements, split=split)


def _each(a: str, b: str) -> list[tuple[str, str]]:
    """Pair two estimators with both objectives."""
    return [(f"{a}-{form}", f"{b}-{form}") for form in _FORMS]


def _against_one(figure: int, estimator: str) -> tuple[Below, ...]:
    return _below(figure, [(f"{estimator}-16-{form}", _ONE[estimator]) for form in _FORMS])


def _of_symbols() -> list[Claim]:
    return [
        _claim("2", "IWAE-1 is worse than the ELBO", 2, _below(2, [("elbo", "iwae-1")])),
        _claim("2", "IWAE is worse with 64 samples", 2, _below(2, _each("iwae-16", "iwae-64"))),
        _claim(
            "3",
            "DReG with 64 samples beats DReG-1",
            3,
            _below(3, [(f"dreg-64-{form}", "dreg-1") for form in _FORMS]),
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
    *_of_symbols(),
    *_of_objectives(),
    *_of_sentences(),
    *_of_validation(),
    *_of_budgets(),
)
