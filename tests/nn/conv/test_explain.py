"""PyG's explainers see our layers as they see PyG's: a mask reaches the message of each edge."""

import pytest
import torch
from laws import assert_same, make_adjacency, outputs_and_gradients
from torch import nn
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.nn import GCNConv, GINEConv, Sequential
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.nn import PNAConv as PyGPNAConv
from torch_geometric.utils import add_remaining_self_loops, barabasi_albert_graph

from gia.attention import CausalScope
from gia.graph import EdgeAdjacency
from gia.nn import GINConv, PNAConv, WeightedSumConv

NODES, CHANNELS, EDGES = 12, 8, 40
AGGREGATORS = ["sum", "mean", "min", "max", "var", "std"]
SCALERS = ["identity", "amplification", "attenuation"]

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def edges():
    return torch.randint(0, NODES - 1, (2, EDGES))  # the last node has no neighbour


@pytest.fixture
def x():
    return torch.randn(NODES, CHANNELS)


def gin(layer, **kwargs):
    return layer(nn.Sequential(nn.Linear(CHANNELS, 6), nn.Tanh()), 0.3, True, **kwargs)


def pna(layer, **kwargs):
    return layer(CHANNELS, 6, AGGREGATORS, SCALERS, torch.tensor([1, 3, 4, 4, 2]), **kwargs)


def masked(conv, x, edges, mask, call, apply_sigmoid=True):
    """Output and gradients, that of the mask as well, of a layer under a mask."""
    mask = nn.Parameter(mask.clone())
    set_masks(conv, mask, edges, apply_sigmoid)
    found = outputs_and_gradients(conv, x, call)
    clear_masks(conv)
    return found | {"mask": mask.grad}


@pytest.mark.parametrize("apply_sigmoid", [True, False])
@pytest.mark.parametrize(
    ("make", "ours", "theirs", "arguments"),
    [
        (gin, GINConv, PyGGINConv, {}),
        (gin, GINConv, PyGGINConv, {"aggr": "mean", "flow": "target_to_source"}),
        (gin, GINConv, PyGGINConv, {"aggr": "max"}),
        (gin, GINConv, GINEConv, {"edge_dim": 3}),
        (pna, PNAConv, PyGPNAConv, {}),
        (pna, PNAConv, PyGPNAConv, {"towers": 2, "divide_input": True}),
        (pna, PNAConv, PyGPNAConv, {"edge_dim": 3, "flow": "target_to_source"}),
    ],
)
def test_masked_messages_are_the_parents(x, edges, make, ours, theirs, arguments, apply_sigmoid):
    attributes = {"edge_attr": torch.randn(EDGES, 3)} if "edge_dim" in arguments else {}
    mask, results = torch.randn(EDGES), []
    state = make(theirs, **arguments).state_dict()
    for layer, weight in (
        (theirs, {}),
        (ours, {}),
        (ours, {"edge_weight": torch.ones(EDGES)}),
    ):
        conv = make(layer, **arguments)
        conv.load_state_dict(state)

        def call(x, conv=conv, weight=weight):
            return conv(x, edges, **attributes, **weight)

        before = call(x)
        results.append(masked(conv, x, edges, mask, call, apply_sigmoid))
        torch.testing.assert_close(call(x), before)  # the mask is off again
        assert not torch.allclose(results[-1]["output"], before)
    for found in results[1:]:
        assert_same(results[0], found, 1e-10)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(
    "make",
    [
        lambda heads: GINConv(nn.Linear(CHANNELS, 6), heads=heads),
        lambda heads: WeightedSumConv(heads),
        lambda heads: PNAConv(
            *(CHANNELS, 6, ["sum"], ["identity"]), towers=heads, divide_input=True, pre_layers=0
        ),
    ],
    ids=["gin", "softmax", "pna without pre-layers"],
)
def test_a_mask_multiplies_what_a_sum_weighs(x, edges, make, heads):
    conv, weight, mask = make(heads), torch.rand(EDGES, heads), torch.rand(EDGES)
    expected = conv(x, edges, edge_weight=mask.unsqueeze(1) * weight)
    graph = EdgeAdjacency(edges, weight, num_nodes=NODES)
    for call in (lambda x: conv(x, edges, edge_weight=weight), lambda x: conv(x, graph)):
        found = masked(conv, x, edges, mask, call, apply_sigmoid=False)
        torch.testing.assert_close(found["output"], expected.detach())


def test_static_graphs_have_one_mask(edges):
    x, mask, results = torch.randn(3, NODES, CHANNELS), torch.randn(EDGES), []
    ours, theirs = gin(GINConv), gin(PyGGINConv)
    ours.load_state_dict(theirs.state_dict())
    for conv in (ours, theirs):
        results.append(masked(conv, x, edges, mask, lambda x, conv=conv: conv(x, edges)))
    assert_same(*results, 1e-12)


