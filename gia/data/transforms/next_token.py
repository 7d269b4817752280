"""A sequence of symbols as a task of its own: say at each node which symbol follows."""

from collections.abc import Mapping

import torch
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from gia.data.tokenizer import Tokenizer

SEPARATOR = "|"


class NextToken(BaseTransform):
    """Frame a sequence for a language model.

    The tokens become ``<bos> s1 .. sn <eos>`` or, with the class in ``data.label``, ``<bos> s1 ..
    sn | <label> <eos>``; ``y[t]`` is the token that follows ``token[t]``. A sequence too long for
    ``max_length`` loses symbols at its end, never its label, and without a label it then has no
    ``<eos>`` either, since it does not end there.

    Args:
        max_length: the most nodes of a sequence; None for any number.
        framed: add ``<bos>`` and ``<eos>``; otherwise the first symbol is the only one that is not
            predicted, as in a window of a text.
        bos: the token of ``<bos>``.
        eos: the token of ``<eos>``.
        separator: the token before a label.
        labels: the token of each class, if a sequence ends with its class.

    Shapes:
        token: [n], int64, before; token, y, seq_pos: [L], int64, afterwards
        label_mask: [L], bool, true where ``y`` is the token of the class (with ``labels`` only)

    Raises:
        ValueError: when called, if the item has no such class, or nothing to predict.
    """

    def __init__(
        self,
        max_length: int | None = None,
        *,
        framed: bool = True,
        bos: int = Tokenizer.bos,
        eos: int = Tokenizer.eos,
        separator: int | None = None,
        labels: Mapping[str, int] | None = None,
    ) -> None:
        self.max_length, self.framed, self.bos, self.eos = max_length, framed, bos, eos
        self.separator = separator
        self.labels = None if labels is None else dict(labels)

    def forward(self, data: Data) -> Data:
        symbols, ending = data.token, [self.eos]
        if self.labels is not None:
            ending = [self.separator, self._class_token(data), self.eos]
        # With a label its whole end stays; otherwise the stream has one more token than nodes.
        room = len(symbols)
        if self.max_length is not None:
            room = self.max_length - (0 if self.labels is None else len(ending))
        kept = symbols[: max(room, 0)]
        if self.framed:
            kept = torch.cat([kept.new_tensor([self.bos]), kept, kept.new_tensor(ending)])
        if self.max_length is not None:
            kept = kept[: self.max_length + 1]
        if len(kept) < 2:
            raise ValueError("there is nothing to predict in a sequence of fewer than two symbols")
        if room < len(symbols):
            data.cut = int(data.get("cut") or 0) + len(symbols) - room
        data.token, data.y = kept[:-1], kept[1:]
        data.num_nodes = len(kept) - 1
        data.seq_pos = torch.arange(data.num_nodes)
        if self.labels is not None:
            data.label_mask = torch.zeros(data.num_nodes, dtype=torch.bool)
            data.label_mask[-2] = True
        return data

    def _class_token(self, data: Data) -> int:
        label = data.get("label")
        if not label:
            raise ValueError(
                f"record {data.get('name')!r} has no label: data.append_label=true needs one for "
                "every sequence (data.label_column=...)"
            )
        if label not in self.labels:
            raise ValueError(f"there is no token for the class {label!r} of {data.get('name')!r}")
        return self.labels[label]


def label_token(label: str) -> str:
    """The name of a class label's token, such as ``<alpha>``."""
    return f"<{label}>"
