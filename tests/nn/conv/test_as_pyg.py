"""Our layers behave as PyG's classes do: hooks, methods of subclasses, explainers, TorchScript."""

import copy
import io

import pytest
import torch
from laws import assert_same, make_adjacency, outputs_and_gradients
from torch import nn
from torch_geometric import EdgeIndex
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.nn import GINEConv as PyGGINEConv
from torch_geometric.nn import MessagePassing
from torch_geometric.nn import PNAConv as PyGPNAConv
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

from gia.attention import CausalScope, FullScope
from gia.attention.sparsify import TopK
from gia.graph import EdgeAdjacency
from gia.nn import GINConv, GINEConv, PNAConv, WeightedSumConv

NODES, CHANNELS, EDGES = 12, 8, 40
AGGREGATORS = ["sum", "mean", "min", "max", "var", "std"]
SCALERS = ["identity", "amplification", "attenuation", "linear", "inverse_linear"]
DEG = torch.tensor([1, 3, 4, 4, 2])
STEPS = ["propagate", "message", "aggregate", "message_and_aggregate"]

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


def gin(layer=GINConv, **kwargs):
    return layer(nn.Sequential(nn.Linear(CHANNELS, 6), nn.Tanh()), 0.3, True, **kwargs)


def gine(layer=GINEConv, **kwargs):
    return gin(layer, edge_dim=3, **kwargs)


def pna(layer=PNAConv, aggregators=AGGREGATORS, **kwargs):
    return layer(CHANNELS, 6, aggregators, SCALERS, DEG, **kwargs)


def bare_pna(**kwargs):
    return pna(towers=2, divide_input=True, pre_layers=0, **kwargs)


PAIRS = {
    "gin": (gin, GINConv, PyGGINConv),
    "gine": (gine, GINEConv, PyGGINEConv),
    "pna": (pna, PNAConv, PyGPNAConv),
}


def pair_of(name, **kwargs):
    make, ours, theirs = PAIRS[name]
    ours, theirs = make(ours, **kwargs), make(theirs, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def attributes(name, edges):
    return (torch.randn(edges.size(1), 3),) if name == "gine" else ()


def hook_everywhere(conv, called, steps=STEPS):
    """Count the calls of hooks before and after each step; they change nothing."""
    handles = []
    for step in steps:
        for when in ("forward_pre_hook", "forward_hook"):

            def hook(module, inputs, out=None, key=(step, when)):
                assert module is conv
                called.append((key, sorted(inputs[-1])))
                return out

            handles.append(getattr(conv, f"register_{step}_{when}")(hook))
    return handles


def plain_and_hooked(conv, x, call):
    """Outputs and gradients without hooks and with them."""
    plain = outputs_and_gradients(conv, x, call)
    called = []
    handles = hook_everywhere(conv, called)
    hooked = outputs_and_gradients(conv, x, call)
    for handle in handles:
        handle.remove()
    assert called
    return plain, hooked


# Hooks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("form", ["edges", "sorted", "csr", "torch-sparse"])
def test_hooks_fire_as_often_as_pygs(x, edges, name, form):
    if form == "torch-sparse" and not WITH_TORCH_SPARSE:
        pytest.skip("torch-sparse is not installed")
    if name == "gine" and form == "csr":
        pytest.skip("PyG's GINEConv reads no matrix without attributes in it")
    edge_attr = attributes(name, edges)
    if form == "sorted":
        graph = EdgeIndex(edges.contiguous(), sparse_size=(NODES, NODES)).sort_by("col").values
    elif form == "csr":
        value = torch.ones(edges.size(1))
        graph = torch.sparse_coo_tensor(edges.flip(0), value, (NODES, NODES)).to_sparse_csr()
    elif form == "torch-sparse":
        value = edge_attr[0] if edge_attr else None
        edge_attr = ()
        graph = SparseTensor.from_edge_index(edges, value, (NODES, NODES)).t()
    else:
        graph = edges
    counts, results = [], []
    for conv in pair_of(name):
        called = []
        hook_everywhere(conv, called)
        results.append(
            outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, graph, *edge_attr))
        )
        counts.append([key for key, _ in called])
    assert counts[0] == counts[1]
    assert len(counts[0]) in (4, 6)
    assert_same(*results, 1e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_hooks_see_what_pygs_see(x, edges, name):
    seen = []
    for conv in pair_of(name):
        called = []
        hook_everywhere(conv, called, ["message"])
        conv(x, edges, *attributes(name, edges))
        seen.append(set(called[0][1]))
    assert seen[1] <= seen[0]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("step", ["propagate", "message", "aggregate"])
def test_hooks_change_what_they_return(x, edges, name, step):
    edge_attr, results = attributes(name, edges), []
    for conv in pair_of(name):
        before = conv(x, edges, *edge_attr)
        getattr(conv, f"register_{step}_forward_hook")(lambda module, inputs, out: out * 2)
        results.append(
            outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, edges, *edge_attr))
        )
        assert not torch.allclose(results[-1]["output"], before)
    assert_same(*results, 1e-10)


