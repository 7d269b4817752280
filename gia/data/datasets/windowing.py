"""Long sequences in windows, for a language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from torch_geometric.data import Data

from gia.data.datasets.sequences import Record
from gia.data.items import Items
from gia.data.tokenizer import Tokenizer
from gia.data.transforms import NextToken


def window_items(records: Iterable[Record], tokenizer: Tokenizer, length: int) -> Items:
    """The windows of all records, as items that are numbered one after the other.

    Args:
        records: texts or sequences.
        tokenizer: of their symbols.
        length: nodes of a window.

    Raises:
        ValueError: if none is long enough.
    """
    graphs: list[Data] = []
    unknown: Counter[str] = Counter()
    first, short = None, 0
    for record in records:
        strange = tokenizer.count_unknown(record.sequence)
        first = first or (record.name if strange else None)
        unknown.update(strange)
        found = windows(record, tokenizer, length)
        short += not found
        graphs += found
    if not graphs:
        raise ValueError("no sequence left: a text needs at least two symbols")
    for row, data in enumerate(graphs):
        data.row = row
    return Items(
        graphs=graphs,
        level="node",
        kind="sequence",
        num_rows=len(graphs),
        unknown=dict(sorted(unknown.items())),
        first_unknown=first,
        notes=[f"{short:,} of fewer than two symbols make no window"] if short else [],
    )


def windows(record: Record, tokenizer: Tokenizer, length: int) -> list[Data]:
    """A long text as consecutive graphs of ``length`` targets each, the last one shorter.

    Args:
        record: the text.
        tokenizer: used without ``<bos>`` and ``<eos>``.
        length: nodes L of a window.

    Shapes:
        token, y, seq_pos: [L], int64
    """
    symbols, frame, graphs = tokenizer.encode(record.sequence), NextToken(framed=False), []
    for start in range(0, len(symbols) - 1, length):
        chunk = symbols[start : start + length + 1]
        data = Data(token=chunk, name=f"{record.name}:{start}", cut=0)
        data.text = tokenizer.decode(chunk[1:], specials=False)
        graphs.append(frame(data))
    return graphs
