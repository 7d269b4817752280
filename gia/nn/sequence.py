"""Layers that read sequences in their order: convolutions of neighbours, recurrent networks."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gia.attention import Memory
from gia.nn.context import GraphContext
from gia.nn.dropout import Dropout


class SequenceConv(nn.Module):
    r"""A convolution of each sequence: :math:`\mathbf{x}'_i = \mathbf{b} + \sum_{|k| \le r}
    W_k \mathbf{x}_{i + dk}`, :class:`torch.nn.Conv1d`.

    The sequences lie one after the other with zeros between them, as many as a kernel reaches, so
    that none sees another and little is padded.

    Args:
        width (int): Channels D of a node.
        kernel_size (int): Nodes that a node is made of, :math:`2 r + 1`.
        dilation (int): Steps d between these.

    Shapes:
        - **x**, **output:** ``[N, D]``
        - **sizes:** nodes of each sequence, which add up to N

    Raises:
        ValueError: If the kernel is even, so that a node would not stand in its middle, or a number
            is below 1.
    """

    def __init__(self, width: int, kernel_size: int = 7, dilation: int = 1):
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and at least 1, got {kernel_size}")
        if dilation < 1:
            raise ValueError(f"dilation must be at least 1, got {dilation}")
        self.reach = kernel_size // 2 * dilation
        self.conv = nn.Conv1d(width, width, kernel_size, padding=self.reach, dilation=dilation)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        if not x.size(0):
            return x
        size = torch.tensor(sizes, device=x.device)
        gaps = torch.arange(len(sizes), device=x.device).mul(self.reach)
        place = torch.arange(x.size(0), device=x.device)
        place = place + gaps.repeat_interleave(size, output_size=x.size(0))
        length = x.size(0) + (len(sizes) - 1) * self.reach
        apart = x.new_zeros(length, x.size(1)).index_copy(0, place, x)
        return self.conv(apart.T.unsqueeze(0))[0].T.index_select(0, place)


class SequenceLSTM(nn.Module):
    """Two recurrent networks, one from each end of every sequence, :class:`torch.nn.LSTM`.

    `"Long Short-Term Memory" <https://doi.org/10.1162/neco.1997.9.8.1735>`_; `"Bidirectional
    Recurrent Neural Networks" <https://doi.org/10.1109/78.650093>`_.

    Both read a padded batch from its left, the second one with each sequence turned round, so that
    padding comes after the end. A packed batch, which needs no turning, is some times slower on a
    CPU where lengths differ.

    Args:
        width (int): Channels D of a node, a half of them from each direction.

    Shapes:
        - **x**, **output:** ``[N, D]``
        - **sizes:** nodes of each sequence, which add up to N

    Raises:
        ValueError: If the width is odd.
    """

    def __init__(self, width: int):
        super().__init__()
        if width % 2:
            raise ValueError(f"a width of {width} cannot be shared by two directions: make it even")
        self.onwards = nn.LSTM(width, width // 2)
        self.backwards = nn.LSTM(width, width // 2)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        if not x.size(0):
            return x
        size = torch.tensor(sizes, device=x.device)
        sequence = torch.arange(len(sizes), device=x.device)
        sequence = sequence.repeat_interleave(size, output_size=x.size(0))
        first = size.cumsum(0) - size
        step = torch.arange(x.size(0), device=x.device) - first[sequence]
        shape = max(sizes), len(sizes), x.size(1)
        said = []
        for lstm, at in (
            (self.onwards, step),
            (self.backwards, size[sequence] - 1 - step),
        ):
            row = at * len(sizes) + sequence
            padded = x.new_zeros(shape[0] * shape[1], shape[2]).index_copy(0, row, x)
            said.append(lstm(padded.view(shape))[0].flatten(0, 1).index_select(0, row))
        return torch.cat(said, dim=1)


class SequenceBlock(nn.Module):
    """``x + reader(norm(x), sizes)``, then ``x + mlp(norm(x))``, for nodes of sequences.

    A sequence begins with each graph, and again inside one where ``data.seq_pos`` does not grow.

    Args:
        reader (nn.Module): :class:`SequenceConv`, :class:`SequenceLSTM`, or another one that is
            given the nodes of sequences one after the other, ``[N, D]``, and a list of their sizes.
        norm (nn.Module): Such as :class:`~gia.nn.RMSNorm`; copied for each of the two.
        mlp (nn.Module, optional): ``[N, D]`` to ``[N, D]``; left out, it is the reader alone.
        dropout (float): Dropout on what each of the two adds.

    Shapes:
        - **x**, **output:** ``[N, D]``
        - **graphs.seq_pos:** ``[N]``
    """

    continuable = False
    causal = False  # a node is made of those on both sides

    def __init__(
        self,
        *,
        reader: nn.Module,
        norm: nn.Module,
        mlp: nn.Module | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.reader_norm, self.reader = copy.deepcopy(norm), reader
        self.mlp_norm = copy.deepcopy(norm) if mlp is not None else None
        self.mlp = mlp
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, graphs: GraphContext, memory: Memory | None = None) -> Tensor:
        if memory is not None:
            raise ValueError(
                f"{type(self.reader).__name__} reads both sides of a node and cannot be continued "
                "with a cache: use_cache=False does without"
            )
        x = x + self.dropout(self.reader(self.reader_norm(x), graphs.sequence_sizes))
        return x if self.mlp is None else x + self.dropout(self.mlp(self.mlp_norm(x)))
