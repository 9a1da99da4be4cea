"""Melis, György and Blunsom (2022), mutual information constraints for Monte-Carlo objectives.

"Mutual Information Constraints for Monte-Carlo Objectives to Prevent Posterior Collapse
Especially in Language Modelling". The figures make their claims in pictures: margins such as
"almost flat" are put into numbers here, and each text says so where it has one. Everything is
about the shipped experiments `synthetic_*`, `ptb_*` and `quickstart`; `melis_figures` has the
claims about those of single figures.
"""

from itertools import product

from analysis.claims import (
    Arm,
    Below,
    Collapses,
    Flat,
    Range,
    Rises,
)
from analysis.papers.melis_figures import CLAIMS as OF_FIGURES
from analysis.papers.melis_figures import FIGURES, RISE
from analysis.papers.paper import Claim, NotCovered, Paper
from analysis.papers.tables import (
    KL,
    NLL,
    PERPLEXITY,
    Figure,
    Head,
    Method,
    Table,
    best,
)

_EARLY, _LATE, _NEAR_FULL = Range(0.0, 0.5), Range(0.5, 1.0), Range(0.75, 1.0)

_PTB_DREG_1 = Arm("ptb_dreg_kl", "dreg-1")
_PTB_DREG_K = Arm("ptb_dreg_kl", "dreg-16")
_PTB_DREG_R = Arm("ptb_dreg_renyi", "ptb_dreg_renyi")
_PTB_VIMCO_1 = Arm("ptb_vimco_kl", "reinforce-1")
_PTB_VIMCO_K = Arm("ptb_vimco_kl", "vimco-16")
_PTB_VIMCO_R = Arm("ptb_vimco_renyi", "ptb_vimco_renyi")

_DREG = {"Rényi": "synthetic_dreg_renyi", "KL": "synthetic_dreg_kl"}
_VIMCO = {"Rényi": "synthetic_vimco_renyi", "KL": "synthetic_vimco_kl"}
_DREG_ARMS = ("dreg-16", "dreg-1-16", "dreg-16-1", "iwae-16", "dreg-1", "elbo")
_VIMCO_ARMS = ("vimco-16", "vimco-16-1", "vimco-1-16", "reinforce-1")
_SYNTHETIC = (
    *(Arm(name, arm) for name, arm in product(_DREG.values(), _DREG_ARMS)),
    *(Arm(name, arm) for name, arm in product(_VIMCO.values(), _VIMCO_ARMS)),
)
_QUICK_VIMCO = Arm("quickstart", "renyi-vimco-16")
_QUICK_REINFORCE = Arm("quickstart", "reinforce-1")

_SYMBOLS = "10,000 symbols"
_PTB = "Penn Treebank, training fit"
_QUICK = "quickstart, 256 symbols"

_WITHOUT = (-0.05, 0.05)  # values of lambda with hardly any MI term


def _pairs(better: str, worse: str, experiments: dict[str, str]) -> tuple[Below, ...]:
    return tuple(Below(Arm(name, better), Arm(name, worse)) for name in experiments.values())


def _rises(setting: str, arms: tuple[Arm, ...]) -> Claim:
    return Claim(
        "1",
        f"Every curve rises with latent use (here: by more than {RISE:g} nats)",
        setting,
        tuple(Rises(arm, RISE) for arm in arms),
    )


def _collapses(setting: str, arms: tuple[Arm, ...]) -> Claim:
    return Claim(
        "1",
        "Without the MI term the model collapses (here: lambda within ±0.05)",
        setting,
        tuple(Collapses(arm, "objective.lambda", *_WITHOUT) for arm in arms),
    )


def _flat(setting: str, arm: Arm) -> Claim:
    return Claim(
        "5",
        "VIMCO-16 is almost flat at the optimum (here: within 0.1 nats up to 75%)",
        setting,
        (Flat(arm, within=0.1, to=0.75),),
    )


