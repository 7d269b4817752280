"""Attribution by occlusion and by integrated gradients: their laws, and PyG's explainers."""

import copy

import pytest
import torch
from graph_data import MODELS, graph, make, settled
from torch import nn
from torch_geometric.data import Batch, Data
from torch_geometric.explain import CaptumExplainer, Explainer, GNNExplainer
from torch_geometric.nn import global_add_pool, global_mean_pool

from gia.analysis import OfEncodings, integrated_gradients, node_encoders, occlusion

METHODS = [occlusion, integrated_gradients]


class Vectors(nn.Module):
    """The encoder of a linear model: x itself."""

    def forward(self, data):
        return data.x


class Linear(nn.Module):
    """T weighted sums over all nodes."""

    def __init__(self, weight, pool=global_add_pool):
        super().__init__()
        self.encoder, self.weight, self.pool = Vectors(), nn.Parameter(weight), pool

    def forward(self, data):
        return self.pool(self.encoder(data) @ self.weight, data.get("batch")) + 3


class Mean(nn.Module):
    """What an ensemble says."""

    def __init__(self, *members):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, data):
        return torch.stack([member(data) for member in self.members]).mean(0)


@pytest.fixture
def molecule():
    torch.manual_seed(0)
    return graph(7, 9)


def real(name="graph_transformer", seed=0):
    torch.manual_seed(seed)
    return settled(make(f"model={name}"), [graph(7, 9) for _ in range(4)])


def without_nodes(model, data):
    batch = Batch.from_data_list([data])
    handle = model.encoder.register_forward_hook(lambda *arguments: arguments[-1] * 0)
    with torch.no_grad():
        hidden = model(batch)[0]
    handle.remove()
    return hidden


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("pool", "nodes"), [(global_add_pool, 1), (global_mean_pool, 5)])
def test_a_linear_model_gives_its_coefficients(method, pool, nodes):
    x, weight = torch.randn(5, 3), torch.randn(3, 2)
    data = Data(x=x, edge_index=torch.empty(2, 0, dtype=torch.long))
    model = Linear(weight, pool)
    found = method(model, data, node_encoders(model))
    torch.testing.assert_close(found, x @ weight / nodes)


@pytest.mark.parametrize("name", MODELS)
def test_occlusion_is_the_difference_without_a_node(name, molecule):
    model = real(name)
    found = occlusion(model, molecule, [model.encoder])
    assert found.shape == (7, 2)
    node, batch = 4, Batch.from_data_list([molecule])
    encoded = model.encoder(batch)
    encoded = torch.cat([encoded[:node], torch.zeros_like(encoded[:1]), encoded[node + 1 :]])
    with torch.no_grad():
        rest = OfEncodings(model)(encoded, batch.edge_index, batch)[0]
        torch.testing.assert_close(found[node], model(batch)[0] - rest, rtol=1e-4, atol=1e-5)
    assert found[node].abs().min() > 1e-4
    assert not model.encoder._forward_hooks