def test_self_loops_that_a_model_adds_are_not_masked(x, edges):
    """As in PyG: the mask belongs to the edges that the explainer was given."""
    edges = torch.cat([edges, torch.tensor([[3], [3]])], dim=1)
    longer, _ = add_remaining_self_loops(edges, num_nodes=NODES)
    ours, theirs = gin(GINConv), gin(PyGGINConv)
    ours.load_state_dict(theirs.state_dict())
    mask, results = torch.randn(EDGES + 1), []
    for conv in (ours, theirs):
        results.append(masked(conv, x, edges, mask, lambda x, conv=conv: conv(x, longer)))
    assert_same(*results, 1e-12)


@pytest.mark.parametrize("make", [lambda: gin(GINConv), lambda: pna(PNAConv), WeightedSumConv])
def test_a_mask_for_other_edges_is_refused(x, edges, make):
    conv = make()
    set_masks(conv, torch.rand(EDGES - 1), edges[:, 1:])
    with pytest.raises(ValueError, match="mask has 39 entries, but the graph 40 edges"):
        conv(x, edges)


@pytest.mark.parametrize("make", [lambda: gin(GINConv), lambda: pna(PNAConv), WeightedSumConv])
def test_attention_makes_its_own_edges(edges, make):
    conv, x, scope = make(), torch.randn(3, CHANNELS), CausalScope(torch.tensor([0, 3]))
    graph = make_adjacency(CHANNELS, 1)(x, scope)
    expected = conv(x, graph)
    set_masks(conv, torch.rand(6), edges[:, :6])
    with pytest.raises(ValueError, match=r"FusedSoftmax makes its own: .* explain=False"):
        conv(x, graph)
    clear_masks(conv)
    conv.explain = False
    set_masks(conv, torch.rand(6), edges[:, :6])
    torch.testing.assert_close(conv(x, graph), expected)


def model_of(gin_layer, pna_layer):
    width = 16
    return Sequential(
        "x, edge_index",
        [
            (GCNConv(CHANNELS, width), "x, edge_index -> x"),
            nn.Tanh(),
            (gin_layer(nn.Sequential(nn.Linear(width, width), nn.Tanh())), "x, edge_index -> x"),
            (
                pna_layer(width, 3, ["mean", "std"], ["identity"], deg=torch.tensor([0, 1])),
                "x, edge_index -> x",
            ),
        ],
    )


def explain(model, x, edges, index, coefficients=None, **kwargs):
    torch.manual_seed(1)
    explainer = Explainer(
        model,
        algorithm=GNNExplainer(epochs=20, lr=0.1, **(coefficients or {})),
        explanation_type="model",
        node_mask_type="attributes",
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification",
            "task_level": "node",
            "return_type": "raw",
        },
    )
    return explainer(x, edges, index=index, **kwargs)


def test_gnn_explainer_finds_what_it_finds_with_pygs_layers():
    x, edges = torch.randn(30, CHANNELS), barabasi_albert_graph(30, 2)
    ours, theirs = model_of(GINConv, PNAConv), model_of(PyGGINConv, PyGPNAConv)
    ours.load_state_dict(theirs.state_dict())
    found, expected = (explain(model, x, edges, index=20) for model in (ours, theirs))
    torch.testing.assert_close(found.edge_mask, expected.edge_mask)
    torch.testing.assert_close(found.node_mask, expected.node_mask)
    assert found.edge_mask.std() > 0.1


def test_gnn_explainer_finds_the_one_edge_that_decides():
    """One neighbour makes node 0 what it is, and the eight others speak against it."""
    x = torch.zeros(10, 2)
    x[1, 0], x[2:, 1] = 3.0, 0.2
    edges = torch.stack([torch.arange(1, 10), torch.zeros(9, dtype=torch.long)])
    # Without the term that drives every entry to 0 or 1, whichever is nearer at the start.
    explanation = explain(GINConv(nn.Identity()), x, edges, index=0, coefficients={"edge_ent": 0.0})
    assert explanation.edge_mask[0] > 1.5 * explanation.edge_mask[1:].max()


def test_edges_without_weight_explain_nothing(x, edges):
    weight = torch.rand(EDGES).masked_fill_(torch.arange(EDGES) % 2 == 0, 0.0)
    explanation = explain(gin(GINConv), x, edges, index=None, edge_weight=weight)
    assert (explanation.edge_mask[::2] == 0).all()
    assert (explanation.edge_mask[1::2] > 0).all()
