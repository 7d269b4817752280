"""Changed sequences under a causal model, each computed from its first change on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from gia.attention import Cache
from gia.data.progress import progress
from gia.data.schema import IGNORED
from gia.nn import LanguageModel
from gia.ops.onednn_linear import OneDNNLinear

ROWS = 64  # the most changed sequences at once
TOKENS = 16384  # of them together


@torch.no_grad()
def log_ratios(model: LanguageModel, data: Data, changes: Sequence[Mapping[int, int]]) -> Tensor:
    r"""The log likelihood ratios of changed sequences, in nats.

    What is before its first change a changed sequence has in common with the sequence itself: it
    is computed for as many rows as are scored at once, and those that are first changed at the same
    node go on from there together. Over all places that is half of the work. The result is that of
    whole sequences.

    Args:
        model (LanguageModel): In eval mode, whose graphs can be continued.
        data (Data): The sequence, L nodes with ``token``, ``seq_pos`` and ``y``.
        changes (list of dict): Of each changed sequence the new symbols by their nodes.

    Returns:
        :math:`\log p(\text{changed}) - \log p(\text{data})`, ``[n]``, float64, on the CPU.

    Raises:
        ValueError: If the first node is changed, before which there is nothing to go on from.
    """
    if any(min(change) < 1 for change in changes):
        raise ValueError("the first node is changed, before which there is nothing to go on from")
    groups: dict[int, list[int]] = {}
    for number, change in enumerate(changes):
        groups.setdefault(min(change), []).append(number)
    own = fast(model, _batch(data.token[None], data.seq_pos)).double().log_softmax(-1)  # [L, V]
    rest = _scored(own, data.y).flip(0).cumsum(0).flip(0)  # of each node and all after it
    rows = min(ROWS, max(map(len, groups.values()), default=0))
    parts = [
        (first, part)
        for first, numbers in sorted(groups.items())
        for part in _split(numbers, min(rows, max(1, TOKENS // (data.num_nodes - first))))
    ]
    result = torch.zeros(len(changes), dtype=torch.float64)
    cache, done = Cache(len(model.blocks), data.num_nodes), 0
    for first, part in progress(parts, len(parts), "scoring variants", many=1):
        if done < first:
            past = slice(done, first)
            fast(model, _batch(data.token[past].expand(rows, -1), data.seq_pos[past]), cache)
            done = first
        token, y = (of[first:].repeat(len(part), 1) for of in (data.token, data.y))
        for row, number in enumerate(part):
            for node, symbol in changes[number].items():
                token[row, node - first] = symbol
                if node > first:
                    y[row, node - first - 1] = symbol
        branch = cache.branch(len(part))
        logits = fast(model, _batch(token, data.seq_pos[first:]), branch)
        after = _scored(logits.double().log_softmax(-1), y.flatten()).view(len(part), -1).sum(1)
        at = own[first - 1, [changes[number][first] for number in part]]
        result[part] = (after + at - rest[first - 1]).cpu()
    return result


@torch.no_grad()
def fast(model: nn.Module, *inputs: Any) -> Tensor:
    """What a model says, without gradients, as fast as this machine can."""
    with OneDNNLinear():
        return model(*inputs)


def _scored(log_p: Tensor, y: Tensor) -> Tensor:
    """What each node gives to the log likelihood, ``[N]``, of log probabilities ``[N, V]``."""
    found = log_p.gather(1, y.clamp(min=0).unsqueeze(1)).squeeze(1)
    return found.masked_fill(y == IGNORED, 0)


def _batch(token: Tensor, seq_pos: Tensor) -> Data:
    """Sequences of one length ``[B, n]``, at the same places ``[n]``."""
    number, length = token.shape
    return Data(
        token=token.flatten(),
        seq_pos=seq_pos.repeat(number),
        ptr=torch.arange(0, number * length + 1, length, device=token.device),
        num_nodes=number * length,
        num_nodes_per_graph=[length] * number,
    )


def _split(numbers: list[int], size: int) -> Iterator[list[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
