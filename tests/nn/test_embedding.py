"""Vectors of any model, after any layer."""

import pytest
import torch
from graph_data import MODELS, make, random_graphs, settled
from laws import make_model, sequences
from torch import nn
from torch_geometric.data import Batch

from gia.nn import FingerprintForest, embed

# The others are made of the same parts.
OF_NODES = ["graph_transformer", "pna", "mixed"]


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.fixture
def graphs(float64):
    graphs = random_graphs()
    for data in graphs:
        for key in data.to_dict():
            if key.endswith("_pe"):
                data[key] = data[key].double()
    return graphs


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("level", ["graph", "node"])
def test_the_head_makes_the_prediction_of_the_last_vectors(name, level, graphs):
    model = settled(make(f"model={name}", level=level), graphs)
    batch = Batch.from_data_list(graphs)
    close(model.head.head(embed(model, batch, level=level)), model(batch))


@pytest.mark.parametrize("name", MODELS)
def test_a_vector_is_the_same_alone_and_in_any_batch(name, graphs):
    model = settled(make(f"model={name}"), graphs)
    for layer in (0, 1, -1):
        together = embed(model, Batch.from_data_list(graphs), layer=layer)
        assert together.size(0) == len(graphs)
        for vector, data in zip(together, graphs, strict=True):
            close(embed(model, data, layer=layer)[0], vector)


@pytest.mark.parametrize("name", OF_NODES)
def test_layers_are_what_the_blocks_leave(name, graphs):
    model = settled(make(f"model={name}", "pool=mean"), graphs)
    batch = Batch.from_data_list(graphs)
    x, context = model.encoder(batch), model.context(batch)
    expected = [x]
    for block in model.blocks:
        x = block(x, context)
        expected.append(x)
    expected.append(model.norm(x))
    for layer, nodes in enumerate(expected):
        close(embed(model, batch, layer=layer, level="node"), nodes)
        close(embed(model, batch, layer=layer - len(expected), level="node"), nodes)
        means = torch.stack([nodes[batch.batch == i].mean(0) for i in range(len(graphs))])
        close(embed(model, batch, layer=layer), means)
    assert not expected[1].allclose(expected[2])


def test_nodes_are_pooled_as_the_model_pools_them(graphs):
    pool = ["pool=mean", "pool._target_=torch_geometric.nn.aggr.SumAggregation"]
    model, batch = settled(make(*pool, "model=gine"), graphs), Batch.from_data_list(graphs)
    nodes = embed(model, batch, layer=1, level="node")
    for number, vector in enumerate(embed(model, batch, layer=1)):
        close(vector, nodes[batch.batch == number].sum(0))


def test_the_vectors_of_a_language_model(float64):
    model, batch = make_model("gin").eval(), Batch.from_data_list(sequences([5, 1, 7]))
    nodes = embed(model, batch, level="node")
    close(model.head(nodes), model(batch))
    means = torch.stack([nodes[batch.batch == i].mean(0) for i in range(3)])
    close(embed(model, batch), means)
    close(embed(model, batch[2])[0], means[2])


def test_a_model_in_training_stays_as_it_was(graphs):
    model = settled(make("model=graph_transformer", "model.dropout=0.5"), graphs).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = Batch.from_data_list(graphs)
    close(embed(model, batch), embed(model, batch))  # without dropout
    assert model.training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    with pytest.raises(AttributeError):
        embed(model, None)
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in model.modules())


@pytest.mark.parametrize("layer", [4, -5, 1.0, True, "last", None])
def test_a_layer_that_is_not_there_is_named(layer, graphs):
    model = make("model=gine")
    with pytest.raises(ValueError, match=r"layer must be a number from 0.* to 3.*, got"):
        embed(model, graphs[0], layer=layer)


def test_what_has_no_such_vectors_is_named(graphs):
    with pytest.raises(ValueError, match="level must be graph or node, got 'edge'"):
        embed(make("model=gine"), graphs[0], level="edge")
    with pytest.raises(ValueError, match="a PooledMLP pools the nodes before its first block"):
        embed(make("model=pooled_mlp"), graphs[0], level="node")
    for model in (nn.Linear(2, 2), FingerprintForest(out_channels=1)):
        with pytest.raises(ValueError, match="has no layers to look into"):
            embed(model, graphs[0])