@pytest.mark.parametrize("name", ["graph_transformer", "gps", "gine"])
def test_integrated_gradients_are_complete(name, molecule):
    """They sum to the prediction less that of a graph whose nodes are all hidden."""
    model = real(name).double()
    molecule = molecule.apply(lambda value: value.double() if value.is_floating_point() else value)
    found = integrated_gradients(model, molecule, [model.encoder], steps=256)
    with torch.no_grad():
        difference = model(Batch.from_data_list([molecule]))[0] - without_nodes(model, molecule)
    assert difference.abs().min() > 1e-3
    torch.testing.assert_close(found.sum(0), difference, rtol=1e-2, atol=1e-3)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_relabelling_nodes_permutes_attributions(method, molecule):
    model, order = real(), torch.randperm(7)
    other = copy.copy(molecule)
    for name in ("x", "random_walk_pe", "laplacian_eigenvector_pe", "seq_pos"):
        other[name] = molecule[name][order]
    other.edge_index = order.argsort()[molecule.edge_index]
    ours, theirs = (method(model, data, [model.encoder]) for data in (molecule, other))
    torch.testing.assert_close(theirs, ours[order], rtol=1e-3, atol=1e-5)
    assert ours.std(0).min() > 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_batches_of_any_size_say_the_same(method, molecule):
    model = real()
    whole, single = (
        method(model, molecule, [model.encoder], most_nodes=number) for number in (10_000, 1)
    )
    torch.testing.assert_close(whole, single, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_attributions_of_an_ensemble_are_the_mean_of_its_members(method, molecule):
    members = [real(seed=1), real(seed=2)]
    ensemble = Mean(*members)
    assert node_encoders(ensemble) == [member.encoder for member in members]
    found = method(ensemble, molecule, node_encoders(ensemble))
    each = [method(member, molecule, [member.encoder]) for member in members]
    # Law 5 for what passes through a network twice; the path of gradients is the same.
    torch.testing.assert_close(found, sum(each) / 2, rtol=1e-3, atol=1e-5)


def test_a_graph_of_one_node(molecule):
    model = real()
    single = graph(1, 0)
    for method in METHODS:
        found = method(model, single, [model.encoder])
        with torch.no_grad():
            difference = model(Batch.from_data_list([single]))[0] - without_nodes(model, single)
        torch.testing.assert_close(found[0], difference, rtol=0.05, atol=1e-2)


def test_a_model_without_an_encoder_is_refused():
    with pytest.raises(ValueError, match=r"Linear has no module encoder"):
        node_encoders(nn.Linear(2, 2))


@pytest.mark.parametrize("mask", ["object", "attributes"])
def test_pygs_explainers_take_a_model(mask, molecule):
    model = OfEncodings(real())
    explainer = Explainer(
        model,
        algorithm=GNNExplainer(epochs=3),
        explanation_type="model",
        node_mask_type=mask,
        model_config={"mode": "regression", "task_level": "graph", "return_type": "raw"},
    )
    batch = Batch.from_data_list([molecule])
    x = model.model.encoder(batch).detach()
    explanation = explainer(x, batch.edge_index, data=batch)
    assert explanation.node_mask.shape == (7, 1 if mask == "object" else x.size(1))
    torch.testing.assert_close(explanation.prediction, model.model(batch))
    assert explanation.node_mask.std() > 0


def test_pygs_explainer_finds_the_node_that_decides():
    x = torch.zeros(5, 3)
    x[2] = 1.0
    data = Data(x=x, edge_index=torch.tensor([[0, 1], [1, 2]]))
    model = OfEncodings(Linear(torch.ones(3, 1)))
    explainer = Explainer(
        model,
        algorithm=GNNExplainer(epochs=10),
        explanation_type="model",
        node_mask_type="object",
        model_config={"mode": "regression", "task_level": "graph", "return_type": "raw"},
    )
    mask = explainer(x, data.edge_index, data=data).node_mask.flatten()
    assert mask[2] > 0
    assert not mask[[0, 1, 3, 4]].any()


def test_integrated_gradients_are_captums_by_way_of_pyg(molecule):
    pytest.importorskip("captum", reason="captum is not installed")
    model = settled(make("model=gps", out_channels=1), [graph(7, 9) for _ in range(4)])
    explainer = Explainer(
        OfEncodings(model),
        algorithm=CaptumExplainer("IntegratedGradients", n_steps=32, method="gausslegendre"),
        explanation_type="model",
        node_mask_type="attributes",
        model_config={"mode": "regression", "task_level": "graph", "return_type": "raw"},
    )
    batch = Batch.from_data_list([molecule])
    x = model.encoder(batch).detach()
    theirs = explainer(x, batch.edge_index, data=batch).node_mask.sum(1)
    ours = integrated_gradients(model, molecule, [model.encoder], steps=32).sum(1)
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-6)
