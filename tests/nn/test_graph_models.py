"""Laws 5, 6 and 7 for every model of graphs, ours and PyG's, on random and on real ones."""

from itertools import pairwise

import pytest
import torch
from graph_data import INPUTS, MODELS, graph, make, random_graphs, settled
from hydra.utils import instantiate
from runs import compose_config
from torch_geometric.data import Batch, Data

from gia.attention import HopBias
from gia.nn import (
    GraphTransformer,
    PredictionHead,
    ReLUMLP,
    SoftmaxAttention,
    count_parameters,
    transformer_conv,
)
from gia.nn.head import Readout

OURS = [
    "model=graph_transformer",
    "model=graph_transformer attention=pna",
    "model=graph_transformer attention=softmax given=none score=dot_product",
    "model=graph_transformer sparsify=top_k given=added",
    "model=graph_transformer scope=given",
]
REAL = ["esol", "lipophilicity", "bbbp", "tu_mutag", "tu_proteins", "peptide_activity"]
SLOW = ["melting_point", "boiling_point"]  # to read
LARGE = ["lipophilicity", "bbbp", *SLOW]  # too large for descriptors, which esol has
EVERY = [*OURS, *(f"model={name}" for name in MODELS[1:])]


def relabelled(data: Data, order: torch.Tensor) -> Data:
    """The same graph with its nodes in another order."""
    changed = data.clone()
    place = torch.empty_like(order)
    place[order] = torch.arange(order.numel())
    for key in ("x", "token", "random_walk_pe", "laplacian_eigenvector_pe", "seq_pos"):
        if key in data:
            changed[key] = data[key][order]
    changed.edge_index = place[data.edge_index]
    return changed


