"""Attention as a graph: scores, then weights, then edges."""

import torch
from torch import Tensor, nn

from gia.attention.block_sparse import select_edges, wide
from gia.attention.cached import CachedSoftmax, Memory
from gia.attention.dense import DenseAdjacency
from gia.attention.form import Parts, check_form, choose_form
from gia.attention.fused import FusedSoftmax
from gia.attention.normalize import Normalizer
from gia.attention.scope import Scope
from gia.attention.score import Scores
from gia.attention.sparsify import Sparsifier
from gia.graph.base import Adjacency
from gia.graph.combine import HopAdjacency
from gia.graph.edges import EdgeAdjacency
from gia.graph.pair_layout import PairLayout
from gia.typing import Form, OptTensor


class AttentionAdjacency(nn.Module):
    """The graph that a layer's attention draws over the nodes of each sequence.

    Args:
        score (nn.Module): ``score(x, rotary, scope)`` gives the scores of all pairs, not yet
            computed.
        normalize (Normalizer): Turns them into weights.
        sparsify (Sparsifier, optional): Chooses the edges; all candidates are edges if left out.
        given (nn.Module, optional): ``given(adjacency, scope)`` adds the data's own graph.
        hops (int): Along how many edges one layer's messages travel.
        form (str): ``"fused"`` never writes the graph out and needs all pairs of a causal or full
            scope under a softmax of dot products, with or without a bias; ``"dense"`` holds a
            matrix for each graph and head; ``"edges"`` holds the edges alone; ``"auto"`` takes the
            fastest that there is. All give the same values and gradients. With a memory there is
            one form.

    Shapes:
        - **x:** ``[N, D]``
        - **rotary:** ``[2, N, 1, d]``, optional

    Raises:
        ValueError: If the form is unknown or not to be had, or the sparsifier can leave no edge.
    """

    def __init__(
        self,
        *,
        score: nn.Module,
        normalize: Normalizer,
        sparsify: Sparsifier | None = None,
        given: nn.Module | None = None,
        hops: int = 1,
        form: Form = "auto",
    ):
        super().__init__()
        check_form(form)
        if hops < 1:
            raise ValueError(f"hops must be at least 1, got {hops}")
        if hops > 1 and getattr(given, "has_messages", False):
            raise ValueError(
                f"given edges that send messages of their own take one hop, got hops={hops}: "
                "use hops=1 or given=added"
            )
        if sparsify is not None:
            sparsify.check(normalize.highest)
        maps = getattr(score, "maps", normalize.maps)
        if maps != normalize.maps:
            raise ValueError(
                f"{type(normalize).__name__} needs {normalize.maps} maps of scores, "
                f"{type(score).__name__} has {maps}: give it maps={normalize.maps}"
            )
        self.score = score
        self.normalize = normalize
        self.sparsify = sparsify
        self.given = given
        self.hops = hops
        self.form = form

    @property
    def parts(self) -> Parts:
        """What the form depends on."""
        return Parts(self.score, self.normalize, self.sparsify)

    @property
    def published(self) -> bool:
        """Whether an edge depends on more than its target's own candidates."""
        return self.parts.published

    def forward(
        self, x: Tensor, scope: Scope, rotary: OptTensor = None, memory: Memory | None = None
    ) -> Adjacency:
        if not torch.compiler.is_compiling() and x.size(0) != scope.num_nodes:
            raise ValueError(f"the scope is of {scope.num_nodes} nodes, but x has {x.size(0)}")
        if memory is not None and self.given is not None:
            raise ValueError(
                "given edges cannot be continued with a cache: use_cache=False does without"
            )
        form = choose_form(
            self.form, self.parts, scope, on_gpu=x.is_cuda, has_memory=memory is not None
        )
        scores = self.normalize.scale(self.score(x, rotary, scope))
        if form == "cached":
            adjacency = CachedSoftmax(scores, scope, memory)
        elif form in ("fused", "fused_bias"):
            adjacency = FusedSoftmax(scores, scope)
        else:
            adjacency = self._write_out(form, scores.compute(), scope)
        if self.given is not None:
            adjacency = self.given(adjacency, scope)
        return adjacency if self.hops == 1 else HopAdjacency(adjacency, self.hops)

    @torch.compiler.disable  # which edges there are depends on the data
    def _write_out(self, form: str, scores: Scores, scope: Scope) -> Adjacency:
        heads = scores.heads // self.normalize.maps
        maps = scores.split(self.normalize.maps)
        if form == "dense":
            return self._dense(maps, scope, heads)
        if form == "edges":
            return self.written_out(maps, scope, heads)
        edges = select_edges(maps, self.normalize, self._keep, scope, heads)
        if self.sparsify is None:
            return edges
        return edges.with_weight(self.sparsify(edges.edge_weight, edges.row_sum))

    def _dense(self, scores: list[Scores], scope: Scope, heads: int) -> DenseAdjacency:
        blocks = scope.whole_blocks(heads)
        weights, kept = [], []
        with torch.autocast(scope.ptr.device.type, enabled=False):
            for block in blocks:
                values = [wide(part.on(block)).expand(block.shape) for part in scores]
                weight = self.normalize(*values, pairs=block)
                keep = self._keep(weight.detach(), block)
                if keep is not None and block.allowed is not None:
                    keep = keep & block.allowed
                weight = self._reweigh(weight, keep, block)
                if self.sparsify is not None:  # its function may be other than 0 anywhere
                    weight = block.fill(weight, 0.0)
                weights.append(weight)
                kept.append(keep)
        return DenseAdjacency(blocks, weights, kept if self.parts.drops else None, scope, heads)

    def written_out(self, scores: list[Scores], scope: Scope, heads: int) -> EdgeAdjacency:
        """Every candidate written out, then the edges chosen: the definition."""
        pairs = scope.pairs(heads)
        with torch.autocast(scope.ptr.device.type, enabled=False):
            weight = self.normalize(*(wide(part.on(pairs)) for part in scores), pairs=pairs)
            keep = self._keep(weight.detach(), pairs)
            weight = self._reweigh(weight, keep, pairs)
        return pairs.graph(weight, keep)

    def _reweigh(self, weight: Tensor, keep: OptTensor, pairs: PairLayout) -> Tensor:
        """The sparsifier's weights of all candidates, 0 where there is no edge."""

        def only_edges(values: Tensor) -> Tensor:
            return values if keep is None else values.masked_fill(~keep, 0)

        if self.sparsify is None:
            return only_edges(weight)
        # A function may be other than 0 where there is no edge: that must not enter sums.
        weight = self.sparsify(only_edges(weight), lambda x: pairs.row_sum(only_edges(x)))
        return only_edges(weight)

    def _keep(self, weight: Tensor, pairs: PairLayout) -> OptTensor:
        """Which candidates become edges; None: all."""
        kept = self.normalize.keep(weight)
        if self.sparsify is None or not self.sparsify.drops:
            return kept
        if kept is not None:
            weight = weight.masked_fill(~kept, -torch.inf)
        chosen = self.sparsify.keep(weight, pairs)
        return chosen if kept is None else kept & chosen

    @property
    def continuable(self) -> bool:
        """Whether a cache can continue these graphs."""
        parts = self.parts
        return parts.is_softmax and not parts.biased and self.given is None

    def extra_repr(self) -> str:
        return f"hops={self.hops}, form={self.form}"
