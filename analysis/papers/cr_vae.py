"""Lygerakis and Rueckert (2023), a contrast between two views against posterior collapse.

"CR-VAE: Contrastive Regularization on Variational Autoencoders for Preventing Posterior Collapse"
and the first author's code. No figures of theirs are at hand to set beside ours: what is here are
the comparisons that they propose and what the method is built for, each as a statement with a
direction. Everything is about the shipped experiments `cr_vae/*`. Margins are ours, and each text
says so where it has one.
"""

from collections.abc import Iterable

from analysis.bounds import StaysBelow
from analysis.claims import Arm, Statement
from analysis.orders import Below
from analysis.papers.paper import Claim, NotCovered, Paper, Picture
from analysis.papers.tables import LARGE_POOL, Head, Method, Table, at_information, means
from analysis.seeds import (
    ACTIVE_UNITS,
    BOUND,
    COLLAPSED,
    KL,
    MODEL_MI,
    NEIGHBOURS,
    NLL,
    PROBE,
    SET_MI,
    Greater,
    NotGreater,
    Quantity,
)
from analysis.shapes import Rises
from analysis.trends import Trend

_FRONTIERS = {
    "MNIST": "cr_vae/mnist",
    "Fashion-MNIST": "cr_vae/fashion_mnist",
    "Omniglot": "cr_vae/omniglot",
}
_KEY, _BATCH, _BOUND = "cr_vae/key_encoder", "cr_vae/batch", "cr_vae/bound"
_GAMMA = "objective.gamma"
_MARGIN = 0.5  # nats: differences that matter are 0.1 to 0.7 on such images

_VAE, _EMA, _SHARED, _FROZEN, _EMA_QUEUE, _FROZEN_QUEUE = (
    Arm(_KEY, name) for name in ("vae", "ema", "shared", "frozen", "ema-queue", "frozen-queue")
)


def _claim(number: str, text: str, setting: str, *statements: Statement) -> Claim:
    return Claim(number, text, setting, statements, split="validation")


def _frontier_claims(data: str, experiment: str) -> Iterable[Claim]:
    ours, beta = Arm(experiment, "cr-vae"), Arm(experiment, "beta-vae")
    yield _claim(
        "gamma",
        "More gamma, more information, over decades of gamma",
        data,
        Trend(ours, MODEL_MI, _GAMMA),
    )
    yield _claim(
        "gamma",
        f"Much information costs fit (here: more than {_MARGIN:g} nats of NLL)",
        data,
        Rises(ours, _MARGIN),
    )
    yield _claim(
        "ours", "At equal MI CR-VAE fits better than the beta-VAE", data, Below(ours, beta)
    )


_CLAIMS = (
    *(
        _claim(
            "objective",
            f"The contrast keeps latents in use: with gamma = 1 more {what} than with gamma = 0",
            "MNIST",
            Greater(_EMA, _VAE, quantity, paired=True),
        )
        for what, quantity in (
            ("KL", KL),
            ("MI of q", SET_MI),
            ("MI of the model", MODEL_MI),
            ("active units", ACTIVE_UNITS),
        )
    ),
    _claim(
        "latents",
        "With gamma = 1 posterior means tell more of the digit, to a linear probe and to k-NN",
        "MNIST",
        Greater(_EMA, _VAE, PROBE, paired=True),
        Greater(_EMA, _VAE, NEIGHBOURS, paired=True),
    ),
    _claim(
        "ours",
        "With gamma = 1 the NLL is hardly above that with gamma = 0 (here: by less than "
        f"{_MARGIN:g} nats)",
        "MNIST",
        NotGreater(_EMA, _VAE, NLL, within=_MARGIN, paired=True),
    ),
    *(
        claim
        for data, experiment in _FRONTIERS.items()
        for claim in _frontier_claims(data, experiment)
    ),
    _claim(
        "key encoder",
        "Keys of a moving average give more information than those of the encoder itself",
        "MNIST",
        Greater(_EMA, _SHARED, MODEL_MI, paired=True),
    ),
    _claim(
        "key encoder",
        "Keys of a moving average give more information than those of a random encoder, with "
        "negatives from the batch and from a queue",
        "MNIST",
        Greater(_EMA, _FROZEN, MODEL_MI, paired=True),
        Greater(_EMA_QUEUE, _FROZEN_QUEUE, MODEL_MI, paired=True),
    ),
    _claim(
        "key encoder",
        "A queue's many negatives give more information than the batch's",
        "MNIST",
        # No pairs: what a queue starts with is drawn, and so all draws after it are others.
        Greater(_EMA_QUEUE, _EMA, MODEL_MI),
    ),
    _claim(
        "batch",
        "Batches of 256 give more information than of 50, with and without the moving average (in "
        "as many epochs, so with a fifth of the steps)",
        "MNIST",
        *(
            Greater(Arm(_BATCH, f"{key}-256"), Arm(_BATCH, f"{key}-50"), MODEL_MI)
            for key in ("ema", "shared")
        ),
    ),
    _claim(
        "batch",
        "The moving average gives more information than the encoder itself at either size",
        "MNIST",
        *(
            Greater(
                Arm(_BATCH, f"ema-{size}"), Arm(_BATCH, f"shared-{size}"), MODEL_MI, paired=True
            )
            for size in (50, 256)
        ),
    ),
    *(
        _claim(
            "bound",
            f"ln(K+1) - InfoNCE stays below the {quantity} along training (expected, not proven: "
            "it bounds what two views share)",
            "MNIST",
            *(StaysBelow(Arm(_BOUND, arm), quantity) for arm in ("batch", "queue")),
        )
        for quantity in (MODEL_MI, SET_MI)
    ),
)

