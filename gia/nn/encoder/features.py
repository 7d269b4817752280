"""Columns of categories or of numbers to vectors."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gia.typing import OptTensor

# Up to so many kinds of edges, what is computed from them is computed for all kinds there may be.
MOST_KINDS = 1024


class Features(nn.Module):
    """A vector for each node or edge, from categories or from numbers.

    The sum of an embedding for each categorical column, or a linear map of continuous ones; with
    neither, one trained vector for all.

    Args:
        width (int): Channels of the vector.
        categories (list of int): Size of each categorical column F.
        channels (int): Continuous columns F.

    Shapes:
        - **x:** ``[N, F]``, integers for categories; it may be left out where nothing is known
        - **output:** ``[N, width]``

    Raises:
        ValueError: If both kinds of columns are asked for, x has others, or a category lies beyond
            its column's size (looked for on the CPU only: a GPU would have to be waited for).
    """

    def __init__(self, width: int, *, categories: Sequence[int] = (), channels: int = 0):
        super().__init__()
        self.categories, self.channels = list(categories), channels
        if self.categories and channels:
            raise ValueError(
                f"features are categories or numbers, got categories={self.categories} and "
                f"channels={channels}"
            )
        if min([channels, *self.categories]) < 0:
            raise ValueError(f"sizes must not be negative, got {self.categories} and {channels}")
        self.lin = nn.Linear(channels, width) if channels else None
        # One table for all columns.
        self.embedding = None if channels else nn.Embedding(sum(self.categories) or 1, width)
        if self.categories:
            size = torch.tensor(self.categories)
            self.register_buffer("offset", size.cumsum(0) - size, persistent=False)
            self.register_buffer("size", size, persistent=False)
            self.register_buffer("every", _combinations(self.categories), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if self.lin is not None:
            self.lin.reset_parameters()
        else:  # so that the sum over the columns has variance 1
            nn.init.normal_(self.embedding.weight, std=max(len(self.categories), 1) ** -0.5)

    def forward(self, x: OptTensor, number: int) -> Tensor:
        """The vectors of ``number`` nodes or edges, ``[number, width]``."""
        if not self.channels and not self.categories:
            return self.embedding.weight.expand(number, -1)
        x = self._columns(x)
        if self.lin is not None:
            return self.lin(x.to(self.lin.weight.dtype))
        return self._embed(x)

    def of_kinds(self, x: OptTensor, number: int) -> tuple[Tensor, OptTensor]:
        """The vectors of all kinds that there may be, ``[U, width]``, and each one's kind.

        Where kinds are too many, or features continuous, each vector is a kind of its own: None.
        """
        if self.channels or math.prod(self.categories) > MOST_KINDS:
            return self(x, number), None
        weight = self.embedding.weight
        if not self.categories:
            return weight, torch.zeros(number, dtype=torch.long, device=weight.device)
        kind = torch.zeros(number, dtype=torch.long, device=weight.device)
        for column, size in zip(self._columns(x).unbind(1), self.categories, strict=True):
            kind = kind * size + column
        return self._embed(self.every), kind

    def _embed(self, x: Tensor) -> Tensor:
        return nn.functional.embedding_bag(x + self.offset, self.embedding.weight, mode="sum")

    def _columns(self, x: OptTensor) -> Tensor:
        columns = self.channels or len(self.categories)
        if x is not None and x.dim() == 1:
            x = x.unsqueeze(1)
        if x is None or x.size(1) != columns:
            kind = "continuous" if self.channels else "categorical"
            found = "none" if x is None else f"{x.size(1)}"
            raise ValueError(f"the model takes {columns} {kind} columns, the data has {found}")
        if self.categories:
            if x.is_floating_point():
                raise ValueError(f"the model takes categories, which are integers, got {x.dtype}")
            if x.is_cpu and not torch.compiler.is_compiling():
                self._check(x)
        return x

    def _check(self, x: Tensor) -> None:
        unseen = ((x < 0) | (x >= self.size)).nonzero()
        if unseen.numel():
            row, column = unseen[0].tolist()
            raise ValueError(
                f"column {column} holds the category {int(x[row, column])}, but the model knows "
                f"the categories 0 to {self.categories[column] - 1}: was it made for other data?"
            )


def _combinations(sizes: Sequence[int]) -> Tensor:
    """Every combination of some categories, ``[U, F]``, the last column first; or too many."""
    if math.prod(sizes) > MOST_KINDS:
        return torch.zeros(0, len(sizes), dtype=torch.long)
    return torch.cartesian_prod(*map(torch.arange, sizes)).view(-1, len(sizes))
