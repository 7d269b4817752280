"""Scopes made of scopes: ``|`` joins what some of them joins, ``&`` what all of them join."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gia.attention.scope.base import BaseScope
from gia.graph.pair_block import PairBlock
from gia.typing import OptTensor

Make: TypeAlias = "Callable[..., Scope]"


class Scope(BaseScope):
    """The pairs of nodes that attention may join, in a ragged batch of graphs.

    Scopes compose: ``a | b`` joins what one of them joins, ``a & b`` what both join. So do what
    makes them of a batch, ``CausalScope.of() & NeighborScope.of(hops=2)``, which is what a model
    takes.

    Args:
        *args, **kwargs: Of :class:`~gia.attention.scope.base.BaseScope`: ``ptr``, ``sizes``,
            ``bucketed``, ``given``.
    """

    @classmethod
    def of(cls, **settings: Any) -> "ScopeOf":
        """What makes a scope of this kind of a batch, with these settings."""
        return ScopeOf(cls, settings)

    def __or__(self, other: "Scope") -> "UnionScope":
        return UnionScope.of_scopes(self, other)

    def __and__(self, other: "Scope") -> "IntersectionScope":
        return IntersectionScope.of_scopes(self, other)


class ScopeOf:
    """Makes a scope of a batch: ``make(ptr, sizes, bucketed=..., given=...)``.

    Args:
        kind (type): A class of scopes.
        settings (dict): What it is given beside the batch.
    """

    def __init__(self, kind: type[Scope], settings: dict[str, Any]):
        self.kind, self.settings = kind, settings

    def __call__(self, *args: Any, **kwargs: Any) -> Scope:
        return self.kind(*args, **{**self.settings, **kwargs})

    def __or__(self, other: Make) -> "ScopeOf":
        return UnionScope.of(parts=[self, other])

    def __ror__(self, other: Make) -> "ScopeOf":
        return UnionScope.of(parts=[other, self])

    def __and__(self, other: Make) -> "ScopeOf":
        return IntersectionScope.of(parts=[self, other])

    def __rand__(self, other: Make) -> "ScopeOf":
        return IntersectionScope.of(parts=[other, self])

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"{self.kind.__name__}.of({settings})"


class _Composed(Scope):
    """What unions and intersections share.

    Args:
        parts (list of callable): Each makes a scope of ``(ptr, sizes, bucketed=..., given=...)``,
            as the classes of scopes do.
        *args, **kwargs: Of :class:`Scope`.

    Raises:
        ValueError: If there is no part.
    """

    def __init__(self, *args, parts: Sequence[Make], **kwargs):
        if not parts:
            raise ValueError(f"{type(self).__name__} needs at least one scope in parts, got none")
        super().__init__(*args, **kwargs)
        kwargs = {**kwargs, "given": self.given}
        self.parts = [make(self.ptr, self.sizes, **kwargs) for make in parts]

    @classmethod
    def of_scopes(cls, *scopes: Scope) -> "_Composed":
        """The composition of scopes of one batch.

        Raises:
            ValueError: If they are of different batches.
        """
        first, *others = scopes
        for other in others:
            if other.sizes != first.sizes:
                raise ValueError(
                    f"scopes of different batches do not compose: graphs of {first.sizes} and "
                    f"{other.sizes} nodes"
                )
        given = next((scope.given for scope in scopes if scope.given is not None), None)
        makers = [lambda *args, scope=scope, **kwargs: scope for scope in scopes]
        return cls(first.ptr, first.sizes, given=given, parts=makers)

    def count(self) -> Tensor:
        return self.edge_index()[1].bincount(minlength=self.num_nodes)

    def edge_index(self) -> Tensor:
        return self._joined

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(type(part).__name__ for part in self.parts)})"


class UnionScope(_Composed):
    """Each node sees what some of the scopes lets it see. It is causal if all of them are."""

    @property
    def causal(self) -> bool:
        return all(part.causal for part in self.parts)

    @property
    def self_loops(self) -> bool:
        return any(part.self_loops for part in self.parts)

    @property
    def fusable(self) -> bool:
        return any(part.fusable and part.causal == self.causal for part in self.parts)

    @cached_property
    def _joined(self) -> Tensor:
        whole = (part for part in self.parts if part.fusable and part.causal == self.causal)
        for part in whole:
            return part.edge_index()
        source, target = torch.cat([part.edge_index() for part in self.parts], dim=1)
        key = torch.unique(target * self.num_nodes + source)
        nodes = max(self.num_nodes, 1)
        return torch.stack([key % nodes, key // nodes])

    def allows(self, source: Tensor, target: Tensor) -> Tensor:
        return _fold(torch.logical_or, [part.allows(source, target) for part in self.parts])

    def _in_reach(self, block: PairBlock) -> OptTensor:
        masks = [part._in_reach(block) for part in self.parts]
        return None if any(mask is None for mask in masks) else _fold(torch.logical_or, masks)


class IntersectionScope(_Composed):
    """Each node sees what all of the scopes let it see. It is causal if one of them is."""

    @property
    def causal(self) -> bool:
        return any(part.causal for part in self.parts)

    @property
    def self_loops(self) -> bool:
        return all(part.self_loops for part in self.parts)

    @property
    def fusable(self) -> bool:
        return all(part.fusable for part in self.parts)

    @cached_property
    def _joined(self) -> Tensor:
        # Of the fewest pairs, those that the others allow too.
        first, *others = sorted(self.parts, key=lambda part: (part.fusable, not part.causal))
        source, target = first.edge_index()
        if not others:
            return first.edge_index()
        allowed = _fold(torch.logical_and, [part.allows(source, target) for part in others])
        return torch.stack([source[allowed], target[allowed]])

    def allows(self, source: Tensor, target: Tensor) -> Tensor:
        return _fold(torch.logical_and, [part.allows(source, target) for part in self.parts])

    def _in_reach(self, block: PairBlock) -> OptTensor:
        masks = [part._in_reach(block) for part in self.parts]
        masks = [mask for mask in masks if mask is not None]
        return _fold(torch.logical_and, masks) if masks else None


def _fold(combine: Callable[[Tensor, Tensor], Tensor], masks: Sequence[Tensor]) -> Tensor:
    total, *others = masks
    for mask in others:
        total = combine(total, mask)
    return total