def law_5(model, graphs, tolerance=1e-9):
    together = model(Batch.from_data_list(graphs))
    for number, single in enumerate(graphs):
        alone = model(Batch.from_data_list([single]))[0]
        torch.testing.assert_close(together[number], alone, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(model(single)[0], alone, rtol=tolerance, atol=tolerance)


def law_6(model, graphs, tolerance=1e-9):
    for data in graphs:
        order = torch.randperm(data.num_nodes)
        torch.testing.assert_close(
            model(relabelled(data, order)), model(data), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("choice", EVERY)
@pytest.mark.usefixtures("float64")
def test_laws_5_and_6(choice):
    """A graph's prediction depends on neither its batch nor the order of its nodes."""
    graphs = random_graphs()
    model = settled(make(*choice.split()), graphs)
    assert model(Batch.from_data_list(graphs)).shape == (5, 2)
    with torch.no_grad():
        law_5(model, graphs)
        law_6(model, graphs)


@pytest.mark.parametrize("choice", EVERY)
@pytest.mark.usefixtures("float64")
def test_laws_5_and_6_for_nodes(choice):
    graphs = random_graphs()
    model = settled(make(*choice.split(), level="node"), graphs)
    with torch.no_grad():
        together = model(Batch.from_data_list(graphs))
        assert together.shape == (26, 2)
        parts = together.split([data.num_nodes for data in graphs])
        for data, mine in zip(graphs, parts, strict=True):
            torch.testing.assert_close(model(data), mine)
            order = torch.randperm(data.num_nodes)
            torch.testing.assert_close(model(relabelled(data, order)), mine[order])


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Some graphs of a data set, its smallest and its largest among them, and its inputs."""
    known = {}

    def read(name, shared_data, monkeypatch):
        if name not in known:
            monkeypatch.setenv("GIA_DATA", str(shared_data))
            choice = [f"data={name}", "data.split=random"]
            if name in LARGE:
                choice.append("data.features=null")
            cfg = compose_config("name=t", "run_dir=x", *choice)
            data = instantiate(cfg.data)
            inputs = data.inputs()
            graphs = sorted(data.graphs, key=lambda data: data.num_nodes)
            known[name] = [graphs[len(graphs) * i // 5] for i in range(5)] + graphs[-1:], inputs
        return known[name]

    return read


@pytest.mark.parametrize("choice", EVERY)
@pytest.mark.parametrize("name", [*REAL, *(pytest.param(x, marks=pytest.mark.slow) for x in SLOW)])
def test_laws_5_and_6_on_real_graphs(name, choice, real, shared_data, monkeypatch):
    graphs, inputs = real(name, shared_data, monkeypatch)
    with torch.no_grad():
        model = settled(make(*choice.split(), **inputs), graphs)
        law_5(model, graphs, 1e-4)
        law_6(model, graphs, 1e-4)


@pytest.mark.parametrize("choice", [*OURS[:2], *(f"model={name}" for name in MODELS[1:-1])])
@pytest.mark.usefixtures("float64")
def test_law_7_every_given_edge_counts(choice):
    """Another attribute on one edge changes its target, and without it the target changes too."""
    data = graph(7, 8)
    model = settled(make(*choice.split(), level="node"), [data])
    with torch.no_grad():
        before = model(data)
        for edge in range(data.num_edges):
            target = int(data.edge_index[1, edge])
            other = data.clone()
            other.edge_attr[edge] = (other.edge_attr[edge] + 1) % 4
            fewer = data.clone()
            keep = torch.arange(data.num_edges) != edge
            fewer.edge_index, fewer.edge_attr = data.edge_index[:, keep], data.edge_attr[keep]
            for changed in (other, fewer):
                assert (model(changed)[target] - before[target]).abs().max() > 1e-9


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sizes", [[(1, 0)], [(3, 0)], [(1, 0), (1, 0)]])
def test_nodes_alone_and_graphs_without_edges_are_trained_on(name, sizes):
    model = make(f"model={name}")
    out = model(Batch.from_data_list([graph(*size) for size in sizes]))
    assert out.shape == (len(sizes), 2)
    out.square().sum().backward()
    assert out.isfinite().all()
    for key, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("choice", EVERY)
def test_every_parameter_is_trained(choice):
    model = make(*choice.split())
    graphs = random_graphs()
    model(Batch.from_data_list(graphs)).pow(3).sum().backward()
    idle = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle in ([], ["edge_encoder.features.embedding.weight"])
    # Only the plain transformer and the one of plain given edges know none of their attributes.
    assert not idle or "none" in choice


@pytest.mark.parametrize("level", ["graph", "node"])
@pytest.mark.parametrize("name", MODELS)
def test_continuous_features_and_edges_without_attributes(name, level):
    inputs = {
        "node_categories": [],
        "node_channels": 4,
        "edge_categories": [],
        "encodings": {},
        "level": level,
    }
    graphs = random_graphs(**inputs)
    out = make(f"model={name}", **inputs)(Batch.from_data_list(graphs))
    assert out.shape == (5 if level == "graph" else 26, 2)
    assert out.isfinite().all()


@pytest.mark.parametrize("score", ["edge_attr", "dot_product"])
def test_attention_graphs_can_be_taken_out(score):
    graphs = random_graphs()
    model = settled(make("model=graph_transformer", f"score={score}"), graphs)
    layers = model.graphs(Batch.from_data_list(graphs))
    assert len(layers) == 2
    pairs = sum(data.num_nodes**2 for data in graphs)  # given edges add to these
    for layer in layers:
        total = torch.zeros(26, 2).index_add(0, layer.edge_index[1], layer.edge_weight)
        bonds = [data.edge_index[1].bincount(minlength=data.num_nodes) for data in graphs]
        weight = model.blocks[0].attention.adjacency.given.weight.detach()
        torch.testing.assert_close(total, 1 + torch.cat(bonds)[:, None] * weight)
        assert layer.edge_index.shape == (2, pairs)
        assert layer.edge_weight.shape == (pairs, 2)


def test_the_plain_transformer_is_a_choice_of_parts():
    model = make("model=graph_transformer", "attention=softmax", "given=none", "score=dot_product")
    attention = model.blocks[0].attention
    assert isinstance(model, GraphTransformer)
    assert isinstance(attention, SoftmaxAttention)
    assert attention.adjacency.given is None
    assert type(attention.adjacency.score).__name__ == "DotProductScore"


def test_nodes_in_an_order_have_positions():
    model = make("model=graph_transformer", ordered=True).eval()
    data = graph(6, 4)
    turned = relabelled(data, torch.arange(6).flip(0))
    torch.testing.assert_close(model(turned), model(data))  # positions move with their nodes
    turned.seq_pos = data.seq_pos
    assert not torch.allclose(model(turned), model(data))
    del data.seq_pos
    with pytest.raises(ValueError, match="reads the nodes' positions, but the data has no seq_pos"):
        model(data)


def test_eps_starts_at_the_usual_gin_here_and_as_published_in_language_models():
    graphs = make("model=graph_transformer")
    assert (graphs.blocks[0].attention.conv.eps == 0).all()
    language = make("model=language_model", "model.vocab_size=7")
    assert (language.blocks[0].attention.conv.eps == -1).all()


@pytest.mark.parametrize("norm", [True, False])
def test_only_without_a_norm_the_mlps_see_how_large_a_sum_is(norm):
    model = make("model=graph_transformer", f"attention.norm={norm}").eval()
    mlp = model.blocks[0].attention.conv.nn
    with torch.no_grad():
        for name, bias in mlp.named_parameters():
            if "bias" in name:
                bias.zero_()
        x = torch.randn(5, 16)
        one, double = mlp(x), mlp(2 * x)
    assert torch.allclose(one, double, atol=1e-3) == norm


@pytest.mark.parametrize("name", MODELS)
def test_copies_of_a_block_start_differently_and_share_nothing(name):
    blocks = make(f"model={name}").blocks
    first, second = blocks[0], blocks[len(blocks) // 2]  # two of a kind
    matrices = [
        (one, other)
        for one, other in zip(first.parameters(), second.parameters(), strict=True)
        if one.dim() > 1 and one.std() > 0 and not _is_hop_bias(first, one)
    ]
    assert matrices
    assert not any(torch.equal(one, other) for one, other in matrices)
    assert {id(p) for p in first.parameters()}.isdisjoint(id(p) for p in second.parameters())


def _is_hop_bias(block, parameter):
    """Those numbers begin the same everywhere."""
    biases = (module for module in block.modules() if isinstance(module, HopBias))
    return any(bias.value is parameter for bias in biases)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "cgcnn"])  # has no MLP
def test_the_knob_changes_the_size_steadily(name):
    sizes = [
        count_parameters(make(f"model={name}", f"mlp.hidden={hidden}")) for hidden in (1, 2, 3, 40)
    ]
    steps = [later - earlier for earlier, later in pairwise(sizes)]
    assert 0 < steps[0] == steps[1]
    assert steps[2] == 37 * steps[0]
    with torch.device("meta"):  # where sizes are tried out
        assert count_parameters(make(f"model={name}", "mlp.hidden=40")) == sizes[-1]


@pytest.mark.parametrize("level", ["graph", "node"])
def test_pool_and_head_are_chosen_by_the_level(level):
    readout = Readout(PredictionHead(4, 3), torch.nn.Identity(), level)
    assert (readout.pool is None) == (level == "node")


def test_what_does_not_fit_is_named():
    head = PredictionHead(4, 3)
    with pytest.raises(ValueError, match="predictions for graphs need a pool"):
        Readout(head)
    with pytest.raises(ValueError, match="level must be 'graph' or 'node', got 'edge'"):
        Readout(head, level="edge")
    with pytest.raises(ValueError, match="must divide the width: 3 heads, 16 wide"):
        transformer_conv(16, 3)
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        GraphTransformer(
            encoder=torch.nn.Identity(),
            edge_encoder=torch.nn.Identity(),
            block=ReLUMLP(4, 4),
            depth=0,
            head=head,
            width=4,
            heads=1,
            level="node",
        )
    data = graph(4, 3)
    del data.edge_index
    with pytest.raises(ValueError, match=r"no edge_index: .* has one of shape \[2, 0\]"):
        make("model=graph_transformer")(data)
    assert INPUTS["level"] == "graph"
