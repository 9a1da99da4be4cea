"""Melis, György and Blunsom (2022), mutual information constraints for Monte-Carlo objectives.

"Mutual Information Constraints for Monte-Carlo Objectives to Prevent Posterior Collapse
Especially in Language Modelling". Its plots are in `melis_plots`, what it says of them in
`melis_claims`.
"""

from analysis.claims import Arm
from analysis.papers.melis_claims import CLAIMS
from analysis.papers.melis_plots import FIGURES
from analysis.papers.paper import Paper
from analysis.papers.tables import KL, NLL, PERPLEXITY, Figure, Head, Method, Table, best


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
    claims=CLAIMS,
    not_covered=(),
    figures=FIGURES,
)