def test_pre_hooks_change_messages(x, edges):
    results = []
    for conv in pair_of("gin"):
        conv.register_message_forward_pre_hook(
            lambda module, inputs: ({**inputs[0], "x_j": inputs[0]["x_j"].relu()},)
        )
        results.append(conv(x, edges))
    torch.testing.assert_close(*results)


# Both ways agree ---------------------------------------------------------------------------------

LAYERS = {f"gin {aggr}": (lambda aggr=aggr, **k: gin(aggr=aggr, **k)) for aggr in AGGREGATORS} | {
    "gin two heads": lambda **k: gin(heads=2, **k),
    "gine": lambda **k: gine(**k),
    "pna": lambda **k: pna(towers=2, **k),
    "pna without pre-layers": bare_pna,
    "pna of tokens": lambda **k: bare_pna(aggregators=["token_max", "mean", "token_min"], **k),
    "pna that counts": lambda **k: bare_pna(degree="count", **k),
    "sum": lambda **k: WeightedSumConv(2, **k),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize("heads", [None, 1, 2])
def test_with_a_hook_and_without_are_the_same(x, edges, name, flow, heads):
    if heads == 2 and not (name.startswith("pna") or name in ("sum", "gin two heads")):
        pytest.skip("the layer has one head")
    if heads == 1 and name == "pna of tokens":
        pytest.skip("which neighbours count, a threshold says for each head")
    conv = LAYERS[name](flow=flow)
    weight = None if heads is None else torch.rand(edges.size(1), heads, requires_grad=True)
    edge_attr = {"edge_attr": torch.randn(edges.size(1), 3)} if name == "gine" else {}
    gradients = []

    def call(x):
        if weight is not None:
            if weight.grad is not None:
                gradients.append(weight.grad)
            weight.grad = None
        return conv(x, edges, edge_weight=weight, **edge_attr)

    plain, hooked = plain_and_hooked(conv, x, call)
    assert_same(plain, hooked, 1e-10)
    if weight is not None and weight.grad is not None:  # a maximum has none
        torch.testing.assert_close(gradients[0], weight.grad)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "gine"])
@pytest.mark.parametrize("sparsify", [None, TopK(2)], ids=["softmax", "top k"])
@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_attention_is_written_out_where_somebody_looks(x, name, sparsify, scope):
    conv, whole = LAYERS[name](), scope(torch.tensor([0, 5, 12]))
    heads = getattr(conv, "heads", getattr(conv, "towers", 1))
    adjacency = make_adjacency(CHANNELS, heads, sparsify=sparsify)
    features = torch.randn(NODES, CHANNELS)
    plain, hooked = plain_and_hooked(conv, x, lambda x: conv(x, adjacency(features, whole)))
    assert_same(plain, hooked, 1e-9)


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_an_adjacency_has_its_own_direction(x, edges, flow):
    conv, graph = gin(flow=flow), EdgeAdjacency(edges, num_nodes=NODES)
    plain, hooked = plain_and_hooked(conv, x, lambda x: conv(x, graph))
    assert_same(plain, hooked, 1e-12)
    reference = gin()
    reference.load_state_dict(conv.state_dict())
    torch.testing.assert_close(reference(x, edges), plain["output"])


