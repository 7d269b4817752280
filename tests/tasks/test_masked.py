"""Models that learn what hidden nodes are."""

import math

import pytest
import torch
from graph_data import INPUTS, make, random_graphs
from torch import nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Batch, Data

from gia.data import DataModule
from gia.tasks import Masked

SIZES = INPUTS["node_categories"]


def numbered(graphs):
    for row, data in enumerate(graphs):
        data.row = row
    return graphs


@pytest.fixture
def graphs():
    return numbered(random_graphs())


@pytest.fixture
def task():
    model = make("model=graph_transformer", level="node", out_channels=sum(SIZES))
    return Masked(model, categories=SIZES, optimizer=torch.optim.AdamW).eval()


def hidden_of_each(task, graphs):
    batch = Batch.from_data_list(graphs)
    nodes = task.hidden(batch)
    of = batch.batch[nodes]
    pairs = zip(batch.row.tolist(), range(len(graphs)), strict=True)
    return {row: sorted((nodes[of == i] - batch.ptr[i]).tolist()) for row, i in pairs}


def test_a_share_of_each_graph_is_hidden_and_at_least_one_node(task, graphs):
    for graph, nodes in zip(graphs, hidden_of_each(task, graphs).values(), strict=True):
        assert len(set(nodes)) == math.ceil(0.15 * graph.num_nodes)
        assert max(nodes) < graph.num_nodes


def test_outside_of_training_a_row_decides_whatever_the_batch(task, graphs):
    together = hidden_of_each(task, graphs)
    assert hidden_of_each(task, graphs[::-1]) == together
    for graph in graphs:
        assert hidden_of_each(task, [graph]) == {graph.row: together[graph.row]}


def test_in_training_others_are_drawn_from_the_seed(task):
    graphs = numbered([graph for graph in random_graphs() for _ in range(3)])
    task.train()
    draws = []
    for seed in (0, 1, 0):
        torch.manual_seed(seed)
        draws.append(hidden_of_each(task, graphs))
    assert draws[0] == draws[2]
    assert draws[0] != draws[1]


def test_nothing_of_a_hidden_node_is_seen(task, graphs):
    batch = Batch.from_data_list(graphs)
    nodes = task.hidden(batch)
    _, logits, target = task.losses(batch)
    other = batch.clone()
    other.x[nodes] = (other.x[nodes] + 1) % torch.tensor(SIZES)
    _, same, changed = task.losses(other)
    assert logits.equal(same)
    assert not target.equal(changed)
    # But those around it are.
    rest = batch.clone()
    shown = torch.ones(batch.num_nodes, dtype=torch.bool).index_fill(0, nodes, False)
    rest.x[shown] = (rest.x[shown] + 1) % torch.tensor(SIZES)
    assert not logits.allclose(task.losses(rest)[1])
    assert not any(part._forward_hooks for part in task.modules())


def test_the_loss_is_the_cross_entropy_of_all_columns(task, graphs):
    batch = Batch.from_data_list(graphs)
    nodes = task.hidden(batch)
    hidden = batch.clone()
    # The same by hand: what an encoder makes of features is nothing at these nodes.
    features = task.model.encoder.features

    class Blank(nn.Module):
        def forward(self, x, number):
            made = features(x, number).clone()
            made[nodes] = 0
            return made

    task.model.encoder.features = Blank()
    logits = task.model(hidden)[nodes]
    task.model.encoder.features = features
    first, second = logits.split(SIZES, dim=1)
    x = batch.x[nodes]
    expected = cross_entropy(first, x[:, 0]) + cross_entropy(second, x[:, 1])
    loss, weight = task.loss(batch)
    torch.testing.assert_close(loss, expected)
    assert weight == len(nodes)


def test_metrics_do_not_depend_on_the_batches(task, graphs):
    metrics = task.make_metrics("val")
    task.measure(metrics, Batch.from_data_list(graphs))
    whole = metrics.compute()
    for graph in graphs:
        task.measure(metrics, Batch.from_data_list([graph]))
    parts = metrics.compute()
    assert whole.keys() == {"loss", "accuracy", "commonest"}
    for name, value in whole.items():
        assert float(parts[name]) == pytest.approx(float(value), rel=1e-5)
    with torch.no_grad():
        losses, logits, target = task.losses(Batch.from_data_list(graphs))
    first = target[:, 0]
    assert float(whole["loss"]) == pytest.approx(float(losses.mean()), rel=1e-5)
    right = (logits.argmax(1) == first).float().mean()
    assert float(whole["accuracy"]) == pytest.approx(float(right))
    assert float(whole["commonest"]) == pytest.approx(float(first.bincount().max() / len(first)))


def test_symbols_of_sequences_are_hidden():
    model = make(
        "model=sequence_transformer", "scope=full", level="node", out_channels=9, vocab_size=9,
        node_categories=[], ordered=True, encodings={},
    )  # fmt: skip
    task = Masked(model, vocab_size=9, optimizer=torch.optim.AdamW).eval()
    edges = torch.tensor([[0, 1], [1, 0]])
    graphs = [
        Data(token=torch.randint(9, (n,)), seq_pos=torch.arange(n), row=n, num_nodes=n,
             edge_index=edges, edge_attr=torch.zeros(2, 1, dtype=torch.long))
        for n in (2, 5, 30)
    ]  # fmt: skip
    batch = Batch.from_data_list(graphs)
    nodes = task.hidden(batch)
    assert len(nodes) == 1 + 1 + 5
    _, logits, target = task.losses(batch)
    assert target.flatten().equal(batch.token[nodes])
    batch.token[nodes] = (batch.token[nodes] + 1) % 9
    assert task.losses(batch)[1].equal(logits)


@pytest.mark.parametrize("share", [0, 1, -0.1, 15])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(ValueError, match=f"task.share must be between 0 and 1, got {share}"):
        Masked(nn.Linear(2, 2), share=share, optimizer=torch.optim.AdamW)


def test_a_model_that_cannot_be_blinded_is_named():
    with pytest.raises(ValueError, match=r"nothing can be hidden from the encoder of Linear"):
        Masked(nn.Linear(2, 2), categories=[2], optimizer=torch.optim.AdamW)


def test_numbers_cannot_be_guessed():
    edges = torch.tensor([[0, 1], [1, 0]])
    graphs = [Data(x=torch.randn(2, 3), edge_index=edges) for _ in range(20)]
    data = DataModule(graphs, target_type="masked", batch_size=4)
    with pytest.raises(ValueError, match=r"hides symbols or categories of nodes, but .* numbers"):
        data.setup()
