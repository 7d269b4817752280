"""Attention over items whose edges a model of sequences has never heard of."""

import pytest
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.transforms import AddRandomWalkPE

from gia.analysis import ItemAttention, pairs_of
from gia.attention import AttentionAdjacency, DotProductScore, FullScope, NeighborScope, Softmax
from gia.nn import Block, GINAttention, GraphTransformer, LanguageModel, NodeEncoder, PredictionHead


class NoEdges(nn.Module):
    def of_kinds(self, data):
        return None, None


def block():
    adjacency = AttentionAdjacency(score=DotProductScore(16, heads=2), normalize=Softmax())
    return Block(16, attention=GINAttention(16, heads=2, adjacency=adjacency))


def language_model():
    return LanguageModel(vocab_size=24, width=16, heads=2, depth=2, block=block())


def graph_model(scope=FullScope, ordered=True, encodings=None):
    return GraphTransformer(
        encoder=NodeEncoder(16, tokens=24, encodings=encodings),
        edge_encoder=NoEdges(),
        block=block(),
        depth=2,
        head=PredictionHead(16, out_channels=1),
        width=16,
        heads=2,
        scope=scope,
        ordered=ordered,
        level="node",
    )


def protein(missing=False):
    contacts = torch.tensor([[0, 7, 1, 6], [7, 0, 6, 1]])
    place = torch.arange(8)
    if missing:
        place[4:] += 3
    return Data(token=torch.arange(3, 11), seq_pos=place, edge_index=contacts, num_nodes=8)


def test_of_a_language_model_it_is_that_of_the_framed_sequence():
    model, data = language_model(), protein()
    found = ItemAttention(model, of_sequences=True, bos=0)(data)
    framed = Data(
        token=torch.cat([torch.zeros(1, dtype=torch.long), data.token]), seq_pos=torch.arange(9)
    )
    framed.num_nodes = 9
    for own, whole in zip(found, model.graphs(framed), strict=True):
        kept = (whole.edge_index > 0).all(0)  # all but what begins the sequence
        assert own.num_nodes == 8
        assert torch.equal(own.edge_index, whole.edge_index[:, kept] - 1)
        assert torch.equal(own.edge_weight, whole.edge_weight[kept])
        assert (own.edge_index[0] <= own.edge_index[1]).all()  # what is read came before


def test_contacts_are_hidden_from_a_model_of_sequences():
    model = graph_model()
    attention = ItemAttention(model, of_sequences=True)
    seen = []
    model.encoder.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    attention(protein())
    assert seen[0].edge_index.tolist() == [
        [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7],
        [1, 0, 2, 1, 3, 2, 4, 3, 5, 4, 6, 5, 7, 6],
    ]
    assert not attention.reads_edges(protein())
    attention(protein(missing=True))
    assert seen[-1].seq_pos.tolist() == [0, 1, 2, 3, 7, 8, 9, 10]
    joined = set(zip(*seen[-1].edge_index.tolist(), strict=True))
    assert (2, 3) in joined
    assert (3, 4) not in joined  # residues are missing between


def test_what_is_changed_before_the_model_reads_it():
    def steps(data):
        data.token = torch.full_like(data.token, 5)
        return data

    plain = ItemAttention(graph_model(ordered=False), of_sequences=True)
    changed = ItemAttention(plain.model, of_sequences=True, steps=steps)
    (first, *_), (second, *_) = plain(protein()), changed(protein())
    assert second.edge_weight.std() < 1e-6 < first.edge_weight.std()


def test_attention_along_the_given_edges_is_told_and_finds_them_all():
    attention = ItemAttention(graph_model(NeighborScope))
    data = protein()
    assert attention.reads_edges(data)
    pairs = pairs_of(data, attention(data))
    assert (pairs.weights[pairs.joined] > 0).all()
    assert (pairs.weights[~pairs.joined] == 0).all()
    assert not ItemAttention(graph_model()).reads_edges(data)


def test_encodings_of_the_edges_are_edges_too():
    torch.manual_seed(0)
    attention = ItemAttention(graph_model(encodings={"random_walk_pe": 4}))
    data = AddRandomWalkPE(4)(protein())
    for module in attention.model.encoder.encodings.values():  # which may start at 0
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter)
    assert attention.reads_edges(data)


def test_models_and_items_that_do_not_fit():
    with pytest.raises(ValueError, match="a Linear has no attention to compare"):
        ItemAttention(nn.Linear(2, 2))
    data = Data(x=torch.zeros(3, 2), edge_index=torch.empty(2, 0).long(), name="benzene")
    with pytest.raises(ValueError, match="reads sequences of symbols, but benzene has none"):
        ItemAttention(language_model(), of_sequences=True)(data)
