"""Methods of subclasses and explainers are used, as in PyG."""

import pytest
import torch
from laws import assert_same, make_adjacency, outputs_and_gradients
from pyg_layers import (
    CHANNELS,
    EDGES,
    NODES,
    gin,
    pair_of,
    pna,
)
from torch import nn
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.nn import PNAConv as PyGPNAConv

from gia.attention import CausalScope
from gia.attention.sparsify import TopK
from gia.graph import EdgeAdjacency
from gia.nn import GINConv, PNAConv, WeightedSumConv

pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.filterwarnings("ignore:Sparse", "ignore:Converting sparse", "ignore:.*jit.script"),
]


@pytest.fixture
def edges():
    edges = torch.randint(0, NODES - 1, (2, EDGES))  # the last node has no neighbour
    return torch.unique(edges, dim=1)


@pytest.fixture
def x():
    return torch.randn(NODES, CHANNELS)


# Methods of subclasses ----------------------------------------------------------------------------


def with_message(parent):
    class Doubled(parent):
        def message(self, x_j):
            return 2 * x_j.sin()

    return Doubled


def with_aggregate(parent):
    class Largest(parent):
        def aggregate(self, inputs, index, dim_size=None):
            zeros = inputs.new_zeros(dim_size, inputs.size(-1))
            index = index.view(-1, 1).expand(-1, inputs.size(-1))
            return zeros.scatter_reduce(0, index, inputs, "amax", include_self=False)

    return Largest


def with_update(parent):
    class Sine(parent):
        def update(self, inputs):
            return inputs.sin()

    return Sine


def with_fused(parent):
    class Tripled(parent):
        def message_and_aggregate(self, adj_t, x):
            return 3 * (adj_t @ x[0])

    return Tripled


def with_edge_update(parent):
    class Differences(parent):
        def forward(self, x, edge_index):
            # edge_updater_type: (x: Tensor)
            norm = self.edge_updater(edge_index, x=x, size=None)
            return super().forward(x, edge_index) + norm.mean()

        def edge_update(self, x_i, x_j):
            return (x_i - x_j).norm(dim=-1)

    return Differences


@pytest.mark.parametrize(
    "change", [with_message, with_aggregate, with_update, with_fused, with_edge_update]
)
@pytest.mark.parametrize("form", ["edges", "coo"])
def test_a_method_of_a_subclass_is_used(x, edges, change, form):
    graph = edges
    if form == "coo":
        if change is with_edge_update:
            pytest.skip("as for edges")
        value = torch.ones(edges.size(1))
        graph = torch.sparse_coo_tensor(edges.flip(0), value, (NODES, NODES)).coalesce()
    ours, theirs = gin(change(GINConv)), gin(change(PyGGINConv))
    ours.load_state_dict(theirs.state_dict())
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, graph))
        for conv in (ours, theirs)
    ]
    assert_same(*results, 1e-10)


def test_a_message_of_pna_is_used(x, edges):
    def of(parent):
        class Products(parent):
            def message(self, x_i, x_j):
                return x_i * x_j

        return Products

    ours, theirs = pna(of(PNAConv)), pna(of(PyGPNAConv))
    ours.load_state_dict(theirs.state_dict())
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, edges))
        for conv in (ours, theirs)
    ]
    assert_same(*results, 1e-10)


def test_a_message_of_a_mixin_and_of_one_object_is_used(x, edges):
    class Mixin:
        def message(self, x_j):
            return -x_j

    class Mixed(Mixin, GINConv):
        pass

    class Renamed(Mixed):
        pass

    conv = gin()
    expected = conv(-x, edges) - conv(torch.zeros_like(x), edges)
    for kind in (Mixed, Renamed):
        other = kind(nn.Identity(), -1.0)
        torch.testing.assert_close(other(x, edges), GINConv(nn.Identity(), -1.0)(-x, edges))
    one = GINConv(nn.Identity(), -1.0)
    one.message = lambda x_j, edge_attr: -x_j
    torch.testing.assert_close(one(x, edges), GINConv(nn.Identity(), -1.0)(-x, edges))
    assert expected.shape == (NODES, 6)


