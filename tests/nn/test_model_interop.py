"""Attention layers inside PyG, and PyG's graphs inside our models."""

import pytest
import torch
from laws import assert_same, make_adjacency, outputs_and_gradients
from torch import nn
from torch_geometric.data import Batch, Data
from torch_geometric.loader import NeighborLoader
from torch_geometric.nn import GCNConv, GPSConv, Sequential
from torch_geometric.typing import WITH_TORCH_SPARSE
from torch_geometric.utils import barabasi_albert_graph, to_undirected

from gia.attention import (
    AddInputGraph,
    AttentionAdjacency,
    BiasedScore,
    DotProductScore,
    EdgeBias,
    FullScope,
    InputGraph,
    NeighborScope,
    Softmax,
    WindowScope,
)
from gia.nn import Block, GINAttention, LanguageModel, PNAAttention, SwiGLU, Transformer

WIDTH, HEADS = 16, 2
pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def graph():
    edge_index = to_undirected(torch.randint(0, 12, (2, 20)))
    return Data(
        x=torch.randn(12, WIDTH),
        edge_index=edge_index,
        edge_attr=torch.randn(edge_index.size(1), 3),
        num_nodes=12,
    )


def attention(kind=GINAttention, **kwargs):
    return kind(WIDTH, HEADS, adjacency=make_adjacency(WIDTH, HEADS), **kwargs)


@pytest.mark.parametrize("kind", [GINAttention, PNAAttention])
def test_an_edge_index_in_place_of_a_scope(graph, kind):
    """It is the given scope, and the edges alone decide who is heard."""
    layer = attention(kind)
    scope = NeighborScope(
        torch.tensor([0, 12]), given=InputGraph(graph.edge_index), self_loops=False
    )
    results = [
        outputs_and_gradients(layer, graph.x, lambda x, edges=edges: layer(x, edges))
        for edges in (scope, graph.edge_index)
    ]
    assert_same(*results, 1e-12)
    out = layer(graph.x, graph.edge_index)
    for node in range(12):
        changed = graph.x.clone()
        changed[node] += 1
        moved = (layer(changed, graph.edge_index) - out).abs().sum(1) > 1e-12
        heard = set(graph.edge_index[1, graph.edge_index[0] == node].tolist()) | {node}
        assert set(moved.nonzero().flatten().tolist()) <= heard


def test_it_is_the_conv_of_gps(graph):
    conv = GPSConv(WIDTH, attention(), heads=2, attn_type="multihead")
    out = conv(graph.x, graph.edge_index)
    assert out.shape == (12, WIDTH)
    out.square().sum().backward()
    assert conv.conv.adjacency.score.q_proj.weight.grad.any()
    before = conv.conv.adjacency.score.q_proj.weight.clone()
    conv.reset_parameters()
    assert not torch.equal(before, conv.conv.adjacency.score.q_proj.weight)


def test_it_stands_in_a_sequential_with_pyg_layers(graph):
    model = Sequential(
        "x, edge_index",
        [
            (attention(), "x, edge_index -> x"),
            (GCNConv(WIDTH, WIDTH), "x, edge_index -> x"),
            nn.ReLU(),
            (attention(PNAAttention), "x, edge_index -> x"),
        ],
    )
    model(graph.x, graph.edge_index).sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.skipif(not WITH_TORCH_SPARSE, reason="NeighborLoader needs torch-sparse")
def test_it_reads_the_samples_of_a_large_graph():
    large = Data(x=torch.randn(3000, WIDTH), edge_index=barabasi_albert_graph(3000, 3))
    layer = attention()
    whole = layer(large.x, large.edge_index)
    loader = NeighborLoader(large, num_neighbors=[-1], batch_size=50, input_nodes=torch.arange(200))
    for batch in loader:
        out = layer(batch.x, batch.edge_index)[: batch.batch_size]
        torch.testing.assert_close(out, whole[batch.n_id[: batch.batch_size]])


def test_edge_attributes_enter_messages(graph):
    """GINE's messages, relu(x_j + W e_ij), under attention's weights; a pair without is relu(x)."""
    layer = attention(edge_dim=3)
    scope = FullScope(torch.tensor([0, 12]), given=InputGraph(graph.edge_index, graph.edge_attr))
    out = layer(graph.x, scope)
    weight = layer.graph(graph.x, scope).to_edges()
    dense = torch.zeros(12, 12, 3).index_put(
        (graph.edge_index[1], graph.edge_index[0]), graph.edge_attr, accumulate=True
    )
    source, target = weight.edge_index
    encoded = layer.conv.lin(dense[target, source])
    encoded = torch.where(dense[target, source].any(1, keepdim=True), encoded, layer.conv.lin.bias)
    messages = (graph.x[source] + encoded).relu().view(-1, HEADS, WIDTH // HEADS)
    total = weight.incidence().sum(messages)
    x = graph.x.view(12, HEADS, -1)
    expected = layer.conv.nn((total + (1 + layer.conv.eps).unsqueeze(1) * x).flatten(1))
    torch.testing.assert_close(out, expected)
    by_edges, zeros = (
        layer(graph.x, graph.edge_index, edge_attr=attr)
        for attr in (graph.edge_attr, 0 * graph.edge_attr)
    )
    assert not torch.allclose(by_edges, zeros)
    with pytest.raises(ValueError, match="the messages take edge attributes, but the data has no"):
        layer(graph.x, FullScope(torch.tensor([0, 12])))


def bonded_model(**parts):
    adjacency = AttentionAdjacency(
        score=BiasedScore(score=DotProductScore(WIDTH, HEADS), biases=[EdgeBias(3, HEADS)]),
        normalize=Softmax(),
        given=AddInputGraph(HEADS),
    )
    block = Block(
        WIDTH, attention=GINAttention(WIDTH, HEADS, adjacency=adjacency), mlp=SwiGLU(WIDTH, 24)
    )

    class Features(nn.Module):
        def forward(self, data):
            return data.x

    return Transformer(
        encoder=Features(), block=block, depth=2, head=nn.Linear(WIDTH, 1), width=WIDTH, **parts
    )


@pytest.mark.parametrize("scope", [FullScope, NeighborScope])
def test_a_model_reads_the_edges_of_its_data(graph, scope):
    model = bonded_model(scope=scope)
    smaller = graph.subgraph(torch.arange(7))
    batch = Batch.from_data_list([graph, smaller])
    together = model(batch)
    for number, single in enumerate((graph, smaller)):
        alone = model(single)
        mine = together[batch.ptr[number] : batch.ptr[number + 1]]
        torch.testing.assert_close(mine, alone)
    changed = graph.clone()
    changed.edge_attr = -graph.edge_attr
    assert not torch.allclose(model(changed), model(graph))
    without = graph.clone()
    del without.edge_index, without.edge_attr
    with pytest.raises(ValueError, match=r"has no edge_index|edges with attributes"):
        model(without)


def test_a_language_model_must_be_causal():
    def model(**window):
        block = Block(WIDTH, attention=attention())
        return LanguageModel(
            vocab_size=5, width=WIDTH, heads=HEADS, depth=1, block=block,
            scope=lambda *args, **kwargs: WindowScope(*args, window=2, **window, **kwargs),
        )  # fmt: skip

    data = Data(token=torch.tensor([1, 2, 3]), seq_pos=torch.arange(3), num_nodes=3)
    assert model()(data).shape == (3, 5)
    with pytest.raises(ValueError, match="must not see what it is to predict, but WindowScope"):
        model(causal=False)(data)
