"""The columns of a stored row, and their version."""

import difflib
from typing import NamedTuple

import pyarrow as pa

SCHEMA_VERSION = 1
VERSION_KEY = b"sweeper_schema_version"  # in the metadata of a Parquet file


class Column(NamedTuple):
    """One column of a stored row; a `required` one is never null."""

    name: str
    type: pa.DataType
    description: str
    required: bool = False


_TEXT, _FLOAT, _INT, _FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()

# nll, mi, mi_q, elbo, kl and reconstruction are nats per observation. `_se` is the Monte Carlo
# standard error, `_sampling_se` the one from evaluating a subset of the split (null for a full
# split).
COLUMNS = (
    Column("experiment", _TEXT, "name in the experiment file", True),
    Column("arm", _TEXT, "arm of the experiment", True),
    Column("trial_id", _TEXT, "identity: configuration and seed", True),
    Column("config_hash", _TEXT, "hash of the resolved trial and its data", True),
    Column("seed", _INT, "seed of every random generator of the trial", True),
    Column("step", _INT, "optimiser steps taken before this evaluation", True),
    Column("final", _FLAG, "true for the last row of a trial, and only there", True),
    Column("status", _TEXT, "running (not final), done, pruned, diverged or failed", True),
    Column("reason", _TEXT, "why the trial was pruned, diverged or failed"),
    Column("confirms", _TEXT, "trial whose configuration this one repeats, to confirm it"),
    Column("scale", _TEXT, "named scale of the experiment, where one was chosen"),
    Column("split", _TEXT, "split evaluated: train, validation or test"),
    Column("nll", _FLOAT, "estimated negative log-likelihood, nats per observation"),
    Column("nll_se", _FLOAT, "Monte Carlo standard error of nll"),
    Column("nll_sampling_se", _FLOAT, "standard error of nll from evaluating a subset"),
    Column("mi", _FLOAT, "estimated I(x; z) under the model, nats per observation"),
    Column("mi_se", _FLOAT, "Monte Carlo standard error of mi"),
    Column("mi_sampling_se", _FLOAT, "standard error of mi from evaluating a subset"),
    Column("nll_mi_covariance", _FLOAT, "Monte Carlo covariance of nll and mi"),
    Column("nll_exact", _FLOAT, "negative log-likelihood by enumerating the latent space"),
    Column("mi_exact", _FLOAT, "mutual information by enumerating the latent space"),
    Column("mi_q", _FLOAT, "estimated I_q(x; z) of the encoder, by a pool of all observations"),
    Column("mi_q_se", _FLOAT, "Monte Carlo standard error of mi_q"),
    Column("mi_q_sampling_se", _FLOAT, "standard error of mi_q from evaluating a subset"),
    Column("mi_q_ceiling", _FLOAT, "highest possible mi_q, ln of the number of observations"),
    Column("mi_q_batch", _FLOAT, "estimated I_q(x; z) within batches, as published"),
    Column("mi_q_batch_se", _FLOAT, "Monte Carlo standard error of mi_q_batch"),
    Column("mi_q_batch_ceiling", _FLOAT, "highest possible mi_q_batch, mean ln of batch sizes"),
    Column(
        "nll_is_bound",
        _FLAG,
        "true where nll is only an upper bound, that of the one z a q(z|x) is certain of",
    ),
    Column("mi_reason", _TEXT, "why there is no mi"),
    Column("code_space", _FLOAT, "ln of the number of codes of vq latents, L ln J, nats"),
    Column(
        "code_entropy",
        _FLOAT,
        "entropy of the codes of the observations evaluated, nats: what they carry, as mi_q",
    ),
    Column(
        "code_entropy_ceiling",
        _FLOAT,
        "highest possible code_entropy: ln of the number of observations, or code_space",
    ),
    Column(
        "code_entropy_per_variable",
        _FLOAT,
        "entropy of a single variable's code, mean over variables, at most ln J",
    ),
    Column("codes_used", _FLOAT, "share of a variable's codes that some observation has, mean"),
    Column("active_units", _INT, "Gaussian latents whose posterior means have variance >= 0.01"),
    Column(
        "collapsed_share", _FLOAT, "share of z's dimensions that are (epsilon, delta)-collapsed"
    ),
    Column("probe_accuracy", _FLOAT, "accuracy of a linear probe from posterior means to labels"),
    Column("probe_accuracy_se", _FLOAT, "binomial standard error of probe_accuracy"),
    Column("knn_accuracy", _FLOAT, "accuracy of k nearest neighbours among posterior means"),
    Column("knn_accuracy_se", _FLOAT, "binomial standard error of knn_accuracy"),
    Column("knn_k", _INT, "k, neighbours that vote"),
    Column("probe_chance", _FLOAT, "accuracy of the commonest label of those fitted on"),
    Column("probe_train", _INT, "training observations that probe and neighbours know"),
    Column("elbo", _FLOAT, "evidence lower bound, nats per observation"),
    Column("elbo_se", _FLOAT, "Monte Carlo standard error of elbo"),
    Column("kl", _FLOAT, "mean KL(q(z|x) || p(z)), nats per observation"),
    Column("kl_se", _FLOAT, "Monte Carlo standard error of kl"),
    Column("reconstruction", _FLOAT, "mean -E_q ln p(x|z), nats per observation"),
    Column("reconstruction_se", _FLOAT, "Monte Carlo standard error of reconstruction"),
    Column("ess", _FLOAT, "effective sample size of the K weights, mean over observations"),
    Column("ess_min", _FLOAT, "the same, smallest over observations"),
    Column("perplexity", _FLOAT, "exp of nll_per_token"),
    Column("nll_per_token", _FLOAT, "total NLL over total tokens, nats"),
    Column("mi_per_token", _FLOAT, "total MI over total tokens, nats"),
    Column("elbo_per_token", _FLOAT, "total ELBO over total tokens, nats"),
    Column("kl_per_token", _FLOAT, "total KL(q(z|x) || p(z)) over total tokens, nats"),
    Column("tokens", _FLOAT, "mean number of tokens an observation"),
    Column("observations", _INT, "observations evaluated"),
    Column("samples", _INT, "K, latent samples per observation in the evaluation"),
    Column("nll_per_token_sampling_se", _FLOAT, "standard error of nll_per_token from a subset"),
    Column("mi_per_token_sampling_se", _FLOAT, "standard error of mi_per_token from a subset"),
    Column("nll_floor", _FLOAT, "lowest possible nll, the entropy of the data, where known"),
    Column("mi_ceiling", _FLOAT, "highest possible mi, the limit of the latents, where known"),
    Column("train_loss", _FLOAT, "mean training loss since the evaluation before"),
    Column("kl_weight", _FLOAT, "mean weight of the KL in training since then"),
    Column("train_kl", _FLOAT, "mean KL(q(z|x) || p(z)) of training batches since then, nats"),
    Column("kl_set_point", _FLOAT, "mean set point of a controller of the KL since then, nats"),
    Column("kl_integral", _FLOAT, "mean part of that controller's integral in the weight"),
    Column("critic", _FLOAT, "mean contrast c on training batches since then, nats"),
    Column(
        "critic_bound",
        _FLOAT,
        "mean c + critic_ceiling, a lower bound on those batches: of I_q with a critic, of the "
        "information between two views, which is not I_q, with cr_vae",
    ),
    Column(
        "critic_ceiling",
        _FLOAT,
        "highest possible critic_bound, mean ln of batch sizes, or of a queue's length + 1",
    ),
    Column("critic_temperature", _FLOAT, "mean temperature of the contrast since then"),
    Column("commitment", _FLOAT, "mean squared distance of vectors to their codes since then"),
    Column(
        "train_code_perplexity",
        _FLOAT,
        "mean exp of the entropy of the codes of a training batch since then",
    ),
    Column("train_codes_used", _FLOAT, "mean share of codes in use in a training batch"),
    Column("train_seconds", _FLOAT, "seconds of training so far"),
    Column("eval_seconds", _FLOAT, "seconds of evaluation so far"),
    Column("steps_per_second", _FLOAT, "training steps per second"),
    Column("updates", _INT, "parameter updates so far, those of inner loops too"),
    Column(
        "gradient_evaluations",
        _INT,
        "samples of z whose gradient was taken so far, of all observations; evaluation apart",
    ),
    Column("encoder_passes", _INT, "observations read by encoders in training so far"),
    Column("decoder_passes", _INT, "samples of z scored by decoders in training so far"),
    Column("epochs", _FLOAT, "passes over the training data so far, inner loops apart"),
    Column("device", _TEXT, "device trained on"),
    Column("host", _TEXT, "machine trained on"),
    Column("peak_memory_bytes", _INT, "largest memory use of the trial's process or device"),
    Column("code_version", _TEXT, "version of the code that trained"),
    Column("data_sha256", _TEXT, "checksum of the data"),
    Column("created_at", pa.timestamp("us", tz="UTC"), "when the row was made", True),
    Column("schema_version", pa.int32(), "version of these columns", True),
    Column("trial", _TEXT, "the whole resolved trial as JSON with sorted keys"),
)
SCHEMA = pa.schema([pa.field(c.name, c.type, nullable=not c.required) for c in COLUMNS])


def nearest_column(name: str) -> str:
    """Ask, where some column is called like `name`, whether that was meant."""
    near = difflib.get_close_matches(name, SCHEMA.names, n=1)
    return f" Did you mean `{near[0]}`?" if near else ""
