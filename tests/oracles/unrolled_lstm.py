"""LSTMs written out one sentence, one step and one gate at a time."""

import torch
from torch import Tensor


def unrolled(
    inputs: Tensor,
    weights: dict[str, Tensor],
    *,
    constant: Tensor | None = None,
    masks: Tensor | None = None,
) -> Tensor:
    """Run one sentence, `[time, inputs]`, through an LSTM from a zero state: `[time, hidden]`.

    `weights` are a module's `inputs.weight`, `inputs.bias`, `recurrent.weight` and, where it
    reads something constant, `constant.weight`; the rows of each belong to the gates take, keep,
    show and the candidate. `masks`, `[time, hidden]`, multiply the state that the gates read.
    """
    hidden = weights["recurrent.weight"].shape[1]
    state = cell = inputs.new_zeros(hidden)
    states = []
    for step, token in enumerate(inputs):
        read = state if masks is None else state * masks[step]
        gates = weights["inputs.weight"] @ token + weights["inputs.bias"]
        gates = gates + weights["recurrent.weight"] @ read
        if constant is not None:
            gates = gates + weights["constant.weight"] @ constant
        take = 1 / (1 + (-gates[:hidden]).exp())
        keep = 1 / (1 + (-gates[hidden : 2 * hidden]).exp())
        show = 1 / (1 + (-gates[2 * hidden : 3 * hidden]).exp())
        candidate = gates[3 * hidden :].tanh()
        cell = keep * cell + take * candidate
        state = show * cell.tanh()
        states.append(state)
    return torch.stack(states)


def torch_lstm(weights: dict[str, Tensor]) -> torch.nn.LSTM:
    """Build torch's LSTM from the same weights; its gates come in the order take, keep, candidate,
    show. What is constant has to be fed to it at every step, behind the inputs.
    """
    read = [weights["inputs.weight"]]
    if "constant.weight" in weights:
        read.append(weights["constant.weight"])
    weight_ih = torch.cat(read, dim=1)
    hidden = weights["recurrent.weight"].shape[1]
    lstm = torch.nn.LSTM(weight_ih.shape[1], hidden, batch_first=True).to(weight_ih.dtype)

    def reorder(rows: Tensor) -> Tensor:
        take, keep, show, candidate = rows.chunk(4)
        return torch.cat([take, keep, candidate, show])

    with torch.no_grad():
        lstm.weight_ih_l0.copy_(reorder(weight_ih))
        lstm.weight_hh_l0.copy_(reorder(weights["recurrent.weight"]))
        lstm.bias_ih_l0.copy_(reorder(weights["inputs.bias"]))
        lstm.bias_hh_l0.zero_()
    return lstm
