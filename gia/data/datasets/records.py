"""Sequences that are at hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch_geometric.data import Data

from gia.data.datasets.sequences import Record, SequenceDataset
from gia.data.tokenizer import Tokenizer


def to_data(
    record: Record, tokenizer: Tokenizer, max_length: int, append_label: bool = False
) -> Data:
    """One record as a language model reads it: see :class:`gia.data.NextToken`.

    Args:
        record: the sequence.
        tokenizer: with the tokens ``|`` and ``<label>`` where ``append_label`` is set.
        max_length: the most nodes L of the graph.
        append_label: end the sequence with its class token.

    Shapes:
        token, y, seq_pos: [L], int64
        label_mask: [L], bool, true where ``y`` is the class token (with ``append_label`` only)

    Raises:
        ValueError: if a label is wanted and the record has none.
    """
    dataset = Records(
        [record],
        tokenizer=tokenizer,
        max_length=max_length,
        append_label=append_label,
        target_type="next_token",
    )
    return dataset.load().graphs[0]


class Records(SequenceDataset):
    """Sequences that are at hand.

    Args:
        records: the sequences.
        target_names: names of the targets that the records hold as ``cells``.
        **options: of :class:`gia.data.datasets.SequenceDataset`.
    """

    def __init__(
        self, records: Iterable[Record], target_names: Iterable[str] = (), **options: Any
    ) -> None:
        super().__init__(**options)
        self._records, self.target_names = list(records), tuple(target_names)

    def records(self) -> list[Record]:
        return self._records
