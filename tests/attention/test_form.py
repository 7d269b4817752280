"""The one place that chooses how a graph is held, and why."""

import logging
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from gia.attention import (
    AttentionAdjacency,
    BiasedScore,
    CausalScope,
    DistanceBias,
    DotProductScore,
    EdgeBias,
    FullScope,
    GlobalScope,
    InputGraph,
    NeighborScope,
    PairNetworkScore,
    ReLU,
    Score,
    Scores,
    Softmax,
    WindowScope,
    form,
    sparsify,
)
from gia.attention.form import Parts, choose_form
from gia.graph.pair_layout import PairLayout

PTR = torch.tensor([0, 4, 9])
PLAIN, NETWORK = DotProductScore(8, 2), PairNetworkScore(8, 2, hidden_channels=3)
BIASED = BiasedScore(score=PLAIN, biases=[DistanceBias(2)])
TOP = sparsify.TopK(2)


def window(ptr):
    return WindowScope(ptr, window=1)


@pytest.mark.parametrize(
    ("score", "normalize", "chosen", "scope", "on_gpu", "expected"),
    [
        (PLAIN, Softmax(), None, CausalScope, False, "fused"),
        (PLAIN, Softmax(), None, FullScope, True, "fused"),
        (BIASED, Softmax(), None, FullScope, False, "dense"),
        (BIASED, Softmax(), None, FullScope, True, "fused_bias"),
        (NETWORK, Softmax(), None, FullScope, True, "dense"),
        (PLAIN, ReLU(), None, CausalScope, False, "block_sparse"),
        (PLAIN, Softmax(), TOP, CausalScope, False, "block_sparse"),
        (PLAIN, Softmax(), sparsify.SiLU(), CausalScope, False, "dense"),
        (PLAIN, Softmax(), None, window, False, "edges"),
        (BIASED, Softmax(), None, window, True, "edges"),
        (PLAIN, Softmax(), TOP, window, False, "edges"),
    ],
)
def test_every_row_of_the_table(monkeypatch, score, normalize, chosen, scope, on_gpu, expected):
    monkeypatch.setattr(form, "SHORT", 4)
    parts = Parts(score, normalize, chosen)
    assert choose_form("auto", parts, scope(PTR), on_gpu=on_gpu) == expected


def test_what_is_asked_for_is_done():
    parts = Parts(BIASED, Softmax(), None)
    found = [choose_form(asked, parts, FullScope(PTR), on_gpu=False) for asked in
             ("fused", "dense", "edges")]  # fmt: skip
    assert found == ["fused_bias", "dense", "edges"]
    short = Parts(PLAIN, Softmax(), TOP)
    assert choose_form("auto", short, FullScope(PTR), on_gpu=False) == "dense"
    assert choose_form("edges", short, FullScope(PTR), on_gpu=False) == "block_sparse"


def test_a_cache_has_one_form_and_takes_no_bias():
    causal = CausalScope(PTR)
    plain = Parts(PLAIN, Softmax(), None)
    assert choose_form("auto", plain, causal, on_gpu=False, has_memory=True) == "cached"
    for parts in (Parts(BIASED, Softmax(), None), Parts(PLAIN, Softmax(), TOP)):
        with pytest.raises(ValueError, match="use_cache=False does without"):
            choose_form("auto", parts, causal, on_gpu=False, has_memory=True)


def test_the_reason_is_told_once(caplog):
    form._tell.cache_clear()
    adjacency = AttentionAdjacency(score=BIASED, normalize=Softmax())
    with caplog.at_level(logging.INFO, logger=form.__name__):
        for _ in range(3):
            adjacency(torch.randn(9, 8), FullScope(PTR))
    assert [record.getMessage() for record in caplog.records] == [
        "attention graphs are held in the form 'dense': the scores have a bias, which a CPU's "
        "fused kernel does not speed up"
    ]


