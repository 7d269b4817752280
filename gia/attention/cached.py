"""Softmax attention that goes on from where it stopped: what generation reads and extends."""

from collections.abc import Callable, Sequence
from copy import copy

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from gia.attention.fused import FusedSoftmax
from gia.attention.scope import Scope
from gia.attention.score import DotProduct, Scores
from gia.graph.edges import EdgeAdjacency
from gia.ops.running_max import running_max

BLOCK = 64  # new nodes of a call: what comes after all of them is not looked at


class Cache:
    """What a model remembers of B sequences while it continues them, a :class:`Memory` a layer.

    The first batch it sees holds a prompt for each sequence, of any lengths; each batch after it
    the same number of new nodes for every sequence.

    Args:
        layers (int): Layers of the model.
        capacity (int): The most nodes that a sequence will have; room for them is taken at once.

    Attributes:
        lengths (list of int): Nodes of each sequence so far, those of the step at hand included.
        memories (list of Memory): One for each layer.
        is_prompt (bool): Whether the step at hand is the first.
        place (tuple of Tensor): Sequence and position of each new node, ``[N]`` each.
        mask (Tensor, optional): Which remembered nodes each new one sees, ``[B, 1, n, L]``, or
            ``[1, 1, n, L]`` where all sequences are as long; None if it is all of them.
    """

    def __init__(self, layers: int, capacity: int):
        self.capacity = capacity
        self.lengths: list[int] = []
        self.memories = [Memory(self) for _ in range(layers)]
        self.is_prompt = True
        self.place: tuple[Tensor, Tensor] | None = None
        self.mask: Tensor | None = None

    def extend(self, scope: Scope) -> None:
        """Take in the next nodes, before the layers do.

        Raises:
            ValueError: If the scope is not causal, its graphs are not the sequences, one of them
                has no node, or there is no room left.
        """
        if not (scope.causal and scope.fusable):
            raise ValueError(
                f"only a causal scope can be continued, got {type(scope).__name__}: "
                "use_cache=False does without"
            )
        is_prompt = not self.lengths
        past = self.lengths or [0] * len(scope.sizes)
        if len(past) != len(scope.sizes):
            raise ValueError(f"the cache holds {len(past)} sequences, got {len(scope.sizes)}")
        if min(scope.sizes, default=0) < 1:
            raise ValueError(f"each sequence needs at least one new node, got {scope.sizes}")
        if not is_prompt and len(set(scope.sizes)) != 1:
            raise ValueError(f"sequences are continued by as many nodes each, got {scope.sizes}")
        lengths = [old + new for old, new in zip(past, scope.sizes, strict=True)]
        if max(lengths, default=0) > self.capacity:
            raise ValueError(
                f"the cache has room for {self.capacity} nodes a sequence, got {max(lengths)}: "
                "give it a higher capacity"
            )
        self.lengths, self.is_prompt = lengths, is_prompt
        device = scope.ptr.device
        start = torch.tensor(past, device=device)
        number = torch.arange(len(past), device=device)
        number = number.repeat_interleave(scope.ptr.diff(), output_size=scope.num_nodes)
        position = scope.node_position + start[number]
        self.place, self.mask = (number, position), None
        new = scope.max_length
        if not is_prompt and (new > 1 or len(set(past)) > 1):
            seen = position.view(len(past), 1, new, 1)
            seen = seen if len(set(past)) > 1 else seen[:1]
            self.mask = torch.arange(max(lengths), device=device) <= seen

    def branch(self, number: int) -> "Cache":
        """Another cache, which goes on from what this one holds of its first sequences.

        This one holds what it held, whatever the other takes in. The other writes that into the
        room of this one, so it ends where this one goes on or branches again.

        Args:
            number (int): How many sequences.

        Raises:
            ValueError: If there is nothing to go on from, or there are fewer sequences.
        """
        if not 0 < number <= len(self.lengths):
            raise ValueError(f"the cache holds {len(self.lengths)} sequences, asked for {number}")
        other = Cache(0, self.capacity)
        other.lengths, other.is_prompt = self.lengths[:number], False
        other.memories = [memory.branch(other, number) for memory in self.memories]
        return other

    def keep(self, sequences: Sequence[int]) -> None:
        """Forget all other sequences."""
        self.lengths = [self.lengths[sequence] for sequence in sequences]
        for memory in self.memories:
            memory.tensors = [tensor[list(sequences)] for tensor in memory.tensors]