_NOT_COVERED = (
    NotCovered(
        "bound",
        "ln(K+1) - InfoNCE is at most the information between the z of two views",
        "no meter has the information between two views; that of z about the image is beside it",
    ),
    NotCovered(
        "objective",
        "The ELBO is that of the first augmented view, as in the code",
        "no shipped experiment has it; set trial.objective.target: augmented in an arm",
    ),
    NotCovered(
        "objective",
        "Accuracies of a linear probe and of k-NN (k = 200) on the latents",
        "no figures to compare with; tables and claims have ours",
    ),
    NotCovered(
        "training",
        "SGD with a decay on plateaus",
        "the shipped experiments train with Adam, which gets the small network there in as many "
        "epochs",
    ),
)

_FIT = {"NLL": NLL, "KL": KL, "MI": MODEL_MI, LARGE_POOL: SET_MI}
_LATENTS = {
    "active units": ACTIVE_UNITS,
    "collapsed": COLLAPSED,
    "linear probe": PROBE,
    "k-NN": NEIGHBOURS,
}
_DECIMALS = {"active units": 1, "linear probe": 3, "k-NN": 3}
_BOUNDED = {
    "bound": BOUND._replace(ceiling=None),  # another one for each arm, hence a column
    "at most": Quantity("ceiling of the bound", "critic_ceiling"),
    "MI": MODEL_MI,
    LARGE_POOL: SET_MI,
    "NLL": NLL,
}
_LEVELS = {f"{level} nats": float(level) for level in (10, 14, 16, 18, 20, 22, 24)}
_SEEDS = "mean (standard deviation) over seeds, nats per image"
_MI_NOTE = (
    f"MI is that of the model, which the frontiers show; {LARGE_POOL}, is that of q, which ends "
    "at the ln of the number of images evaluated."
)


def _ablation(
    number: str, title: str, experiment: str, arms: dict[str, str], file: str
) -> Iterable[Table]:
    for quantities, what, notes, suffix in (
        (_FIT, f"{title}, MNIST, {_SEEDS}", (_MI_NOTE,), ""),
        (_LATENTS, f"the latents, {title}, MNIST", (), "_latents"),
    ):
        yield Table(
            number,
            what,
            "validation",
            heads=tuple(Head(name, _DECIMALS.get(name, 2)) for name in quantities),
            methods=tuple(Method(name, {}, Arm(experiment, arm)) for name, arm in arms.items()),
            measure=means(quantities),
            notes=notes,
            file=file + suffix,
        )


_TABLES = (
    *(
        Table(
            "gamma",
            f"lowest NLL at an MI of at least so much, {data}, nats per image",
            "validation",
            heads=tuple(Head(name, 2) for name in _LEVELS),
            methods=tuple(
                Method(name, {}, Arm(experiment, name)) for name in ("cr-vae", "beta-vae")
            ),
            measure=at_information(_LEVELS),
            methods_down=False,
            file=f"frontier_{experiment.rpartition('/')[2]}",
        )
        for data, experiment in _FRONTIERS.items()
    ),
    *_ablation(
        "key encoder",
        "where keys come from",
        _KEY,
        {
            "none (gamma = 0)": "vae",
            "moving average": "ema",
            "the encoder itself": "shared",
            "random": "frozen",
            "moving average, queue": "ema-queue",
            "random, queue": "frozen-queue",
        },
        "key_encoder",
    ),
    *_ablation(
        "batch",
        "batches of 50 and 256",
        _BATCH,
        {
            "moving average, 50": "ema-50",
            "moving average, 256": "ema-256",
            "the encoder itself, 50": "shared-50",
            "the encoder itself, 256": "shared-256",
        },
        "batch",
    ),
    Table(
        "bound",
        f"the contrast's bound at the end of training, MNIST, {_SEEDS}",
        "validation",
        heads=tuple(Head(name, 2) for name in _BOUNDED),
        methods=tuple(
            Method(f"negatives of the {arm}", {}, Arm(_BOUND, arm)) for arm in ("batch", "queue")
        ),
        measure=means(_BOUNDED),
        notes=(
            "The bound is of the information between two views, the mean on the training batches "
            "since the evaluation before the last.",
            _MI_NOTE,
        ),
        file="bound",
    ),
)

CR_VAE = Paper(
    name="cr_vae",
    title="Lygerakis and Rueckert (2023): CR-VAE, a contrast between two views against posterior "
    "collapse",
    tables=_TABLES,
    claims=_CLAIMS,
    not_covered=_NOT_COVERED,
    pictures=(
        *(
            Picture("gamma", f"NLL against MI over gamma and over beta, {data}", experiment)
            for data, experiment in _FRONTIERS.items()
        ),
        Picture("key encoder", "where keys come from", _KEY),
        Picture("bound", "the bound beside MI along training", _BOUND, ("--view", "training")),
    ),
    notes=(
        "No result figures of this paper are at hand, so that tables show ours alone. Claims are "
        "what it proposes to compare, each in the direction that the method is built for; those "
        "marked 'ours' are our questions.",
    ),
)
