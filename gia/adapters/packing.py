"""Ragged sequences in the rows of a matrix, as models of Hugging Face's take them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Where B sequences of N tokens in all lie in R rows of equal length.

    A row may hold several sequences, one after the other. The positions of each count from 0, by
    which models of Hugging Face's know that it sees nothing of the one before it. What is left of a
    row continues its last sequence: it comes after all tokens, and no token sees what comes later.

    Attributes:
        shape (tuple of int): R rows and their length C.
        place (Tensor): Of each token, counted through all rows.
        position (Tensor): Of each place in its sequence.

    Shapes:
        - **place:** ``[N]``
        - **position:** ``[R, C]``
    """

    shape: tuple[int, int]
    place: Tensor
    position: Tensor

    @classmethod
    def of(cls, sizes: Sequence[int], *, pack: bool = True) -> "Rows":
        """Rows as long as the longest sequence, and as few as the first that fits gives.

        Args:
            sizes (list of int): Tokens of each sequence.
            pack (bool): Whether sequences may share a row.
        """
        length = max(sizes)
        start, used = [0] * len(sizes), []
        # The longest first, each into the first row that has room for it.
        for number in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
            fits = (row for row, taken in enumerate(used) if taken + sizes[number] <= length)
            row = next(fits, None) if pack else None
            if row is None:
                row = len(used)
                used.append(0)
            start[number] = row * length + used[row]
            used[row] += sizes[number]
        begins = torch.zeros(len(used) * length, dtype=torch.long)
        begins[start] = torch.tensor(start)
        place = torch.cat([torch.arange(size) + at for size, at in zip(sizes, start, strict=True)])
        position = torch.arange(len(begins)) - begins.cummax(0).values
        return cls((len(used), length), place, position.view(len(used), length))

    def to(self, device: torch.device) -> "Rows":
        """The same on another device."""
        return Rows(self.shape, self.place.to(device), self.position.to(device))

    def fill(self, tokens: Tensor) -> Tensor:
        """Tokens in their rows, ``[N]`` to ``[R, C]``; the rest is token 0."""
        rows = tokens.new_zeros(self.shape[0] * self.shape[1])
        rows[self.place] = tokens
        return rows.view(self.shape)