class Memory:
    """What one layer remembers, in the order in which it asks for it, the same at every step.

    It remembers numbers and no gradients.

    Args:
        cache (Cache): The cache that it is part of, which knows the places of the new nodes.
    """

    def __init__(self, cache: Cache):
        self.cache = cache
        self.tensors: list[Tensor] = []
        self._by_place: list[bool] = []  # whether new nodes leave what there is of others
        self._asked = 0

    def rewind(self) -> None:
        """Begin a step."""
        self._asked = 0

    def branch(self, cache: Cache, number: int) -> "Memory":
        """What a branch of the cache begins with."""
        other = Memory(cache)
        other.tensors = [
            tensor[:number] if by_place else tensor[:number].clone()
            for tensor, by_place in zip(self.tensors, self._by_place, strict=True)
        ]
        other._by_place = list(self._by_place)
        return other

    def nodes(self, new: Tensor) -> Tensor:
        """Remember the features of the new nodes, ``[N, H, d]``; all so far, ``[B, H, L, d]``."""
        cache = self.cache
        tensor = self.state(
            lambda: new.new_zeros(len(cache.lengths), new.size(1), cache.capacity, new.size(2)),
            by_place=True,
        )
        sequence, position = cache.place
        tensor[sequence, :, position] = new.detach()
        return tensor[:, :, : max(cache.lengths, default=0)]

    def state(self, initial: Callable[[], Tensor], *, by_place: bool = False) -> Tensor:
        """A tensor ``[B, ...]`` that is ``initial()`` at first, to be changed in place.

        Args:
            initial (callable): Makes it.
            by_place (bool): Whether each node has a place of its own in it.
        """
        if self._asked == len(self.tensors):
            self.tensors.append(initial())
            self._by_place.append(by_place)
        self._asked += 1
        return self.tensors[self._asked - 1]


class CachedSoftmax(FusedSoftmax):
    r"""Causal softmax attention of new nodes over all that a memory holds, themselves included.

    Features are those of the new nodes; each operation remembers what it needs: ``sum`` the
    features, ``max`` the maximum so far. The cost of a node is one read of what is remembered.

    Args:
        scores (Scores): Dot products of the new nodes.
        scope (Scope): The new nodes, a graph for each sequence.
        memory (Memory): Of this layer.
    """

    def __init__(self, scores: Scores, scope: Scope, memory: Memory):
        super().__init__(scores, scope)
        self.memory = memory
        memory.rewind()
        self.keys = memory.nodes(self.products.k)

    def sum(self, x: Tensor) -> Tensor:
        values = self.memory.nodes(x)
        if self.memory.cache.is_prompt:
            return super().sum(x)
        q = self.products.q.unflatten(0, (values.size(0), -1)).transpose(1, 2)  # [B, H, n, d]
        out = [self._attend(q, values, start) for start in range(0, q.size(2), BLOCK)]
        return torch.cat(out, 2).transpose(1, 2).flatten(0, 1)

    def _attend(self, q: Tensor, values: Tensor, start: int) -> Tensor:
        """What some of the new nodes read, ``[B, H, BLOCK, d]``, of what they all see together."""
        mask = self.memory.cache.mask
        seen = values.size(2)
        if mask is not None:
            mask = mask[:, :, start : start + BLOCK]
            seen += min(start + BLOCK, q.size(2)) - q.size(2)
            mask = mask[..., :seen]
        return scaled_dot_product_attention(
            q[:, :, start : start + BLOCK],
            self.keys[:, :, :seen],
            values[:, :, :seen],
            attn_mask=mask,
            scale=self.products.scale,
        )

    def max(self, x: Tensor) -> Tensor:
        if self.memory.cache.is_prompt:
            out = super().max(x)
            last = self.scope.ptr[1:] - 1
            self.memory.state(lambda: out[last].flatten(1).detach())
            return out
        state = self.memory.state(lambda: x)
        out = running_max(x.reshape(state.size(0), -1, state.size(1)))  # [B, n, D]
        out = torch.maximum(out, state.unsqueeze(1))
        state.copy_(out[:, -1].detach())
        return out.view_as(x)

    def count(self) -> Tensor:
        _, position = self.memory.cache.place
        return (position + 1).unsqueeze(1).to(self.products.q.dtype)

    def to_edges(self) -> EdgeAdjacency:
        raise ValueError(
            "a cache does not hold the whole graph: use model.graphs(data) to see it, and "
            "generate(..., use_cache=False) with layers that need every edge"
        )

    def in_precision(self, dtype: torch.dtype) -> "CachedSoftmax":
        if self.keys.dtype == dtype:
            return self
        wide, q, k, scale = copy(self), self.products.q, self.products.k, self.products.scale
        wide.scores = wide.products = DotProduct(q.to(dtype), k.to(dtype), scale)
        wide.keys = self.keys.to(dtype)
        return wide