@pytest.mark.parametrize("with_targets", [True, False])
def test_bipartite_graphs_with_a_hook(x, edges, with_targets):
    edges = torch.stack([edges[0], edges[1] % 5])
    target = torch.randn(5, CHANNELS) if with_targets else None
    conv = gin()
    plain, hooked = plain_and_hooked(conv, x, lambda x: conv((x, target), edges, (NODES, 5)))
    assert plain["output"].shape == (5, 6)
    assert_same(plain, hooked, 1e-12)
    weight = torch.rand(edges.size(1))
    graph = EdgeAdjacency(edges, weight, num_nodes=5)
    assert_same(*plain_and_hooked(conv, x, lambda x: conv((x, target), graph)), 1e-12)


def test_a_pair_against_the_flow_is_pygs(x, edges):
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv: conv((x, x.flip(0)), edges))
        for conv in pair_of("gin", flow="target_to_source")
    ]
    assert_same(*results, 1e-12)
    conv, target = gin(flow="target_to_source"), torch.randn(5, CHANNELS)
    bipartite = torch.stack([edges[0] % 5, edges[1]])
    assert conv((x, target), bipartite).shape == (5, 6)
    hooked = gin(flow="target_to_source")
    hook_everywhere(hooked, [])
    torch.testing.assert_close(conv((x, x.flip(0)), edges).shape, hooked((x, x), edges).shape)
    with pytest.raises(ValueError, match="flip edge_index"):
        hooked((x, target), bipartite)


def test_a_mask_of_a_pair_against_the_flow(x, edges):
    conv, pair = gin(flow="target_to_source"), (x, x.flip(0))
    weight = torch.rand(edges.size(1))
    expected = conv(pair, edges, edge_weight=weight)
    set_masks(conv, nn.Parameter(weight), edges, apply_sigmoid=False)
    torch.testing.assert_close(conv(pair, edges), expected)


def test_static_graphs_with_a_hook(edges):
    x, results = torch.randn(3, NODES, CHANNELS), []
    for conv in pair_of("gin"):
        called = []
        hook_everywhere(conv, called)
        results.append(conv(x, edges))
        assert len(called) == 6
    torch.testing.assert_close(*results)


# Methods of subclasses ---------------------------------------------------------------------------


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


def test_weights_that_would_be_lost_are_refused(x, edges):
    conv = gin(with_aggregate(GINConv))
    with pytest.raises(ValueError, match=r"takes no adj_weight, .* would be lost"):
        conv(x, edges, edge_weight=torch.rand(edges.size(1)))


# Explainers --------------------------------------------------------------------------------------


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


# EdgeIndex ---------------------------------------------------------------------------------------


@pytest.fixture
def no_sort(monkeypatch):
    def forbid(*args, **kwargs):
        raise AssertionError("something is sorted")

    def start():
        for owner, name in ((torch, "argsort"), (torch, "sort"), (torch.Tensor, "argsort")):
            monkeypatch.setattr(owner, name, forbid)
        monkeypatch.setattr(torch.Tensor, "sort", forbid)
        monkeypatch.setattr("torch_geometric.edge_index.index_sort", forbid, raising=False)
        monkeypatch.setattr("torch_geometric.utils.index_sort", forbid)

    return start


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize("name", ["gin sum", "gin mean", "gin var", "sum", "gine"])
def test_a_sorted_edge_index_with_full_caches_is_never_sorted_again(x, edges, name, flow, no_sort):
    order = "col" if flow == "source_to_target" else "row"
    index = EdgeIndex(edges.contiguous(), sparse_size=(NODES, NODES)).sort_by(order).values
    index.fill_cache_()
    conv = LAYERS[name](flow=flow)
    weight = torch.rand(edges.size(1))
    edge_attr = {"edge_attr": torch.randn(edges.size(1), 3)} if name == "gine" else {}

    def results(graph):
        return outputs_and_gradients(
            conv, x, lambda x: conv(x, graph, edge_weight=weight, **edge_attr)
        )

    expected = results(index.as_tensor())
    no_sort()
    assert_same(results(index), expected, 1e-12)


@pytest.mark.parametrize("aggr", ["max", "min"])
def test_ties_of_an_edge_index_go_to_the_highest_source(aggr):
    """Also where its order leaves the sources of a node in disorder."""
    edges = torch.tensor([[3, 0, 2, 1, 4], [0, 0, 0, 1, 1]])
    index = EdgeIndex(edges, sparse_size=(5, 5), sort_order="col")
    x, conv = torch.zeros(5, 2, requires_grad=True), GINConv(nn.Identity(), -1.0, aggr=aggr)
    gradients = [torch.autograd.grad(conv(x, graph).sum(), x)[0] for graph in (edges, index)]
    torch.testing.assert_close(*gradients)
    assert gradients[0][:, 0].tolist() == [0, 0, 0, 1, 1]


