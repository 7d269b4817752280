"""The graph-aware transformer: encoder, blocks, head."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GraphNorm, PairNorm

from gia.attention import Cache, CausalScope, InputGraph, Rotary, Scope
from gia.nn.attention_batch import attention_batch
from gia.nn.context import GraphContext
from gia.nn.encoder import NodeEncoder
from gia.nn.norm import RMSNorm
from gia.nn.stack import Stack
from gia.typing import OptTensor

# Norms whose statistics are those of all nodes of a graph or of a batch.
ACROSS_NODES = (nn.modules.batchnorm._NormBase, GraphNorm, PairNorm)


class Transformer(nn.Module):
    """A stack of blocks between an encoder and a head, on ragged batches of PyG ``Data``.

    Args:
        encoder (nn.Module): ``encoder(data)``, a vector for each node, ``[N, D]``.
        block (nn.Module or list of nn.Module): One block, ours or of PyG's layers, or different
            ones in their order, as for :class:`~gia.nn.Stack`.
        depth (int): How often they are repeated, each copy initialised anew.
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
        ValueError: If ``depth`` is below 1, or there is no block.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        block: nn.Module | Sequence[nn.Module],
        depth: int,
        head: nn.Module,
        scope: Callable[..., Scope],
        width: int,
        rotary: Rotary | None = None,
        norm: nn.Module | None = None,
    ):
        super().__init__()
        self.encoder = encoder
        self.blocks = Stack(block, depth)
        self.norm = RMSNorm(width) if norm is None else norm
        self.head = head
        self.scope = scope
        self.rotary = rotary

    def compile_blocks(self, **options: Any) -> None:
        """Let :func:`torch.compile` make kernels of the blocks, each of them as a whole.

        That happens when they are first called and takes minutes: once for training and once for
        evaluation, and again for batches of one graph. The parameters keep their names, and
        generation with a cache stays as it is.

        Args:
            **options: Of :func:`torch.compile`, such as ``backend``.
        """
        self.blocks.compile_blocks(**options)

    def forward(self, data: Data, cache: Cache | None = None) -> Tensor:
        """The output for each node; with a cache, for nodes that continue what it remembers.

        Args:
            data (Data or Batch): The nodes, ``seq_pos`` counted from the start of their sequence.
            cache (Cache, optional): Read and extended; without gradients.
        """
        graphs = self.context(data)
        x = self.encoder(data)
        if cache is not None:
            if len(cache.memories) != len(self.blocks):
                raise ValueError(
                    f"the cache is for {len(cache.memories)} layers, the model has "
                    f"{len(self.blocks)}"
                )
            cache.extend(graphs.scope)
        x = self.blocks(x, graphs, None if cache is None else cache.memories)
        return self._read_out(self.norm(x), data)

    @torch.no_grad()
    def graphs(self, data: Data) -> list[Batch | None]:
        """The attention graph of each block, as PyG data.

        Args:
            data (Data or Batch): As for :meth:`forward`.

        Returns:
            For each block a ``Batch`` with the nodes of ``data`` and its attributes, and
            ``edge_index [2, E]`` and ``edge_weight [E, H]``, an edge for every pair that some head
            joins, 0 for heads that do not; None for a block that draws no graph, as those of PyG's
            layers. Without a sparsifier the edges are every pair in the scope: for a sequence of L
            tokens L * (L + 1) / 2 of them under the causal scope.
        """
        was_training = self.training
        self.eval()  # the graphs are the model's, without what dropout happens to leave of it
        try:
            graphs, x = self.context(data), self.encoder(data)
            found: list[Batch | None] = []
            for block in self.blocks:
                graph = block.graph(x, graphs) if hasattr(block, "graph") else None
                found.append(
                    None if graph is None else attention_batch(data, graph.to_edges().joined())
                )
                x = block(x, graphs)
            return found
        finally:
            self.train(was_training)

    def context(self, data: Data) -> GraphContext:
        """What all blocks know of a batch's graphs, made once."""
        given = self._given(data)
        return GraphContext(
            self._scope(data, given),
            self._angles(data),
            given,
            getattr(data, "batch", None),
            data.get("seq_pos"),
        )

    def _scope(self, data: Data, given: InputGraph | None) -> Scope:
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
        return self.scope(ptr, sizes, bucketed=not self.blocks.is_compiled, given=given)

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
        if data.get("seq_pos") is None:
            raise ValueError(
                "the model reads the nodes' positions, but the data has no seq_pos: give each node "
                "its place in its sequence, from 0 (a graph transformer with ordered=False has no "
                "need of it)"
            )
        dtype = torch.promote_types(self._parameter.dtype, torch.float32)
        return self.rotary(data.seq_pos, dtype=dtype)


class LanguageModel(Transformer):
    """A decoder-only language model with rotary positions and tied embeddings.

    Args:
        vocab_size (int): Symbols V.
        width (int): Channels D of a node.
        heads (int): Heads H of the block's attention.
        depth (int): Number of blocks.
        block (nn.Module or list of nn.Module): As for :class:`Transformer`; no block may see what
            comes after a node.
        dropout (float): Dropout on the embeddings.
        scope (callable): A causal scope, as for :class:`Transformer`.

    Shapes:
        - **data.token**, **data.seq_pos:** ``[N]``
        - **output:** logits of the next token, ``[N, V]``

    Raises:
        ValueError: If a block lets a node see what comes after it.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int,
        heads: int,
        depth: int,
        block: nn.Module | Sequence[nn.Module],
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
        refuse_leaks(self.blocks)

    @property
    def continuable(self) -> bool:
        """Whether a cache can continue all that the layers do."""
        scope = self.scope.func if isinstance(self.scope, partial) else self.scope
        whole = scope is CausalScope
        return whole and all(getattr(block, "continuable", False) for block in self.blocks)

    def _scope(self, data: Data, given: InputGraph | None) -> Scope:
        scope = super()._scope(data, given)
        if not scope.causal:
            raise ValueError(
                "a language model must not see what it is to predict, but "
                f"{type(scope).__name__} is not causal here"
            )
        return scope


def refuse_leaks(blocks: nn.Module) -> None:
    """Raise a ValueError if a part of a language model looks at the nodes after a node."""
    for part in blocks.modules():
        if getattr(part, "causal", True) is False:
            inner = getattr(part, "conv", part)
            raise ValueError(
                "a language model must not see what it is to predict, but "
                f"{type(inner).__name__} looks at later nodes: choose another layer"
            )
        over_nodes = getattr(part, "mode", None) == "graph"
        if isinstance(part, ACROSS_NODES) or ("Norm" in type(part).__name__ and over_nodes):
            raise ValueError(
                "a language model must not see what it is to predict, but "
                f"{type(part).__name__} is computed over all nodes: choose RMSNorm, the default"
            )
