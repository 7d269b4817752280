"""What a score is: a function of a few tensors, computed on pairs of nodes in either layout."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

from torch import Tensor, nn

from gia.attention.scope import Scope
from gia.graph.pair_layout import PairLayout
from gia.typing import OptTensor


class Scores(ABC):
    """How well sources answer targets, for each pair and head, computed where it is asked for.

    A score is a frozen dataclass that says how it is computed (:meth:`on`) and how it is multiplied
    (:meth:`times`). Gradients flow to the tensors among its fields, so that a long sequence's
    scores can be computed block by block, twice, and never be held all at once.

    Attributes:
        heads (int): Heads H, of all maps together.
    """

    heads: int

    @abstractmethod
    def on(self, pairs: PairLayout) -> Tensor:
        """The scores of these pairs, in their layout (or what is broadcast to it)."""

    @abstractmethod
    def times(self, factor: Tensor | float) -> "Scores":
        """All scores times a factor (sharpening, temperature) that may be trained."""

    def added_to(self, total: Tensor, pairs: PairLayout) -> Tensor:
        """The scores of these pairs added to others of theirs, which may be overwritten."""
        return total + self.on(pairs)

    @property
    def parts(self) -> "tuple[Scores, ...]":
        """What is added up: a score and its biases."""
        return (self,)

    def compute(self) -> "Scores":
        """The scores with their tensors in place."""
        return self

    def split(self, maps: int) -> "list[Scores]":
        """The scores of several maps over the same pairs, each with a part of the heads."""
        if maps == 1:
            return [self]
        raise ValueError(f"{type(self).__name__} has one map of scores, {maps} are needed")

    @property
    def tensors(self) -> list[Tensor]:
        """All that gradients flow to: the tensors among the fields, and those of scores in them."""
        return [*_tensors(getattr(self, field.name) for field in fields(self))]

    def with_tensors(self, tensors: Sequence[Tensor]) -> "Scores":
        """The same function of other tensors."""
        return _exchange(self, iter(tensors))


class Score(nn.Module):
    """From nodes to scores: ``score(x, rotary, scope)``.

    Attributes:
        maps (int): Maps of scores.
        dot_products (bool): Whether they are dot products of queries and keys, biases aside, which
            a fused kernel computes by itself.
        biased (bool): Whether something is added to them.
    """

    maps = 1
    dot_products = False
    biased = False

    @abstractmethod
    def forward(self, x: Tensor, rotary: OptTensor, scope: Scope) -> Scores:
        """The scores of all pairs, not yet computed."""


def _tensors(values) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Scores):
            yield from value.tensors
        elif isinstance(value, tuple):
            yield from _tensors(value)


def _exchange(value, tensors: Iterator[Tensor]):
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, tuple):
        return tuple(_exchange(part, tensors) for part in value)
    if isinstance(value, Scores):
        names = (field.name for field in fields(value))
        return replace(value, **{name: _exchange(getattr(value, name), tensors) for name in names})
    return value