def test_an_edge_index_that_knows_fewer_nodes_is_enough(x, edges):
    """PyG counts up to the last edge; nodes after it have no neighbours."""
    conv = gin()
    for order in ("col", "row"):
        index = EdgeIndex(edges.contiguous()).sort_by(order).values
        plain, hooked = plain_and_hooked(conv, x, lambda x, index=index: conv(x, index))
        assert_same(plain, hooked, 1e-12)
        torch.testing.assert_close(plain["output"], conv(x, edges))


# What else PyG's layers can do -------------------------------------------------------------------


def test_a_layer_in_pieces_is_whole(x, edges):
    """Inference decomposition; where nothing is written out there is nothing to save."""
    conv = gin(decomposed_layers=2)
    expected = gin()
    expected.load_state_dict(conv.state_dict())
    torch.testing.assert_close(conv(x, edges), expected(x, edges))
    conv.register_message_forward_hook(lambda module, inputs, out: sizes.append(out.size(-1)))
    sizes = []
    torch.testing.assert_close(conv(x, edges), expected(x, edges))
    assert sizes == [CHANNELS // 2] * 2


@pytest.mark.parametrize("name", PAIRS)
def test_torch_script_is_the_layer(x, edges, name):
    conv = pair_of(name)[0]
    edge_attr = attributes(name, edges)
    scripted = torch.jit.script(conv)
    torch.testing.assert_close(scripted(x, edges, *edge_attr), conv(x, edges, *edge_attr))
    if WITH_TORCH_SPARSE:
        value = edge_attr[0] if edge_attr else None
        adj_t = SparseTensor.from_edge_index(edges, value, (NODES, NODES)).t()
        torch.testing.assert_close(scripted(x, adj_t), conv(x, adj_t))
    if name == "gin":
        pair, bipartite = (x, torch.randn(5, CHANNELS)), torch.stack([edges[0], edges[1] % 5])
        torch.testing.assert_close(scripted(pair, bipartite), conv(pair, bipartite))


def test_torch_script_of_several_heads_is_the_layer(x, edges):
    conv = gin(heads=2)
    conv.eps.data = torch.tensor([0.2, -0.7])
    torch.testing.assert_close(torch.jit.script(conv)(x, edges), conv(x, edges))


def test_torch_script_refuses_weights_and_tokens(x, edges):
    with pytest.raises(torch.jit.Error, match="graphs without weights"):
        torch.jit.script(gin())(x, edges, edge_weight=torch.rand(edges.size(1)))
    with pytest.raises(NotImplementedError, match="no token_max"):
        torch.jit.script(bare_pna(aggregators=["token_max"]))


@pytest.mark.parametrize("name", PAIRS)
def test_layers_look_like_pygs(name):
    ours, theirs = pair_of(name)
    assert repr(ours) == repr(theirs)
    assert isinstance(ours, MessagePassing)


def test_copied_and_saved_layers_keep_their_hooks_and_methods(x, edges):
    conv = gin()
    stream = io.BytesIO()
    torch.save(conv, stream)
    stream.seek(0)
    for other in (copy.deepcopy(conv), torch.load(stream, weights_only=False)):
        torch.testing.assert_close(other(x, edges), conv(x, edges))
        other.register_message_forward_hook(lambda module, inputs, out: 0 * out)
        assert not torch.allclose(other(x, edges), conv(x, edges))


def test_attributes_of_gine_need_no_map_where_they_fit(x, edges):
    edge_attr = torch.randn(edges.size(1), CHANNELS)
    ours, theirs = gin(GINEConv), gin(PyGGINEConv)
    ours.load_state_dict(theirs.state_dict())
    results = [
        outputs_and_gradients(conv, x, lambda x, conv=conv: conv(x, edges, edge_attr))
        for conv in (ours, theirs)
    ]
    assert_same(*results, 1e-12)
    with pytest.raises(ValueError, match=r"= \[\d+, 8\], got \[\d+, 3\]: .* edge_dim"):
        gin(GINEConv)(x, edges, edge_attr[:, :3])
