"""A sequence as a PyG ``Data``: one graph per record, or one per window of a long text."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.data.tokenizer import Tokenizer

SEPARATOR = "|"


@dataclass
class Record:
    """What a source reads: one named sequence, possibly with the name of its class."""

    name: str
    sequence: str
    label: str | None = None


def label_token(label: str) -> str:
    """The name of a class label's token, such as ``<alpha>``."""
    return f"<{label}>"


def to_data(
    record: Record, tokenizer: Tokenizer, max_length: int, append_label: bool = False
) -> Data:
    """One record as one graph for next-token prediction.

    The tokens are ``<bos> s1 .. sn <eos>`` or, with a label, ``<bos> s1 .. sn | <label> <eos>``;
    ``y[t]`` is the token that follows ``token[t]``. A sequence too long for ``max_length`` loses
    symbols at its end, never its label, and without a label it then has no ``<eos>`` either,
    since it does not end there.

    Args:
        record: the sequence.
        tokenizer: with the tokens ``|`` and ``<label>`` where ``append_label`` is set.
        max_length: the most nodes L of the graph.
        append_label: end the sequence with its class token.

    Shapes:
        token, y, seq_pos: [L], int64
        label_mask: [L], bool, true where ``y`` is the class token (with ``append_label`` only)

    Returns:
        ``Data`` with these, ``num_nodes``, ``sequence`` (the raw string), ``name`` and ``cut``,
        the number of symbols lost to ``max_length``.

    Raises:
        ValueError: if a label is wanted and the record has none.
    """
    symbols = tokenizer.encode(record.sequence)
    if not append_label:
        stream = _stream(tokenizer, symbols, [tokenizer.eos])[: max_length + 1]
        kept = min(len(symbols), max_length)
        return _graph(record, stream, len(symbols) - kept)
    if not record.label:
        raise ValueError(
            f"record {record.name!r} has no label: data.append_label=true needs one for every "
            f"sequence (data.label_column=...)"
        )
    ending = [tokenizer.token_id(SEPARATOR), tokenizer.token_id(label_token(record.label))]
    kept = min(len(symbols), max_length - len(ending) - 1)
    stream = _stream(tokenizer, symbols[:kept], [*ending, tokenizer.eos])
    data = _graph(record, stream, len(symbols) - kept)
    data.label_mask = torch.zeros(data.num_nodes, dtype=torch.bool)
    data.label_mask[-2] = True
    return data


def windows(record: Record, tokenizer: Tokenizer, length: int) -> list[Data]:
    """A long text as consecutive graphs of ``length`` targets each, the last one shorter.

    Neighbouring windows share one symbol, the last target of one being the first token of the
    next, so that every symbol but the text's first is a target exactly once.

    Args:
        record: the text.
        tokenizer: used without ``<bos>`` and ``<eos>``.
        length: nodes L of a window.

    Shapes:
        token, y, seq_pos: [L], int64
    """
    symbols = tokenizer.encode(record.sequence)
    graphs = []
    for start in range(0, len(symbols) - 1, length):
        chunk = symbols[start : start + length + 1]
        text = tokenizer.decode(chunk[1:])
        graphs.append(_graph(Record(f"{record.name}:{start}", text), chunk, cut=0))
    return graphs


def _stream(tokenizer: Tokenizer, symbols: Tensor, ending: list[int]) -> Tensor:
    return torch.cat([torch.tensor([tokenizer.bos]), symbols, torch.tensor(ending)])


def _graph(record: Record, stream: Tensor, cut: int) -> Data:
    return Data(
        token=stream[:-1],
        y=stream[1:],
        seq_pos=torch.arange(len(stream) - 1),
        num_nodes=len(stream) - 1,
        sequence=record.sequence,
        name=record.name,
        cut=cut,
    )
