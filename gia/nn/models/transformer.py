"""The graph-aware transformer: encoder, blocks, head."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from gia.attention import Cache, CausalScope, InputGraph, Memory, Rotary, Scope
from gia.nn.attention_batch import attention_batch
from gia.nn.block import Block
from gia.nn.copies import copies
from gia.nn.encoder import NodeEncoder
from gia.nn.norm import RMSNorm
from gia.typing import OptTensor


class Transformer(nn.Module):
    """A stack of blocks between an encoder and a head, on ragged batches of PyG ``Data``.

    Args:
        encoder (nn.Module): ``encoder(data)``, a vector for each node, ``[N, D]``.
        block (Block): One block; the stack holds ``depth`` copies, each initialised anew.
        depth (int): Number of blocks.
        head (nn.Module): ``[N, D]`` to the output.
        scope (callable): A :class:`~gia.attention.Scope`, or ``scope(ptr, sizes, bucketed=...,
            given=...)`` that makes one: which nodes may be joined.
        width (int): Channels D of a node.
        rotary (nn.Module, optional): Angles from ``data.seq_pos``; left out, order has no effect.
        norm (nn.Module, optional): Before the head; RMSNorm if left out.

    Shapes:
        - **data:** nodes of B graphs, with ``ptr [B + 1]`` if they are batched; a list
          ``num_nodes_per_graph`` spares the question to the GPU how many those are
        - **data.edge_index**, **data.edge_attr:** where scope, biases or messages read them,
          ``[2, E]`` and ``[E, F]``
        - **output:** what the head makes of ``[N, D]``

    Raises:
        ValueError: If ``depth`` is below 1.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        block: Block,
        depth: int,
        head: nn.Module,
        scope: Callable[..., Scope],
        width: int,
        rotary: Rotary | None = None,
        norm: nn.Module | None = None,
    ):
        super().__init__()
        self.encoder = encoder
        self.blocks = nn.ModuleList(copies(block, depth))
        self.norm = RMSNorm(width) if norm is None else norm
        self.head = head
        self.scope = scope
        self.rotary = rotary
        self.is_compiled = False

    def compile_blocks(self, **options: Any) -> None:
        """Let :func:`torch.compile` make kernels of the blocks, each of them as a whole.

        That happens when they are first called and takes minutes: once for training and once for
        evaluation, and again for batches of one graph. The parameters keep their names, and
        generation with a cache stays as it is.

        Args:
            **options: Of :func:`torch.compile`, such as ``backend``.
        """
        self.is_compiled = True
        for block in self.blocks:
            block.compile(**{"dynamic": True, **options})

    def forward(self, data: Data, cache: Cache | None = None) -> Tensor:
        """The output for each node; with a cache, for nodes that continue what it remembers.

        Args:
            data (Data or Batch): The nodes, ``seq_pos`` counted from the start of their sequence.
            cache (Cache, optional): Read and extended; without gradients.
        """
        scope, rotary = self._scope(data), self._angles(data)
        x = self.encoder(data)
        memories: Sequence[Memory | None] = [None] * len(self.blocks)
        if cache is not None:
            if len(cache.memories) != len(self.blocks):
                raise ValueError(
                    f"the cache is for {len(cache.memories)} layers, the model has "
                    f"{len(self.blocks)}"
                )
            cache.extend(scope)
            memories = cache.memories
        for block, memory in zip(self.blocks, memories, strict=True):
            # What is remembered is not compiled.
            call = block.forward if self.is_compiled and memory is not None else block
            x = call(x, scope, rotary, memory)
        return self._read_out(self.norm(x), data)

    @torch.no_grad()
    def graphs(self, data: Data) -> list[Batch]:
        """The attention graph of each layer, as PyG data.

        Args:
            data (Data or Batch): As for :meth:`forward`.

        Returns:
            For each layer a ``Batch`` with the nodes of ``data`` and its attributes, and
            ``edge_index [2, E]`` and ``edge_weight [E, H]``, an edge for every pair that some head
            joins, 0 for heads that do not. Without a sparsifier that is every pair in the scope:
            for a sequence of L tokens L * (L + 1) / 2 of them under the causal scope.
        """
        was_training = self.training
        self.eval()  # the graphs are the model's, without what dropout happens to leave of it
        try:
            scope, rotary = self._scope(data), self._angles(data)
            x = self.encoder(data)
            graphs = []
            for block in self.blocks:
                graphs.append(
                    attention_batch(data, block.graph(x, scope, rotary).to_edges().joined())
                )
                x = block(x, scope, rotary)
            return graphs
        finally:
            self.train(was_training)

    def _scope(self, data: Data) -> Scope:
        ptr, sizes = getattr(data, "ptr", None), getattr(data, "num_nodes_per_graph", None)
        if ptr is None:  # a single Data is a batch of one
            sizes = [data.num_nodes]
            ptr = torch.tensor([0, data.num_nodes], device=self._parameter.device)
        if sizes is not None and sum(sizes) != data.num_nodes:
            raise ValueError(
                f"num_nodes_per_graph adds up to {sum(sizes)}, but there are {data.num_nodes} "
                "nodes: delete it after changing a batch"
            )
        # Compiled code is made for a number of buckets.
        return self.scope(ptr, sizes, bucketed=not self.is_compiled, given=self._given(data))

    def _given(self, data: Data) -> InputGraph | None:
        """The data's own edges."""
        edge_index = getattr(data, "edge_index", None)
        return (
            None if edge_index is None else InputGraph(edge_index, getattr(data, "edge_attr", None))
        )

    def _read_out(self, x: Tensor, data: Data) -> Tensor:
        """The output, from the nodes after the last block."""
        return self.head(x)

    @property
    def _parameter(self) -> nn.Parameter:
        """Any of them: where the model is, and in which precision."""
        return next(self.blocks.parameters())

    def _angles(self, data: Data) -> OptTensor:
        if self.rotary is None:
            return None
        dtype = torch.promote_types(self._parameter.dtype, torch.float32)
        return self.rotary(data.seq_pos, dtype=dtype)