def test_weights_count_whoever_makes_the_messages(x, edges):
    """A message that does not ask for weights is weighed by the sum; one that asks, weighs."""

    class Asks(GINConv):
        def message(self, x_j, edge_weight):
            return edge_weight.view(-1, 1) * x_j.sin()

    class Silent(GINConv):
        def message(self, x_j):
            return x_j.sin()

    weight = torch.rand(edges.size(1))
    matrix = torch.zeros(NODES, NODES).index_put_((edges[1], edges[0]), weight, accumulate=True)
    for kind in (Asks, Silent):
        conv = kind(nn.Identity(), -1.0)
        torch.testing.assert_close(conv(x, edges, edge_weight=weight), matrix @ x.sin())
        graph = EdgeAdjacency(edges, weight, num_nodes=NODES)
        torch.testing.assert_close(conv(x, graph), matrix @ x.sin())


def test_a_message_is_used_over_attention(x):
    class Sines(WeightedSumConv):
        def message(self, x_j):
            return x_j.sin()

    scope = CausalScope(torch.tensor([0, 5, 12]))
    for sparsify in (None, TopK(2)):
        graph = make_adjacency(CHANNELS, 2, sparsify=sparsify)(torch.randn(NODES, CHANNELS), scope)
        torch.testing.assert_close(Sines(2)(x, graph), WeightedSumConv(2)(x.sin(), graph))


def test_a_message_that_asks_for_weights_has_them_over_attention(x):
    """All edges of one head, and edges that belong to one head each."""

    class Asks(WeightedSumConv):
        def message(self, x_j, edge_weight):
            heads = edge_weight.view(edge_weight.size(0), -1)
            return (heads.unsqueeze(-1) * x_j.unflatten(-1, (2, -1))).flatten(1)

    scope = CausalScope(torch.tensor([0, 5, 12]))
    for sparsify in (None, TopK(2)):
        graph = make_adjacency(CHANNELS, 2, sparsify=sparsify)(torch.randn(NODES, CHANNELS), scope)
        torch.testing.assert_close(Asks(2)(x, graph), WeightedSumConv(2)(x, graph))


def test_weights_that_would_be_lost_are_refused(x, edges):
    conv = gin(with_aggregate(GINConv))
    with pytest.raises(ValueError, match=r"takes no adj_weight, .* would be lost"):
        conv(x, edges, edge_weight=torch.rand(edges.size(1)))


# Explainers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [GINConv, PyGGINConv])
def test_explainers_see_a_subclass_of_a_layer_that_was_used_before(x, edges, first):
    class Doubled(GINConv):
        def message(self, x_j):
            return 2 * x_j

    gin(first)
    conv, mask = Doubled(nn.Identity(), -1.0), torch.rand(edges.size(1))
    set_masks(conv, nn.Parameter(mask), edges, apply_sigmoid=False)
    expected = GINConv(nn.Identity(), -1.0)(2 * x, edges, edge_weight=mask)
    torch.testing.assert_close(conv(x, edges), expected)
    clear_masks(conv)
    torch.testing.assert_close(conv(x, edges), GINConv(nn.Identity(), -1.0)(2 * x, edges))


def test_an_explain_message_of_ones_own_is_used(x, edges):
    """PyG's way for explainers that weigh messages in another way."""
    results = []
    for conv in pair_of("gin"):
        conv.explain = True
        conv.explain_message = lambda inputs, dim_size: 3 * inputs
        results.append(conv(x, edges))
    torch.testing.assert_close(*results)


def test_pieces_do_not_fit_weights_of_heads(x, edges):
    conv = gin(heads=2, decomposed_layers=2)
    conv.register_message_forward_hook(lambda module, inputs, out: out)
    with pytest.raises(ValueError, match="use decomposed_layers=1"):
        conv(x, edges, edge_weight=torch.rand(edges.size(1), 2))


@pytest.mark.parametrize("name", ["propagate", "message_and_aggregate"])
def test_a_method_set_on_an_object_is_seen(name):
    conv = GINConv(nn.Linear(4, 4))
    assert conv.is_plain()
    setattr(conv, name, lambda *args, **kwargs: None)
    assert not conv.is_plain()
