"""What normalisers ask of scores."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from gia.graph.csr_pairs import CSRPairs
from gia.graph.pair_layout import PairBlock


class Scores(ABC):
    """How well sources answer targets, for each pair and head, computed where it is asked for.

    Scores are a function of a few tensors (:attr:`tensors`), so that a long sequence's can be
    computed block by block, twice, and never be held all at once.
    """

    @property
    @abstractmethod
    def heads(self) -> int:
        """Heads H, of all maps together."""

    @property
    @abstractmethod
    def tensors(self) -> list[Tensor]:
        """All that gradients flow to."""

    @abstractmethod
    def with_tensors(self, tensors: Sequence[Tensor]) -> "Scores":
        """The same function of other tensors."""

    @abstractmethod
    def times(self, factor: Tensor | float) -> "Scores":
        """All scores times a factor (sharpening, temperature) that may be trained."""

    @abstractmethod
    def block(self, block: PairBlock) -> Tensor:
        """The scores of a block of pairs, ``[B, H, R, C]`` or what is broadcast to it."""

    def added_to(self, total: Tensor, block: PairBlock) -> Tensor:
        """The scores of a block added to others of it, which may be overwritten."""
        return total + self.block(block)

    @abstractmethod
    def on(self, pairs: CSRPairs) -> Tensor:
        """The scores of pairs written out, ``[E']``."""

    def compute(self) -> "Scores":
        """The scores with their tensors in place."""
        return self

    def split(self, maps: int) -> list["Scores"]:
        """The scores of several maps over the same pairs, each with a part of the heads."""
        if maps == 1:
            return [self]
        raise ValueError(f"{type(self).__name__} has one map of scores, {maps} are needed")