@pytest.mark.parametrize("kind", [None, torch.tensor([0, 1, 1, 0])])
@pytest.mark.parametrize("scope", [CausalScope, FullScope])
@pytest.mark.usefixtures("float64")
def test_the_fused_kernel_takes_edges_and_distances_as_its_mask(scope, kind):
    """Law 1 for two biases at once, in graphs of several sizes, one of them without an edge."""
    bonds = torch.tensor([[0, 1, 3, 5], [1, 0, 2, 8]])
    attr = torch.randn(4 if kind is None else 2, 3)
    scope = scope(torch.tensor([0, 4, 4, 9, 10]), given=InputGraph(bonds, attr, kind))
    score = BiasedScore(score=DotProductScore(8, 2), biases=[DistanceBias(2), EdgeBias(3, 2)])
    adjacency = AttentionAdjacency(score=score, normalize=Softmax(sharpening=1.4))
    x, found = torch.randn(10, 8), []
    for asked in ("fused", "dense", "edges"):
        adjacency.form = asked
        adjacency.zero_grad()
        leaf = x.clone().requires_grad_()
        graph = adjacency(leaf, scope)
        out = graph.sum(leaf.view(10, 2, 4)).sin() + graph.max(leaf.view(10, 2, 4))
        out.square().sum().backward()
        found.append([out.detach(), leaf.grad, *(p.grad.clone() for p in adjacency.parameters())])
    for other in found[1:]:
        for left, right in zip(found[0], other, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)
    assert score.biases[1].proj.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    "scope",
    [FullScope, NeighborScope.of(hops=2) | GlobalScope.of(), CausalScope & NeighborScope.of()],
)
@pytest.mark.usefixtures("float64")
def test_forms_agree_on_molecules(shared_data, scope):
    """MUTAG's graphs of bonds, whose kinds are known: several sizes in several buckets."""
    raw = shared_data / "tu" / "MUTAG" / "raw"
    table = {
        name: torch.from_numpy(np.loadtxt(raw / f"MUTAG_{name}.txt", delimiter=",", dtype=int))
        for name in ("A", "edge_labels", "graph_indicator")
    }
    sizes = table["graph_indicator"].bincount()[1:61]
    ptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    mine = (table["A"] <= ptr[-1]).all(1)
    bonds = InputGraph(table["A"][mine].T - 1, torch.randn(4, 3), table["edge_labels"][mine])
    batch = scope(ptr, given=bonds)
    score = BiasedScore(score=DotProductScore(8, 2), biases=[EdgeBias(3, 2)])
    adjacency = AttentionAdjacency(score=score, normalize=Softmax())
    x, found = torch.randn(int(ptr[-1]), 8), []
    for asked in ("auto", "dense", "edges") + (("fused",) if batch.fusable else ()):
        adjacency.form = asked
        leaf = x.clone().requires_grad_()
        out = adjacency(leaf, batch).sum(leaf.view(-1, 2, 4))
        weight = score.biases[0].proj.weight
        found.append((out.detach(), *torch.autograd.grad(out.sin().sum(), [leaf, weight])))
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, rtol=1e-9, atol=1e-9)


@dataclass(frozen=True)
class Distant(Scores):
    """A score of somebody else's: how far apart the features are."""

    x: Tensor
    factor: Tensor
    heads: int

    def on(self, pairs: PairLayout) -> Tensor:
        def distance(target: Tensor, source: Tensor) -> Tensor:
            return (
                -(target - source)
                .square()
                .sum(-1, keepdim=True)
                .expand(*torch.broadcast_shapes(target.shape, source.shape)[:-1], self.heads)
            )

        return self.factor * pairs.of_ends(distance, self.x, self.x)

    def times(self, factor: Tensor | float) -> "Distant":
        return Distant(self.x, self.factor * factor, self.heads)


class DistantScore(Score):
    def forward(self, x, rotary=None, scope=None):
        return Distant(x, x.new_ones(()), 2)


@pytest.mark.parametrize("chosen", [None, sparsify.TopK(2)])
@pytest.mark.usefixtures("float64")
def test_a_new_score_is_a_small_class(monkeypatch, chosen):
    """Two methods give every form, the one in blocks and its gradient among them."""
    monkeypatch.setattr(form, "SHORT", 1)
    adjacency = AttentionAdjacency(score=DistantScore(), normalize=Softmax(), sparsify=chosen)
    x, found = torch.randn(9, 8), []
    for asked in ("auto", "dense", "edges"):
        adjacency.form = asked
        leaf = x.clone().requires_grad_()
        out = adjacency(leaf, FullScope(PTR)).sum(leaf.view(9, 2, 4))
        (grad,) = torch.autograd.grad(out.sin().sum(), leaf)
        found.append((out.detach(), grad))
    for other in found[1:]:
        torch.testing.assert_close(found[0], other)
