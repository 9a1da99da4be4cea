"""An LSTM over sentences of different lengths that wastes no arithmetic on padding."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from trainables.models.dropout import Dropout

Initial = tuple[Float[Tensor, "K batch hidden"], Float[Tensor, "K batch hidden"]]


class Lstm(nn.Module):
    """One LSTM layer with forget gates (Gers et al., 2000), from a zero state unless told another.

    Besides a sequence of inputs it can read inputs that are the same at every step, such as
    latents; their share of the gates is computed once for a sentence.
    """

    def __init__(
        self, n_inputs: int, hidden: int, *, n_constant: int = 0, state_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.inputs = nn.Linear(n_inputs, 4 * hidden)
        self.constant = nn.Linear(n_constant, 4 * hidden, bias=False) if n_constant else None
        self.recurrent = nn.Linear(hidden, 4 * hidden, bias=False)
        self.state_dropout = Dropout(state_dropout)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def forward(
        self,
        inputs: Float[Tensor, "samples batch time inputs"],
        lengths: Int[Tensor, " batch"],
        constant: Float[Tensor, "K batch constant"] | None = None,
        *,
        initial: Initial | None = None,
        share_masks: bool = True,
    ) -> Float[Tensor, "K batch time hidden"]:
        """Give the state after every token; states after the end of a sentence mean nothing.

        `inputs` has one sample where all K samples read the same. `initial` is the state and the
        cell before the first token. `share_masks` drops the same state units in all K samples of
        a sentence.
        """
        gates = self.inputs(inputs)
        always = None if self.constant is None else self.constant(constant)
        K = max(len(gates), 1 if always is None else len(always))
        _, batch, time, _ = gates.shape
        if gates.is_cuda:  # reading lengths would wait for the device
            order, n_active = None, [batch] * time
        else:
            # Longest first, the sentences that are not over form a prefix of the batch.
            order = lengths.argsort(descending=True, stable=True)
            gates = gates[:, order]
            always = None if always is None else always[:, order]
            n_active = (lengths[:, None] > torch.arange(time)).sum(dim=0).tolist()
        if initial is None:
            state = cell = gates.new_zeros(K, batch, self.hidden)
        else:
            state, cell = initial if order is None else (part[:, order] for part in initial)
        states = []
        for gate, n in zip(gates.unbind(dim=2), n_active, strict=True):
            kept = self.state_dropout(state[:, :n], share_first_axis=share_masks)
            gate = gate[:, :n] + self.recurrent(kept)
            if always is not None:
                gate = gate + always[:, :n]
            squashed, candidate = gate.split([3 * self.hidden, self.hidden], dim=-1)
            take, keep, show = squashed.sigmoid().chunk(3, dim=-1)
            cell = keep * cell[:, :n] + take * candidate.tanh()
            state = show * cell.tanh()
            states.append(functional.pad(state, (0, 0, 0, batch - n)))
        output = torch.stack(states, dim=2)
        return output if order is None else output[:, order.argsort()]


class BidirectionalLstm(nn.Module):
    """Two LSTMs that read a sentence from either end."""

    def __init__(self, n_inputs: int, hidden: int, *, state_dropout: float = 0.0) -> None:
        super().__init__()
        self.forwards = Lstm(n_inputs, hidden, state_dropout=state_dropout)
        self.backwards = Lstm(n_inputs, hidden, state_dropout=state_dropout)

    def forward(
        self, inputs: Float[Tensor, "batch time inputs"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch hidden"]:
        """Give the mean of the two last states, each of a whole sentence."""
        row = torch.arange(len(inputs), device=inputs.device)
        place = torch.arange(inputs.shape[1], device=inputs.device)
        mirrored = (lengths[:, None] - 1 - place).clamp(min=0)
        reverse = inputs[row[:, None], mirrored]
        ahead = self.forwards(inputs[None], lengths)[0, row, lengths - 1]
        back = self.backwards(reverse[None], lengths)[0, row, lengths - 1]
        return (ahead + back) / 2
