"""The plots of Melis, György and Blunsom (2022), and others that shipped experiments give.

Curves go by the names of the arms in `melis/`, whatever an experiment calls its arm: an estimator,
its number of samples (for ln p(x) and for the KL term, where these differ) and, where there are
several in the KL term, the objective.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from analysis.claims import ALL, Arm, Range
from analysis.orders import Below, NoBetter

FORMS = ("kl", "renyi")
FIGURES = {number: f"melis/fig{number:02d}" for number in range(2, 30)}
"""The experiment of each figure of the paper."""

ONE = {"dreg": "dreg-1", "vimco": "reinforce-1"}
_SYMBOLS, _FIT, _VALIDATION = (
    "symbols",
    "Penn Treebank, training fit",
    "Penn Treebank, validation",
)


class Plot(NamedTuple):
    """Curves that compare, by name."""

    name: str
    data: str
    curves: Mapping[str, Arm]

    @property
    def setting(self) -> str:
        """Say what and of which data it is."""
        return f"{self.name}: {self.data}"

    @property
    def split(self) -> str:
        """Say which split is evaluated."""
        return "validation" if self.data == _VALIDATION else "train"

    @property
    def view(self) -> float:
        """Give how far above the lowest NLL, in nats, the picture goes."""
        return 0.24 if self.data == _SYMBOLS else 1.0

    @property
    def per(self) -> str:
        """Say per what its nats are, where that is no observation."""
        return "" if self.data == _SYMBOLS else " a token"

    def having(self, *names: str) -> tuple[Arm, ...]:
        """Give the arms of those curves that it has."""
        return tuple(self.curves[name] for name in names if name in self.curves)

    def below(
        self, *pairs: tuple[str, str], between: Range = ALL, by: float = 0.0
    ) -> tuple[Below, ...]:
        """State that curves lie below others in view, for those pairs that it has."""
        between = between._replace(within=self.view)
        return tuple(Below(a, b, between, by) for a, b in self._both(pairs))

    def no_better(
        self, *pairs: tuple[str, str], by: float, between: Range = ALL
    ) -> tuple[NoBetter, ...]:
        """State that curves lie below others by less than `by`, for those pairs that it has."""
        between = between._replace(within=self.view)
        return tuple(NoBetter(a, b, by, between) for a, b in self._both(pairs))

    def _both(self, pairs: tuple[tuple[str, str], ...]) -> Iterator[tuple[Arm, Arm]]:
        for a, b in pairs:
            if a in self.curves and b in self.curves:
                yield self.curves[a], self.curves[b]


def forms(*names: str) -> tuple[str, ...]:
    """Name the curves of estimators with several samples in the KL term."""
    return tuple(f"{name}-{form}" for name in names for form in FORMS)


def _varied(estimator: str, what: tuple[str, ...]) -> tuple[str, ...]:
    curves = (ONE[estimator], *forms(f"{estimator}-16"))
    return tuple(f"{curve}-{value}" for curve in curves for value in what)


def _longer(estimator: str) -> tuple[str, ...]:
    one = ONE[estimator]
    return (one, f"{one}-steps-x16", f"{one}-batch-x16", *forms(f"{estimator}-16"))


def _split(estimator: str) -> tuple[str, ...]:
    return (ONE[estimator], *forms(*(f"{estimator}-{n}" for n in ("16-1", "1-16", "16"))))


def _power(estimator: str) -> tuple[str, ...]:
    return (*forms(f"{estimator}-16"), f"{estimator}-16-power")


BATCHES = ("batch-64", "batch-256", "batch-1024")
LENGTHS = ("40k", "80k")
_BOTH = ("dreg-1", *forms("dreg-16"), "reinforce-1", *forms("vimco-16"))
_DREG = ("dreg-1", *forms("dreg-16", "dreg-64"))
_VIMCO = ("reinforce-1", *forms("vimco-16", "vimco-64"))

_ON_SYMBOLS = {
    2: ("elbo", "iwae-1", *forms("iwae-16", "iwae-64")),
    3: ("elbo", *_DREG),
    4: _split("dreg"),
    5: ("reinforce-1", *forms("reinforce-16", "reinforce-64")),
    6: _VIMCO,
    7: _split("vimco"),
    15: ("reinforce-1", "vq-vae", *forms("vimco-16")),
    26: _power("dreg"),
    27: _power("vimco"),
}
_FITTED = {
    8: _DREG,
    9: _VIMCO,
    13: _longer("vimco"),
    16: _varied("dreg", BATCHES),
    17: _varied("dreg", LENGTHS),
    18: _varied("dreg", LENGTHS),
    19: _varied("vimco", BATCHES),
    20: _varied("vimco", LENGTHS),
    21: _varied("vimco", LENGTHS),
    22: _split("dreg"),
    23: _split("vimco"),
    24: _longer("dreg"),
    28: _power("dreg"),
    29: _power("vimco"),
}
_VALIDATED = {10: _BOTH, 11: _BOTH, 12: _BOTH, 14: _longer("vimco"), 25: _longer("dreg")}


def _figure(number: int, data: str, curves: tuple[str, ...]) -> Plot:
    arms = {name: Arm(FIGURES[number], name) for name in curves}
    return Plot(f"Fig. {number}", data, arms)


FIGURE = {
    number: _figure(number, data, curves)
    for data, figures in ((_SYMBOLS, _ON_SYMBOLS), (_FIT, _FITTED), (_VALIDATION, _VALIDATED))
    for number, curves in figures.items()
}
"""The plot of each figure."""


def together(name: str, *plots: Plot) -> Plot:
    """Put plots of the same data into one; of curves of one name the last stays."""
    curves = {curve: arm for plot in plots for curve, arm in plot.curves.items()}
    return Plot(name, plots[0].data, curves)


def _synthetic(experiment: str, form: str, estimators: tuple[str, ...], *ones: str) -> Plot:
    curves = {f"{name}-{form}": Arm(experiment, name) for name in estimators}
    return Plot(experiment, _SYMBOLS, curves | {name: Arm(experiment, name) for name in ones})


def _of_dreg(form: str) -> Plot:
    several = ("dreg-16", "dreg-1-16", "dreg-16-1", "iwae-16")
    return _synthetic(f"synthetic_dreg_{form}", form, several, "dreg-1", "elbo")


def _of_vimco(form: str) -> Plot:
    several = ("vimco-16", "vimco-1-16", "vimco-16-1")
    return _synthetic(f"synthetic_vimco_{form}", form, several, "reinforce-1")


SYNTHETIC_DREG = tuple(_of_dreg(form) for form in FORMS)
SYNTHETIC_VIMCO = tuple(_of_vimco(form) for form in FORMS)
SYNTHETIC = together("synthetic_*", *SYNTHETIC_DREG, *SYNTHETIC_VIMCO)
PTB = Plot(
    "ptb_*",
    _FIT,
    {
        "dreg-1": Arm("ptb_dreg_kl", "dreg-1"),
        "dreg-16-kl": Arm("ptb_dreg_kl", "dreg-16"),
        "dreg-16-renyi": Arm("ptb_dreg_renyi", "ptb_dreg_renyi"),
        "reinforce-1": Arm("ptb_vimco_kl", "reinforce-1"),
        "vimco-16-kl": Arm("ptb_vimco_kl", "vimco-16"),
        "vimco-16-renyi": Arm("ptb_vimco_renyi", "ptb_vimco_renyi"),
    },
)
QUICKSTART = Plot(
    "quickstart",
    _SYMBOLS,
    {
        "vimco-16-renyi": Arm("quickstart", "renyi-vimco-16"),
        "reinforce-1": Arm("quickstart", "reinforce-1"),
    },
)
FITTED = (
    *(plot for plot in FIGURE.values() if plot.split == "train"),
    *SYNTHETIC_DREG,
    *SYNTHETIC_VIMCO,
    PTB,
    QUICKSTART,
)
"""The plots of training fit."""
