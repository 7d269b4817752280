"""A sequence with attention edges is an ordinary PyG graph."""

import pytest
import torch
from laws import make_model
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCNConv
from torch_geometric.transforms import Compose, ToSparseTensor
from torch_geometric.typing import WITH_TORCH_SPARSE
from torch_geometric.utils import to_dense_adj, to_networkx

from gia.analysis import AttentionEdges
from gia.data import Peptides, ResidueTokenizer, to_data
from gia.nn import count_parameters


@pytest.fixture
def peptides():
    tokenizer = ResidueTokenizer()
    records = Peptides().records()[:6]
    return tokenizer, [to_data(record, tokenizer, max_length=30) for record in records]


@pytest.fixture
def model(peptides):
    return make_model("gin", vocab_size=peptides[0].vocab_size)


def test_edges_are_the_layer_and_head_asked_for(model, peptides):
    tokenizer, graphs = peptides
    for layer, head in ((0, 1), (-1, 0)):
        transform = AttentionEdges(model, layer=layer, head=head, symbols=tokenizer.symbols)
        for graph in graphs:
            found, expected = transform(graph), model.graphs(graph)[layer]
            assert torch.equal(found.edge_index, expected.edge_index)
            assert torch.equal(found.edge_weight, expected.edge_weight[:, head])
            assert found.token_label == [tokenizer.symbols[t] for t in graph.token.tolist()]
            assert "edge_index" not in graph  # the argument stays as it was


def test_all_heads_and_their_mean(model, peptides):
    graph = peptides[1][0]
    every, mean = AttentionEdges(model)(graph), AttentionEdges(model, head="mean")(graph)
    assert every.edge_weight.shape == (every.num_edges, 2)
    torch.testing.assert_close(mean.edge_weight, every.edge_weight.mean(1))


def test_weak_edges_go(model, peptides):
    transform = AttentionEdges(model, head=0, min_weight=0.1)
    for graph in peptides[1]:
        found, whole = transform(graph), AttentionEdges(model, head=0)(graph)
        assert (found.edge_weight > 0.1).all()
        assert found.num_edges == int((whole.edge_weight > 0.1).sum()) < whole.num_edges


def test_sparse_graphs_have_the_edges_of_their_heads(peptides):
    model = make_model("gin_top_k", vocab_size=peptides[0].vocab_size)
    graph = AttentionEdges(model, head=1)(peptides[1][0])
    arriving = graph.edge_index[1].bincount(minlength=graph.num_nodes)
    assert torch.equal(arriving, torch.arange(1, graph.num_nodes + 1).clamp(max=2))


def test_pyg_takes_it_from_there(model, peptides):
    transform = AttentionEdges(model, head="mean", min_weight=0.02)
    graphs = [transform(graph) for graph in peptides[1]]
    for graph in graphs:
        dense = to_dense_adj(graph.edge_index, edge_attr=graph.edge_weight)[0]
        assert dense.shape == (graph.num_nodes, graph.num_nodes)
        assert not dense.tril(-1).any()  # a source never comes after its target
        net = to_networkx(graph, edge_attrs=["edge_weight"])
        assert net.number_of_edges() == graph.num_edges
    conv = GCNConv(1, 4, add_self_loops=False)
    alone = torch.cat(
        [conv(g.seq_pos.float()[:, None], g.edge_index, g.edge_weight) for g in graphs]
    )
    for batch in DataLoader(graphs, batch_size=len(graphs)):
        together = conv(batch.seq_pos.float().unsqueeze(1), batch.edge_index, batch.edge_weight)
        torch.testing.assert_close(together, alone)


@pytest.mark.skipif(not WITH_TORCH_SPARSE, reason="needs torch-sparse")
def test_it_composes_with_other_transforms(model, peptides):
    pipeline = Compose([AttentionEdges(model, head=0), ToSparseTensor(attr="edge_weight")])
    graph, plain = pipeline(peptides[1][0]), AttentionEdges(model, head=0)(peptides[1][0])
    assert graph.adj_t.nnz() == plain.num_edges


def test_a_model_is_left_as_it_was(model, peptides):
    model.train()
    before = count_parameters(model)
    AttentionEdges(model)(peptides[1][0])
    assert model.training
    assert count_parameters(model) == before


def test_bad_choices_are_named(model, peptides):
    with pytest.raises(ValueError, match="layers 0 to 1, got layer=2"):
        AttentionEdges(model, layer=2)
    with pytest.raises(ValueError, match="'mean' or None, got 'max'"):
        AttentionEdges(model, head="max")
    with pytest.raises(ValueError, match="heads 0 to 1, got head=5"):
        AttentionEdges(model, head=5)(peptides[1][0])