class LanguageModel(Transformer):
    """A decoder-only language model with rotary positions and tied embeddings.

    Args:
        vocab_size (int): Symbols V.
        width (int): Channels D of a node.
        heads (int): Heads H of the block's attention.
        depth (int): Number of blocks.
        block (Block): One block, copied ``depth`` times.
        dropout (float): Dropout on the embeddings.
        scope (callable): A causal scope, as for :class:`Transformer`.

    Shapes:
        - **data.token**, **data.seq_pos:** ``[N]``
        - **output:** logits of the next token, ``[N, V]``
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int,
        heads: int,
        depth: int,
        block: Block,
        dropout: float = 0.0,
        scope: Callable[..., Scope] = CausalScope,
    ):
        # Small, because the same matrix makes the logits.
        encoder = NodeEncoder(width, tokens=vocab_size, dropout=dropout, token_std=0.02)
        head = nn.Linear(width, vocab_size, bias=False)
        head.weight = encoder.token.weight
        super().__init__(
            encoder=encoder,
            block=block,
            depth=depth,
            head=head,
            scope=scope,
            width=width,
            rotary=Rotary(width // heads),
        )

    @property
    def continuable(self) -> bool:
        """Whether a cache can continue all that the layers do."""
        scope = self.scope.func if isinstance(self.scope, partial) else self.scope
        whole = scope is CausalScope
        return whole and all(block.attention.continuable for block in self.blocks)

    def _scope(self, data: Data) -> Scope:
        scope = super()._scope(data)
        if not scope.causal:
            raise ValueError(
                "a language model must not see what it is to predict, but "
                f"{type(scope).__name__} is not causal here"
            )
        return scope