_CLAIMS = (
    _rises(_SYMBOLS, _SYNTHETIC),
    _collapses(_SYMBOLS, _SYNTHETIC),
    Claim(
        "2",
        "With more samples IWAE overtakes the ELBO",
        _SYMBOLS,
        _pairs("iwae-16", "elbo", _DREG),
    ),
    Claim("3", "DReG-1 beats the ELBO", _SYMBOLS, _pairs("dreg-1", "elbo", _DREG)),
    Claim(
        "3",
        "DReG with several samples beats DReG-1",
        _SYMBOLS,
        _pairs("dreg-16", "dreg-1", _DREG),
    ),
    Claim(
        "3",
        "Rényi is better than KL",
        _SYMBOLS,
        (Below(Arm(_DREG["Rényi"], "dreg-16"), Arm(_DREG["KL"], "dreg-16")),),
    ),
    Claim(
        "4",
        "Samples split: DReG-16 before DReG-1-16 before DReG-16-1",
        _SYMBOLS,
        (*_pairs("dreg-16", "dreg-1-16", _DREG), *_pairs("dreg-1-16", "dreg-16-1", _DREG)),
    ),
    _flat(_SYMBOLS, Arm(_VIMCO["Rényi"], "vimco-16")),
    Claim(
        "5",
        "VIMCO-16 is better than continuous latents near full use (here: the last quarter)",
        _SYMBOLS,
        (Below(Arm(_VIMCO["Rényi"], "vimco-16"), Arm(_DREG["Rényi"], "dreg-16"), _NEAR_FULL),),
    ),
    Claim(
        "6",
        "VIMCO-16-1 and VIMCO-1-16 help with Rényi",
        _SYMBOLS,
        tuple(
            Below(Arm(_VIMCO["Rényi"], split), Arm(_VIMCO["Rényi"], "reinforce-1"))
            for split in ("vimco-16-1", "vimco-1-16")
        ),
    ),
    Claim(
        "6",
        "VIMCO-16-1 and VIMCO-1-16 remain far from VIMCO-16 (here: by more than 0.1 nats)",
        _SYMBOLS,
        tuple(
            Below(Arm(_VIMCO["Rényi"], "vimco-16"), Arm(_VIMCO["Rényi"], split), by=0.1)
            for split in ("vimco-16-1", "vimco-1-16")
        ),
    ),
    Claim(
        "7",
        "VIMCO-16 is better than REINFORCE-1",
        _SYMBOLS,
        _pairs("vimco-16", "reinforce-1", _VIMCO),
    ),
    Claim(
        "9",
        "As on symbols, 16 samples are better than one",
        _PTB,
        (Below(_PTB_DREG_K, _PTB_DREG_1), Below(_PTB_VIMCO_K, _PTB_VIMCO_1)),
    ),
    Claim(
        "9",
        "Continuous latents: Rényi still helps at high use (here: the upper half)",
        _PTB,
        (Below(_PTB_DREG_R, _PTB_DREG_1, _LATE),),
    ),
    Claim(
        "9",
        "Continuous latents: KL helps early (here: the lower half)",
        _PTB,
        (Below(_PTB_DREG_K, _PTB_DREG_1, _EARLY),),
    ),
    Claim(
        "9",
        "Discrete latents with 16 samples are better than continuous ones",
        _PTB,
        (Below(_PTB_VIMCO_R, _PTB_DREG_R), Below(_PTB_VIMCO_K, _PTB_DREG_K)),
    ),
    _rises(_QUICK, (_QUICK_VIMCO, _QUICK_REINFORCE)),
    _collapses(_QUICK, (_QUICK_VIMCO, _QUICK_REINFORCE)),
    _flat(_QUICK, _QUICK_VIMCO),
    Claim(
        "7",
        "VIMCO-16 is better than REINFORCE-1",
        _QUICK,
        (Below(_QUICK_VIMCO, _QUICK_REINFORCE),),
    ),
)

_NOT_COVERED = (
    NotCovered(
        "3",
        "All curves break down near the largest rate",
        "the figures give no number from which on a curve counts as broken down",
    ),
    NotCovered(
        "4",
        "The split estimators are at times worse than DReG-1",
        "'at times' names no range of MI that could be checked",
    ),
    NotCovered(
        "6",
        "VIMCO-16-1 and VIMCO-1-16 do not help with KL",
        "that nothing is gained can only be checked against a margin, which the figures lack",
    ),
    NotCovered(
        "9",
        "With 256 units the DReG estimators hardly differ",
        "that they are alike can only be checked against a margin, which the figures lack",
    ),
    NotCovered(
        "10",
        "16 times more steps or larger batches leave the slope as it is",
        "a slope that stays can only be checked against a margin, which the figures lack",
    ),
)


def _method(name: str, perplexity: float, nll: float, kl: float, arm: str) -> Method:
    figures = {PERPLEXITY: perplexity, NLL: nll, KL: kl}
    published = {head: Figure(value) for head, value in figures.items()}
    return Method(name, published, Arm(FIGURES[12], arm))


_TABLE = Table(
    "Table 1",
    "best validation on Penn Treebank",
    "validation",
    heads=(Head(PERPLEXITY, 1), Head(NLL, 3), Head(KL, 3)),
    methods=(
        _method("DReG 1", 99.4, 4.599, 0.056, "dreg-1"),
        _method("DReG 16 K", 98.3, 4.588, 0.074, "dreg-16-kl"),
        _method("DReG 16 R", 98.8, 4.592, 0.206, "dreg-16-renyi"),
        _method("VIMCO 1", 99.9, 4.603, 0.001, "reinforce-1"),
        _method("VIMCO 16 K", 99.2, 4.596, 0.144, "vimco-16-kl"),
        _method("VIMCO 16 R", 98.9, 4.594, 0.170, "vimco-16-renyi"),
    ),
    measure=best,
    methods_down=False,
)

MELIS = Paper(
    name="melis",
    title="Melis, György and Blunsom (2022): mutual information constraints for Monte-Carlo "
    "objectives",
    tables=(_TABLE,),
    claims=(*_CLAIMS, *OF_FIGURES),
    not_covered=_NOT_COVERED,
    figures=FIGURES,
)
