"""What a graph must not do in any form: each of these once went wrong."""

import pytest
import torch
from laws import assert_same, make_attention, make_model, outputs_and_gradients, sequences
from torch_geometric.data import Batch

from gia.analysis import AttentionEdges
from gia.attention import (
    AttentionAdjacency,
    BiasedScore,
    CausalScope,
    Differential,
    DistanceBias,
    DotProductScore,
    PairNetworkScore,
    ReLU,
    Softmax,
)
from gia.attention.sparsify import Chain, Sigmoid, Threshold, TopK
from gia.attention.sparsify import ReLU as ShiftedReLU

FORMS = ["dense", "edges"]


def make(form, sparsify=None, normalize=None, score=None):
    return AttentionAdjacency(
        score=score or DotProductScore(8, 2),
        normalize=normalize or Softmax(),
        sparsify=sparsify,
        form=form,
    )


def below_zero():
    """A threshold that was trained to where dropped candidates have weights."""
    relu = ShiftedReLU(train_threshold=True)
    torch.nn.init.constant_(relu.threshold, -0.2)
    return relu


@pytest.mark.parametrize(
    "early",
    [lambda: TopK(2, weighting="binary"), Sigmoid, below_zero],
    ids=["1", "sigmoid", "relu"],
)
@pytest.mark.usefixtures("float64")
def test_dropped_candidates_do_not_enter_later_sums(early):
    steps = [TopK(2), early(), TopK(5, weighting="renormalize")]
    adjacency = make("auto", Chain(steps))
    x, scope = torch.randn(9, 8), CausalScope(torch.tensor([0, 3, 9]))
    results = []
    for form in FORMS:
        adjacency.form = form
        torch.testing.assert_close(adjacency(x, scope).degree(), torch.ones(9, 2))
        results.append(
            outputs_and_gradients(
                adjacency, x, lambda x: adjacency(x, scope).sum(x.unflatten(-1, (2, -1)))
            )
        )
    assert_same(*results, 1e-10)


def test_a_normaliser_gets_as_many_maps_as_it_needs():
    with pytest.raises(ValueError, match="Differential needs 2 maps of scores, DotProductScore ha"):
        make("auto", normalize=Differential())
    with pytest.raises(ValueError, match="Softmax needs 1 maps of scores, DotProductScore has 2"):
        make("auto", score=DotProductScore(8, 2, maps=2))


@pytest.mark.usefixtures("float64")
def test_a_bias_is_added_to_each_map():
    score = BiasedScore(score=DotProductScore(8, 2, maps=2), biases=[DistanceBias(2)])
    adjacency = make("dense", normalize=Differential(), score=score)
    x, scope = torch.randn(5, 8), CausalScope(torch.tensor([0, 5]))
    far = adjacency(x, scope).to_edges().joined().edge_weight
    torch.nn.init.zeros_(score.biases[0].slope)
    near = adjacency(x, scope).to_edges().joined().edge_weight
    assert not torch.allclose(far, near)
    adjacency.form = "edges"
    torch.testing.assert_close(adjacency(x, scope).to_edges().joined().edge_weight, near)


@pytest.mark.parametrize("form", FORMS)
def test_features_of_other_heads_are_refused(form):
    graph = make(form, TopK(2), score=DotProductScore(8, 1))(
        torch.randn(5, 8), CausalScope(torch.tensor([0, 5]))
    )
    with pytest.raises(ValueError, match=r"1 heads, but the features have 2|features have 2"):
        graph.sum(torch.randn(5, 2, 4))


@pytest.mark.parametrize(
    ("sparsify", "normalize"),
    [
        (TopK(2), Softmax()),
        (Threshold(0.1), Softmax()),
        (ShiftedReLU(0.1), Softmax()),
        (None, ReLU()),
    ],
    ids=["top_k", "threshold", "shifted", "relu"],
)
@pytest.mark.parametrize("form", FORMS)
def test_nan_is_seen(form, sparsify, normalize):
    x = torch.randn(6, 8)
    x[3] = torch.nan
    graph = make(form, sparsify, normalize)(x, CausalScope(torch.tensor([0, 6])))
    total = graph.sum(torch.ones(6, 2, 4))
    assert not total[:3].isnan().any()
    assert total[3].isnan().all()


def test_a_pair_network_runs_under_autocast():
    adjacency = make("auto", TopK(2), score=PairNetworkScore(8, 2, hidden_channels=4))
    with torch.autocast("cpu", torch.bfloat16):
        graph = adjacency(torch.randn(6, 8), CausalScope(torch.tensor([0, 6])))
    graph.sum(torch.ones(6, 2, 4)).sum().backward()
    assert adjacency.score.out.weight.grad.isfinite().all()


def test_a_scope_of_other_nodes_is_named():
    with pytest.raises(ValueError, match="the scope is of 6 nodes, but x has 5"):
        make_attention("gin")(torch.randn(5, 16), CausalScope(torch.tensor([0, 6])))


def test_edges_that_the_data_had_do_not_stay_behind():
    model = make_model("gin")
    (data,) = sequences([4])
    data.edge_index, data.edge_attr = torch.tensor([[0], [1]]), torch.randn(1, 3)
    (graph, _) = model.graphs(data)
    assert "edge_attr" not in graph
    assert graph.to_data_list()[0].validate()


def test_attention_edges_of_a_batch_are_refused():
    with pytest.raises(ValueError, match="takes one sequence: apply it before batching"):
        AttentionEdges(make_model("gin"))(Batch.from_data_list(sequences([4, 3])))
